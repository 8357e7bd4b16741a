"""All tools, in the order in which they are offered: that of `campaign.model.TOOL_NAMES`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from campaign.model import OperatorOptions
from operators.session import ToolSpec
from operators.toolbox import deployments, files, http, logs, metrics, shell, sql, ticket
from operators.toolbox.arguments import schema
from operators.toolbox.tool import Tool

TOOLS: tuple[Tool[Any], ...] = (
    ticket.READ,
    shell.SHELL,
    files.EDITOR,
    files.SEARCH,
    http.HTTP,
    sql.SQL,
    metrics.LIST,
    metrics.QUERY,
    logs.LOGS,
    deployments.LIST,
    ticket.PLAN,
    ticket.NOTE,
    ticket.ACKNOWLEDGE,
    deployments.DEPLOY,
    ticket.RESOLVE,
)


def offered(
    options: OperatorOptions, *, instruments: bool = True, shell: bool = True
) -> Sequence[Tool[Any]]:
    """Those that a session has, by what it has the means for."""
    lacking = {
        name for name, there in (("instruments", instruments), ("shell", shell)) if not there
    }
    return tuple(
        tool
        for tool in TOOLS
        if tool.needs not in lacking and (options.plan_mode or not tool.plan_mode_only)
    )


def spec(tool: Tool[Any]) -> ToolSpec:
    """The tool as a model or a person is told of it."""
    return ToolSpec(name=tool.name, description=tool.description, parameters=schema(tool.arguments))
