"""What the operator of an earlier campaign did, trial by trial, as data.

    <target>/history/past.yaml      what was done in each trial and how it ended, for people too
    <target>/history/NN_name.patch  the edit, against the app as the trials before had left it

A trial without a patch was won, lost or survived without a change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from chaos_profiles.document import Document, read_document
from chaos_profiles.problems import Problem, ProfileError
from chaos_profiles.validation import validate

HISTORY_FOLDER = "history"

#: resolved: the ticket was closed; immune: there was none; failed: nothing that was tried helped
PastOutcome: TypeAlias = Literal["resolved", "immune", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTrial:
    """One trial of the earlier campaign."""

    did: str
    outcome: PastOutcome
    #: None: the app was not changed
    patch: Path | None


class _Entry(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, frozen=True)

    did: str = Field(min_length=1, description="what the operator did, in a sentence or two")
    outcome: PastOutcome = Field(description="resolved, immune or failed")


class _PastFile(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, frozen=True)

    trials: dict[str, _Entry] = Field(min_length=1, description="by NN_name, as profiles' folders")


def load_history(target: Path) -> Mapping[str, PastTrial]:
    """The trials by their profiles' ids (`missing_index`), in the order they were played.

    Raises:
        ProfileError: there is none of this target, or something is wrong with it.
    """
    folder = target / HISTORY_FOLDER
    document = read_document(folder / "past.yaml")
    entries = validate(document, _PastFile).trials
    if problems := [*_strays(folder, entries), *_idle_patches(folder, document, entries)]:
        raise ProfileError(problems)
    return {name.partition("_")[2]: _trial(folder, name, entries[name]) for name in sorted(entries)}


def _trial(folder: Path, name: str, entry: _Entry) -> PastTrial:
    patch = folder / f"{name}.patch"
    return PastTrial(
        did=" ".join(entry.did.split()),
        outcome=entry.outcome,
        patch=patch if patch.is_file() else None,
    )


def _strays(folder: Path, entries: Mapping[str, _Entry]) -> list[Problem]:
    message = "belongs to no trial of past.yaml: tell there what was done"
    return [
        Problem(file=patch, line=None, field="", message=message)
        for patch in sorted(folder.glob("*.patch"))
        if patch.stem not in entries
    ]


def _idle_patches(folder: Path, document: Document, entries: Mapping[str, _Entry]) -> list[Problem]:
    message = "has a patch, which only a resolved trial can have"
    return [
        document.problem(("trials", name, "outcome"), message)
        for name, entry in entries.items()
        if entry.outcome != "resolved" and (folder / f"{name}.patch").is_file()
    ]
