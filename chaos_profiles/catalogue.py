"""A target app with everything that can be played against it, loaded and checked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from campaign.model import Invariant, LoadVector, Profile
from chaos_profiles.problems import did_you_mean

#: where our own targets' folders lie
PROFILES_ROOT = Path(__file__).resolve().parent
#: names folders of the user's own, laid out as ours; separated as in PATH
PROFILES_VARIABLE = "RATCHET_PROFILES"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerQueries:
    """SQL that looks acknowledged writes up; `$1` is an array of ids (bigint[])."""

    #: gives id, conversation_id, user_id, tokens of the messages that exist
    messages: str
    #: gives user_id, tokens: how much each user has used so far; `$1` NULL means all users
    usage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the harness must know of an app to run it."""

    name: str
    #: its profiles, invariants and data module
    folder: Path
    app_dir: Path
    #: run in the deployed copy of `app_dir`
    command: tuple[str, ...]
    health_path: str
    #: within `app_dir`
    requirements: str
    database: str
    role: str
    #: what `loadgen.clients` loads the behaviours from: a module's name or a file's path
    clients: str
    #: the operations that each behaviour calls
    behaviours: dict[str, tuple[str, ...]]
    base_load: LoadVector
    ledger: LedgerQueries
    #: by which the app knows its user
    user_header: str = "X-User-Id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """A target, its invariants, and its profiles in the ladder's order."""

    target: Target
    invariants: tuple[Invariant, ...]
    profiles: tuple[Profile, ...]
    #: where each profile's patches are, by its id
    folders: Mapping[str, Path]
    #: what `--scale full` plays instead of the profile of that id
    full_scale: Mapping[str, Profile] = field(default_factory=dict)

    def profile(self, name: str) -> Profile:
        """By its id (`missing_index`) or its folder's name (`01_missing_index`).

        Raises:
            KeyError: there is none; the message says which there are.
        """
        for profile in self.profiles:
            if name in (profile.id, self.folders[profile.id].name):
                return profile
        known = [profile.id for profile in self.profiles]
        raise KeyError(f"no profile {name!r}; {did_you_mean(name, known)}")

    def folder(self, profile: Profile) -> Path:
        """Where its patches are."""
        return self.folders[profile.id]

    def fix_patch(self, profile: Profile) -> Path:
        return self.folder(profile) / "fix.patch"

    def hacks(self, profile: Profile) -> tuple[Path, ...]:
        return tuple(sorted((self.folder(profile) / "hacks").glob("*.patch")))


def short_name(folder: str) -> str:
    """`01_missing_index` without its place in the ladder."""
    return folder.partition("_")[2]


def place(folder: str) -> int:
    """The number that `01_missing_index` starts with: its place in the ladder."""
    return int(folder.partition("_")[0])


def profiles_roots() -> tuple[Path, ...]:
    """Where the targets' folders lie: our own, then the user's ($RATCHET_PROFILES)."""
    own = os.environ.get(PROFILES_VARIABLE, "").split(os.pathsep)
    return (PROFILES_ROOT, *(Path(folder).absolute() for folder in own if folder))


def target_names(roots: Iterable[Path]) -> tuple[str, ...]:
    """The targets that have a folder under one of `roots`."""
    found = {file.parent.name for root in roots for file in root.glob("*/target.yaml")}
    return tuple(sorted(found))


def target_folders(name: str, roots: Iterable[Path]) -> tuple[Path, ...]:
    """The target's own folder, then those that hold further profiles of it."""
    folders = [root / name for root in roots if (root / name).is_dir()]
    return tuple(sorted(folders, key=lambda folder: not (folder / "target.yaml").is_file()))
