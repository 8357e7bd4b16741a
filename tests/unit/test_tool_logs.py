from __future__ import annotations

from operators.toolbox.instruments import LogQuery

from tests.toolbox_kit import Bench, Panel, full_toolbox

NOW = 1_700_000_000.0


async def test_lines_are_asked_for_as_the_caller_says_and_shown_as_they_are() -> None:
    panel = Panel(answers=[['{"level": "error"}\n', "second"]])
    answer = await full_toolbox(Bench(at=NOW), panel).call(
        "read_logs",
        {"lines": 5, "level": "error", "contains": "x", "since": "-5m", "until": "now"},
    )
    assert answer.text == '{"level": "error"}\nsecond\n(2 lines of the app\'s)'
    assert panel.asked == [
        LogQuery(lines=5, level="error", contains="x", since=NOW - 300, until=NOW)
    ]


async def test_without_arguments_it_is_the_last_hundred_of_the_app() -> None:
    panel = Panel(answers=[[], []])
    tools = full_toolbox(Bench(), panel)
    assert "no lines match" in (await tools.call("read_logs", {})).text
    await tools.call("read_logs", {"source": "database"})
    assert panel.asked == [LogQuery(), LogQuery(source="database")]


async def test_of_very_much_the_newest_is_shown() -> None:
    lines = [f"{number} " + "x" * 100_000 for number in range(100)]
    answer = await full_toolbox(Bench(), Panel(answers=[lines])).call("read_logs", {})
    assert len(answer.text) < 31_000
    assert answer.text.startswith("[cut: the last 30000 of ")
    assert "\n99 xxx" in answer.text
    assert answer.text.endswith("… [100003 characters]\n(100 lines of the app's)")


async def test_wrong_bounds_are_refused() -> None:
    panel = Panel()
    tools = full_toolbox(Bench(at=NOW), panel)
    for arguments, said in (
        ({"since": "now", "until": "-5m"}, "until is not after since"),
        ({"since": "last week"}, "since: 'last week' is no time"),
        ({"level": "fatal"}, "level: Input should be 'debug'"),
        ({"source": "/etc/passwd"}, "source: Input should be 'app' or 'database'"),
        ({"lines": 0}, "lines: Input should be greater"),
    ):
        answer = await tools.call("read_logs", arguments)
        assert answer.is_error
        assert said in answer.text
    assert panel.asked == []
