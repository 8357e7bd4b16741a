"""Any command-line agent: run as a process, its output read into the session's trace."""

from operators.command.adapter import (
    AdapterError,
    AgentAdapter,
    ModelApi,
    load_adapter,
    preset_names,
    read_adapter,
)
from operators.command.driver import CommandDriver
from operators.command.records import Tokens
from operators.command.runner import (
    AgentProcess,
    AgentRunner,
    ApiAnswer,
    Exit,
    Invocation,
    Launch,
    Places,
    RunnerError,
)

__all__ = [
    "AdapterError",
    "AgentAdapter",
    "AgentProcess",
    "AgentRunner",
    "ApiAnswer",
    "CommandDriver",
    "Exit",
    "Invocation",
    "Launch",
    "ModelApi",
    "Places",
    "RunnerError",
    "Tokens",
    "load_adapter",
    "preset_names",
    "read_adapter",
]
