"""What a user asks for, and the campaign that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from campaign.errors import UsageError
from campaign.model import Budget, Mode, Plan, Profile, Timings
from chaos_profiles import (
    PROFILES_ROOT,
    CampaignSpec,
    Catalogue,
    ProfileError,
    check_sources,
    load_campaign,
    load_catalogue,
    target_names,
)

#: who can resolve tickets today
OPERATORS = ("reference", "none")

DEFAULT_TARGET = "chat_db_app"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A campaign as it was asked for; None is left to the campaign file, or to the defaults."""

    file: Path | None = None
    target: str | None = None
    operator: str | None = None
    mode: Mode | None = None
    seed: int | None = None
    profiles: tuple[str, ...] | None = None
    #: only so many of the ladder
    first: int | None = None


def params_models(target: str) -> Mapping[str, type[Any]]:
    """What each behaviour of the target's users can be told, for checking load vectors."""
    users = import_module(f"loadgen.{target}")
    return {behaviour.name: behaviour.params_model for behaviour in users.BEHAVIOURS}


def read_catalogue(target: str | None = None) -> Catalogue:
    """A target with its profiles, checked.

    Raises:
        UsageError: no such target, or something is wrong with its files (all of it is named).
    """
    name = target or DEFAULT_TARGET
    if name not in target_names():
        raise UsageError(f"unknown target: {name}", hint=f"there are: {', '.join(target_names())}")
    try:
        return load_catalogue(PROFILES_ROOT / name, params_models=params_models(name))
    except ProfileError as error:
        raise UsageError(str(error)) from error


def specify(order: Order) -> CampaignSpec:
    """Everything the campaign needs, with all that was asked for checked.

    Raises:
        UsageError: with everything that is wrong.
    """
    spec = _base(order)
    operator = order.operator or spec.operator
    if operator not in OPERATORS:
        raise UsageError(f"unknown operator: {operator}", hint=f"there are: {', '.join(OPERATORS)}")
    spec = replace(
        spec,
        operator=operator,
        mode=order.mode or spec.mode,
        seed=spec.seed if order.seed is None else order.seed,
        profiles=_chosen(spec, order),
    )
    if problems := check_sources(spec.catalogue):
        raise UsageError(str(ProfileError(problems)))
    return spec


def _base(order: Order) -> CampaignSpec:
    if order.file is None:
        catalogue = read_catalogue(order.target)
        return CampaignSpec(
            catalogue=catalogue,
            operator="reference",
            mode="continuous",
            seed=1,
            profiles=catalogue.profiles,
            base_load=catalogue.target.base_load,
            timings=Timings(),
            budget=Budget(),
        )
    if order.target is not None:
        raise UsageError("--target and a campaign file are both given: the file names its target")
    try:
        return load_campaign(order.file)
    except ProfileError as error:
        raise UsageError(str(error)) from error


def _chosen(spec: CampaignSpec, order: Order) -> tuple[Profile, ...]:
    profiles = spec.profiles
    if order.profiles is not None:
        profiles = tuple(_find(spec.catalogue, name) for name in order.profiles)
    if len({profile.id for profile in profiles}) < len(profiles):
        raise UsageError(
            "a profile is named twice",
            hint="its data is added once a campaign; start another campaign to play it again",
        )
    if order.first is not None and order.first < 1:
        raise UsageError("--first must be at least 1")
    return profiles[: order.first]


def _find(catalogue: Catalogue, name: str) -> Profile:
    try:
        return catalogue.profile(name)
    except KeyError as error:
        known = ", ".join(profile.id for profile in catalogue.profiles)
        raise UsageError(str(error.args[0]), hint=f"there are: {known}") from error


def estimated_s(plan: Plan) -> float:
    """Roughly how long the plan takes when every repair is prompt, seconds.

    Start-up and calibration; then for each trial four clean periods, a few seconds each for
    growth, detection and deployment, and the confirmation.
    """
    timings = plan.timings
    detect_s = 6.0
    per_trial = 4 * timings.clean_period_s + 3 * detect_s + timings.confirm_s(detect_s)
    start_up = 20.0 * (len(plan.profiles) if plan.mode == "isolated" else 1)
    return start_up + per_trial * len(plan.profiles)
