"""The files of a target as far as they can be read, with the lines that everything stands on.

    <target>/target.yaml  invariants.yaml  data.py
    <target>/<NN_name>/profile.yaml  fix.patch  hacks/*.patch
    <target>/history/past.yaml  NN_name.patch (see `chaos_profiles.history`)

Profiles may also lie in other folders, of a user's own, beside the target's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel

from chaos_profiles.catalogue import place, short_name
from chaos_profiles.document import Document, KeyPath, read_document
from chaos_profiles.growth import TargetData, load_target_data
from chaos_profiles.history import HISTORY_FOLDER
from chaos_profiles.problems import Problem, ProfileError
from chaos_profiles.schema import InvariantsFile, LoadEntry, ProfileFile, TargetFile
from chaos_profiles.validation import validate

_ID = re.compile(r"^\d\d_[a-z][a-z0-9_]*$")

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class File(Generic[ModelT]):
    """A file that fits its schema, with the lines it came from."""

    document: Document
    content: ModelT


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFiles:
    """What could be read; None or left out is what could not."""

    target: File[TargetFile] | None
    invariants: File[InvariantsFile] | None
    #: where each profile lies, by its folder's name and in the ladder's order; also of those whose
    #: profile.yaml could not be read
    folders: dict[str, Path]
    #: by the folder's name
    profiles: dict[str, File[ProfileFile]]
    data: TargetData | None

    def loads(self) -> Iterator[tuple[Document, KeyPath, list[LoadEntry]]]:
        """Every load that is written anywhere, and where it stands."""
        if self.target:
            yield self.target.document, ("base_load",), self.target.content.base_load
        for file in self.profiles.values():
            yield file.document, ("load",), file.content.load
            yield file.document, ("ratchet",), file.content.ratchet
            full = file.content.full_scale
            if full is not None and full.load is not None:
                yield file.document, ("full_scale", "load"), full.load


def read_target(folder: Path, *, more: Iterable[Path], problems: list[Problem]) -> TargetFiles:
    """Everything in `folder`, and the profiles in `more`; what is wrong is added to `problems`."""

    def attempt(path: Path, model: type[ModelT]) -> File[ModelT] | None:
        try:
            document = read_document(path)
            return File(document=document, content=validate(document, model))
        except ProfileError as exc:
            problems.extend(exc.problems)
            return None

    folders = _profile_folders((folder, *more), problems)
    profiles = {name: attempt(path / "profile.yaml", ProfileFile) for name, path in folders.items()}
    return TargetFiles(
        target=attempt(folder / "target.yaml", TargetFile),
        invariants=attempt(folder / "invariants.yaml", InvariantsFile),
        folders=folders,
        profiles={name: file for name, file in profiles.items() if file is not None},
        data=_data(folder),
    )


def _data(folder: Path) -> TargetData | None:
    try:
        return load_target_data(folder)
    except FileNotFoundError:
        return None


def _profile_folders(roots: Iterable[Path], problems: list[Problem]) -> dict[str, Path]:
    """Where the profiles lie, in order; what looks like a profile's folder and is none is told."""
    inner = (entry for root in roots for entry in root.iterdir() if entry.is_dir())
    found = [path for path in inner if not _is_none(path.name)]
    fit: dict[str, Path] = {}
    # Of two that claim the same place, the one that was there first keeps it.
    for path in sorted(found, key=lambda path: path.name):
        if message := _name_problem(path.name, fit):
            problems.append(Problem(file=path, line=None, field="", message=message))
        if _ID.match(path.name):
            fit.setdefault(path.name, path)
    return fit


def _is_none(name: str) -> bool:
    return name.startswith((".", "__")) or name == HISTORY_FOLDER


def _name_problem(name: str, earlier: Iterable[str]) -> str:
    if not _ID.match(name):
        return "a profile's folder is named NN_name, such as 07_write_contention: rename it"
    for other in earlier:
        if place(other) == place(name):
            return f"has the same place in the ladder as {other}: give it another number"
        if short_name(other) == short_name(name):
            return f"has the same name as {other}: give it another one"
    return ""
