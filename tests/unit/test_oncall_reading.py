"""How the on-call model reads results, plans and source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fake_messages.oncall import counters, holding, plans, watching
from tests.fake_messages.oncall.conversation import Result
from tests.fake_messages.oncall.evidence import (
    Hit,
    NotEnoughError,
    hits,
    is_refusal,
    objects,
    whole_file,
)
from tests.fake_messages.oncall.plans import Scan
from tests.fake_messages.oncall.source import Source, search_phrases


def result(text: str) -> Result:
    return Result(text=text)


def source(text: str) -> Source:
    return Source(path="a.py", text=text)


def test_objects_are_found_in_tables_in_json_and_in_text_within_json() -> None:
    row = json.dumps({"id": "1", "query": 'SELECT "a"\n FROM b'})
    table = f"statement\n---------\n{row}\n(1 row; SELECT 1; 0.001 s)"
    for text in (table, json.dumps({"rows": [[row]]}), json.dumps([json.loads(row)])):
        assert [of["query"] for of in objects(result(text), "id", "query")] == [
            'SELECT "a"\n FROM b'
        ]
    assert objects(result(table), "id", "calls") == []
    assert objects(Result(text=table, is_error=True), "id") == []


def test_an_object_that_was_cut_is_none() -> None:
    assert objects(result('{"id": "1", "query": "SELECT a FR…'), "id") == []


def test_hits_are_paths_lines_and_texts_and_nothing_else() -> None:
    found = hits(result("/srv/app/pool.py:20: async def f():\nno match\n[cut after 1 matches]"))
    assert found == [Hit(path="pool.py", line=20, text="async def f():")]


def test_a_file_is_read_as_a_whole_or_not_at_all() -> None:
    assert whole_file(result("     1\ta = 1\n     2\t\n     3\t\tb"), "a.py") == "a = 1\n\n\tb\n"
    for text in ("", "a = 1", "     7\ta", "     1\ta\n[cut before line 2 of 9: go on with …]"):
        with pytest.raises(NotEnoughError):
            whole_file(result(text), "a.py")


def test_a_refused_connection_is_known_by_each_of_its_names() -> None:
    assert is_refusal("FATAL:  sorry, too many clients already")
    assert is_refusal("remaining connection slots are reserved for non-replication superusers")
    assert not is_refusal("connection refused")


def test_a_statement_is_explained_with_values_of_its_own_columns() -> None:
    statement = (
        "SELECT a.x FROM things a JOIN b ON b.i = a.i WHERE a.x = $1 AND y ILIKE $2 LIMIT $3"
    )
    assert plans.explainable(statement) == (
        "SELECT a.x FROM things a JOIN b ON b.i = a.i"
        " WHERE a.x = (SELECT x FROM things LIMIT 1) AND y ILIKE '%example%' LIMIT 50"
    )


@pytest.mark.parametrize("statement", ["SELECT f($1) FROM a", "SELECT 1", "COMMIT"])
def test_a_statement_whose_parameters_are_unknown_is_not_explained(statement: str) -> None:
    with pytest.raises(NotEnoughError):
        plans.explainable(statement)


def test_a_scan_counts_only_with_a_filter_on_a_column() -> None:
    plan = """\
Hash Join  (cost=1.0..2.0 rows=1 width=8)
  Join Filter: (a.x = b.x)
  ->  Parallel Seq Scan on things t  (cost=0.00..1.00 rows=10 width=8)
        Filter: ((t.name)::text ~~* '%a%'::text)
  ->  Seq Scan on others  (cost=0.00..1.00 rows=10 width=8)
        Filter: (NOT is_read)
  ->  Index Scan using i on more  (cost=0.00..1.00 rows=10 width=8)
        Filter: (y = 1)"""
    assert plans.scans(plan) == [Scan(table="things", equal=(), like=("name",))]


def test_search_phrases_begin_with_what_stands_on_one_line() -> None:
    assert search_phrases("\n SELECT a,\n   (b + c)::date = $1\n FROM (c)\n") == [
        "SELECT a,",
        r"FROM \(c\)",
    ]
    assert search_phrases("UPDATE a SET b = $1 WHERE c = $2")[-1] == "UPDATE a SET"


HELD = '''
async def store(conn: asyncpg.Connection, draft: Draft) -> int:
    """Stores it."""
    await charge(conn, draft)
    # A word on what follows.
    labels = await ask(draft.{what})
    return await insert(conn, labels)
'''


def test_what_needs_no_connection_is_waited_for_first() -> None:
    text = HELD.format(what="text")
    before = source(text)
    place = holding._waiting_in(before, before.functions[0], "charge")
    assert place is not None
    after = text.replace(place.edit.old, place.edit.new)
    assert after.index("# A word") < after.index("await ask") < after.index("await charge")
    assert after.count("await") == text.count("await")


def test_what_needs_what_was_found_out_before_stays_behind_it() -> None:
    text = HELD.format(what="text").replace("    await charge", "    draft = await charge")
    before = source(text)
    assert holding._waiting_in(before, before.functions[0], "charge") is None


def test_a_transaction_around_nothing_but_statements_is_left_alone() -> None:
    text = """
async def handler(request):
    async with connection(pool) as conn, conn.transaction():
        one = await store(conn, 1)
        two = one + 1
        await store(conn, two)
"""
    before = source(text)
    assert holding._waiting_in(before, before.functions[0], "store") is None


CHARGE = """
async def charge(conn, key, tokens):
    usage = await conn.fetchval("SELECT n FROM users WHERE id = $1", {read})
    usage {added} tokens
    await conn.execute("UPDATE users SET n = $2 WHERE id = $1", key, usage)
    return usage
"""
UPDATE = "UPDATE users SET n = $2 WHERE id = $1"


@pytest.mark.parametrize(("added", "sign"), [("+=", "+"), ("-=", "-")])
def test_a_counter_is_left_to_the_database(added: str, sign: str) -> None:
    text = CHARGE.format(read="key", added=added)
    before = source(text)
    counter = counters._counter(before, before.functions[0], UPDATE)
    assert counter is not None
    expected = UPDATE.replace("n = $2", f"n = n {sign} $2") + " RETURNING n"
    assert text.replace(counter.edit.old, counter.edit.new) == (
        "\nasync def charge(conn, key, tokens):\n"
        "    usage = await conn.fetchval(\n"
        f'        "{expected}",\n'
        "        key,\n"
        "        tokens,\n"
        "    )\n"
        "    return usage\n"
    )


@pytest.mark.parametrize(("read", "added"), [("other", "+="), ("key", "*=")])
def test_what_is_no_sum_of_the_same_row_is_no_counter(read: str, added: str) -> None:
    before = source(CHARGE.format(read=read, added=added))
    assert counters._counter(before, before.functions[0], UPDATE) is None


@pytest.mark.parametrize(
    ("before_s", "after_s", "verdict"),
    [(2.0, 0.01, "yes"), (2.0, 1.9, "no"), (float("nan"), 0.4, "yes"), (2.0, float("nan"), "no")],
)
def test_better_is_quick_or_twice_as_quick_and_never_unknown(
    before_s: float, after_s: float, verdict: str
) -> None:
    before = watching.Seen(p95_s={"a": before_s}, failing=0.0)
    after = watching.Seen(p95_s={"a": after_s, "b": 9.0}, failing=0.0)
    assert after.better_than(before, {"a"}) is (verdict == "yes")
    assert not watching.Seen(p95_s={"a": 0.01}, failing=0.2).better_than(before, {"a"})
    assert not watching.Seen(p95_s={}, failing=0.0).better_than(before, {"a"})


def test_what_was_violated_and_still_is_is_not_better() -> None:
    before = watching.Seen(p95_s={}, failing=0.0, violated=frozenset({"x"}))
    assert not before.better_than(before, set())
    assert watching.Seen(p95_s={}, failing=0.0).better_than(before, set())


def test_nothing_of_the_model_names_a_file_function_or_table_of_the_service() -> None:
    model = Path(watching.__file__).parent
    text = "\n".join(path.read_text() for path in model.glob("*.py"))
    app = Path(__file__).parents[2] / "target_apps" / "chat_db_app"
    files = {path.name for path in app.glob("*.py")} - {"main.py", "logs.py", "metrics.py"}
    functions = {
        node.name
        for path in app.glob("*.py")
        for node in Source(path=path.name, text=path.read_text()).functions
        if node.name.count("_") and not node.name.startswith("_")
    } - {"create_pool", "json_object", "object_"}
    tables = {"messages (", "notifications", "conversation_id", "user_id", "token_usage"}
    assert not [name for name in files | functions | tables if name in text]
