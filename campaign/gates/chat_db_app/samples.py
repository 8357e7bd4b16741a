"""Some of the campaign's own people and conversations, to be looked at and never touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from campaign.gates.app import LiveApp
from campaign.gates.chat_db_app.people import Person

Table: TypeAlias = Literal["conversations", "messages", "notifications"]

#: rows to choose from, about
_CANDIDATES = 256
#: messages of a conversation that takes long to read
_LONG = 200

_ESTIMATE = "SELECT reltuples::bigint AS rows FROM pg_class WHERE oid = $1::text::regclass"


async def sampled(app: LiveApp, table: Table, *, count: int) -> Sequence[Mapping[str, Any]]:
    """`id` and `user_id` of some of a table's rows, drawn afresh; fewer when there are fewer."""
    size = max(1, (await app.fetch(_ESTIMATE, f"public.{table}"))[0]["rows"])
    percent = min(100.0, 100.0 * _CANDIDATES / size)
    seed = app.draw.randrange(2**31)
    rows = await app.fetch(_some_of(table), percent, seed)
    rows = rows or await app.fetch(_some_of(table), 100.0, seed)
    return app.draw.sample(list(rows), min(count, len(rows)))


def owner(app: LiveApp, row: Mapping[str, Any]) -> Person:
    """Whoever a sampled row belongs to."""
    return Person(app=app, id=row["user_id"])


def _some_of(table: Table) -> str:
    """Long conversations are left out: how long they take to read is another rule's business."""
    only = f"WHERE message_count <= {_LONG}" if table == "conversations" else ""
    return (
        f"SELECT id, user_id FROM public.{table} TABLESAMPLE BERNOULLI ($1) REPEATABLE ($2)"  # noqa: S608
        f" {only} LIMIT {_CANDIDATES}"
    )
