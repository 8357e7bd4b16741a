"""Four faults of the chat service, as their evidence was recorded from a live one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from campaign.model import Symptom
from tests.oncall_kit import APP, Fault

_LIST_MESSAGES = """
        SELECT m.id, m.role, m.content, m.token_count, m.created_at,
               (SELECT SUM(p.token_count)
                  FROM messages p
                 WHERE p.conversation_id = m.conversation_id
                   AND (p.created_at, p.id) <= (m.created_at, m.id)) AS running_tokens
          FROM messages m
         WHERE m.conversation_id = $1
         ORDER BY m.created_at, m.id
        """
_SEARCH = """
        SELECT id, conversation_id, role, content, created_at
          FROM messages
         WHERE content ILIKE $1
           AND user_id = $2
         ORDER BY created_at DESC, id DESC
         LIMIT $3
        """
_COUNT_UNREAD = "SELECT COUNT(*) FROM notifications WHERE user_id = $1 AND NOT is_read"
_CHARGE = "UPDATE users SET token_usage = $2 WHERE id = $1"
_TOUCH = (
    "UPDATE conversations SET message_count = message_count + 1,"
    " updated_at = clock_timestamp() WHERE id = $1"
)
_TRANSCRIBE = (
    "INSERT INTO transcripts AS t (conversation_id, document) VALUES ($1, $2)"
    " ON CONFLICT (conversation_id) DO UPDATE SET document = t.document || EXCLUDED.document"
)
_PRIMARY_KEY = "CREATE UNIQUE INDEX messages_pkey ON public.messages USING btree (id)"
_REQUEST_FAILED = (
    '{"level": "error", "logger": "chat.requests", "event": "request failed", "path": '
    '"/api/users/7", "status": 500, "error": "remaining connection slots are reserved for '
    'non-replication superuser connections"}'
)


def _symptom(title: str, *operations: str) -> Symptom:
    return Symptom(
        invariant="x", title=title, value=0.9, limit=0.05, since=0.0, operations=operations
    )


def _messages(**distinct: float) -> dict[str, dict[str, Any]]:
    about = {"table": "messages", "rows": 320_000, "bytes": 40_000_000, "distinct": distinct}
    return {"messages": about | {"indexes": [_PRIMARY_KEY]}}


def _session(state: str, waits: str, sessions: int, blocks: int, query: str) -> dict[str, Any]:
    return {
        "state": state,
        "waits_for": waits,
        "sessions": sessions,
        "blocks": blocks,
        "open_s": 0.2,
        "query": query,
    }


def _says(file: str, pattern: str) -> Any:
    def mended(files: Mapping[str, str]) -> bool:
        return re.search(pattern, files.get(file, ""), re.DOTALL) is not None

    return mended


UNINDEXED = Fault(
    symptom=_symptom("Opening a conversation's history takes longer than 0.3 s", "list_messages"),
    mended=_says("schema.py", r"CREATE INDEX IF NOT EXISTS \w+ ON messages \(conversation_id\)"),
    statements=((_LIST_MESSAGES, 40, 26_000.0), (_COUNT_UNREAD, 90, 200.0)),
    tables=_messages(conversation_id=12_000.0, user_id=950.0),
    plans=(
        """\
Sort  (cost=1158829.14..1158829.19 rows=20 width=72)
  Sort Key: m.created_at, m.id
  InitPlan 2 (returns $3)
    ->  Limit  (cost=0.00..0.02 rows=1 width=8)
          ->  Seq Scan on messages messages_1  (cost=0.00..8213.00 rows=320000 width=8)
  ->  Seq Scan on messages m  (cost=0.00..1158828.69 rows=20 width=72)
        Filter: (conversation_id = $3)
        SubPlan 1
          ->  Aggregate  (cost=11013.05..11013.06 rows=1 width=8)
                ->  Seq Scan on messages p  (cost=0.00..11013.00 rows=20 width=4)
                      Filter: ((conversation_id = m.conversation_id) AND \
(ROW(created_at, id) <= ROW(m.created_at, m.id)))""",
        """\
Sort  (cost=95.14..95.19 rows=20 width=72)
  ->  Index Scan using messages_conversation_id_idx on messages m  (cost=0.42..94.69 rows=20 \
width=72)
        Index Cond: (conversation_id = $3)""",
    ),
)

PATTERNED = Fault(
    symptom=_symptom("Searching one's messages takes longer than 0.3 s", "search_messages"),
    mended=_says(
        "schema.py", r"EXTENSION IF NOT EXISTS pg_trgm.*USING gin \(content gin_trgm_ops\)"
    ),
    statements=((_SEARCH, 30, 19_000.0), (_COUNT_UNREAD, 90, 200.0)),
    tables=_messages(user_id=950.0),
    plans=(
        """\
Limit  (cost=3940.71..3940.72 rows=1 width=231)
  InitPlan 1 (returns $0)
    ->  Limit  (cost=0.00..0.05 rows=1 width=8)
          ->  Seq Scan on messages messages_1  (cost=0.00..3540.00 rows=80000 width=8)
  ->  Sort  (cost=3940.66..3940.67 rows=1 width=231)
        Sort Key: messages.created_at DESC, messages.id DESC
        ->  Seq Scan on messages  (cost=0.00..3940.65 rows=1 width=231)
              Filter: ((messages.content ~~* '%example%'::text) AND (messages.user_id = $0))""",
        """\
Limit  (cost=60.71..60.72 rows=1 width=231)
  ->  Sort  (cost=60.66..60.67 rows=1 width=231)
        ->  Bitmap Heap Scan on messages  (cost=52.00..60.65 rows=1 width=231)
              Recheck Cond: (content ~~* '%example%'::text)
              Filter: (user_id = $0)
              ->  Bitmap Index Scan on messages_content_trgm_idx  (cost=0.00..52.00 rows=8 width=0)
                    Index Cond: (content ~~* '%example%'::text)""",
    ),
)

REFUSED = Fault(
    symptom=_symptom("Requests fail or get no answer"),
    mended=_says("pool.py", r"MAX_CONNECTIONS = [1-4]?\d\n"),
    app_log=(_REQUEST_FAILED,) * 9,
    statements=((_COUNT_UNREAD, 90, 200.0),),
    refusals=3,
    failing=(0.47, 0.0),
)

QUEUED = Fault(
    symptom=_symptom("Writing a message takes longer than 0.3 s", "create_message"),
    mended=lambda files: (
        _says("models.py", r"SET token_usage = token_usage \+ \$2")(files)
        and _says("models.py", r"= await moderation\.classify.*await add_token_usage\(")(files)
    ),
    statements=((_CHARGE, 40, 30_000.0), (_COUNT_UNREAD, 90, 200.0)),
    sessions=(
        _session("active", "Lock", 30, 30, _CHARGE),
        _session("idle in transaction", "Client", 1, 30, _TOUCH),
        _session("active", "", 2, 0, _COUNT_UNREAD),
    ),
)

HELD = Fault(
    symptom=_symptom("Database sessions sit idle inside an open transaction"),
    mended=_says(
        "streaming.py",
        r"\n    async with connection[^\n]+:\n        user_message_id[^\n]+\n    async for"
        r".*\n    async with connection[^\n]+:\n        assistant_message_id",
    ),
    statements=((_COUNT_UNREAD, 90, 200.0),),
    sessions=(_session("idle in transaction", "Client", 16, 0, _TRANSCRIBE),),
)

FAULTS = {
    "unindexed": UNINDEXED,
    "patterned": PATTERNED,
    "refused": REFUSED,
    "queued": QUEUED,
    "held": HELD,
}

#: so that what was recorded is about the source as it stands
RECORDED = (_LIST_MESSAGES, _SEARCH, _COUNT_UNREAD)


def sent(statement: str) -> bool:
    """Whether the service's source still sends it."""
    return any(statement in path.read_text() for path in APP.glob("*.py"))
