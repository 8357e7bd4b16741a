"""The drivers of models and agents.

What they stand on takes a second to import: import this module only when one is wanted.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from operators.claude import (
    DEFAULT_MODEL,
    ClaudeDriver,
    ClaudeSetupError,
    claude_driver,
    read_api_key,
)
from operators.claude.keys import VARIABLE as KEY_VARIABLE
from operators.command import (
    AdapterError,
    AgentAdapter,
    CommandDriver,
    RunnerError,
    load_adapter,
)
from operators.prices import Prices

from campaign.adapters.agents import AgentProcesses
from campaign.errors import UsageError
from campaign.model import OperatorOptions
from campaign.rig import RigOptions

__all__ = ["DEFAULT_MODEL", "claude", "command", "require_agent", "secrets"]


def claude(options: OperatorOptions, rig: RigOptions, prices: Prices) -> ClaudeDriver:
    """Raises UsageError: no key, no model chosen, no such provider here."""
    try:
        return claude_driver(
            options, environment=os.environ, key_file=rig.api_key_file, price=prices.cost_usd
        )
    except ClaudeSetupError as error:
        raise UsageError(f"operator claude cannot begin: {error}") from error


def command(options: OperatorOptions, rig: RigOptions, prices: Prices) -> CommandDriver:
    """Raises UsageError: there is no such agent, or what is wrong with its adapter file."""
    return CommandDriver(_adapter(options), _agents(rig), prices=prices)


def require_agent(options: OperatorOptions, rig: RigOptions) -> AgentAdapter:
    """The agent's adapter, when the agent could be run.

    Raises:
        UsageError: there is no such agent, what is wrong with its adapter file, or what is missing.
    """
    adapter = _adapter(options)
    if options.provider != "anthropic":
        raise UsageError(
            f"{adapter.title} reaches its model by its adapter's model_api, not by "
            f"{options.provider}",
            hint="leave --provider out; --base-url names another place of the same protocol",
        )
    try:
        _agents(rig).require(adapter)
    except RunnerError as error:
        raise UsageError(f"operator command cannot begin: {error}") from error
    return adapter


def secrets(operator: str, options: OperatorOptions, rig: RigOptions) -> frozenset[str]:
    """What must be on no record, whatever the operator says."""
    names = {KEY_VARIABLE}
    if operator == "command":
        adapter = _adapter(options)
        names |= set(adapter.needs)
        if adapter.model_api is not None:
            names.add(adapter.model_api.key)
    known = {os.environ.get(name, "").strip() for name in names}
    if rig.api_key_file is not None:
        with suppress(ClaudeSetupError):
            known.add(read_api_key(rig.api_key_file, os.environ))
    return frozenset(filter(None, known))


def _adapter(options: OperatorOptions) -> AgentAdapter:
    try:
        return load_adapter(options.agent)
    except AdapterError as error:
        raise UsageError(str(error)) from error


def _agents(rig: RigOptions) -> AgentProcesses:
    return AgentProcesses(key_of=_key_of(rig.api_key_file), confined=rig.sandbox)


def _key_of(key_file: Path | None) -> Callable[[str], str | None]:
    """A file stands in for the variable that a preset asks for."""

    def key(name: str) -> str | None:
        if key_file is None:
            return os.environ.get(name)
        try:
            return read_api_key(key_file, os.environ)
        except ClaudeSetupError as error:
            raise RunnerError(str(error)) from error

    return key
