"""The options of every command that chooses an operator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from campaign.choices import Choices
from campaign.cli.common import JsonOption, NoSandboxOption, split_names
from campaign.cli.containers import StackOption
from campaign.model import Effort, Memory, Persona, Provider
from campaign.orders import OPERATORS

_WHO = "The operator"
_SPENDING = "What it may spend"

ApiKeyFileOption = Annotated[
    Path | None,
    typer.Option(
        "--api-key-file",
        help="The provider's key is in this file; else in ANTHROPIC_API_KEY, or where the agent "
        "looks for it.",
        exists=True,
        dir_okay=False,
        readable=True,
        resolve_path=True,
        rich_help_panel=_WHO,
    ),
]
UnsandboxedOption = Annotated[
    bool,
    typer.Option(
        "--allow-unsandboxed-operator",
        help="Without a sandbox too: the operator can then reach all that you can.",
        rich_help_panel=_WHO,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorArguments:
    """As given on the command line; None: not given."""

    operator: Annotated[
        str | None,
        typer.Option(
            "--operator",
            help=f"Who resolves tickets: {', '.join(OPERATORS[:-1])} or {OPERATORS[-1]}.",
            rich_help_panel=_WHO,
        ),
    ] = None
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="claude: the model's id. command: what the agent calls it.",
            rich_help_panel=_WHO,
        ),
    ] = None
    effort: Annotated[
        Effort | None,
        typer.Option(
            "--effort",
            help="claude, and agents that know it: how hard the model thinks.",
            rich_help_panel=_WHO,
        ),
    ] = None
    persona: Annotated[
        Persona | None,
        typer.Option(
            "--persona",
            help="What it is told: the symptoms (baseline), or also which tools and metrics there "
            "are (informed).",
            rich_help_panel=_WHO,
        ),
    ] = None
    memory: Annotated[
        Memory | None,
        typer.Option(
            "--memory", help="What a session is told of those before it.", rich_help_panel=_WHO
        ),
    ] = None
    plan_mode: Annotated[
        bool | None,
        typer.Option(
            "--plan-mode",
            help="Nothing can be changed before a plan is filed. Not for scripted operators.",
            rich_help_panel=_WHO,
        ),
    ] = None
    approve: Annotated[
        str | None,
        typer.Option(
            "--approve",
            metavar="TOOLS",
            help="Tools whose calls wait for a person, such as deploy (commas between). Not for "
            "scripted operators.",
            rich_help_panel=_WHO,
        ),
    ] = None
    agent: Annotated[
        str | None,
        typer.Option(
            "--agent", help="command: a preset's name, or an adapter file.", rich_help_panel=_WHO
        ),
    ] = None
    recording: Annotated[
        str | None,
        typer.Option(
            "--recording",
            metavar="CAMPAIGN",
            help="replay: the campaign whose sessions are played again, in the same --runs; of "
            "`ratchet replay` the one replayed.",
            rich_help_panel=_WHO,
        ),
    ] = None
    provider: Annotated[
        Provider | None,
        typer.Option("--provider", help="claude: who serves the model.", rich_help_panel=_WHO),
    ] = None
    base_url: Annotated[
        str | None,
        typer.Option(
            "--base-url",
            help="claude, command: another address of the model's API.",
            rich_help_panel=_WHO,
        ),
    ] = None
    api_key_file: ApiKeyFileOption = None
    allow_unsandboxed_operator: UnsandboxedOption = False
    budget_wall: Annotated[
        float | None,
        typer.Option(
            "--budget-wall",
            metavar="SECONDS",
            help="Time for a ticket; else half an hour.",
            rich_help_panel=_SPENDING,
        ),
    ] = None
    budget_turns: Annotated[
        int | None,
        typer.Option("--budget-turns", help="Turns for a ticket.", rich_help_panel=_SPENDING),
    ] = None
    budget_tokens: Annotated[
        int | None,
        typer.Option("--budget-tokens", help="Tokens for a ticket.", rich_help_panel=_SPENDING),
    ] = None
    budget_usd: Annotated[
        float | None,
        typer.Option("--budget-usd", help="Money for a ticket.", rich_help_panel=_SPENDING),
    ] = None
    campaign_budget_tokens: Annotated[
        int | None,
        typer.Option(
            "--campaign-budget-tokens", help="Tokens for all tickets.", rich_help_panel=_SPENDING
        ),
    ] = None
    campaign_budget_usd: Annotated[
        float | None,
        typer.Option(
            "--campaign-budget-usd", help="Money for all tickets.", rich_help_panel=_SPENDING
        ),
    ] = None

    @property
    def choices(self) -> Choices:
        """All of it that belongs to the campaign; where the key is does not."""
        return Choices(
            model=self.model,
            effort=self.effort,
            persona=self.persona,
            memory=self.memory,
            plan_mode=self.plan_mode,
            approve=None if self.approve is None else split_names(self.approve),
            agent=self.agent,
            recording=self.recording,
            provider=self.provider,
            base_url=self.base_url,
            budget_wall_s=self.budget_wall,
            budget_turns=self.budget_turns,
            budget_tokens=self.budget_tokens,
            budget_usd=self.budget_usd,
            campaign_budget_tokens=self.campaign_budget_tokens,
            campaign_budget_usd=self.campaign_budget_usd,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HowArguments:
    """How a campaign is played, whatever it is."""

    hold: Annotated[
        bool,
        typer.Option("--hold", help="Keep the stack up at the end, under the last trial's load."),
    ] = False
    no_sandbox: NoSandboxOption = False
    stack: StackOption = "local"
    as_json: JsonOption = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewArguments:
    """What a new campaign can be told, a whole one or one trial."""

    target: Annotated[str | None, typer.Option("--target", help="The target app.")] = None
    seed: Annotated[int | None, typer.Option("--seed", help="Of the load's random choices.")] = None
    name: Annotated[str | None, typer.Option("--name", help="The campaign's name.")] = None
    scale: Annotated[
        str | None,
        typer.Option(
            "--scale", help="full: at the size that the symptom is known by, if it has one."
        ),
    ] = None
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show the plan and how long it takes, when the operator could work here; start "
            "nothing.",
        ),
    ] = False
    here: Annotated[
        bool, typer.Option("--here", help="Play it in this process, even if a daemon runs.")
    ] = False
    journal: Annotated[
        str | None,
        typer.Option("--journal", help="Keep the journal in this Postgres database (a URL)."),
    ] = None
