import pytest

from campaign.supervisor.reasons import starved_of_connections, why

SYNTAX = [
    "Traceback (most recent call last):",
    '  File "/srv/app/main.py", line 3, in <module>',
    "    import chat",
    '  File "/srv/app/chat.py", line 12',
    "    def x(:",
    "          ^",
    "SyntaxError: invalid syntax",
]


@pytest.mark.parametrize(
    "line",
    [
        "asyncpg.exceptions.TooManyConnectionsError: sorry, too many clients already",
        "FATAL:  remaining connection slots are reserved for non-replication superuser connections",
        'FATAL:  too many connections for role "chat"',
    ],
)
def test_every_way_of_saying_that_no_connection_is_left_is_understood(line: str) -> None:
    assert starved_of_connections(["starting", line, "bye"])


def test_other_complaints_are_not_about_connections() -> None:
    assert not starved_of_connections(["connection refused", "too many open files"])


def test_a_traceback_is_told_by_its_last_line_and_innermost_place() -> None:
    assert why("exited with code 1", SYNTAX) == (
        "exited with code 1: SyntaxError: invalid syntax (chat.py, line 12)"
    )


def test_without_a_traceback_the_last_lines_are_quoted() -> None:
    lines = ["one", "two", "", "three", "four"]
    assert why("exited with code 3", lines) == (
        "exited with code 3; last log lines: two | three | four"
    )


def test_silence_is_told_as_such() -> None:
    assert why("was ended by SIGKILL", []) == "was ended by SIGKILL; no output"
