"""`ratchet up`: what the compose stack does by itself: play a campaign, and leave the pages up."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import Field

from campaign.addresses import announced, daemon_file
from campaign.choices import require_sound
from campaign.cli.common import RunsOption, split_names, tell
from campaign.cli.operator_options import OperatorArguments
from campaign.cli.serve import on_signal
from campaign.cli.variables import given, in_variables, told_by, variable_of
from campaign.cli.webhook_options import SECRET_VARIABLE, VARIABLE, webhook_of
from campaign.display import PlainDisplay
from campaign.errors import RatchetError, UsageError
from campaign.host import Host
from campaign.listening import DAEMON_PORT
from campaign.model import Budget, CampaignBudget, Finished, LadderMode, OperatorOptions
from campaign.orders import OPERATORS, Order
from campaign.rig import RigOptions
from campaign.runs import RunFolder, list_runs
from campaign.stack import ComposePlaces, is_compose
from campaign.states import read_campaign

#: what the environment may say of a new campaign, by the names of `UpArguments`
TOLD = (
    "operator",
    "ladder",
    "seed",
    "mode",
    "model",
    "effort",
    "persona",
    "memory",
    "plan_mode",
    "approve",
    "budget_wall",
    "budget_turns",
    "budget_tokens",
    "budget_usd",
    "campaign_budget_tokens",
    "campaign_budget_usd",
)
#: the options of `ratchet run` that they stand for
_OPTIONS = {name: f"--{name.replace('_', '-')}" for name in TOLD} | {"ladder": "--profiles"}
_VARIABLES = {option: variable_of(name) for name, option in _OPTIONS.items()} | {
    "--api-key-file": "ANTHROPIC_API_KEY_FILE",
    "--webhook": VARIABLE,
    "--webhook-secret-file": SECRET_VARIABLE,
}
_RUN = "docker compose run --rm campaign run"
_PAGES = {"PAGE": "campaigns", "GRAFANA": "Grafana", "PROMETHEUS": "Prometheus", "LOCUST": "Locust"}


def register(app: typer.Typer) -> None:
    app.command("up", epilog="Example: RATCHET_OPERATOR=external docker compose up")(up)


def up(runs: RunsOption) -> None:
    """Within the compose stack: play a campaign (one that was cut short first), and serve on.

    What a new one is, the environment says: RATCHET_OPERATOR, RATCHET_LADDER, RATCHET_MODEL … (see
    .env.example).
    """
    if not is_compose():
        raise UsageError(
            "this is what the containers do", hint="docker compose up; here: ratchet run"
        )
    places = ComposePlaces()
    options = RigOptions(api_key_file=places.given_key, webhook=webhook_of(os.environ))
    asyncio.run(_up(runs, options, token=places.daemon_token.read_text().strip()))


@dataclass(frozen=True, slots=True, kw_only=True)
class UpArguments(OperatorArguments):
    """As the environment has it; None: it says nothing."""

    #: profiles, with commas between
    ladder: str | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    mode: LadderMode | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A campaign that the environment asks for."""

    order: Order
    #: why it is that operator
    why: str

    def as_asked(self) -> dict[str, Any]:
        """As the API takes it."""
        return dict(json.loads(json.dumps(self.order.as_asked())))


def asked_by(environment: Mapping[str, str], *, has_key: bool) -> Asked:
    """The campaign to begin.

    Raises:
        UsageError: which variable is wrong, and what it must be.
    """
    told = told_by(UpArguments, environment, TOLD)
    operator, why = _chosen(told.operator, has_key=has_key)
    if operator == "replay":
        raise UsageError(
            f"{why}, and there is no campaign yet whose sessions could be played again",
            hint=f"once there is one: {_RUN} --operator replay --recording CAMPAIGN",
        )
    choices = told.choices
    require_sound(
        choices.options(OperatorOptions()),
        choices.budget(Budget()),
        choices.campaign_budget(CampaignBudget()),
    )
    order = Order(
        operator=operator,
        mode=told.mode,
        seed=told.seed,
        profiles=None if told.ladder is None else split_names(told.ladder),
        choices=choices,
    )
    return Asked(order=order, why=why)


def _chosen(asked: str | None, *, has_key: bool) -> tuple[str, str]:
    """Who resolves the tickets, and why he."""
    if asked is None and has_key:
        return "claude", "there is an API key"
    if asked is None:
        why = "no API key: neither ANTHROPIC_API_KEY nor ANTHROPIC_API_KEY_FILE holds one"
        return "reference", why
    variable = variable_of("operator")
    if asked not in OPERATORS:
        known = f"{', '.join(OPERATORS[:-1])} or {OPERATORS[-1]}"
        raise UsageError(f"{variable}={asked}: it must be {known}")
    return asked, f"{variable} names it"


async def _up(runs: Path, options: RigOptions, *, token: str) -> None:
    display = PlainDisplay(sys.stderr)
    async with Host(
        runs,
        port=DAEMON_PORT,
        options=options,
        token=token,
        observers=(display,),
        # Its secret opens once; whoever sees this log has the page's too.
        on_external=lambda lines: tell(*lines),
    ) as host:
        ending = on_signal()
        with announced(daemon_file(runs), host.address):
            _say_where(host)
            await begin(host, os.environ, has_key=options.api_key_file is not None)
            await ending.wait()


async def begin(host: Host, environment: Mapping[str, str], *, has_key: bool) -> None:
    """What cannot be played is said, and the pages stay up."""
    said = " ".join(f"{name}={text}" for name, text in given(environment, TOLD).items())
    latest = next(iter(list_runs(host.root)), None)
    try:
        if latest is None:
            asked = asked_by(environment, has_key=has_key)
            tell(f"operator {asked.order.operator}: {asked.why}")
            name = await host.start(asked.as_asked())
            tell(f"campaign {name} begins")
        elif await _is_finished(latest):
            tell(f"campaign {latest.name} is finished; its report stays")
            tell(f"another one: {another(environment, latest.name, has_key=has_key)}")
        else:
            await host.resume(latest.name)
            tell(f"campaign {latest.name} goes on where it was cut short, as it was asked for then")
    except RatchetError as error:
        tell(f"ratchet: {in_variables(str(error), _VARIABLES)}")
        hints = (in_variables(error.hint, _VARIABLES), f"it was told {said}" if said else "")
        tell(*(f"  → {hint}" for hint in hints if hint))


def another(environment: Mapping[str, str], latest: str, *, has_key: bool) -> str:
    """The command that plays what the environment asks for: commands do not look there.

    Raises:
        UsageError: see `asked_by`.
    """
    told = told_by(UpArguments, environment, TOLD)
    operator, _ = _chosen(told.operator, has_key=has_key)
    words = [*_RUN.split(), "--operator", operator]
    if operator == "replay":
        words += ["--recording", latest]
    for name, option in _OPTIONS.items():
        value = getattr(told, name)
        if name == "operator" or value is None or value is False:
            continue
        words += [option] if value is True else [option, str(value)]
    return shlex.join(words)


async def _is_finished(run: RunFolder) -> bool:
    campaign = await read_campaign(run)
    return campaign is not None and isinstance(campaign.phase, Finished)


def _say_where(host: Host) -> None:
    """As they are published on the machine that runs the containers."""
    ports = {name: os.environ.get(f"RATCHET_{name}_PORT", "") for name in _PAGES}
    here = {name: f"http://127.0.0.1:{port}" for name, port in ports.items() if port}
    page = here.get("PAGE", host.address.url)
    tell(
        f"campaigns   {page}/api/campaigns?token={host.token}",
        *(f"{_PAGES[name]:11} {url}" for name, url in here.items() if name != "PAGE"),
        "log         docker compose logs --follow campaign",
    )
