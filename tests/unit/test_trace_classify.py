"""What a call is for follows from its name and arguments alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from operators.toolbox.answer import Answer
from operators.trace import TraceWriter, tool_class
from operators.trace.document import ToolUse

from campaign.model import TOOL_NAMES
from tests.trace_kit import work, writer

DOC = Path(__file__).parents[2] / "docs" / "traces.md"


def of(tool: str, *, deployed: bool = False, **arguments: Any) -> str:
    return tool_class(tool, arguments, deployed=deployed).value


@pytest.mark.parametrize(
    ("tool", "before", "after"),
    [
        ("read_logs", "logs", "logs"),
        ("query_metrics", "metrics", "verify"),
        ("http_request", "metrics", "verify"),
        ("list_metrics", "metrics", "metrics"),
        ("sql", "database", "database"),
        ("search_files", "code", "code"),
        ("list_deployments", "code", "code"),
        ("deploy", "deploy", "deploy"),
        ("read_ticket", "other", "verify"),
        ("file_plan", "other", "other"),
        ("write_note", "other", "other"),
        ("acknowledge", "other", "other"),
        ("resolve", "other", "other"),
        ("Grep", "code", "code"),
        ("Glob", "code", "code"),
        ("Edit", "edit", "edit"),
        ("Write", "edit", "edit"),
        ("MultiEdit", "edit", "edit"),
        ("TodoWrite", "other", "other"),
        ("apply_patch", "edit", "edit"),
    ],
)
def test_a_tool_that_is_for_one_thing_has_its_class(tool: str, before: str, after: str) -> None:
    assert (of(tool), of(tool, deployed=True)) == (before, after)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("psql -c 'select 1'", "database"),
        ("cd /srv/app && psql <<'EOF'\nEXPLAIN select * from messages;\nEOF", "database"),
        ("python3 -c 'import asyncpg'", "database"),
        ("python - <<EOF\nprint('SELECT * FROM pg_stat_activity')\nEOF", "database"),
        ("grep -rn index .", "code"),
        ("grep -rn 'EXPLAIN (' . | head", "code"),
        ("cat main.py | head -50", "code"),
        ("ls -la 2>/dev/null", "code"),
        ("find . -name '*.py' 2>&1", "code"),
        ("git log --oneline && git diff", "code"),
        ("sed -n 1,40p main.py", "code"),
        ("cd /srv/app", "code"),
        ("sed -i s/a/b/ main.py", "edit"),
        ("sed --in-place=.bak s/a/b/ main.py", "edit"),
        ("perl -pi -e s/a/b/ main.py", "edit"),
        ("cat > new.py <<'EOF'\nx = 1\nEOF", "edit"),
        ("echo x >> main.py", "edit"),
        ("echo x > /dev/null", "code"),
        ("curl -s localhost > /tmp/answer", "metrics"),
        ("rm -f /tmp/answer", "code"),
        ("git checkout -- main.py", "edit"),
        ("git apply fix.patch", "edit"),
        ("for f in *.py; do sed -i s/a/b/ $f; done", "edit"),
        ("python3 - <<EOF\nopen('main.py', 'w').write(text)\nEOF", "edit"),
        ("python3 -c \"print(open('main.py').read())\"", "code"),
        ("curl -s http://localhost/healthz", "metrics"),
        ("tail -n 50 /var/log/app.log", "logs"),
        ("cat app.log | grep ERROR", "logs"),
        ("journalctl -u app", "logs"),
        ("python -m pytest -q", "verify"),
        ("python -m py_compile main.py", "verify"),
        ("make test", "verify"),
        ("sudo timeout 5 psql", "database"),
        ("PGPASSWORD=x psql", "database"),
        ("psql <<EOF\nselect 1 > 0; -- rm x\nEOF", "database"),
        ("cat <<EOF > main.py\nx = 1\nEOF", "edit"),
        (
            "# again, rm x > y\nfor i in 1 2; do curl -s http://localhost/a#b & done | sort",
            "metrics",
        ),
        ("echo 'unclosed", "code"),
        ("", "other"),
    ],
)
def test_a_command_has_the_class_of_what_weighs_most(command: str, expected: str) -> None:
    assert of("bash", command=command) == expected
    assert of("Bash", command=command) == expected


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "part",
    ["<<a", "\n", "<<a\n", "python;", "open(,", "explain ", "'", "\\", "#", "> ", "| ", "a="],
)
def test_no_command_keeps_the_harness_busy(part: str) -> None:
    assert of("bash", command=part * 100_000)
    assert of("bash", command=f"python <<a<<a {part * 100_000}")


def test_a_request_from_the_shell_verifies_once_something_is_deployed() -> None:
    assert of("bash", command="curl -s localhost", deployed=True) == "verify"


def test_the_editor_that_views_reads_code() -> None:
    assert of("str_replace_based_edit_tool", command="view", path="main.py") == "code"
    for command in ("create", "str_replace", "insert"):
        assert of("str_replace_based_edit_tool", command=command, path="main.py") == "edit"


def test_a_log_that_is_read_is_a_log() -> None:
    assert of("Read", file_path="/srv/app/main.py") == "code"
    assert of("Read", file_path="/var/log/app.log") == "logs"


def test_a_tool_of_an_mcp_server_is_known_by_its_own_name() -> None:
    assert of("mcp__ratchet__sql", query="select 1") == "database"
    assert of("mcp__ratchet__bash", command="sed -i s/a/b/ x.py") == "edit"


def test_a_command_may_be_a_list_of_words() -> None:
    assert of("shell", command=["bash", "-lc", "sed -i s/a/b/ x.py"]) == "edit"
    assert of("shell", command=["psql", "-c", "select 1"]) == "database"


def test_arguments_that_are_nonsense_have_a_class_too() -> None:
    assert of("bash", command=None, restart=True) in {"code", "other"}
    assert of("bash", restart=True) == "other"
    assert of("bash", command={"a": 1}) == "code"
    assert of("never heard of") == "other"


def test_an_edit_ends_what_a_deployment_began(tmp_path: Path) -> None:
    trace = writer(tmp_path)
    work(trace)
    trace.tool_use("c6", "Edit", {})
    trace.tool_result("c6", "Edit", Answer(text="x"), duration_s=0)
    trace.tool_use("c7", "query_metrics", {})
    assert [call.tool_class for call in calls(trace)][-3:] == ["verify", "edit", "metrics"]


def test_a_deployment_that_failed_is_nothing_to_verify(tmp_path: Path) -> None:
    trace = writer(tmp_path)
    trace.tool_use("c1", "deploy", {})
    trace.tool_result("c1", "deploy", Answer(text="x", is_error=True), duration_s=0)
    trace.tool_use("c2", "query_metrics", {})
    assert [call.tool_class for call in calls(trace)] == ["deploy", "metrics"]


def test_the_document_names_every_tool() -> None:
    text = DOC.read_text()
    assert [name for name in TOOL_NAMES if f"`{name}`" not in text] == []


def calls(trace: TraceWriter) -> list[ToolUse]:
    return [event for event in trace.document().events if isinstance(event, ToolUse)]
