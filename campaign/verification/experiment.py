"""The trials that a proof is made of: what each starts with, and what is done in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from operators import Repair

from campaign.model import Profile, Timings
from chaos_profiles import Catalogue

#: How long after the first violation an app is left as it is, for a profile that names more
#: invariants than one: all must show within 8 s of full load, the first takes about 4 of them.
_LOOK_ON_S = 3.0
#: What a fix must hold for beyond one clean period: three more evaluations.
_LOOKS_S = 3.0


class Purpose(StrEnum):
    """What one trial is to show."""

    #: the unmodified app violates what the profile names
    RED = "red"
    #: with the profile's fix alone it is held, with room to spare
    GREEN = "green"
    #: with the fixes of all other profiles it is violated all the same
    OTHERS = "others"
    #: with those, but without the ones that mask the profile, it is violated
    UNMASKED = "unmasked"
    #: with all fixes nothing is violated
    ALL_FIXES = "all_fixes"
    #: a trick that an operator may try is not taken for a repair
    HACK = "hack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One trial of a proof."""

    profile: Profile
    purpose: Purpose
    #: from 1, among those of its purpose
    number: int = 1
    #: applied to the app as delivered before the trial begins
    start: tuple[Path, ...] = ()
    #: what the operator deploys; None: nothing
    hack: Path | None = None
    #: which of the red runs its beginning is, while the app is still unmodified; 0: none
    red_number: int = 0
    #: how long the operator looks on before it acts, seconds
    look_on_s: float = 0.0

    @property
    def name(self) -> str:
        """Such as `red 2`, `others`, or `hack returns_nothing`."""
        match self.purpose:
            case Purpose.HACK if self.hack is not None:
                return f"hack {self.hack.stem}"
            case Purpose.RED | Purpose.GREEN:
                return f"{self.purpose} {self.number}"
            case _:
                return self.purpose.replace("_", " ")

    @property
    def key(self) -> str:
        """Unique within a verification."""
        return f"{self.profile.id}: {self.name}"

    @property
    def repair(self) -> Repair:
        patch = None if self.hack is None else self.hack.read_text()
        return Repair(patch=patch, root_cause=self.name, after_s=self.look_on_s)

    def played(self, timings: Timings) -> Profile:
        """The profile; where nothing is to break, it is watched no longer than a reading takes."""
        if self.purpose not in (Purpose.GREEN, Purpose.ALL_FIXES):
            return self.profile
        enough_s = timings.clean_period_s + _LOOKS_S - timings.warm_up_s
        return replace(self.profile, window_s=min(self.profile.window_s, enough_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """How much is proven."""

    #: red and green runs of each profile
    repeats: int = 3
    #: red and green only, and nothing is waited for after a violation
    quick: bool = False

    @property
    def timings(self) -> Timings:
        """The clockwork, with as little patience for what does not recover as is sound.

        A trick that works shows within one client timeout (5 s) and one window (4 s).
        """
        return Timings(recovery_patience_s=1.0 if self.quick else 10.0)


def experiments(catalogue: Catalogue, profile: Profile, scope: Scope) -> tuple[Experiment, ...]:
    """All that the profile's proof needs, in the order of play."""
    fix = catalogue.fix_patch(profile)
    rest = () if scope.quick else _without_its_fix(catalogue, profile)
    return (
        *_unmodified(catalogue, profile, scope),
        *(
            Experiment(profile=profile, purpose=Purpose.GREEN, number=number, start=(fix,))
            for number in _numbers(scope)
        ),
        *rest,
    )


def _numbers(scope: Scope) -> range:
    return range(1, scope.repeats + 1)


def _unmodified(catalogue: Catalogue, profile: Profile, scope: Scope) -> Iterator[Experiment]:
    """The red runs: each hack's trial begins with one, so that it need not be played again."""
    look_on_s = _LOOK_ON_S if len(profile.breaks) > 1 else 0.0
    hacks = () if scope.quick else catalogue.hacks(profile)
    for number, hack in enumerate(hacks, start=1):
        red = number <= scope.repeats
        yield Experiment(
            profile=profile,
            purpose=Purpose.HACK,
            number=number,
            hack=hack,
            red_number=number if red else 0,
            look_on_s=look_on_s if red else 0.0,
        )
    for number in _numbers(scope)[len(hacks) :]:
        yield Experiment(
            profile=profile,
            purpose=Purpose.RED,
            number=number,
            red_number=number,
            look_on_s=look_on_s,
        )


def _without_its_fix(catalogue: Catalogue, profile: Profile) -> Iterator[Experiment]:
    fixes = {other.id: catalogue.fix_patch(other) for other in catalogue.profiles}
    others = {name: fix for name, fix in fixes.items() if name != profile.id}
    unmasked = {name: fix for name, fix in others.items() if name not in profile.masked_by}
    yield _started(profile, Purpose.OTHERS, others)
    if profile.masked_by:
        yield _started(profile, Purpose.UNMASKED, unmasked)
    yield _started(profile, Purpose.ALL_FIXES, fixes)


def _started(profile: Profile, purpose: Purpose, fixes: dict[str, Path]) -> Experiment:
    return Experiment(profile=profile, purpose=purpose, start=tuple(fixes.values()))
