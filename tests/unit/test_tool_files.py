from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from operators import Answer, Toolbox

from campaign.model import AccessRefused, CommandResult
from tests.toolbox_kit import ASSIGNMENT, Bench

LINES = "".join(f"line {number}\n" for number in range(1, 11))


@dataclass(frozen=True)
class Folder:
    """A sandbox without walls: what really runs, in a folder of the test's."""

    path: Path
    #: more than this of an output is not kept, as in the real one
    kept_bytes: int = 64 * 1024

    async def run(self, argv: tuple[str, ...], *, stdin: bytes = b"") -> CommandResult:
        done = await asyncio.to_thread(
            subprocess.run,
            argv,
            input=stdin,
            cwd=self.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        output = done.stdout[-self.kept_bytes :].decode(errors="replace")
        return CommandResult(exit_code=done.returncode, output=output)


class Place:
    """A workspace with a secret beside it."""

    def __init__(self, root: Path) -> None:
        self.app = root / "app"
        self.app.mkdir()
        self.secret = root / "secret.txt"
        self.secret.write_text("the profile\n")
        (root / "app-too").mkdir()
        (root / "app-too" / "x").write_text("a neighbour\n")
        self.bench = Bench()
        equipment = replace(self.bench.equipment, sandbox=Folder(self.app))
        self.tools = Toolbox(equipment, ASSIGNMENT, self.bench)

    async def edit(self, command: str, path: str, **more: Any) -> Answer:
        asked = {"command": command, "path": path, **more}
        return await self.tools.call("str_replace_based_edit_tool", asked)

    async def search(self, pattern: str, **more: Any) -> Answer:
        return await self.tools.call("search_files", {"pattern": pattern, **more})

    async def done(self, command: str, path: str, **more: Any) -> str:
        answer = await self.edit(command, path, **more)
        assert not answer.is_error, answer.text
        return answer.text

    async def refused(self, command: str, path: str, **more: Any) -> str:
        answer = await self.edit(command, path, **more)
        assert answer.is_error, answer.text
        assert str(self.app) not in answer.text
        assert not self.bench.actions[-1].edit
        return answer.text

    @property
    def access_refused(self) -> list[str]:
        return [event.what for event in self.bench.events if isinstance(event, AccessRefused)]


@pytest.fixture(name="place")
def make_place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# -- view ----------------------------------------------------------------------------------------


async def test_a_file_is_shown_with_its_lines_numbered(place: Place) -> None:
    (place.app / "main.py").write_text("import os\n\nprint(1)")
    expected = "     1\timport os\n     2\t\n     3\tprint(1)"
    assert await place.done("view", "main.py") == expected
    assert await place.done("view", "/srv/app/main.py") == expected
    assert await place.done("view", "./pkg/../main.py") == expected


@pytest.mark.parametrize(
    ("span", "first", "last"), [([2, 3], 2, 3), ([9, -1], 9, 10), ([9, 500], 9, 10), ([1, 1], 1, 1)]
)
async def test_a_range_of_lines_counts_from_one_and_minus_one_is_the_end(
    place: Place, span: list[int], first: int, last: int
) -> None:
    (place.app / "a").write_text(LINES)
    shown = (await place.done("view", "a", view_range=span)).splitlines()
    assert shown[0] == f"{first:6d}\tline {first}"
    assert shown[-1] == f"{last:6d}\tline {last}"


@pytest.mark.parametrize("span", [[0, 3], [11, 12], [5, 4], [-1, 3], [1, -2]])
async def test_a_range_that_is_none_says_how_many_lines_there_are(
    place: Place, span: list[int]
) -> None:
    (place.app / "a").write_text(LINES)
    assert "/srv/app/a has 10 lines" in await place.refused("view", "a", view_range=span)


async def test_a_folder_is_listed_two_levels_deep_without_what_is_hidden(place: Place) -> None:
    for path in ("b/c/d/e.py", ".git/config", "node_modules/x.js", "__pycache__/x.pyc", "a.py"):
        (place.app / path).parent.mkdir(parents=True, exist_ok=True)
        (place.app / path).write_text("x")
    listed = (await place.done("view", "/srv/app")).splitlines()[1:]
    assert listed == ["/srv/app/a.py", "/srv/app/b/", "/srv/app/b/c/"]
    assert await place.done("view", ".") == await place.done("view", "/srv/app/")
    assert "for files only" in await place.refused("view", "b", view_range=[1, 2])


async def test_a_folder_of_very_many_files_is_cut_and_says_so(place: Place) -> None:
    for number in range(700):
        (place.app / f"f{number:04d}").touch()
    assert "[cut: 200 more" in await place.done("view", ".")


async def test_a_long_file_is_cut_at_a_line_and_says_how_to_go_on(place: Place) -> None:
    (place.app / "long").write_text("".join(f"{'é' * 60} {n}\n" for n in range(5_000)))
    shown = await place.done("view", "long")
    assert len(shown.encode()) < 60_000
    *_, last, note = shown.splitlines()
    after = int(last.split("\t")[0]) + 1
    assert f"[cut before line {after} of 5000: go on with view_range [{after}, 5000]]" == note
    again = await place.done("view", "long", view_range=[after, 5_000])
    assert again.startswith(f"{after:6d}\t")


@pytest.mark.parametrize("line", ["\x01" * 3_000_000, "\U0001f600" * 700_000, '"\\' * 1_000_000])
async def test_one_endless_line_is_cut_whatever_it_is_made_of(place: Place, line: str) -> None:
    (place.app / "x").write_text(line)
    shown = await place.done("view", "x")
    assert len(shown) < 3_000
    assert shown.endswith(f"[{len(line)} characters]")


async def test_an_empty_file_says_that_it_is(place: Place) -> None:
    (place.app / "empty").touch()
    assert await place.done("view", "empty") == "/srv/app/empty is empty"


async def test_binary_and_huge_files_are_not_shown_but_told_of(place: Place) -> None:
    (place.app / "b.bin").write_bytes(b"\x7fELF\0\0")
    (place.app / "big").write_bytes(b"x" * (5 << 20))
    assert "binary file of 6 bytes; use bash" in await place.refused("view", "b.bin")
    assert "more than 4194304 bytes" in await place.refused("view", "big")


async def test_a_pipe_does_not_make_anybody_wait(place: Place) -> None:
    os.mkfifo(place.app / "pipe")
    assert "no regular file" in await place.refused("view", "pipe")
    assert "no regular file" in await place.refused("create", "pipe", file_text="x")


async def test_what_is_not_there_is_said_to_be_missing(place: Place) -> None:
    assert await place.refused("view", "nope.py") == (
        "nope.py does not exist; view /srv/app lists what is there"
    )


async def test_text_in_another_encoding_is_shown_and_kept_byte_for_byte(place: Place) -> None:
    (place.app / "latin").write_bytes(b"caf\xe9\nprice\n")
    assert "     2\tprice" in await place.done("view", "latin")
    await place.done("str_replace", "latin", old_str="price", new_str="cost")
    assert (place.app / "latin").read_bytes() == b"caf\xe9\ncost\n"


# -- create --------------------------------------------------------------------------------------


async def test_a_new_file_is_made_with_its_folders(place: Place) -> None:
    said = await place.done("create", "a/b/new.py", file_text="x = 1\n")
    assert said == "/srv/app/a/b/new.py was created: 1 lines"
    assert (place.app / "a/b/new.py").read_text() == "x = 1\n"
    (action,) = place.bench.actions
    assert action.edit
    assert action.diff == "--- /dev/null\n+++ b/a/b/new.py\n@@ -0,0 +1 @@\n+x = 1\n"


async def test_an_existing_file_is_written_over_and_keeps_its_mode(place: Place) -> None:
    script = place.app / "run.sh"
    script.write_text("old\n")
    script.chmod(0o755)
    assert "was overwritten" in await place.done("create", "run.sh", file_text="new\n")
    assert (script.read_text(), stat.S_IMODE(script.stat().st_mode)) == ("new\n", 0o755)
    assert place.bench.actions[0].diff.endswith("@@ -1 +1 @@\n-old\n+new\n")
    assert [path.name for path in place.app.iterdir()] == ["run.sh"]


async def test_the_same_content_again_is_no_edit(place: Place) -> None:
    (place.app / "a").write_text("x\n")
    await place.done("create", "a", file_text="x\n")
    assert not place.bench.actions[0].edit


async def test_a_folder_is_no_file_to_be_written(place: Place) -> None:
    (place.app / "pkg").mkdir()
    (place.app / "f").touch()
    assert "is a folder" in await place.refused("create", "pkg", file_text="x")
    assert "is a folder" in await place.refused("create", ".", file_text="x")
    assert "Not a directory" in await place.refused("create", "f/inner.py", file_text="x")


async def test_two_megabytes_are_written_and_more_are_refused(place: Place) -> None:
    await place.done("create", "large", file_text="x" * 2_000_000)
    assert (place.app / "large").stat().st_size == 2_000_000
    said = await place.refused("create", "larger", file_text="x" * 10_000_000)
    assert "file_text: String should have at most 2000000 characters" in said
    assert len(said) < 500
    assert not (place.app / "larger").exists()


# -- str_replace ---------------------------------------------------------------------------------


async def test_exactly_one_match_is_replaced_and_its_surroundings_are_shown(place: Place) -> None:
    (place.app / "a").write_text(LINES)
    said = await place.done("str_replace", "a", old_str="line 5\n", new_str="five\nand a half\n")
    assert said.startswith("/srv/app/a was edited. Lines 1 to 11 now:\n     1\tline 1\n")
    assert "     5\tfive\n     6\tand a half\n     7\tline 6" in said
    diff = place.bench.actions[0].diff
    assert diff.startswith("--- a/a\n+++ b/a\n@@ -2,7 +2,8 @@\n line 2\n")
    assert "\n-line 5\n+five\n+and a half\n line 6\n" in diff


async def test_a_missing_new_str_deletes(place: Place) -> None:
    (place.app / "a").write_text("keep\ndrop\n")
    await place.done("str_replace", "a", old_str="drop\n")
    assert (place.app / "a").read_text() == "keep\n"


async def test_several_matches_are_refused_with_their_lines(place: Place) -> None:
    (place.app / "a").write_text("x\ny\nx\n")
    said = await place.refused("str_replace", "a", old_str="x", new_str="z")
    assert "occurs 2 times in /srv/app/a (at lines 1, 3)" in said
    assert (place.app / "a").read_text() == "x\ny\nx\n"


@pytest.mark.parametrize(
    ("content", "old", "hint"),
    [
        ("a\r\nb\r\n", "a\nb", r"lines end with \r\n"),
        ("    def f():\n        pass\n", "def f():\n  pass", "white space, or the rest differs"),
        ("a\n", "b", "copy the text exactly"),
    ],
)
async def test_no_match_is_refused_with_what_may_be_wrong(
    place: Place, content: str, old: str, hint: str
) -> None:
    (place.app / "a").write_bytes(content.encode())
    said = await place.refused("str_replace", "a", old_str=old, new_str="z")
    assert "old_str does not occur in /srv/app/a; nothing was changed" in said
    assert hint in said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "str_replace needs old_str"),
        ({"old_str": "", "new_str": "x"}, "old_str is empty"),
        ({"old_str": "x", "new_str": "x"}, "nothing would change"),
    ],
)
async def test_a_replacement_of_nothing_is_refused(
    place: Place, more: dict[str, str], said: str
) -> None:
    (place.app / "a").write_text("x")
    assert said in await place.refused("str_replace", "a", **more)


async def test_windows_line_ends_and_a_missing_last_one_stay_as_they_are(place: Place) -> None:
    (place.app / "a").write_bytes(b"one\r\ntwo\r\nthree")
    await place.done("str_replace", "a", old_str="two", new_str="2")
    assert (place.app / "a").read_bytes() == b"one\r\n2\r\nthree"
    assert "\\ No newline at end of file\n" in place.bench.actions[0].diff


async def test_a_diff_that_is_cut_is_on_record_as_cut(place: Place) -> None:
    text = "".join(f"line {number}\n" for number in range(100_000))
    created = await place.edit("create", "big.txt", file_text=text)
    small = await place.edit("create", "small.txt", file_text="x\n")
    assert not created.is_error
    assert not small.is_error
    assert [action.diff_cut for action in place.bench.actions] == [True, False]


async def test_a_diff_of_a_very_long_file_is_one_hunk_that_git_takes(place: Place) -> None:
    before = "".join(f"{number}\n" for number in range(20_000))
    (place.app / "a").write_text(before)
    await place.done("str_replace", "a", old_str="\n10000\n", new_str="\nten\nthousand\n")
    after = (place.app / "a").read_text()
    (place.app / "a").write_text(before)
    diff = place.bench.actions[0].diff
    applied = await Folder(place.app).run(("git", "apply", "-"), stdin=diff.encode())
    assert applied.exit_code == 0, applied.output
    assert (place.app / "a").read_text() == after


# -- insert --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "expected"), [(0, "new\na\nb\n"), (1, "a\nnew\nb\n"), (2, "a\nb\nnew\n")]
)
async def test_lines_are_inserted_after_a_line(place: Place, after: int, expected: str) -> None:
    (place.app / "f").write_text("a\nb\n")
    await place.done("insert", "f", insert_line=after, insert_text="new")
    assert (place.app / "f").read_text() == expected


async def test_the_older_name_of_the_inserted_text_is_understood(place: Place) -> None:
    (place.app / "f").write_text("a")
    await place.done("insert", "f", insert_line=1, new_str="b\n")
    assert (place.app / "f").read_text() == "a\nb\n"


async def test_an_insertion_behind_the_end_says_how_long_the_file_is(place: Place) -> None:
    (place.app / "f").write_text("a\nb\n")
    said = await place.refused("insert", "f", insert_line=3, insert_text="x")
    assert "has 2 lines; it must be in 0..2" in said
    said = await place.refused("insert", "f", insert_line=-1, insert_text="x")
    assert "insert_line: Input should be greater than or equal to 0" in said
    assert "insert needs insert_line and insert_text" in await place.refused("insert", "f")


async def test_only_newlines_part_lines(place: Place) -> None:
    (place.app / "f").write_bytes("a\x0cb\u2028c\n2\n".encode())
    await place.done("insert", "f", insert_line=1, insert_text="x")
    assert (place.app / "f").read_bytes() == "a\x0cb\u2028c\nx\n2\n".encode()


# -- the way out ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "/etc/passwd",
        "/srv/app/../secret.txt",
        "/srv/app/../../etc/passwd",
        "/srv/application",
        "/srv",
        "/",
        "//etc/passwd",
        "../app-too/x",
        "a/../../secret.txt",
        "link",
        "folder/secret.txt",
        "hop",
        "dangling",
        "folder/new/er.txt",
        "/proc/self/environ",
        "/dev/stdin",
    ],
)
async def test_no_path_leads_out_of_the_workspace(place: Place, path: str) -> None:
    (place.app / "link").symlink_to(place.secret)
    (place.app / "folder").symlink_to(place.app.parent)
    (place.app / "hop").symlink_to("link")
    (place.app / "dangling").symlink_to("/nowhere/new.txt")
    for command, more in (("view", {}), ("create", {"file_text": "x"})):
        said = await place.refused(command, path, **more)
        assert f"{path} is outside of /srv/app" in said
        assert "the profile" not in said
    assert place.secret.read_text() == "the profile\n"
    assert len(place.access_refused) == 2
    assert place.access_refused[0].startswith("str_replace_based_edit_tool: ")


async def test_no_other_command_follows_a_link_out(place: Place) -> None:
    (place.app / "link").symlink_to(place.secret)
    await place.refused("str_replace", "link", old_str="the profile", new_str="mine")
    await place.refused("insert", "link", insert_line=0, insert_text="x")
    assert (await place.search("profile", path="link")).is_error
    assert place.secret.read_text() == "the profile\n"
    assert len(place.access_refused) == 3


async def test_the_workspaces_own_real_path_is_no_way_to_name_it(place: Place) -> None:
    (place.app / "a").write_text("x")
    answer = await place.edit("view", str(place.app / "a"))
    assert answer.is_error


async def test_links_inside_are_followed_and_stay_links(place: Place) -> None:
    (place.app / "real.py").write_text("x = 1\n")
    (place.app / "alias.py").symlink_to("real.py")
    assert "x = 1" in await place.done("view", "alias.py")
    await place.done("str_replace", "alias.py", old_str="1", new_str="2")
    assert (place.app / "alias.py").is_symlink()
    assert (place.app / "real.py").read_text() == "x = 2\n"


async def test_links_in_circles_are_an_error(place: Place) -> None:
    (place.app / "a").symlink_to("b")
    (place.app / "b").symlink_to("a")
    await place.refused("view", "a")
    await place.refused("create", "a", file_text="x")


@pytest.mark.parametrize("path", ["a\0b", "\ud800", "", "x" * 5_000])
async def test_a_path_that_is_none_is_refused_before_anything_runs(place: Place, path: str) -> None:
    said = await place.refused("create", path, file_text="x")
    assert "path" in said
    assert list(place.app.iterdir()) == []


async def test_a_name_that_is_too_long_for_the_system_is_told_in_its_words(place: Place) -> None:
    assert "File name too long" in await place.refused("create", "x" * 300, file_text="x")


async def test_modules_of_the_workspace_are_not_what_python_imports(place: Place) -> None:
    for name in ("json", "os", "re", "signal", "sitecustomize"):
        (place.app / f"{name}.py").write_text("raise SystemExit('mine')")
    (place.app / "a").write_text("x")
    assert "     1\tx" in await place.done("view", "a")


# -- search --------------------------------------------------------------------------------------


async def test_matches_are_told_by_file_and_line(place: Place) -> None:
    (place.app / "pkg").mkdir()
    (place.app / "pkg" / "b.py").write_text("x\ndef run():\n")
    (place.app / "a.py").write_text("def run_it():\n")
    (place.app / "c.txt").write_text("def run():\n")
    found = await place.search(r"def \w+\(", glob="*.py")
    assert found.text == "/srv/app/a.py:1: def run_it():\n/srv/app/pkg/b.py:2: def run():"
    assert (await place.search("def", path="pkg")).text == "/srv/app/pkg/b.py:2: def run():"
    assert (await place.search("def", path="c.txt")).text == "/srv/app/c.txt:1: def run():"
    assert (await place.search("nothing")).text == "no match"


async def test_a_search_does_not_follow_links_or_show_binary_files(place: Place) -> None:
    (place.app / "link").symlink_to(place.secret)
    (place.app / "folder").symlink_to(place.app.parent)
    (place.app / "b.bin").write_bytes(b"the profile\0")
    assert (await place.search("the profile")).text == "no match"


async def test_very_many_matches_are_cut_and_say_so(place: Place) -> None:
    (place.app / "a").write_text("match\n" * 5_000)
    found = (await place.search("match", max_results=3)).text.splitlines()
    assert len(found) == 4
    assert found[-1].startswith("[cut after 3 matches")
    (place.app / "b").write_text(("m" * 400 + "\n") * 5_000)
    text = (await place.search("m", max_results=1_000)).text
    assert len(text) < 60_000
    assert "[cut after" in text


async def test_a_pattern_that_is_none_is_refused(place: Place) -> None:
    answer = await place.search("(")
    assert answer.is_error
    assert "no regular expression" in answer.text


@dataclass(frozen=True)
class Hasty(Folder):
    """Where a second is all that there is."""

    async def run(self, argv: tuple[str, ...], *, stdin: bytes = b"") -> CommandResult:
        *command, script = argv
        hasty = script.replace("MAX_SECONDS = 25", "MAX_SECONDS = 1")
        assert hasty != script
        return await super().run((*command, hasty), stdin=stdin)


async def test_a_pattern_that_never_ends_is_ended(place: Place) -> None:
    (place.app / "a").write_text("a" * 100 + "b\n")
    equipment = replace(place.bench.equipment, sandbox=Hasty(place.app))
    tools = Toolbox(equipment, ASSIGNMENT, place.bench)
    answer = await tools.call("search_files", {"pattern": "(a+)+$"})
    assert answer.is_error
    assert "it took more than 1 s and was ended" in answer.text


@pytest.mark.parametrize("number", [2**62, 10**5_000], ids=["large", "larger"])
async def test_numbers_without_end_are_the_callers_mistake(place: Place, number: int) -> None:
    (place.app / "a").write_text("x\n")
    await place.refused("insert", "a", insert_line=number, insert_text="x")
    await place.refused("view", "a", view_range=[number, number])


async def test_searching_what_is_not_there_is_an_error(place: Place) -> None:
    answer = await place.search("x", path="nope")
    assert (answer.is_error, "nope does not exist" in answer.text) == (True, True)


# -- the sandbox itself --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "result",
    [
        CommandResult(exit_code=1, output="bwrap: Can't chdir to /runs/c1/workspace"),
        CommandResult(exit_code=0, output="not json"),
        CommandResult(exit_code=0, output="[1]"),
        CommandResult(exit_code=124, output="{}"),
    ],
)
async def test_a_sandbox_that_does_not_work_tells_nothing_of_the_machine(
    result: CommandResult,
) -> None:
    bench = Bench(answers=[result])
    asked = {"command": "view", "path": "a"}
    answer = await Toolbox(bench.equipment, ASSIGNMENT, bench).call(
        "str_replace_based_edit_tool", asked
    )
    assert answer.is_error
    assert "runs/c1" not in answer.text
    assert "bash" in answer.text


async def test_noise_before_the_answer_is_passed_over() -> None:
    printed = "warning: locale\n" + json.dumps({"text": "fine\nreally"}) + "\n"
    bench = Bench(answers=[CommandResult(exit_code=0, output=printed)])
    asked = {"command": "view", "path": "a"}
    tools = Toolbox(bench.equipment, ASSIGNMENT, bench)
    assert (await tools.call("str_replace_based_edit_tool", asked)).text == "fine\nreally"
    assert bench.commands[0][:3] == ("python3", "-I", "-c")
