"""What the app answered, before anybody believes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from campaign.gates.finding import AppFailedError, expect_true

ShapeT = TypeVar("ShapeT", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A complete answer. Header names are in lower case."""

    #: what was asked, for messages: "GET /healthz"
    asked: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            AppFailedError: it is something else.
        """
        try:
            return from_json(self.body)
        except ValueError as error:
            raise AppFailedError(
                f"{self.asked}: expected JSON, got {len(self.body)} bytes of something else",
                expected="JSON",
                actual=self.body,
            ) from error

    def expect_status(self, status: int) -> None:
        """Raises AppFailedError for another one."""
        expect_true(
            self.asked, met=self.status == status, expected=f"status {status}", actual=self._told()
        )

    def read(self, shape: type[ShapeT], *, status: int = 200) -> ShapeT:
        """The body in its documented shape.

        Raises:
            AppFailedError: another status or another shape.
        """
        self.expect_status(status)
        try:
            return shape.model_validate_json(self.body)
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, wrong["loc"])) or "body"
            raise AppFailedError(
                f"{self.asked}: not the documented answer: {place}: {wrong['msg']}",
                expected=shape.__name__,
                actual=self.body,
            ) from error

    def _told(self) -> str:
        return f"{self.status} with {self.body[:200].decode('utf-8', 'replace')}"
