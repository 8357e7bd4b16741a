"""The drivers of models and agents.

What they stand on takes a second to import: import this module only when one is wanted.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from operators.claude import ClaudeDriver, ClaudeSetupError, claude_driver, read_api_key
from operators.command import AdapterError, CommandDriver, load_adapter
from operators.prices import Prices

from campaign.adapters.agents import AgentProcesses
from campaign.errors import UsageError
from campaign.model import OperatorOptions
from campaign.rig import RigOptions


def claude(options: OperatorOptions, rig: RigOptions, prices: Prices) -> ClaudeDriver:
    """Raises UsageError: no key, no such provider here."""
    try:
        return claude_driver(
            options, environment=os.environ, key_file=rig.api_key_file, price=prices.cost_usd
        )
    except ClaudeSetupError as error:
        raise UsageError(str(error)) from error


def command(options: OperatorOptions, rig: RigOptions, prices: Prices) -> CommandDriver:
    """Raises UsageError: there is no such agent, or what is wrong with its adapter file."""
    try:
        adapter = load_adapter(options.agent)
    except AdapterError as error:
        raise UsageError(str(error)) from error
    runner = AgentProcesses(key_of=_key_of(rig.api_key_file), confined=rig.sandbox)
    return CommandDriver(adapter, runner, prices=prices)


def secrets(rig: RigOptions) -> frozenset[str]:
    """What must be in no trace, whatever the agent says."""
    known = {os.environ.get(name, "") for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")}
    if rig.api_key_file is not None:
        with suppress(ClaudeSetupError):
            known.add(read_api_key(rig.api_key_file, os.environ))
    return frozenset(filter(None, known))


def _key_of(key_file: Path | None) -> Callable[[str], str | None]:
    """A file stands in for the variable that a preset asks for."""

    def key(name: str) -> str | None:
        if key_file is not None:
            return read_api_key(key_file, os.environ)
        return os.environ.get(name)

    return key
