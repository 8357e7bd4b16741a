"""What is asked of one past campaign, what is known already, and what is left to probe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from campaign.immunity.evidence import Evidence
from campaign.immunity.findings import Found
from campaign.immunity.ladder import Rung, rungs
from campaign.immunity.prober import Prober, probe_s
from campaign.immunity.search import Probe, Search
from campaign.machine import Campaign
from campaign.model import Profile, TrialRecord

#: told of each probe as soon as it is made
OnProbe = Callable[[Probe], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """For one campaign. Every probe is written down before the next one is made."""

    past: Campaign
    evidence: Evidence

    # -- one immune trial -----------------------------------------------------------------------

    def search(self, trial: TrialRecord) -> Search:
        """As far as it was made before."""
        return Search(
            profile=trial.profile,
            revisions=tuple(rung.revision for rung in self._ladder(trial)),
            probes=self.evidence.of(trial.profile),
        )

    def most_s(self, trial: TrialRecord) -> float:
        """More than this its search does not take; 0 when it is over."""
        search = self.search(trial)
        if search.next() is None:
            return 0.0
        return search.most_probes * probe_s(self.past.plan, self._profile(trial))

    def found(self, trial: TrialRecord, search: Search) -> Found:
        return Found.of(trial, search, self._ladder(trial))

    async def explain(self, trial: TrialRecord, prober: Prober, on_probe: OnProbe) -> Found:
        """Search to its end.

        Raises:
            InterruptedProbeError: see `Prober.probe`.
        """
        search = self.search(trial)
        while (revision := search.next()) is not None:
            probe = await self._probe(self._profile(trial), revision, prober, on_probe)
            search = search.after(probe)
        return self.found(trial, search)

    # -- every profile on every revision ---------------------------------------------------------

    @property
    def ladder(self) -> tuple[Rung, ...]:
        return rungs(self.past)

    @property
    def cells_left(self) -> tuple[tuple[Profile, str], ...]:
        """Profiles and revisions whose outcome is not known."""
        return tuple(
            (profile, rung.revision)
            for profile in self.past.plan.profiles
            for rung in self.ladder
            if self.evidence.find(profile.id, rung.revision) is None
        )

    @property
    def cells_s(self) -> float:
        """How long the rest of the matrix takes, roughly."""
        return sum(probe_s(self.past.plan, profile) for profile, _ in self.cells_left)

    async def fill(self, prober: Prober, on_probe: OnProbe) -> None:
        """Probe what is left of the matrix; raises as `Prober.probe` does."""
        for profile, revision in self.cells_left:
            await self._probe(profile, revision, prober, on_probe)

    # -- how ------------------------------------------------------------------------------------

    async def _probe(
        self, profile: Profile, revision: str, prober: Prober, on_probe: OnProbe
    ) -> Probe:
        probe = await prober.probe(profile, revision)
        self.evidence.add(probe)
        on_probe(probe)
        return probe

    def _profile(self, trial: TrialRecord) -> Profile:
        return self.past.plan.profiles[trial.index]

    def _ladder(self, trial: TrialRecord) -> tuple[Rung, ...]:
        return rungs(self.past, until=trial.index)
