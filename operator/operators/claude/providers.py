"""Where Claude is to be had: Anthropic's API or one like it, Bedrock, Vertex."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import httpx2

from campaign.model import OperatorOptions, Provider
from operators.claude.asking import Price
from operators.claude.driver import ClaudeDriver
from operators.claude.errors import ClaudeSetupError
from operators.claude.keys import read_api_key
from operators.claude.settings import DEFAULT_MODEL, ClaudeSettings

#: a module that the provider's extra brings along
_BROUGHT_ALONG: Mapping[Provider, str] = {"bedrock": "boto3", "vertex": "google.auth"}
_EXAMPLES: Mapping[Provider, str] = {
    "bedrock": "global.anthropic.claude-opus-5",
    "vertex": "claude-opus-5",
}
_CONNECT_S, _WRITE_S = 10.0, 60.0

Connect = Callable[[], AbstractAsyncContextManager[Any]]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Way:
    """How a provider is reached."""

    connect: Connect
    secret: str = ""


def claude_driver(
    options: OperatorOptions,
    *,
    environment: Mapping[str, str],
    price: Price,
    key_file: Path | None = None,
    settings: ClaudeSettings | None = None,
) -> ClaudeDriver:
    """The driver that these options mean.

    Raises:
        ClaudeSetupError: no key, an extra that is not installed, no model chosen; it says which.
    """
    settings = settings or ClaudeSettings()
    way = _way(options, environment, key_file, settings)
    return ClaudeDriver(
        connect=way.connect,
        model=_model(options),
        price=price,
        provider=options.provider,
        secret=way.secret,
        settings=settings,
    )


def _model(options: OperatorOptions) -> str:
    if options.model is not None:
        return options.model
    if options.provider in _EXAMPLES:
        raise ClaudeSetupError(
            f"{options.provider} has names of its own for models: choose one by --model, such as "
            f"{_EXAMPLES[options.provider]}"
        )
    return DEFAULT_MODEL


def _way(
    options: OperatorOptions,
    environment: Mapping[str, str],
    key_file: Path | None,
    settings: ClaudeSettings,
) -> _Way:
    # Retries are ours: the SDK would wait for as long as a provider likes.
    common: dict[str, Any] = {
        "base_url": options.base_url,
        "max_retries": 0,
        "timeout": httpx2.Timeout(settings.silence_s, connect=_CONNECT_S, write=_WRITE_S),
    }
    match options.provider:
        case "anthropic":
            key = read_api_key(key_file, environment)
            return _Way(connect=lambda: anthropic.AsyncAnthropic(api_key=key, **common), secret=key)
        case "bedrock":
            _require_extra("bedrock")
            return _Way(connect=lambda: anthropic.AsyncAnthropicBedrock(**common))
        case "vertex":
            _require_extra("vertex")
            return _Way(connect=lambda: anthropic.AsyncAnthropicVertex(**common))


def _require_extra(provider: Provider) -> None:
    module = _BROUGHT_ALONG[provider]
    try:
        there = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        # A package around it is missing already.
        there = False
    if not there:
        raise ClaudeSetupError(
            f"{provider} needs {module}, which is not installed: pip install 'ratchet[{provider}]'"
        )
