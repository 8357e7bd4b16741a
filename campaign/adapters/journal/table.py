"""The one table. `migrations` creates it; this is how it is read and written."""

from __future__ import annotations

from sqlalchemy import Column, Double, Integer, MetaData, String, Table, Text

metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(64), nullable=False),
    Column("at", Double, nullable=False),
    Column("trial", Integer, nullable=True),
    Column("payload", Text, nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
