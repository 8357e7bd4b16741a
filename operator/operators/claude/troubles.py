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


def trouble_of(error: Exception) -> Trouble | None:
    """None: it is none of the provider's."""
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
        case _:
            return None


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
