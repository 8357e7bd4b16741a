"""All tools, in the order in which they are offered."""

from __future__ import annotations

from typing import Any

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

#: what may be named where a tool is named, such as in `OperatorOptions.approve`
TOOL_NAMES: tuple[str, ...] = tuple(tool.name for tool in TOOLS)


def spec(tool: Tool[Any]) -> ToolSpec:
    """The tool as a model or a person is told of it."""
    return ToolSpec(name=tool.name, description=tool.description, parameters=schema(tool.arguments))
