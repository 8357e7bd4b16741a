"""What operators could do to chat-db-app, by the assertion that must notice it."""

from __future__ import annotations

from tests.integration.gates_kit import Change

_INSERTED = "    message_id = await insert_message(conn, draft, labels)\n"
_DROPPED = """\
    if len(draft.content) > 5000:
        await conn.execute("DELETE FROM messages WHERE id = $1", message_id)
"""
_KEPT_MESSAGES = """\
        kept = vars(models).setdefault("kept", {})
        if conversation_id not in kept:
            kept[conversation_id] = await models.list_messages(conn, conversation_id)
        messages = kept[conversation_id]
"""
_KEPT_COUNT = """\
        kept = vars(notifications).setdefault("kept", {})
        if user_id not in kept:
            kept[user_id] = await notifications.unread_count(conn, user_id)
        unread = kept[user_id]
"""
_OWNER = 'if row is None or row["user_id"] != user_id:'

CHANGES: dict[str, tuple[str, Change]] = {
    "long messages are acknowledged and dropped": (
        "own_writes_come_back_unaltered_and_once",
        Change(
            file="models.py",
            old=_INSERTED,
            new=_INSERTED + _DROPPED,
        ),
    ),
    "messages are trimmed": (
        "own_writes_come_back_unaltered_and_once",
        Change(
            file="chat_routes.py",
            old='content=validation.text_field(body, "content", validation.MAX_CONTENT),',
            new='content=validation.text_field(body, "content", validation.MAX_CONTENT).strip(),',
        ),
    ),
    "messages are stored twice": (
        "own_writes_come_back_unaltered_and_once",
        Change(
            file="models.py",
            old=_INSERTED,
            new="    await insert_message(conn, draft, labels)\n" + _INSERTED,
        ),
    ),
    "lists of messages are cached for ever": (
        "a_write_is_seen_by_the_next_read",
        Change(
            file="chat_routes.py",
            old="        messages = await models.list_messages(conn, conversation_id)\n",
            new=_KEPT_MESSAGES,
        ),
    ),
    "few tokens are charged for much": (
        "token_counts_are_exact",
        Change(file="models.py", old="    usage += tokens\n", new="    usage += min(tokens, 30)\n"),
    ),
    "exports are abridged": (
        "exports_contain_every_message",
        Change(
            file="models.py",
            old='        f"{draft.role}: {draft.content}\\n",\n',
            new='        f"{draft.role}: {draft.content[:30]}\\n",\n',
        ),
    ),
    "running totals are those of the conversation": (
        "running_totals_are_right",
        Change(
            file="models.py",
            old="AND (p.created_at, p.id) <= (m.created_at, m.id)) AS",
            new="AND p.id > 0) AS",
        ),
    ),
    "conversations are capped without a next page": (
        "conversation_lists_are_complete",
        Change(
            file="models.py",
            old='"conversations": [_conversation(row) for row in rows],',
            new='"conversations": [_conversation(row) for row in rows[:5]],',
        ),
    ),
    "conversations come in the order of their ids": (
        "conversation_lists_are_complete",
        Change(
            file="models.py",
            old="ORDER BY updated_at DESC, id DESC LIMIT $2 OFFSET $3",
            new="ORDER BY id DESC LIMIT $2 OFFSET $3",
        ),
    ),
    "search looks at everybody's messages": (
        "search_finds_what_was_just_written",
        Change(file="models.py", old="AND user_id = $2\n", new="AND user_id > 0 * $2\n"),
    ),
    "search minds the case": (
        "search_finds_what_was_just_written",
        Change(file="models.py", old="content ILIKE $1", new="content LIKE $1"),
    ),
    "search finds yesterday's messages": (
        "search_finds_what_was_just_written",
        Change(
            file="models.py",
            old="content ILIKE $1",
            new="created_at < now() - interval '1 day' AND content ILIKE $1",
        ),
    ),
    "search finds today's messages": (
        "search_finds_what_was_written_before",
        Change(
            file="models.py",
            old="content ILIKE $1",
            new="created_at > now() - interval '1 day' AND content ILIKE $1",
        ),
    ),
    "search finds nothing": (
        "search_finds_what_was_written_before",
        Change(file="models.py", old="SEARCH_RESULTS = 50", new="SEARCH_RESULTS = 0"),
    ),
    "replies are stored twice": (
        "a_streamed_exchange_is_stored_once",
        Change(
            file="streaming.py",
            old="        assistant_message_id = await",
            new="        await models.record_message(conn, answer)\n"
            "        assistant_message_id = await",
        ),
    ),
    "a reply ends when its client leaves": (
        "an_exchange_whose_client_leaves_is_stored_once",
        Change(
            file="streaming.py",
            old="        if self._client_left:\n            return\n",
            new="        if self._client_left:\n            raise ConnectionResetError\n",
        ),
    ),
    "a broadcast leaves somebody out": (
        "a_broadcast_reaches_its_segment_once",
        Change(
            file="notifications.py",
            old="        for user_id in user_ids:\n",
            new="        for user_id in user_ids[:4]:\n",
        ),
    ),
    "a broadcast reaches some twice": (
        "a_broadcast_reaches_its_segment_once",
        Change(
            file="notifications.py",
            old="        for user_id in user_ids:\n",
            new="        for user_id in [*user_ids, *user_ids[:1]]:\n",
        ),
    ),
    "a broadcast leaves new accounts out": (
        "a_broadcast_reaches_its_segment_once",
        Change(
            file="notifications.py",
            old="        for user_id in user_ids:\n",
            new="        for user_id in [known for known in user_ids if known < 1_000_000_000]:\n",
        ),
    ),
    "a broadcast leaves old accounts out": (
        "a_broadcast_reaches_its_segment_once",
        Change(
            file="notifications.py",
            old="        for user_id in user_ids:\n",
            new="        for user_id in [known for known in user_ids if known > 1_000_000_000]:\n",
        ),
    ),
    "notifications lose their payload": (
        "a_notification_is_given_in_full",
        Change(
            file="notifications.py",
            old='"payload": json.loads(row["payload"]),',
            new='"payload": {},',
        ),
    ),
    "notifications are capped without a next page": (
        "notification_lists_are_complete",
        Change(
            file="notifications.py",
            old='return {"notifications": entries,',
            new='return {"notifications": entries[:5],',
        ),
    ),
    "unread counts are cached for ever": (
        "unread_counts_agree_everywhere",
        Change(
            file="notification_routes.py",
            old="        unread = await notifications.unread_count(conn, user_id)\n",
            new=_KEPT_COUNT,
        ),
    ),
    "the poll counts what is read too": (
        "unread_counts_agree_everywhere",
        Change(
            file="notifications.py",
            old='" COUNT(*) FILTER (WHERE NOT is_read) AS unread"',
            new='" COUNT(*) AS unread"',
        ),
    ),
    "badges are not kept": (
        "mark_read_marks_just_those",
        Change(
            file="notifications.py",
            old="SET unread = EXCLUDED.unread, refreshed_at",
            new="SET refreshed_at",
        ),
    ),
    "mark_read marks all": (
        "mark_read_marks_just_those",
        Change(
            file="notifications.py",
            old="IS NULL OR id = ANY ($2))",
            new="IS NULL OR id <> ALL ($2) OR true)",
        ),
    ),
    "mark_read marks others' too": (
        "mark_read_marks_just_those",
        Change(
            file="notifications.py",
            old='WHERE user_id = $1"\n        " AND ($2::bigint[] IS NULL OR id = ANY ($2))',
            new='WHERE (user_id = $1 OR $2::bigint[] IS NOT NULL)"\n'
            '        " AND ($2::bigint[] IS NULL OR id = ANY ($2))',
        ),
    ),
    "polls have nothing for new accounts": (
        "a_waiting_poll_is_told_in_time",
        Change(
            file="notifications.py",
            old="    loop = asyncio.get_running_loop()\n",
            new="    if user_id >= 1_000_000_000:\n"
            '        return {"notifications": [], "unread": 0}\n'
            "    loop = asyncio.get_running_loop()\n",
        ),
    ),
    "waiting polls look again at their end": (
        "a_waiting_poll_is_told_in_time",
        Change(file="notifications.py", old="POLL_INTERVAL_S = 0.5", new="POLL_INTERVAL_S = 30.0"),
    ),
    "polls answer at once": (
        "a_poll_without_news_waits_its_time",
        Change(
            file="notifications.py",
            old="deadline = loop.time() + timeout_s",
            new="deadline = loop.time()",
        ),
    ),
    "a clean-up takes what is too young": (
        "cleanup_deletes_just_what_is_old_enough",
        Change(
            file="notifications.py",
            old="timedelta(days=older_than_days)",
            new="timedelta(days=older_than_days - 7)",
        ),
    ),
    "a clean-up begins with the newest": (
        "cleanup_deletes_just_what_is_old_enough",
        Change(
            file="notifications.py",
            old="ORDER BY created_at, id LIMIT",
            new="ORDER BY created_at DESC, id LIMIT",
        ),
    ),
    "a clean-up only says so": (
        "cleanup_deletes_just_what_is_old_enough",
        Change(
            file="notifications.py",
            old='"DELETE FROM notifications WHERE id = $1"',
            new='"SELECT 1 WHERE $1::bigint > 0"',
        ),
    ),
    "stats are empty": (
        "stats_equal_the_database",
        Change(
            file="models.py", old="GROUP BY day, role\n", new="GROUP BY day, role HAVING false\n"
        ),
    ),
    "stats are guessed": (
        "stats_equal_the_database",
        Change(
            file="models.py", old="COUNT(*) AS messages, SUM", new="COUNT(*) + 1 AS messages, SUM"
        ),
    ),
    "a conversation is anybody's": (
        "nobody_reads_anothers_conversation",
        Change(file="models.py", old=_OWNER, new="if row is None:"),
    ),
    "a conversation is anybody's who knows it": (
        "nobody_reads_the_campaigns_conversations",
        Change(file="models.py", old=_OWNER, new=_OWNER.replace(":", " and row['id'] > 1500:")),
    ),
    "a notification is anybody's": (
        "nobody_reads_anothers_notifications",
        Change(file="notifications.py", old=_OWNER, new="if row is None:"),
    ),
    "whoever says nothing is the first user": (
        "nobody_gets_in_without_saying_who_they_are",
        Change(
            file="auth.py",
            old="    user_id = signed_in_user(request)\n    if user_id is None:",
            new="    user_id = signed_in_user(request) or 1\n    if user_id is None:",
        ),
    ),
}
