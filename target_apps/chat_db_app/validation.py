"""Checks of what clients send. Everything here raises BadRequestError and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from errors import BadRequestError
from paging import Page

if TYPE_CHECKING:
    from aiohttp import web

#: Largest bigint of Postgres.
MAX_ID = 2**63 - 1
MAX_CONTENT = 32_000
MAX_TITLE = 200
MAX_QUERY = 200
MAX_IDS = 10_000
MAX_PAGE = 1000


def parse_integer(text: str) -> int | None:
    """Plain ASCII digits with an optional minus; None for anything else."""
    digits = text.removeprefix("-")
    if len(digits) > 19 or not (digits.isascii() and digits.isdigit()):
        return None
    return int(text)


def path_id(request: web.Request, name: str = "id") -> int:
    return _in_range(parse_integer(request.match_info[name]), name, 1, MAX_ID)


def query_int(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    text = request.query.get(name)
    return default if text is None else _in_range(parse_integer(text), name, low, high)


def query_page(request: web.Request) -> Page:
    """Which part of a list the client wants."""
    limit = query_int(request, "limit", 0, 1, MAX_PAGE) if "limit" in request.query else None
    return Page(limit=limit, offset=query_int(request, "offset", 0, 0, MAX_ID))


def query_seconds(request: web.Request, name: str, default: float, high: float) -> float:
    text = request.query.get(name)
    if text is None:
        return default
    try:
        value = float(text) if text.isascii() and len(text) <= 32 else -1.0
    except ValueError:
        value = -1.0
    if not 0 <= value <= high:
        raise BadRequestError(f"{name} must be a number of seconds from 0 to {high:g}")
    return value


def query_text(request: web.Request, name: str, longest: int) -> str:
    return _text(request.query.get(name), name, longest)


async def json_object(request: web.Request, *, or_empty: bool = False) -> dict[str, Any]:
    """The body as a JSON object; no body at all counts as `{}` if `or_empty`."""
    raw = await request.read()
    if or_empty and not raw:
        return {}
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise BadRequestError("the body is not valid JSON") from None
    if not isinstance(body, dict):
        raise BadRequestError("the body must be a JSON object")
    return body


def text_field(body: dict[str, Any], name: str, longest: int) -> str:
    return _text(body.get(name), name, longest)


def optional_text_field(body: dict[str, Any], name: str, longest: int) -> str | None:
    return None if body.get(name) is None else text_field(body, name, longest)


def int_field(body: dict[str, Any], name: str, low: int, high: int) -> int:
    return _in_range(body.get(name), name, low, high)


def optional_int_field(body: dict[str, Any], name: str, low: int, high: int) -> int | None:
    return None if body.get(name) is None else int_field(body, name, low, high)


def choice_field(body: dict[str, Any], name: str, choices: tuple[str, ...], default: str) -> str:
    value = body.get(name, default)
    if value not in choices:
        raise BadRequestError(f"{name} must be one of: {', '.join(choices)}")
    return str(value)


def optional_ids_field(body: dict[str, Any], name: str) -> list[int] | None:
    ids = body.get(name)
    if ids is None:
        return None
    if not isinstance(ids, list) or len(ids) > MAX_IDS:
        raise BadRequestError(f"{name} must be a list of at most {MAX_IDS} ids")
    return [_in_range(value, name, 1, MAX_ID) for value in ids]


def _in_range(value: Any, name: str, low: int, high: int) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON does not tell 3 from 3.0
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BadRequestError(f"{name} must be an integer from {low} to {high}")
    return value


def _text(value: Any, name: str, longest: int) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise BadRequestError(f"{name} must be a text of 1 to {longest} characters")
    if not _storable(value):
        raise BadRequestError(f"{name} holds characters that cannot be stored")
    return value


def _storable(text: str) -> bool:
    """Postgres takes neither NUL nor half a surrogate pair."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
