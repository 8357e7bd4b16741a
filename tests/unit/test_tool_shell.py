from __future__ import annotations

from operators import ToolError

from campaign.model import CommandResult
from tests.toolbox_kit import Bench, Panel, full_toolbox

FINE = CommandResult(exit_code=0, output="fine\n")


async def test_a_command_is_given_to_the_shell_with_its_time() -> None:
    bench, panel = Bench(), Panel(answers=[FINE, FINE])
    tools = full_toolbox(bench, panel)
    answer = await tools.call("bash", {"command": "ls\npwd"})
    assert (answer.text, answer.exit_code, answer.is_error) == ("fine\n[exit code 0]", 0, False)
    await tools.call("bash", {"command": "make", "timeout_s": 600})
    assert panel.asked == [("ls\npwd", 60.0), ("make", 600.0)]


async def test_a_command_that_says_nothing_still_has_an_exit_code() -> None:
    panel = Panel(answers=[CommandResult(exit_code=1, output="")])
    answer = await full_toolbox(Bench(), panel).call("bash", {"command": "false"})
    assert (answer.text, answer.exit_code, answer.is_error) == ("[exit code 1]", 1, False)


async def test_a_restart_comes_before_the_command_or_stands_alone() -> None:
    panel = Panel(answers=[FINE])
    tools = full_toolbox(Bench(), panel)
    assert "anew" in (await tools.call("bash", {"restart": True})).text
    await tools.call("bash", {"restart": True, "command": "ls"})
    assert panel.asked == ["restart", "restart", ("ls", 60.0)]


async def test_a_command_that_changes_nothing_is_no_edit() -> None:
    bench, panel = Bench(trees=["t1"]), Panel(answers=[FINE])
    await full_toolbox(bench, panel).call("bash", {"command": "ls"})
    assert (bench.actions[0].edit, bench.actions[0].diff) == (False, "")


async def test_a_command_that_took_too_long_tells_what_it_printed_and_what_it_changed() -> None:
    bench = Bench(trees=["t1", "t2"])
    panel = Panel(answers=[ToolError("x" * 100_000 + "\n[took longer than 60 s: ended]")])
    answer = await full_toolbox(bench, panel).call("bash", {"command": "sleep 99"})
    assert answer.is_error
    assert answer.text.endswith("[took longer than 60 s: ended]")
    assert len(answer.text) < 31_000
    (action,) = bench.actions
    assert (action.edit, action.diff, action.exit_code) == (True, "diff t1 t2\n", None)


async def test_files_that_become_unfit_for_a_deployment_are_an_edit_too() -> None:
    bench, panel = Bench(trees=["t1", None, None, None, "t1"]), Panel(answers=[FINE, FINE, FINE])
    tools = full_toolbox(bench, panel)
    await tools.call("bash", {"command": "ln -s / root"})
    await tools.call("bash", {"command": "ls"})
    assert [action.edit for action in bench.actions] == [True, False]
    assert "not fit for a deployment any more" in bench.actions[0].diff
    await tools.call("bash", {"command": "rm root"})
    assert "fit for a deployment again" not in bench.actions[0].diff


async def test_output_that_no_journal_takes_is_made_plain() -> None:
    panel = Panel(answers=[CommandResult(exit_code=0, output="a\0b\ud800c")])
    answer = await full_toolbox(Bench(), panel).call("bash", {"command": "cat /dev/zero"})
    assert answer.text == "a\N{REPLACEMENT CHARACTER}b?c\n[exit code 0]"
