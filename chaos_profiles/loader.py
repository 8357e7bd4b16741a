"""From a target's folder to the campaign's nouns, or to everything that is wrong with it.

A folder's name is its profile's place in the ladder and its id; nothing else registers it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from campaign.model import (
    Invariant,
    LatencyLimit,
    LoadDimension,
    LoadVector,
    Profile,
    Timings,
)
from chaos_profiles import checks
from chaos_profiles.catalogue import Catalogue, LedgerQueries, Target, short_name
from chaos_profiles.checks import ParamsModels
from chaos_profiles.problems import Problem, ProfileError
from chaos_profiles.promql import expand
from chaos_profiles.promtool import check_promql
from chaos_profiles.reading import File, TargetFiles, read_target
from chaos_profiles.schema import (
    FullScaleEntry,
    InvariantEntry,
    InvariantsFile,
    LoadEntry,
    ProfileFile,
    TargetFile,
)
from chaos_profiles.sources import check_sources

#: From a target's `clients` (a module's name or a file's path) to the options of each behaviour;
#: raises ValueError with the reason when there are none to be had.
ModelsOf: TypeAlias = Callable[[str], ParamsModels]


def load_catalogue(
    folder: Path,
    *,
    more: Iterable[Path] = (),
    models_of: ModelsOf | None = None,
    timings: Timings | None = None,
    sources: bool = False,
) -> Catalogue:
    """Everything in `folder`, and the profiles in the folders `more`, checked.

    `models_of` also checks the behaviours and what each is told; `sources` also checks what takes a
    moment: PromQL by promtool, where there is one, and patches and anti-patterns against the app.

    Raises:
        ProfileError: with all that is wrong in all of the files, in the order of files and lines.
    """
    problems: list[Problem] = []
    files = read_target(folder, more=more, problems=problems)
    models = _params_models(folder, files, models_of, problems)
    problems += _cross_checks(files, models, timings or Timings())
    if sources:
        problems += _slow_checks(folder, files)
    if problems or files.target is None or files.invariants is None:
        raise ProfileError(sorted(problems, key=lambda p: (str(p.file), p.line or 0, p.field)))
    return _catalogue(folder, files, files.target, files.invariants)


def _catalogue(
    folder: Path, files: TargetFiles, target: File[TargetFile], invariants: File[InvariantsFile]
) -> Catalogue:
    profiles = {name: _profile(name, file.content) for name, file in files.profiles.items()}
    full = {name: file.content.full_scale for name, file in files.profiles.items()}
    return Catalogue(
        target=_target(folder, target),
        invariants=_invariants(invariants.content),
        profiles=tuple(profiles.values()),
        folders={short_name(name): files.folders[name] for name in profiles},
        full_scale={
            short_name(name): _at_full_scale(profiles[name], entry)
            for name, entry in full.items()
            if entry is not None
        },
    )


def _params_models(
    folder: Path, files: TargetFiles, models_of: ModelsOf | None, problems: list[Problem]
) -> ParamsModels:
    if models_of is None or files.target is None:
        return {}
    try:
        return models_of(clients_place(folder, files.target.content))
    except ValueError as exc:
        problems.append(files.target.document.problem(("clients",), str(exc)))
        return {}


def _cross_checks(files: TargetFiles, models: ParamsModels, timings: Timings) -> Iterator[Problem]:
    """As far as the files that others are checked against could be read."""
    if files.target:
        yield from checks.check_behaviours(files.target.document, files.target.content, models)
        for document, at, entries in files.loads():
            yield from checks.check_load(
                document,
                at,
                entries,
                behaviours=files.target.content.behaviours,
                params_models=models,
                timings=timings,
            )
    if files.invariants:
        yield from checks.check_invariants(files.invariants.document, files.invariants.content)
    for name, file in files.profiles.items():
        yield from checks.check_ids(file.document, name)
        yield from checks.check_growth(file.document, file.content, files.data)
        yield from checks.check_masked_by(file.document, file.content, name, files.folders)
        if files.invariants:
            known = [entry.id for entry in files.invariants.content.invariants]
            yield from checks.check_profile(
                file.document, file.content, invariants=known, timings=timings
            )


def _slow_checks(folder: Path, files: TargetFiles) -> Iterator[Problem]:
    if files.invariants:
        yield from check_promql(files.invariants)
    if files.target:
        app_dir = (folder / files.target.content.app).resolve()
        yield from check_sources(files, app_dir=app_dir)


def load_vector(entries: Iterable[LoadEntry]) -> LoadVector:
    return tuple(LoadDimension(**entry.model_dump()) for entry in entries)


def clients_place(folder: Path, content: TargetFile) -> str:
    """A file's path, or a module's name."""
    is_file = content.clients.endswith(".py")
    return str((folder / content.clients).resolve()) if is_file else content.clients


def _target(folder: Path, file: File[TargetFile]) -> Target:
    content = file.content
    return Target(
        name=folder.name,
        folder=folder,
        app_dir=(folder / content.app).resolve(),
        command=tuple(content.command),
        health_path=content.health_path,
        user_header=content.user_header,
        requirements=content.requirements,
        database=content.database.name,
        role=content.database.role,
        clients=clients_place(folder, content),
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
        masked_by=tuple(content.masked_by),
        note=" ".join((content.note or "").split()),
        scale=content.scale,
    )


def _at_full_scale(profile: Profile, entry: FullScaleEntry) -> Profile:
    """The same profile with what it plays at its symptom's own size."""
    return replace(
        profile,
        growth=profile.growth if entry.growth is None else entry.growth,
        load=profile.load if entry.load is None else load_vector(entry.load),
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
        select=entry.select,
        latency=latency,
    )
