"""What a user asks for, and the campaign that follows from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from campaign.doctor import check_git
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
from chaos_profiles.document import read_document

#: who can resolve tickets today
OPERATORS = ("reference", "none")

DEFAULT_TARGET = "chat_db_app"

#: what a seed may be, in a campaign file too
_SEEDS = range(2**63)


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

    def as_asked(self) -> dict[str, Any]:
        """What was asked for, as the API takes it; a campaign file has no place there."""
        asked = {**asdict(self), "file": None}
        return {name: value for name, value in asked.items() if value is not None}


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
    known = target_names(PROFILES_ROOT)
    if name not in known:
        raise UsageError(f"unknown target: {name}", hint=f"there are: {', '.join(known)}")
    try:
        return load_catalogue(PROFILES_ROOT / name, params_models=params_models(name))
    except ProfileError as error:
        raise UsageError(str(error)) from error


def specify(order: Order) -> CampaignSpec:
    """Everything the campaign needs, with all that was asked for checked.

    Raises:
        UsageError: what is wrong with it, or with the target's files.
    """
    spec = _base(order)
    spec = replace(
        spec,
        operator=_operator(spec, order),
        mode=order.mode or spec.mode,
        seed=_seed(spec, order),
        profiles=_chosen(spec, order),
    )
    if (git := check_git()).status == "missing":
        raise UsageError(f"{git.name} is needed, {git.found}", hint=git.advice)
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
        target = load_campaign(order.file).catalogue.target.name
        # Once more, now that it is known what the behaviours of this target's users can be told.
        return load_campaign(order.file, params_models=params_models(target))
    except ProfileError as error:
        raise UsageError(str(error)) from error


def _operator(spec: CampaignSpec, order: Order) -> str:
    operator = order.operator or spec.operator
    if operator in OPERATORS:
        return operator
    message = f"unknown operator: {operator}"
    if order.operator is None:
        message = _placed(order, "operator", message)
    raise UsageError(message, hint=f"there are: {', '.join(OPERATORS)}")


def _seed(spec: CampaignSpec, order: Order) -> int:
    if order.seed is None:
        return spec.seed
    if order.seed not in _SEEDS:
        raise UsageError(f"seed {order.seed} is none: it must be at least 0 and below 2**63")
    return order.seed


def _chosen(spec: CampaignSpec, order: Order) -> tuple[Profile, ...]:
    profiles = spec.profiles
    if order.profiles is not None:
        profiles = tuple(find_profile(spec.catalogue, name) for name in order.profiles)
    if not profiles:
        raise UsageError("no profile is named", hint="leave it out to play the whole ladder")
    if twice := _named_twice(profiles):
        message = f"named twice: {twice}"
        raise UsageError(
            message if order.profiles is not None else _placed(order, "profiles", message),
            hint="its data is added once a campaign; start another campaign to play it again",
        )
    if order.first is not None and order.first < 1:
        raise UsageError(f"only the first {order.first} trials: it must be at least 1")
    return profiles[: order.first]


def _named_twice(profiles: tuple[Profile, ...]) -> str:
    counted = Counter(profile.id for profile in profiles)
    return ", ".join(name for name, times in counted.items() if times > 1)


def _placed(order: Order, key: str, message: str) -> str:
    """What is wrong with a key of the campaign file, with its line."""
    if order.file is None:
        return message
    return str(read_document(order.file).problem((key,), message))


def find_profile(catalogue: Catalogue, name: str) -> Profile:
    """Raises UsageError when there is none of that name."""
    try:
        return catalogue.profile(name)
    except KeyError as error:
        raise UsageError(str(error.args[0]), hint="see `ratchet profiles list`") from error


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
