"""Who is asking. The gateway authenticates people and passes their id on in a header."""

from __future__ import annotations

from typing import TYPE_CHECKING

from errors import NotFoundError, NotSignedInError
from validation import MAX_ID, parse_integer

if TYPE_CHECKING:
    from aiohttp import web

USER_HEADER = "X-User-Id"


def signed_in_user(request: web.Request) -> int | None:
    """The id in the X-User-Id header, or None when there is no usable one."""
    user_id = parse_integer(request.headers.get(USER_HEADER, ""))
    return user_id if user_id is not None and 0 < user_id <= MAX_ID else None


def require_user(request: web.Request) -> int:
    user_id = signed_in_user(request)
    if user_id is None:
        raise NotSignedInError(f"sign in: {USER_HEADER} must carry your user id")
    return user_id


def require_self(request: web.Request, user_id: int) -> None:
    """People see their own account only; another's looks as if it did not exist."""
    if require_user(request) != user_id:
        raise NotFoundError(f"no user {user_id}")
