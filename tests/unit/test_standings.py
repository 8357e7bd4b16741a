"""How a ticket's symptoms stand now: never better than what was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest
from operators.briefing import standing_text

from campaign.model import GeneratorHealth, Plan, Sample, Symptom, Ticket
from campaign.ports import Observation
from campaign.standings import judged
from campaign.testing import HEALTHY, make_plan

NOW = 1_000.0
SYMPTOM = Symptom(
    invariant="p0_latency", title="Slow", value=0.4, limit=0.05, since=900.0, unit="ratio"
)
TICKET = Ticket(id="T001", opened_at=901.0, symptoms=(SYMPTOM,), offered_hz=40.0, users=4)
SAMPLE = Sample(invariant="p0_latency", value=0.01, samples=40.0, offered=40.0, measured_at=NOW)


def plan() -> Plan:
    made = make_plan(1)
    invariants = tuple(replace(each, sources=("loadgen",)) for each in made.invariants)
    return replace(made, invariants=invariants)


def stands(
    sample: Sample | None = SAMPLE,
    *,
    generator: GeneratorHealth | None = HEALTHY,
    ticket: Ticket = TICKET,
) -> str:
    seen = Observation(samples=() if sample is None else (sample,), generator=generator)
    return standing_text(judged(ticket, seen, plan=plan(), at=NOW))


def test_a_symptom_is_within_bounds_or_out_of_them() -> None:
    assert stands() == ("How that stands now:\n- p0_latency: within bounds, 1 % (limit 5 %)")
    out = "- p0_latency: out of bounds, 30 % (limit 5 %)"
    assert stands(replace(SAMPLE, value=0.3)).splitlines()[1:] == [out]


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        (None, "not known"),
        (replace(SAMPLE, measured_at=NOW - 60), "not known"),
        (replace(SAMPLE, value=None), "not known"),
        (replace(SAMPLE, value=float("nan")), "not known"),
        (
            replace(SAMPLE, samples=1.0),
            "not known: the service answers too little of what it is asked",
        ),
        (replace(SAMPLE, offered=0.0), "not known: too little load of its kind"),
        (replace(SAMPLE, invariant="another"), "not known"),
    ],
)
def test_what_is_not_measured_is_not_known(sample: Sample | None, said: str) -> None:
    assert stands(sample).splitlines()[1:] == [f"- p0_latency: {said}"]


def test_what_a_starved_generator_measured_is_not_known_and_the_generator_not_named() -> None:
    assert stands(generator=None).splitlines()[1:] == ["- p0_latency: not known"]


def test_what_the_plan_does_not_know_is_not_known() -> None:
    ticket = replace(TICKET, symptoms=(replace(SYMPTOM, invariant="gone"),))
    assert stands(ticket=ticket).splitlines()[1:] == ["- gone: not known"]


def test_only_the_tickets_own_symptoms_are_told() -> None:
    assert stands(ticket=replace(TICKET, symptoms=())) == ""
