"""What a schema cannot see: whether the files of a target fit together."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError

from campaign.model import Timings
from chaos_profiles.catalogue import place, short_name
from chaos_profiles.document import Document, KeyPath
from chaos_profiles.growth import GrowthError, TargetData
from chaos_profiles.problems import Problem, did_you_mean
from chaos_profiles.promql import ExpressionError, expand, names_in
from chaos_profiles.schema import (
    InvariantEntry,
    InvariantsFile,
    LoadEntry,
    ProfileFile,
    TargetFile,
)
from chaos_profiles.validation import problems_of

#: Each profile loads its rows under ids of its own: place n in the ladder has n * this and up.
RESERVED_IDS = 1_000_000_000

#: What one process of the load generator was measured to send at most, requests/s.
MAX_OFFERED_HZ = 10_000.0
#: As many users as it takes.
MAX_USERS = 5_000
#: The behaviour by which a machine is calibrated before any trial.
CALIBRATED = "canary"

#: The pydantic model of each behaviour's `params`: the load generator's, when it is at hand.
ParamsModels: TypeAlias = Mapping[str, type[BaseModel]]


def check_behaviours(
    document: Document, target: TargetFile, params_models: ParamsModels
) -> Iterator[Problem]:
    """The behaviours that target.yaml names against those that its clients have."""
    if CALIBRATED not in target.behaviours:
        message = f"{CALIBRATED} is missing: its plainest request is what a machine is measured by"
        yield document.problem(("behaviours",), message)
    for name in target.behaviours:
        if params_models and name not in params_models:
            message = f"the clients have no such behaviour; {did_you_mean(name, params_models)}"
            yield document.problem(("behaviours", name), message)


def check_load(
    document: Document,
    key: KeyPath,
    load: list[LoadEntry],
    *,
    behaviours: Collection[str],
    params_models: ParamsModels,
    timings: Timings,
) -> Iterator[Problem]:
    """The load under `key`."""
    offered_hz = sum(entry.users * entry.rate_hz for entry in load)
    if offered_hz > MAX_OFFERED_HZ:
        message = f"{offered_hz:g} requests/s in all: one generator manages {MAX_OFFERED_HZ:g}"
        yield document.problem(key, message)
    if (users := sum(entry.users for entry in load)) > MAX_USERS:
        yield document.problem(key, f"{users} users in all: at most {MAX_USERS} are possible")
    for number, entry in enumerate(load):
        at = (*key, number)
        if entry.behaviour not in behaviours:
            hint = did_you_mean(entry.behaviour, behaviours)
            yield document.problem((*at, "behaviour"), f"no such behaviour; {hint}")
        if entry.arrival == "burst":
            yield from _check_burst(document, at, entry, timings)
        yield from _check_params(document, (*at, "params"), entry, params_models)


def _check_burst(
    document: Document, at: KeyPath, entry: LoadEntry, timings: Timings
) -> Iterator[Problem]:
    if entry.users == 1:
        message = "one user alone is no burst: give it more users, or leave arrival out"
        yield document.problem((*at, "arrival"), message)
    longest_s = timings.range_s - timings.scrape_s
    if entry.rate_hz * longest_s < 1:
        message = f"a window may see no burst at all: one is due every {longest_s:g} s at least"
        yield document.problem((*at, "rate_hz"), message)


def _check_params(
    document: Document, at: KeyPath, entry: LoadEntry, params_models: ParamsModels
) -> Iterator[Problem]:
    model = params_models.get(entry.behaviour)
    if model is None or not entry.params:
        return
    try:
        model.model_validate(entry.params)
    except ValidationError as exc:
        yield from problems_of(exc, document, model, at=at)


def check_profile(
    document: Document,
    profile: ProfileFile,
    *,
    invariants: Collection[str],
    timings: Timings,
) -> Iterator[Problem]:
    """One profile against the target's invariants and the clockwork."""
    for number, name in enumerate(profile.breaks):
        if name not in invariants:
            message = f"no such invariant; {did_you_mean(name, invariants)}"
            yield document.problem(("breaks", number), message)
        if name in profile.breaks[:number]:
            yield document.problem(("breaks", number), "named twice: drop one")
    needed_s = timings.range_s + timings.warm_up_s
    if profile.window_s <= needed_s:
        message = f"must be longer than the rules' range and the warm-up together ({needed_s:g} s)"
        yield document.problem(("window_s",), message)
    if profile.scale == "throughput" and all(e.arrival == "burst" for e in profile.load):
        message = "bursts keep their period, so there is nothing to scale: use none"
        yield document.problem(("scale",), message)
    for at, load in _loads(profile):
        for number, entry in enumerate(load):
            if entry.users * entry.rate_hz * profile.window_s < 1:
                message = "too low for a single request within window_s"
                yield document.problem((*at, number, "rate_hz"), message)


def _loads(profile: ProfileFile) -> Iterator[tuple[KeyPath, list[LoadEntry]]]:
    """What is played, at either scale."""
    yield ("load",), profile.load
    if profile.full_scale is not None:
        yield ("full_scale", "load"), profile.full_scale.load or []


def check_masked_by(
    document: Document, profile: ProfileFile, profile_id: str, folders: Collection[str]
) -> Iterator[Problem]:
    """What masks a profile is another profile of the same target."""
    known = [short_name(folder) for folder in folders if folder != profile_id]
    for number, name in enumerate(profile.masked_by):
        if name not in known:
            message = f"no other profile of that name; {did_you_mean(name, known)}"
            yield document.problem(("masked_by", number), message)


def check_ids(document: Document, profile_id: str) -> Iterator[Problem]:
    """Every id of the profile's own rows must lie in the range reserved for it."""
    first = place(profile_id) * RESERVED_IDS
    last = first + RESERVED_IDS - 1
    for key in ("load", "growth", "ratchet", "full_scale"):
        for path, number in _numbers(document.data.get(key), (key,)):
            if number >= RESERVED_IDS and not first <= number <= last:
                message = f"{number} belongs to another profile: use {first} to {last}"
                yield document.problem(path, message)


def _numbers(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[KeyPath, int]]:
    match value:
        case dict():
            for key, inner in value.items():
                yield from _numbers(inner, (*path, key))
        case list():
            for index, inner in enumerate(value):
                yield from _numbers(inner, (*path, index))
        case bool():
            return
        case int():
            yield path, value


def check_growth(
    document: Document, profile: ProfileFile, data: TargetData | None
) -> Iterator[Problem]:
    """What is added first, at either scale."""
    yield from _check_growth(document, ("growth",), profile.growth, data)
    if profile.full_scale is not None:
        growth = profile.full_scale.growth or {}
        yield from _check_growth(document, ("full_scale", "growth"), growth, data)


def _check_growth(
    document: Document, at: KeyPath, growth: dict[str, Any], data: TargetData | None
) -> Iterator[Problem]:
    if not growth:
        return
    if data is None:
        yield document.problem(at, "the target has no data.py that could make rows")
        return
    try:
        data.parse(growth)
    except GrowthError as exc:
        for problem in exc.problems:
            yield document.problem((*at, *problem.path), problem.message)


def check_invariants(document: Document, file: InvariantsFile) -> Iterator[Problem]:
    seen: set[str] = set()
    for number, entry in enumerate(file.invariants):
        at = ("invariants", number)
        if entry.id in seen:
            yield document.problem((*at, "id"), f"{entry.id} is there twice: rename one")
        seen.add(entry.id)
        if set(entry.sources) <= {"app", "prometheus"}:
            message = "the operator can edit what the app says: judge by loadgen or ratchet"
            yield document.problem((*at, "sources"), message)
        yield from _check_expressions(document, at, entry, file.shared)


def _check_expressions(
    document: Document, at: KeyPath, entry: InvariantEntry, shared: Mapping[str, str]
) -> Iterator[Problem]:
    used: set[str] = set()
    for key in ("value", "samples", "offered"):
        try:
            expression = expand(getattr(entry, key), shared=shared, select=entry.select)
        except ExpressionError as exc:
            yield document.problem((*at, key), str(exc))
            continue
        used |= names_in(expression)
        for source in entry.sources:
            if key == "value" and f'job="{source}"' not in expression:
                message = f'the value reads no series of it: add job="{source}", or drop it'
                yield document.problem((*at, "sources"), message)
    if "L" in used and entry.latency is None:
        yield document.problem(at, "uses $L: add `latency:` with floor_s and times_calibrated")
    if "L" not in used and entry.latency is not None:
        yield document.problem((*at, "latency"), "no expression uses $L: drop it")
