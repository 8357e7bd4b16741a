"""The harness's own ways into the app's database.

Two roles. The superuser looks at Postgres's own catalogues only: it gets in when the app holds
every other slot. Whatever touches the app's tables runs as `ratchet_harness`, which may do what
the database's owner may and no more: the app's role owns those tables, so code that it left there
(a trigger, a view, an index's expression) runs with the rights of whoever uses them.
"""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlsplit

import asyncpg

HARNESS_ROLE = "ratchet_harness"
CONNECT_TIMEOUT_S = 3.0

#: What belongs to the harness; the app's role has no rights in it. One at a time: two that come
#: at once (a probe, a growth) would trip over each other.
_SCHEMA = """
SELECT pg_advisory_xact_lock(5711401);
CREATE SCHEMA IF NOT EXISTS ratchet;
CREATE TABLE IF NOT EXISTS ratchet.growth (
    id   text PRIMARY KEY,
    rows bigint NOT NULL,
    -- the transaction that loads them: Postgres knows whether it was committed
    xid  xid8 NOT NULL,
    at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE IF NOT EXISTS ratchet.opening_usage (
    user_id bigint PRIMARY KEY,
    tokens  bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS ratchet.incarnation (
    id    uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    since timestamptz NOT NULL DEFAULT clock_timestamp()
);
"""

#: What the accounts showed before anybody wrote: users in `$1`, their tokens in `$2`.
SET_OPENING_USAGE = """
INSERT INTO ratchet.opening_usage (user_id, tokens) SELECT * FROM unnest($1::bigint[], $2::bigint[])
ON CONFLICT DO NOTHING
"""

_ROLE = """
DO $$ BEGIN
    IF to_regrole('{role}') IS NULL THEN CREATE ROLE {role} LOGIN NOSUPERUSER; END IF;
    EXECUTE format('ALTER ROLE {role} PASSWORD %L', '{password}');
    EXECUTE format('GRANT %I TO {role}',
        (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()));
    GRANT USAGE ON SCHEMA ratchet TO {role};
    GRANT SELECT ON ratchet.opening_usage TO {role};
END $$
"""


async def connect_superuser(dsn: str, **settings: str) -> asyncpg.Connection[Any]:
    """A connection that sees Postgres's own catalogues only, unless it names a schema."""
    return await asyncpg.connect(
        dsn,
        timeout=CONNECT_TIMEOUT_S,
        server_settings={
            "application_name": "ratchet",
            "search_path": "pg_catalog",
            "jit": "off",
            **settings,
        },
    )


async def connect_harness(superuser_dsn: str, **settings: str) -> asyncpg.Connection[Any]:
    """A connection with the rights of the database's owner; its role is made if need be."""
    password = _password(superuser_dsn)
    superuser = await connect_superuser(superuser_dsn)
    try:
        await superuser.execute(_SCHEMA + _ROLE.format(role=HARNESS_ROLE, password=password))
    finally:
        await superuser.close()
    return await asyncpg.connect(
        superuser_dsn,
        user=HARNESS_ROLE,
        password=password,
        timeout=CONNECT_TIMEOUT_S,
        server_settings={"application_name": "ratchet", "jit": "off", **settings},
    )


def _password(superuser_dsn: str) -> str:
    """The role's password: the same for all who know the superuser's, and a secret to others."""
    secret = urlsplit(superuser_dsn).password or ""
    return hashlib.sha256(f"{HARNESS_ROLE}:{secret}".encode()).hexdigest()
