"""What a user asks for, and the campaign that follows from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from campaign.choices import Choices, placed_agent, require_sound
from campaign.doctor import check_git
from campaign.errors import UsageError
from campaign.model import Budget, LadderMode, OperatorOptions, Plan, Profile, Timings, Webhook
from chaos_profiles import (
    PROFILES_VARIABLE,
    CampaignSpec,
    Catalogue,
    ProfileError,
    load_campaign,
    load_catalogue,
    profiles_roots,
    target_folders,
    target_names,
)
from chaos_profiles.document import read_document
from chaos_profiles.history import load_history
from loadgen.clients import load_clients

#: play what is written down, and cost nothing
SCRIPTED = ("reference", "history", "none")
#: who can resolve tickets
OPERATORS = (*SCRIPTED, "claude", "command", "external", "replay")

DEFAULT_TARGET = "chat_db_app"

#: other than the profiles' own
Scale: TypeAlias = Literal["full"]

#: what a seed may be, in a campaign file too
_SEEDS = range(2**63)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A campaign as it was asked for; None is left to the campaign file, or to the defaults."""

    file: Path | None = None
    target: str | None = None
    operator: str | None = None
    mode: LadderMode | None = None
    seed: int | None = None
    profiles: tuple[str, ...] | None = None
    #: only so many of the ladder
    first: int | None = None
    #: "full": what a profile's `full_scale` says
    scale: Scale | None = None
    #: False: a continuous campaign keeps nothing that its trials could be replayed from
    snapshots: bool | None = None
    choices: Choices = field(default_factory=Choices)

    def as_asked(self) -> dict[str, Any]:
        """What was asked for, as the API takes it; a campaign file has no place there."""
        asked = asdict(replace(self, file=None))
        del asked["choices"]
        given = {name: value for name, value in asked.items() if value is not None}
        return {**given, **self.choices.as_asked()}


def params_models(clients: str) -> Mapping[str, type[Any]]:
    """What each behaviour of a target's clients can be told, for checking load vectors.

    Raises:
        ClientsError: there are none to be had.
    """
    return {behaviour.name: behaviour.params_model for behaviour in load_clients(clients)}


def read_catalogue(target: str | None = None, *, sources: bool = False) -> Catalogue:
    """A target with its profiles, checked; with `sources` also against the app, which takes longer.

    Raises:
        UsageError: no such target, or something is wrong with its files (all of it is named).
    """
    folder, *more = find_target(target)
    try:
        return load_catalogue(folder, more=more, models_of=params_models, sources=sources)
    except ProfileError as error:
        raise UsageError(str(error)) from error


def find_target(target: str | None, *also: Path) -> tuple[Path, ...]:
    """A target's own folder, then those with further profiles of it; `also` need not be there.

    Raises:
        UsageError: there is no such target.
    """
    name = target or DEFAULT_TARGET
    roots = tuple(dict.fromkeys((*_roots(), *also)))
    known = target_names(roots)
    if name not in known:
        hint = f"there are: {', '.join(known)}; your own: --profiles-dir or ${PROFILES_VARIABLE}"
        raise UsageError(f"unknown target: {name}", hint=hint)
    return target_folders(name, roots)


def _roots() -> tuple[Path, ...]:
    roots = profiles_roots()
    for root in roots:
        if not root.is_dir():
            hint = f"correct --profiles-dir or ${PROFILES_VARIABLE}"
            raise UsageError(f"there is no folder {root}", hint=hint)
    return roots


def specify(order: Order) -> CampaignSpec:
    """Everything the campaign needs, with all that was asked for checked.

    Raises:
        UsageError: what is wrong with it, or with the target's files.
    """
    if (git := check_git()).status == "missing":
        raise UsageError(f"{git.name} is needed, {git.found}", hint=git.advice)
    spec = _base(order)
    if order.operator is None:  # else the file's options were meant for another
        require_heeded(spec.operator, spec.operator_options)
    spec = replace(
        spec,
        operator_options=order.choices.options(spec.operator_options),
        budget=order.choices.budget(spec.budget),
        campaign_budget=order.choices.campaign_budget(spec.campaign_budget),
    )
    require_sound(spec.operator_options, spec.budget, spec.campaign_budget)
    return replace(
        spec,
        operator=_operator(spec, order),
        mode=order.mode or spec.mode,
        seed=_seed(spec, order),
        profiles=_at_scale(spec, order, _chosen(spec, order)),
        snapshots=spec.snapshots if order.snapshots is None else order.snapshots,
    )


def _base(order: Order) -> CampaignSpec:
    if order.file is None:
        catalogue = read_catalogue(order.target, sources=True)
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
        spec = load_campaign(order.file, roots=_roots(), models_of=params_models, sources=True)
    except ProfileError as error:
        raise UsageError(str(error)) from error
    options = spec.operator_options
    agent = placed_agent(options.agent, order.file.parent)
    return replace(
        spec,
        operator_options=replace(options, agent=agent),
        webhook=_placed_webhook(spec.webhook, order.file.parent),
    )


def _placed_webhook(webhook: Webhook | None, folder: Path) -> Webhook | None:
    """Its secret by its absolute path: whoever resumes the campaign may stand elsewhere."""
    if webhook is None or webhook.secret_file is None:
        return webhook
    return replace(webhook, secret_file=str((folder / webhook.secret_file).resolve()))


def _operator(spec: CampaignSpec, order: Order) -> str:
    operator = order.operator or spec.operator
    if operator not in OPERATORS and order.operator is None:
        message = _placed(order, "operator", f"unknown operator: {operator}")
        raise UsageError(message, hint=_known_operators())
    require_operator(operator, spec.operator_options)
    require_heeded(operator, order.choices)
    _require_history(spec, operator)
    return operator


def _known_operators() -> str:
    return f"there are: {', '.join(OPERATORS)}"


def require_operator(operator: str, options: OperatorOptions) -> None:
    """Whether there is one of that name, and it was told all that it needs.

    Raises:
        UsageError: there is not, or it was not.
    """
    if operator not in OPERATORS:
        raise UsageError(f"unknown operator: {operator}", hint=_known_operators())
    if operator == "replay" and options.recording is None:
        raise UsageError(
            "operator replay plays the sessions of an earlier campaign again: which?",
            hint="name one of the same --runs with --recording (operator_options.recording in a "
            "campaign file)",
        )


def require_heeded(operator: str, asked: Choices | OperatorOptions) -> None:
    """Whether the operator can keep to what it was asked: a promise of safety must not be empty.

    Raises:
        UsageError: it cannot.
    """
    wanted = {"--plan-mode": asked.plan_mode, "--approve": asked.approve}
    for option, value in wanted.items():
        if value and operator in SCRIPTED:
            others = ", ".join(name for name in OPERATORS if name not in SCRIPTED)
            raise UsageError(
                f"{option} cannot be kept: operator {operator} does what is written down for it, "
                "and asks nobody",
                hint=f"leave it out, or choose another operator: {others}",
            )


def _require_history(spec: CampaignSpec, operator: str) -> None:
    if operator != "history":
        return
    try:
        load_history(spec.catalogue.target.folder)
    except ProfileError as error:
        raise UsageError(f"there is no history that could be repeated: {error}") from error


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


def _at_scale(
    spec: CampaignSpec, order: Order, profiles: tuple[Profile, ...]
) -> tuple[Profile, ...]:
    """Each at the scale that was asked for; a ladder's others stay as they are."""
    if order.scale is None:
        return profiles
    full = spec.catalogue.full_scale
    if not any(profile.id in full for profile in profiles):
        named = ", ".join(profile.id for profile in profiles)
        hint = f"these have one: {', '.join(full) or 'none'}"
        raise UsageError(f"no full scale is written down for {named}", hint=hint)
    return tuple(full.get(profile.id, profile) for profile in profiles)


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
    growth, detection and deployment, the confirmation, and the gates.
    """
    timings = plan.timings
    detect_s = 6.0
    gates_s = 8.0
    per_trial = 4 * timings.clean_period_s + 3 * detect_s + timings.confirm_s(detect_s) + gates_s
    start_up = 20.0 * (len(plan.profiles) if plan.mode == "isolated" else 1)
    return start_up + per_trial * len(plan.profiles)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a plan will cost, as far as that can be said beforehand."""

    #: None: nobody can say
    usd: float | None
    #: for people
    told: str


def estimated_cost(plan: Plan) -> Cost:
    """What is written down costs nothing; nobody knows how long a model will look for a cause."""
    if plan.operator in (*SCRIPTED, "replay"):
        return Cost(usd=0.0, told="no cost")
    told = "cost not counted" if plan.operator == "external" else "cost unknown"
    if (limit := plan.campaign_budget.usd) is not None and plan.operator != "external":
        told = f"{told}, at most ${limit:.2f} (the campaign's budget)"
    return Cost(usd=None, told=told)
