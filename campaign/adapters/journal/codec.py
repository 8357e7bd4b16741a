"""Events as JSON text and back.

The model knows nothing of pydantic: the union is discriminated by each event's `kind` here.
NaN and the infinities are written as the bare words that JavaScript and Python have for them.
"""

from __future__ import annotations

import functools
import json
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from campaign.adapters.journal.errors import UnreadableEventError, UnwritableEventError
from campaign.model import Event

#: An unknown field is refused: it would be a fact that a report silently leaves out.
_CONFIG = ConfigDict(extra="forbid", ser_json_inf_nan="constants")


@functools.cache
def _adapter() -> TypeAdapter[Event]:
    """Built on first use: it takes about 0.1 s."""
    return TypeAdapter(Annotated[Event, Field(discriminator="kind")], config=_CONFIG)


def encode(event: Event) -> str:
    """The event as JSON text that `decode` reads.

    Two things come back changed: tuples inside of free-form values (a tool's arguments) as lists,
    and halves of surrogate pairs, which are no text, as "?".

    Raises:
        UnwritableEventError: a field holds what its type or JSON does not allow.
    """
    try:
        values = _adapter().dump_python(event, mode="json", warnings=False)
        text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
        payload = text.encode(errors="replace").decode()
        _adapter().validate_json(payload, strict=True)
    except (PydanticSerializationError, UnicodeDecodeError) as exc:
        raise UnwritableEventError(event.kind, "unknown", str(exc)) from exc
    except ValidationError as exc:
        field, problem = _first_problem(exc)
        raise UnwritableEventError(event.kind, field, problem) from exc
    return payload


def decode(payload: str, *, seq: int) -> Event:
    """The event of a journal's row; `seq` is for the message.

    Raises:
        UnreadableEventError: an unknown kind, or a field missing, unknown or of a wrong type.
    """
    try:
        return _adapter().validate_json(payload, strict=True)
    except ValidationError as exc:
        field, problem = _first_problem(exc)
        raise UnreadableEventError(seq, field, problem) from exc


def _first_problem(error: ValidationError) -> tuple[str, str]:
    """Where and what; a location begins with the event's kind, which becomes `kind.field`."""
    problem: Any = error.errors(include_url=False)[0]
    if problem["type"].startswith("union_tag"):
        return "kind", problem["msg"]
    return ".".join(str(part) for part in problem["loc"]) or "payload", problem["msg"]
