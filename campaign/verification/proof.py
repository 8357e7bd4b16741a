"""All that was found of one profile, and whether it is proven."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from campaign.verification.experiment import Experiment, Purpose
from campaign.verification.finding import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A profile's experiments, and the findings so far; a second try replaces the first."""

    profile: str
    experiments: tuple[Experiment, ...]
    findings: tuple[Finding, ...] = ()

    def of(self, purpose: Purpose) -> tuple[Finding, ...]:
        """In the order of their numbers."""
        found = (finding for finding in self.findings if finding.purpose is purpose)
        return tuple(sorted(found, key=lambda finding: finding.number))

    def with_findings(self, findings: Iterable[Finding]) -> Proof:
        new = {finding.name: finding for finding in findings}
        kept = (finding for finding in self.findings if finding.name not in new)
        return replace(self, findings=(*kept, *new.values()))

    @property
    def missing(self) -> tuple[str, ...]:
        """What was not played to its end so far."""
        found = {finding.name for finding in self.findings}
        return tuple(name for name in _expected(self.experiments) if name not in found)

    @property
    def problems(self) -> tuple[str, ...]:
        """What speaks against the proof, what was not played included."""
        told = tuple(f"{found.name}: {found.problem}" for found in self.findings if found.problem)
        return (*told, *(f"{name}: not played" for name in self.missing))

    @property
    def proven(self) -> bool:
        return not self.problems


def _expected(experiments: Iterable[Experiment]) -> Iterable[str]:
    for experiment in experiments:
        if experiment.purpose is Purpose.HACK and experiment.red_number:
            yield f"red {experiment.red_number}"
        yield experiment.name


class Proofs:
    """The proofs of a whole verification, as they come about."""

    def __init__(self, experiments: Mapping[str, tuple[Experiment, ...]]) -> None:
        self._by_profile = {
            name: Proof(profile=name, experiments=planned) for name, planned in experiments.items()
        }

    @property
    def all(self) -> tuple[Proof, ...]:
        return tuple(self._by_profile.values())

    @property
    def experiments(self) -> tuple[Experiment, ...]:
        return tuple(experiment for proof in self.all for experiment in proof.experiments)

    @property
    def proven(self) -> bool:
        return bool(self.all) and all(proof.proven for proof in self.all)

    def add(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            known = self._by_profile[finding.profile]
            self._by_profile[finding.profile] = known.with_findings([finding])
