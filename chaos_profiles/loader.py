"""From a target's folder to the campaign's nouns, or to everything that is wrong with it.

    <target>/target.yaml  invariants.yaml  data.py
    <target>/<NN_name>/profile.yaml  fix.patch  hacks/*.patch

The folder's name is the profile's place in the ladder and its id; nothing else registers it.
Patches are looked at by `chaos_profiles.sources`, which is slower.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel

from campaign.model import (
    Invariant,
    LatencyLimit,
    LoadDimension,
    LoadVector,
    Profile,
    Timings,
)
from chaos_profiles import checks
from chaos_profiles.catalogue import Catalogue, LedgerQueries, Target, place, short_name
from chaos_profiles.checks import ParamsModels
from chaos_profiles.document import Document, read_document
from chaos_profiles.growth import TargetData, load_target_data
from chaos_profiles.problems import Problem, ProfileError
from chaos_profiles.promql import expand
from chaos_profiles.schema import (
    InvariantEntry,
    InvariantsFile,
    LoadEntry,
    ProfileFile,
    TargetFile,
)
from chaos_profiles.validation import validate

_ID = re.compile(r"^\d\d_[a-z][a-z0-9_]*$")

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class _File(Generic[ModelT]):
    """A file that fits its schema, with the lines it came from."""

    document: Document
    content: ModelT


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What could be read; None or left out is what could not."""

    target: _File[TargetFile] | None
    invariants: _File[InvariantsFile] | None
    #: by profile id, in the ladder's order
    profiles: dict[str, _File[ProfileFile]]
    data: TargetData | None


def load_catalogue(
    folder: Path, *, params_models: ParamsModels | None = None, timings: Timings | None = None
) -> Catalogue:
    """Everything in `folder`, checked; `params_models` also checks what each behaviour is told.

    Raises:
        ProfileError: with all that is wrong in all of the files, in the order of files and lines.
    """
    problems: list[Problem] = []
    read = _read(folder, problems)
    problems += _cross_checks(read, params_models or {}, timings or Timings())
    if problems or read.target is None or read.invariants is None:
        raise ProfileError(sorted(problems, key=lambda p: (str(p.file), p.line or 0, p.field)))
    return Catalogue(
        target=_target(folder, read.target),
        invariants=_invariants(read.invariants.content),
        profiles=tuple(_profile(name, file.content) for name, file in read.profiles.items()),
        folders={short_name(name): folder / name for name in read.profiles},
    )


def _read(folder: Path, problems: list[Problem]) -> _Read:
    def attempt(path: Path, model: type[ModelT]) -> _File[ModelT] | None:
        try:
            document = read_document(path)
            return _File(document=document, content=validate(document, model))
        except ProfileError as exc:
            problems.extend(exc.problems)
            return None

    profiles = {
        name: attempt(folder / name / "profile.yaml", ProfileFile)
        for name in _profile_folders(folder, problems)
    }
    return _Read(
        target=attempt(folder / "target.yaml", TargetFile),
        invariants=attempt(folder / "invariants.yaml", InvariantsFile),
        profiles={name: file for name, file in profiles.items() if file is not None},
        data=_data(folder),
    )


def _data(folder: Path) -> TargetData | None:
    try:
        return load_target_data(folder)
    except FileNotFoundError:
        return None


def _profile_folders(folder: Path, problems: list[Problem]) -> list[str]:
    """The names of the profiles' folders in order; what looks like one but is none is told."""
    inner = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    names = [name for name in inner if not name.startswith((".", "__"))]
    fit = [name for name in names if _ID.match(name)]
    for name in names:
        earlier = [other for other in fit if other < name]
        if message := _name_problem(name, earlier):
            problems.append(Problem(file=folder / name, line=None, field="", message=message))
    return fit


def _name_problem(name: str, earlier: Iterable[str]) -> str:
    if not _ID.match(name):
        return "a profile's folder is named NN_name, such as 07_write_contention: rename it"
    for other in earlier:
        if place(other) == place(name):
            return f"has the same place in the ladder as {other}: give it another number"
        if short_name(other) == short_name(name):
            return f"has the same name as {other}: give it another one"
    return ""


def _cross_checks(read: _Read, params_models: ParamsModels, timings: Timings) -> Iterator[Problem]:
    """As far as the files that others are checked against could be read."""
    if read.target:
        behaviours = read.target.content.behaviours
        for document, key, entries in _loads(read):
            yield from checks.check_load(
                document,
                key,
                entries,
                behaviours=behaviours,
                params_models=params_models,
                timings=timings,
            )
    if read.invariants:
        yield from checks.check_invariants(read.invariants.document, read.invariants.content)
    for name, file in read.profiles.items():
        yield from checks.check_ids(file.document, name)
        yield from checks.check_growth(file.document, file.content.growth, read.data)
        if read.invariants:
            known = [entry.id for entry in read.invariants.content.invariants]
            yield from checks.check_profile(
                file.document, file.content, invariants=known, timings=timings
            )


def _loads(read: _Read) -> Iterator[tuple[Document, str, list[LoadEntry]]]:
    """Every load that is written anywhere, and the key that it stands under."""
    if read.target:
        yield read.target.document, "base_load", read.target.content.base_load
    for file in read.profiles.values():
        yield file.document, "load", file.content.load
        yield file.document, "ratchet", file.content.ratchet


def load_vector(entries: Iterable[LoadEntry]) -> LoadVector:
    return tuple(LoadDimension(**entry.model_dump()) for entry in entries)


def _target(folder: Path, file: _File[TargetFile]) -> Target:
    content = file.content
    return Target(
        name=folder.name,
        folder=folder,
        app_dir=(folder / content.app).resolve(),
        command=tuple(content.command),
        health_path=content.health_path,
        requirements=content.requirements,
        database=content.database.name,
        role=content.database.role,
        behaviours={name: tuple(calls) for name, calls in content.behaviours.items()},
        base_load=load_vector(content.base_load),
        ledger=LedgerQueries(**content.ledger.model_dump()),
    )


def _profile(name: str, content: ProfileFile) -> Profile:
    return Profile(
        id=short_name(name),
        title=content.title,
        category=content.category,
        symptom=content.symptom,
        anti_patterns=tuple(content.anti_patterns),
        load=load_vector(content.load),
        growth=content.growth,
        breaks=tuple(content.breaks),
        window_s=content.window_s,
        ratchet=load_vector(content.ratchet),
        scale=content.scale,
    )


def _invariants(file: InvariantsFile) -> tuple[Invariant, ...]:
    return tuple(_invariant(entry, file.shared) for entry in file.invariants)


def _invariant(entry: InvariantEntry, shared: dict[str, str]) -> Invariant:
    def promql(expression: str) -> str:
        return expand(expression, shared=shared, select=entry.select)

    latency = None if entry.latency is None else LatencyLimit(**entry.latency.model_dump())
    return Invariant(
        id=entry.id,
        title=entry.title,
        kind=entry.kind,
        unit=entry.unit,
        value=promql(entry.value),
        limit=entry.limit,
        samples=promql(entry.samples),
        offered=promql(entry.offered),
        min_offered=entry.min_offered,
        sources=tuple(entry.sources),
        latency=latency,
    )
