"""The SDK's exceptions, and those of the layers below it, as troubles."""

from __future__ import annotations

import json
import math

import anthropic
import httpx2

from operators.claude.errors import BrokenStreamError
from operators.claude.retries import Trouble

#: of a page that some proxy answered with
_SHOWN_CHARS = 200
#: of what an exception says
_TOLD_CHARS = 500


def trouble_of(error: Exception) -> Trouble | None:
    """None: it is not of the API, and the same again would end the same (no credentials, say)."""
    match error:
        case anthropic.APIStatusError():
            return Trouble(
                status=error.status_code,
                type=error.type or "",
                message=_message(error),
                retry_after_s=_retry_after(error.response.headers),
                request_id=error.request_id or "",
            )
        case anthropic.APITimeoutError() | httpx2.TimeoutException():
            return Trouble(status=None, type="", message="no answer: the connection was silent")
        case anthropic.APIConnectionError():
            return Trouble(status=None, type="", message=f"no connection: {error.__cause__!r}")
        case anthropic.APIResponseValidationError():
            return Trouble(
                status=error.status_code, type="", message="the answer is not of the Messages API"
            )
        case httpx2.HTTPError() | BrokenStreamError():
            return Trouble(status=None, type="", message=f"the answer was cut: {error}")
        case json.JSONDecodeError() | UnicodeDecodeError():
            return Trouble(status=None, type="", message="the answer was cut: it is no JSON")
        case ConnectionError() | TimeoutError():
            return Trouble(status=None, type="", message=f"no connection: {told(error)}")
        # Google's say so themselves, such as when a token could not be had this time.
        case _ if getattr(error, "retryable", False) is True:
            return Trouble(status=None, type="", message=told(error))
        case _:
            return None


def told(error: Exception) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:_TOLD_CHARS]}"


def _message(error: anthropic.APIStatusError) -> str:
    if error.api_message:
        return error.api_message
    body = error.body
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        # Bedrock's form.
        return str(body["message"])
    if isinstance(body, str) and body.strip():
        return f"an answer that is not JSON: {body[:_SHOWN_CHARS]}"
    return "no further words"


def _retry_after(headers: httpx2.Headers) -> float | None:
    """Seconds; a date is not read, as the API does not send one."""
    try:
        wished = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return max(0.0, wished) if math.isfinite(wished) else None
