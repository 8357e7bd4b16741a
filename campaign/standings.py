"""How a ticket's symptoms stand at the moment, as a trial would judge them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from operators.briefing import Standing

from campaign.model import Plan, Reading, Symptom, Ticket, judge
from campaign.ports import Observation, PortError
from campaign.rig import Rig

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standings:
    """From what Prometheus has recorded last."""

    plan: Plan
    rig: Rig

    async def of(self, ticket: Ticket) -> Sequence[Standing]:
        try:
            seen = await self.rig.lines.metrics.observe()
        except PortError as error:
            log.warning("standing_unknown", ticket=ticket.id, reason=str(error))
            return [Standing(symptom=symptom, reading=None) for symptom in ticket.symptoms]
        return judged(ticket, seen, plan=self.plan, at=time.time())


def judged(ticket: Ticket, seen: Observation, *, plan: Plan, at: float) -> Sequence[Standing]:
    """Each symptom; what the plan does not know, or nothing was recorded of, is not known."""
    samples = {sample.invariant: sample for sample in seen.samples}
    invariants = {invariant.id: invariant for invariant in plan.invariants}
    starved = plan.generator_limits.starved(seen.generator)

    def reading(symptom: Symptom) -> Reading | None:
        invariant = invariants.get(symptom.invariant)
        if invariant is None:
            return None
        sample, freshness_s = samples.get(invariant.id), plan.timings.freshness_s
        return judge(invariant, sample, at=at, freshness_s=freshness_s, starved=starved)

    return [Standing(symptom=symptom, reading=reading(symptom)) for symptom in ticket.symptoms]
