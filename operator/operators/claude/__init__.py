"""Claude as the operator: a loop of answers and tool calls on the Messages API."""

from operators.claude.driver import ClaudeDriver
from operators.claude.errors import ClaudeSetupError
from operators.claude.keys import read_api_key
from operators.claude.providers import claude_driver
from operators.claude.retries import Patience
from operators.claude.settings import DEFAULT_MODEL, ClaudeSettings

__all__ = [
    "DEFAULT_MODEL",
    "ClaudeDriver",
    "ClaudeSettings",
    "ClaudeSetupError",
    "Patience",
    "claude_driver",
    "read_api_key",
]
