"""What is told of a campaign, and how it is put."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest

from campaign.machine import Campaign, step
from campaign.model import Deployment, Event, Resolved, Symptom, TrialRecord, Unresolved
from campaign.testing import Script, away, mender, nobody, simulate, sleeper
from campaign.testing.world import make_plan
from campaign.webhook.contents import MOST_BYTES, contents
from campaign.webhook.notice import Notice, Source
from campaign.webhook.payload import TYPES, webhook_schema
from tests.runs_kit import played

VALIDATOR = jsonschema_rs.validator_for(webhook_schema())


def notices(events: Iterable[Event], *, campaign: str = "one") -> list[Notice]:
    state: Campaign | None = None
    found: list[Notice] = []
    for sequence, event in enumerate(events, start=1):
        before, state = state, step(state, event).campaign
        source = Source(campaign=campaign, started_at=1.0)
        found.extend(source.notices(before, event, state, sequence=sequence))
    return found


def bodies(events: Iterable[Event]) -> list[dict[str, Any]]:
    return [json.loads(notice.body) for notice in notices(events)]


def of_type(told: Sequence[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [body["data"] for body in told if body["type"] == kind]


def test_a_repaired_trial_is_told_from_its_ticket_to_its_verdict() -> None:
    assert [notice.type for notice in notices(played(1))] == list(TYPES)


def test_each_trial_of_a_campaign_is_told_once() -> None:
    told = bodies(played(3))
    assert Counter(body["type"] for body in told) == dict.fromkeys(TYPES, 3)
    assert [body["data"]["trial"]["number"] for body in told] == [1] * 4 + [2] * 4 + [3] * 4


def test_what_is_told_is_in_the_journals_order() -> None:
    told = notices(played(3))
    assert [notice.place for notice in told] == sorted(notice.place for notice in told)
    moments = [json.loads(notice.body)["timestamp"] for notice in told]
    assert moments == sorted(moments)


@pytest.mark.parametrize(
    "operator", [mender, nobody, sleeper, away], ids=lambda each: each.__name__
)
def test_every_notice_fits_the_schema(operator: Script) -> None:
    told = bodies(played(2, operator=operator))
    assert told
    for body in told:
        VALIDATOR.validate(body)


def test_the_schema_says_what_every_field_means() -> None:
    schema = webhook_schema()
    jsonschema_rs.meta.validate(schema)
    for name, part in schema["$defs"].items():
        silent = [
            key
            for key, field in part.get("properties", {}).items()
            if "description" not in field and key not in {"type", "data"}
        ]
        assert (name, silent) == (name, [])


def test_a_ticket_says_what_a_pager_would() -> None:
    (opened,) = of_type(bodies(played(1)), "ticket.opened")
    assert opened["ticket"] == "T001"
    (symptom,) = opened["symptoms"]
    assert symptom["invariant"] == "p0_latency"
    assert symptom["value"] > symptom["limit"] == 0.05
    assert symptom["text"].startswith("p0_latency stays low: ")
    assert symptom["text"].endswith("(limit 5 %)")
    assert symptom["text"] in opened["summary"]
    assert (opened["trial"]["profile"], opened["trial"]["of"]) == ("p0", 1)


def test_a_deployment_names_its_revision_and_the_ticket() -> None:
    (deployed,) = of_type(bodies(played(1)), "ticket.deployment_finished")
    assert (deployed["ok"], deployed["reason"], deployed["ticket"]) == (True, "", "T001")
    assert deployed["revision"]
    assert deployed["duration_s"] >= 0


def test_a_session_that_resolved_says_why() -> None:
    (session,) = of_type(bodies(played(1)), "ticket.session_ended")
    assert (session["outcome"], session["session"]) == ("resolved", 1)
    assert session["root_cause"]


def test_a_session_that_ran_out_of_time_ends_as_such() -> None:
    """No event of its own says so: the clock does."""
    told = bodies(played(1, operator=sleeper))
    (session,) = of_type(told, "ticket.session_ended")
    assert session["outcome"] == "budget spent"
    assert session["end"].startswith("budget spent (wall time")
    (judged,) = of_type(told, "trial.judged")
    assert (judged["verdict"], judged["ticket"]) == ("unresolved", "T001")


def test_an_operator_that_is_away_is_told_of_and_no_verdict() -> None:
    told = bodies(played(1, operator=away))
    (session,) = of_type(told, "ticket.session_ended")
    assert session["outcome"] == "unavailable"
    assert of_type(told, "trial.judged") == []


def test_a_trial_without_a_ticket_is_told_by_its_verdict_alone() -> None:
    started, *_ = played(1)
    before = step(None, started).campaign
    over = before.with_trial(verdict=Unresolved(reason="red from the start"), ended_at=5.0)
    (body,) = contents(before, started, over)
    assert body.type == "trial.judged"
    assert body.data.ticket is None
    assert body.data.summary == "trial 1, p0: unresolved (red from the start)"


def test_a_deployment_of_a_trial_that_is_over_is_still_told() -> None:
    ended = simulate(make_plan(2))
    record = ended.done[0]
    late = Deployment(id="late", revision="r9", requested_at=1.0, finished_at=2.0, ok=True)
    after = ended.with_record(replace(record, deployments=(*record.deployments, late)))
    told = contents(ended, _finish(record), after)
    assert [(body.type, body.data.trial.number) for body in told] == [
        ("ticket.deployment_finished", 1)
    ]


def _finish(record: TrialRecord) -> Event:
    events = [event for event in played(2) if event.kind == "deployment_finished"]
    return next(event for event in events if getattr(event, "trial", None) == record.index)


def test_numbers_that_are_none_are_null() -> None:
    started, *_ = played(1)
    before = step(None, started).campaign
    (opened,) = [
        notice
        for notice in contents(before, started, _with_symptoms(before, value=float("inf")))
        if notice.type == "ticket.opened"
    ]
    body = json.loads(opened.model_dump_json())
    VALIDATOR.validate(body)
    assert body["data"]["symptoms"][0]["value"] is None
    assert "∞" in body["data"]["symptoms"][0]["text"]


def _with_symptoms(campaign: Campaign, *, value: float = 1.0, count: int = 1) -> Campaign:
    ticket = simulate(make_plan(1)).trial.ticket
    assert ticket is not None
    symptoms = tuple(
        Symptom(
            invariant="𝄞" * 500,
            title="𝄞" * 5000,
            value=value,
            limit=0.05,
            since=1.0,
            unit="ratio",
            operations=("𝄞" * 500,) * 50,
        )
        for _ in range(count)
    )
    return campaign.with_trial(ticket=replace(ticket, symptoms=symptoms))


def test_however_much_an_operator_says_bodies_are_bounded() -> None:
    started, *_ = played(1)
    before = step(None, started).campaign
    much = "𝄞" * 100_000
    after = _with_symptoms(before, count=60).with_trial(
        deployments=(Deployment(id=much, revision=much, requested_at=0.0, ok=False, reason=much),),
        session_end=f"gave up ({much})",
        root_cause=much,
        places=(much,) * 500,
        lost=(much,) * 500,
        verdict=Unresolved(reason=much),
    )
    told = [json.loads(body.model_dump_json()) for body in contents(before, started, after)]
    assert [body["type"] for body in told] == list(TYPES)
    for body in told:
        VALIDATOR.validate(body)
        assert len(json.dumps(body, ensure_ascii=False).encode()) < MOST_BYTES
    assert told[0]["data"]["symptoms_left_out"] == 60 - len(told[0]["data"]["symptoms"])


def test_foreign_text_comes_on_one_line() -> None:
    started, *_ = played(1)
    before = step(None, started).campaign
    after = before.with_trial(session_end="failed (a\nb\x1b[2J)", verdict=Resolved())
    session, _ = contents(before, started, after)
    assert session.data.summary == "no ticket: the operator is done: failed (a b [2J)"


def test_the_same_journal_gives_the_same_notices_again() -> None:
    assert notices(played(2)) == notices(played(2))


def test_an_id_is_used_once() -> None:
    told = [*notices(played(3)), *notices(played(3), campaign="other")]
    assert len({notice.id for notice in told}) == len(told)
    # A full stop in it would let a signature be moved.
    assert all(notice.id.startswith("msg_") and "." not in notice.id for notice in told)
