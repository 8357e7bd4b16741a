"""What was found out about a campaign's immunities, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from campaign.immunity.ladder import Rung
from campaign.immunity.search import Conclusion, Search
from campaign.model import TrialRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One immune trial, explained as far as it could be."""

    trial: TrialRecord
    search: Search
    conclusion: Conclusion
    #: what the earliest immune revision came out of; None when there is none, or it was delivered
    conferred_by: TrialRecord | None

    @classmethod
    def of(cls, trial: TrialRecord, search: Search, rungs: Sequence[Rung]) -> Found:
        conclusion = search.conclusion()
        named = conclusion.revision if conclusion.kind in ("conferred", "not monotone") else None
        made_in = next((rung.made_in for rung in rungs if rung.revision == named), None)
        return cls(trial=trial, search=search, conclusion=conclusion, conferred_by=made_in)

    def told(self) -> str:
        """One line."""
        name = f"trial {self.trial.index + 1} {self.trial.profile}"
        return f"{name}: {_WORDS[self.conclusion.kind].format(**self._words())}"

    def _words(self) -> dict[str, str]:
        by, conclusion = self.conferred_by, self.conclusion
        return {
            "revision": (conclusion.revision or "")[:12],
            "by": "nobody" if by is None else f"trial {by.index + 1} {by.profile}",
            "detail": conclusion.detail or "no reason given",
        }

    def as_json(self) -> dict[str, Any]:
        by = self.conferred_by
        return {
            "trial": self.trial.index,
            "profile": self.trial.profile,
            "conclusion": self.conclusion.kind,
            "detail": self.conclusion.detail,
            "conferred_by": None
            if by is None
            else {
                "revision": self.conclusion.revision,
                "trial": by.index,
                "profile": by.profile,
            },
            "probes": [asdict(probe) for probe in self.search.probes],
        }


_WORDS = {
    "conferred": "immune since {revision}, made in {by}",
    "not monotone": "immune since {revision}, made in {by}, {detail}",
    "immune as delivered": "the app as delivered is immune when the profile is played alone",
    "not immune alone": (
        "not immune when it is played alone ({detail}): the campaign's data or load made it so, "
        "not the code"
    ),
    "unclear": "cannot be told: {revision} gave no clear outcome ({detail})",
}
