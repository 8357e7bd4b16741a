"""Errors that become an HTTP answer with a JSON body `{"error": "…"}`."""

from __future__ import annotations


class ApiError(Exception):
    """The request cannot be served; `status` and `message` say why to the client."""

    status = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequestError(ApiError):
    """A part of the request is missing, malformed or out of range."""

    status = 400


class NotSignedInError(ApiError):
    """There is no usable X-User-Id header, or no such user."""

    status = 401


class NotFoundError(ApiError):
    """It does not exist, or belongs to somebody else."""

    status = 404
