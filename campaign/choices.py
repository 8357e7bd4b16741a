"""What is asked for of an operator beside its name: its options, and what it may spend."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from campaign.errors import UsageError
from campaign.model import (
    TOOL_NAMES,
    Budget,
    CampaignBudget,
    Effort,
    Memory,
    OperatorOptions,
    Persona,
    Provider,
    is_adapter_file,
)

_BUDGET, _WHOLE = "budget_", "campaign_budget_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """None is left to the campaign file, or to the defaults."""

    model: str | None = None
    effort: Effort | None = None
    persona: Persona | None = None
    memory: Memory | None = None
    plan_mode: bool | None = None
    approve: tuple[str, ...] | None = None
    agent: str | None = None
    recording: str | None = None
    provider: Provider | None = None
    base_url: str | None = None
    #: of one ticket
    budget_wall_s: float | None = None
    budget_turns: int | None = None
    budget_tokens: int | None = None
    budget_usd: float | None = None
    #: of all tickets together
    campaign_budget_tokens: int | None = None
    campaign_budget_usd: float | None = None

    def options(self, base: OperatorOptions) -> OperatorOptions:
        return replace(base, **self.as_asked().get("operator_options", {}))

    def budget(self, base: Budget) -> Budget:
        return replace(base, **self.as_asked().get("budget", {}))

    def campaign_budget(self, base: CampaignBudget) -> CampaignBudget:
        return replace(base, **self.as_asked().get("campaign_budget", {}))

    def as_asked(self) -> dict[str, dict[str, Any]]:
        """In the form of a campaign file, and of the API; only what was asked for."""
        asked: dict[str, dict[str, Any]] = {}
        for name, value in asdict(self).items():
            if value is None:
                continue
            part, key = _place(name)
            asked.setdefault(part, {})[key] = value
        if self.agent is not None:
            asked["operator_options"]["agent"] = placed_agent(self.agent, Path.cwd())
        return asked

    @classmethod
    def of(cls, asked: Mapping[str, Mapping[str, Any] | None]) -> Choices:
        """The reverse of `as_asked`."""
        options = dict(asked.get("operator_options") or {})
        if options.get("approve") is not None:
            options["approve"] = tuple(options["approve"])
        budget = {f"{_BUDGET}{key}": each for key, each in (asked.get("budget") or {}).items()}
        whole = asked.get("campaign_budget") or {}
        return cls(**options, **budget, **{f"{_WHOLE}{key}": each for key, each in whole.items()})


def placed_agent(agent: str, folder: Path) -> str:
    """An adapter file by its absolute path: whoever plays the campaign may stand elsewhere."""
    return str((folder / agent).resolve()) if is_adapter_file(agent) else agent


def _place(name: str) -> tuple[str, str]:
    for prefix in (_WHOLE, _BUDGET):
        if name.startswith(prefix):
            return prefix.removesuffix("_"), name.removeprefix(prefix)
    return "operator_options", name


def require_sound(
    options: OperatorOptions, budget: Budget, campaign_budget: CampaignBudget
) -> None:
    """Whether they can be meant, wherever they were asked for.

    Raises:
        UsageError: what is wrong with them.
    """
    for tool in options.approve:
        if tool not in TOOL_NAMES:
            hint = f"there are: {', '.join(TOOL_NAMES)}"
            raise UsageError(f"--approve: there is no tool {tool!r}", hint=hint)
    if options.base_url is not None:
        _require_url(options.base_url)
    _require_amounts("budget", asdict(budget))
    _require_amounts("campaign-budget", asdict(campaign_budget))


def _require_url(text: str) -> None:
    """Everything of a plan can be read by everybody: there is no place for a key in it."""
    try:
        url = urlsplit(text)
        known = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        known = False
    if not known:
        raise UsageError("--base-url: expected http:// or https:// and a host")
    if url.username is not None or url.password is not None or url.query or url.fragment:
        raise UsageError(
            "--base-url: it is kept with the campaign, so it must not hold a user, a password "
            "or anything after '?' or '#'",
            hint="keys belong into ANTHROPIC_API_KEY, or into the file of --api-key-file",
        )


def _require_amounts(option: str, amounts: Mapping[str, float | None]) -> None:
    for name, amount in amounts.items():
        if amount is not None and not (0 < amount < math.inf):
            what = f"--{option}-{name.removesuffix('_s')}"
            raise UsageError(f"{what} {amount:g}: it must be more than 0")
