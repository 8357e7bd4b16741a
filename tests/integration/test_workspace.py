from __future__ import annotations

import asyncio
import os
import pwd
import re
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from campaign.adapters.workspace import (
    Bounds,
    DivergedError,
    GitFailedError,
    NoWorkspaceError,
    OutsideLinkError,
    TagTakenError,
    TooLargeError,
    UnfitTreeError,
    UnknownRevisionError,
    UnreadableFileError,
    Workspace,
)
from campaign.supervisor.tree import tree_hash

_ROOT = os.geteuid() == 0
_AT = 1_700_000_000.75


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """The source of a small app, with what must be left out of it."""
    source = tmp_path / "app"
    (source / "tests" / "__pycache__").mkdir(parents=True)
    (source / "tests" / "__pycache__" / "test_main.pyc").write_bytes(b"\0")
    (source / ".pytest_cache").mkdir()
    (source / ".pytest_cache" / "README.md").touch()
    (source / "main.py").write_text("print('hello')\n")
    (source / "tests" / "test_main.py").write_text("assert True\n")
    (source / "start.sh").write_text("#!/bin/sh\n")
    (source / "start.sh").chmod(0o755)
    return source


@pytest.fixture
async def workspace(tmp_path: Path, app: Path) -> Workspace:
    made = Workspace(tmp_path / "run")
    await made.create(app)
    return made


def _names(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }


async def _exported(workspace: Workspace, dest: Path) -> Path:
    """The present files, as they would be deployed."""
    commit = await workspace.commit_object("as it is", at=_AT)
    return await workspace.export(commit.sha, dest)


# --- history -----------------------------------------------------------------------------------


async def test_the_work_tree_is_a_copy_of_the_app_without_caches(workspace: Workspace) -> None:
    assert {"main.py", "start.sh", "tests/test_main.py"} == _names(workspace.path)
    assert os.access(workspace.path / "start.sh", os.X_OK)
    assert not (workspace.path / ".git").exists()


async def test_the_files_belong_to_the_operators_user(workspace: Workspace) -> None:
    expected = pwd.getpwnam("daemon").pw_uid if _ROOT else os.geteuid()
    paths = [workspace.path, *workspace.path.rglob("*")]
    assert {expected} == {path.lstat().st_uid for path in paths}
    assert os.geteuid() == workspace.git_dir.stat().st_uid
    assert stat.S_IMODE(workspace.git_dir.stat().st_mode) == 0o700


async def test_creating_twice_changes_nothing(workspace: Workspace, app: Path) -> None:
    first = await workspace.head()
    (workspace.path / "main.py").write_text("edited\n")
    assert first == await workspace.create(app)
    assert (workspace.path / "main.py").read_text() == "edited\n"


async def test_creation_that_was_cut_short_is_done_again(
    tmp_path: Path, app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(tmp_path / "run")

    async def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "_fill", crash)
        with pytest.raises(KeyboardInterrupt):
            await workspace.create(app)
    with pytest.raises(NoWorkspaceError):
        await workspace.head()
    await workspace.create(app)
    assert "main.py" in _names(workspace.path)


async def test_the_same_app_has_the_same_first_revision_in_every_campaign(
    workspace: Workspace, tmp_path: Path, app: Path
) -> None:
    assert await workspace.first() == await Workspace(tmp_path / "other").create(app)


async def test_before_creation_there_is_no_head(tmp_path: Path) -> None:
    with pytest.raises(NoWorkspaceError):
        await Workspace(tmp_path).head()


async def test_a_commit_object_shows_nowhere_until_it_is_adopted(workspace: Workspace) -> None:
    first = await workspace.head()
    (workspace.path / "main.py").write_text("print('bye')\n")
    commit = await workspace.commit_object("Say bye", at=_AT)
    assert (first, False) == (commit.parent, commit.unchanged)
    assert first == await workspace.head()

    await workspace.adopt(commit.sha)
    await workspace.adopt(commit.sha)
    assert commit.sha == await workspace.head()
    assert first == await workspace.first()
    assert [first, commit.sha] == [one.sha for one in await workspace.commits()]
    assert commit == (await workspace.commits())[1]


async def test_adopting_what_is_in_the_history_does_not_go_back(workspace: Workspace) -> None:
    first = await workspace.head()
    commit = await workspace.commit_object("next", at=_AT)
    await workspace.adopt(commit.sha)
    await workspace.adopt(first)
    assert commit.sha == await workspace.head()


async def test_a_commit_that_was_overtaken_cannot_be_adopted(workspace: Workspace) -> None:
    overtaken = await workspace.commit_object("one", at=_AT)
    other = await workspace.commit_object("other", at=_AT)
    await workspace.adopt(other.sha)
    with pytest.raises(DivergedError, match=overtaken.sha):
        await workspace.adopt(overtaken.sha)


async def test_an_unchanged_tree_can_be_committed_and_is_marked(workspace: Workspace) -> None:
    commit = await workspace.commit_object("again", at=_AT)
    assert commit.unchanged
    assert commit.sha != commit.parent
    await workspace.adopt(commit.sha)
    assert [one.unchanged for one in await workspace.commits()] == [False, True]


async def test_the_author_is_ratchet_and_the_date_is_the_one_given(workspace: Workspace) -> None:
    message = "Zwei\n\nZeilen \x1f und ein é"
    commit = await workspace.commit_object(message, at=_AT)
    await workspace.adopt(commit.sha)
    raw = _git(workspace, "cat-file", "commit", commit.sha)
    assert "author Ratchet <ratchet@localhost> 1700000000 +0000" in raw
    assert "committer Ratchet <ratchet@localhost> 1700000000 +0000" in raw
    assert message == (await workspace.commits())[1].message


async def test_a_message_of_any_text_is_accepted(workspace: Workspace) -> None:
    for message in ("", "nul \0 and half \ud800", "--amend", "# comment"):
        await workspace.adopt((await workspace.commit_object(message, at=0)).sha)
    messages = [commit.message for commit in await workspace.commits()][1:]
    assert messages == ["", "nul  and half ?", "--amend", "# comment"]


async def test_files_that_come_go_move_and_change_are_committed(workspace: Workspace) -> None:
    (workspace.path / "main.py").rename(workspace.path / "app.py")
    (workspace.path / "tests" / "test_main.py").unlink()
    (workspace.path / "start.sh").chmod(0o644)
    (workspace.path / "new" / "deep").mkdir(parents=True)
    (workspace.path / "new" / "deep" / "one.py").touch()
    first = await workspace.head()
    commit = await workspace.commit_object("all kinds", at=_AT)
    diff = await workspace.diff(first, commit.sha)
    for expected in (
        "deleted file mode 100644",
        "new file mode 100644",
        "old mode 100755",
        "--- a/main.py",
        "+++ b/app.py",
        "b/new/deep/one.py",
    ):
        assert expected in diff


async def test_the_present_tree_tells_whether_anything_was_edited(workspace: Workspace) -> None:
    before = await workspace.present_tree()
    (workspace.path / "main.py").touch()
    (workspace.path / "__pycache__").mkdir()
    (workspace.path / "__pycache__" / "main.pyc").touch()
    assert before == await workspace.present_tree()
    (workspace.path / "main.py").write_text("print('edited')\n")
    after = await workspace.present_tree()
    assert "+print('edited')" in await workspace.diff(before, after)


async def test_a_tag_is_for_good(workspace: Workspace) -> None:
    first = await workspace.first()
    other = await workspace.commit_object("other", at=_AT)
    assert await workspace.tagged("trial-1") is None
    await workspace.tag("trial-1", first)
    await workspace.tag("trial-1", first)
    assert first == await workspace.tagged("trial-1")
    with pytest.raises(TagTakenError, match="trial-1"):
        await workspace.tag("trial-1", other.sha)
    with pytest.raises(GitFailedError):
        await workspace.tag("no..name", first)


@pytest.mark.parametrize("revision", ["main", "HEAD~1", "--help", "", "f" * 40, "0" * 39])
async def test_only_full_shas_of_commits_are_revisions(
    workspace: Workspace, tmp_path: Path, revision: str
) -> None:
    for refused in (
        workspace.adopt(revision),
        workspace.export(revision, tmp_path / "out"),
        workspace.tag("name", revision),
        workspace.reset_to(revision),
        workspace.source_hash(revision),
    ):
        with pytest.raises(UnknownRevisionError):
            await refused


async def test_diff_takes_no_options(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UnknownRevisionError):
        await workspace.diff(await workspace.head(), f"--output={tmp_path}/stolen")


# --- export and reset --------------------------------------------------------------------------


async def test_an_export_is_whole_read_only_and_done_once(
    workspace: Workspace, tmp_path: Path
) -> None:
    dest = tmp_path / "deployments" / "1"
    first = await workspace.first()
    assert dest == await workspace.export(first, dest)
    assert _names(workspace.path) == _names(dest)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in dest.rglob("*")}
    expected = {"main.py": 0o444, "start.sh": 0o555, "tests": 0o755, "test_main.py": 0o444}
    assert expected == modes
    inode = dest.stat().st_ino
    await workspace.export(first, dest)
    assert inode == dest.stat().st_ino
    assert [path.name for path in dest.parent.iterdir()] == ["1"]


async def test_what_a_crashed_export_left_is_replaced(workspace: Workspace, tmp_path: Path) -> None:
    partial = tmp_path / "deployments" / ".1.partial"
    partial.mkdir(parents=True)
    (partial / "half.py").touch()
    dest = await workspace.export(await workspace.first(), tmp_path / "deployments" / "1")
    assert _names(workspace.path) == _names(dest)


async def test_the_source_hash_is_the_supervisors(workspace: Workspace, tmp_path: Path) -> None:
    (workspace.path / "link").symlink_to("tests/test_main.py")
    (workspace.path / "naïve \n name.py").write_text("1")
    commit = await workspace.commit_object("odd", at=_AT)
    dest = await workspace.export(commit.sha, tmp_path / "out")
    assert tree_hash(dest) == await workspace.source_hash(commit.sha)


async def test_reset_makes_the_same_folder_hold_a_revision_again(workspace: Workspace) -> None:
    inode = workspace.path.stat().st_ino
    edited = await workspace.present_tree()
    (workspace.path / "main.py").unlink()
    (workspace.path / "main.py").mkdir()
    (workspace.path / "main.py" / "junk").touch()
    (workspace.path / ".hidden").touch()
    await workspace.reset_to(await workspace.first())
    assert {"main.py", "start.sh", "tests/test_main.py"} == _names(workspace.path)
    assert inode == workspace.path.stat().st_ino
    assert edited == await workspace.present_tree()
    assert list((workspace.git_dir / "scratch").iterdir()) == []
    await test_the_files_belong_to_the_operators_user(workspace)


# --- hostile work trees ------------------------------------------------------------------------


async def test_gitattributes_change_neither_commits_nor_exports_nor_diffs(
    workspace: Workspace, tmp_path: Path
) -> None:
    content = b"one\r\ntwo\n$Id$ $Format:%H$\n"
    (workspace.path / ".gitattributes").write_text(
        "[attr]evil text eol=crlf ident export-subst\n"
        "* evil filter=evil diff=evil\n"
        "main.py export-ignore -diff working-tree-encoding=UTF-16\n"
    )
    (workspace.path / "main.py").write_bytes(content)
    dest = await _exported(workspace, tmp_path / "out")
    assert content == (dest / "main.py").read_bytes()
    diff = await workspace.diff(await workspace.first(), await workspace.present_tree())
    assert "+two" in diff


async def test_a_gitignore_hides_nothing_from_a_deployment(
    workspace: Workspace, tmp_path: Path
) -> None:
    (workspace.path / ".gitignore").write_text("*\n")
    dest = await _exported(workspace, tmp_path / "out")
    assert {".gitignore", "main.py", "start.sh", "tests/test_main.py"} == _names(dest)


async def test_nested_repositories_are_plain_folders_and_run_nothing(
    workspace: Workspace, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    script = f"#!/bin/sh\ntouch {ran}\n"
    for nested in (workspace.path, workspace.path / "tests"):
        _hostile_repository(nested, script)
    dest = await _exported(workspace, tmp_path / "out")
    assert {"main.py", "start.sh", "tests/test_main.py"} == _names(dest)
    await workspace.reset_to(await workspace.first())
    assert not (workspace.path / ".git").exists()
    assert not ran.exists()


async def test_the_users_own_git_configuration_does_not_count(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    hooks = tmp_path / "home" / "hooks"
    hooks.mkdir(parents=True)
    (hooks / "reference-transaction").write_text(f"#!/bin/sh\ntouch {ran}\n")
    (hooks / "reference-transaction").chmod(0o755)
    config = f"[core]\nhooksPath = {hooks}\nautocrlf = true\n[user]\nname = Somebody\n"
    (tmp_path / "home" / ".gitconfig").write_text(config)
    for name, value in {
        "HOME": str(tmp_path / "home"),
        "GIT_AUTHOR_NAME": "Somebody",
        "GIT_INDEX_FILE": str(tmp_path / "index"),
        "GIT_WORK_TREE": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    commit = await workspace.commit_object("mine", at=_AT)
    await workspace.adopt(commit.sha)
    assert "Somebody" not in _git(workspace, "cat-file", "commit", commit.sha)
    assert not ran.exists()


@pytest.mark.parametrize(
    ("links", "named"),
    [
        ({"steal": "/etc/passwd"}, "steal"),
        ({"steal": "../workspace.git/config"}, "steal"),
        ({"tests/up": "../../app/main.py"}, "tests/up"),
        ({"here": ".", "steal": "here/../app"}, "steal"),
        ({"tests/home": "/proc/self/root"}, "tests/home"),
    ],
)
async def test_links_that_lead_outside_are_refused_by_name(
    workspace: Workspace, links: dict[str, str], named: str
) -> None:
    for name, target in links.items():
        (workspace.path / name).symlink_to(target)
    with pytest.raises(OutsideLinkError, match=f"{named} points to") as caught:
        await workspace.commit_object("steal", at=_AT)
    assert str(workspace.path) not in caught.value.reason


async def test_an_export_checks_links_too(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should one ever get into the history by another way."""
    (workspace.path / "steal").symlink_to("/etc/passwd")
    with monkeypatch.context() as patch:
        patch.setattr("campaign.adapters.workspace.files.refuse_outside_links", lambda _: None)
        commit = await workspace.commit_object("steal", at=_AT)
    with pytest.raises(OutsideLinkError, match="steal points to /etc/passwd"):
        await workspace.export(commit.sha, tmp_path / "out")
    assert not (tmp_path / "out").exists()


async def test_links_inside_stay_links(workspace: Workspace, tmp_path: Path) -> None:
    (workspace.path / "tests" / "main.py").symlink_to("../main.py")
    (workspace.path / "suite").symlink_to("tests")
    (workspace.path / "gone").symlink_to("nowhere.py")
    dest = await _exported(workspace, tmp_path / "out")
    assert (dest / "tests" / "main.py").readlink() == Path("../main.py")
    assert (dest / "suite").readlink() == Path("tests")
    assert (dest / "suite" / "main.py").read_text() == "print('hello')\n"
    assert (dest / "gone").is_symlink()


async def test_a_folder_that_becomes_a_link_is_neither_read_nor_written_through(
    workspace: Workspace, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "test_main.py").write_text("secret")
    (workspace.path / "tests" / "test_main.py").unlink()
    (workspace.path / "tests").rmdir()
    (workspace.path / "tests").symlink_to(outside)
    with pytest.raises(OutsideLinkError):
        await workspace.commit_object("steal", at=_AT)
    await workspace.reset_to(await workspace.first())
    assert (outside / "test_main.py").read_text() == "secret"
    assert (workspace.path / "tests" / "test_main.py").read_text() == "assert True\n"


async def test_files_that_change_while_they_are_read_do_no_harm(workspace: Workspace) -> None:
    """A file and a link to a secret change places all the time: a commit has either, or fails."""
    secret = workspace.path.parent / "secret"
    secret.write_text("secret")
    victim = workspace.path / "main.py"
    spare = workspace.path.parent / "spare"
    stop = asyncio.Event()

    async def swap() -> None:
        while not stop.is_set():
            spare.symlink_to(secret)
            spare.rename(victim)
            await asyncio.sleep(0)
            spare.write_text("print('hello')\n")
            spare.rename(victim)
            await asyncio.sleep(0)

    swapping = asyncio.create_task(swap())
    trees: set[str] = set()
    for _ in range(15):
        try:
            trees.add(await workspace.present_tree())
        except UnfitTreeError:
            continue
    stop.set()
    await swapping
    for tree in trees:
        assert "secret" not in await workspace.diff(await _tree(workspace), tree)


async def _tree(workspace: Workspace) -> str:
    return (await workspace.commits())[0].tree


async def test_pipes_and_sockets_are_passed_over(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(workspace.path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(workspace.path)  # a socket's address may have 108 bytes
        listener.bind("socket")
        dest = await _exported(workspace, tmp_path / "out")
    assert {"main.py", "start.sh", "tests/test_main.py"} == _names(dest)


async def test_any_name_of_a_file_survives(workspace: Workspace, tmp_path: Path) -> None:
    names = {"a\nb", '"quoted"', "-rf", "tab\there", "\udcff", "ünï", " lead", "a\x01b", ":(top)x"}
    for name in names:
        (workspace.path / name).write_text(name.encode(errors="replace").decode())
    dest = await _exported(workspace, tmp_path / "out")
    assert names < {path.name for path in dest.iterdir()}
    for name in names:
        assert (dest / name).read_text() == name.encode(errors="replace").decode()


async def test_too_many_bytes_files_or_folders_are_refused(tmp_path: Path, app: Path) -> None:
    bounds = Bounds(max_bytes=1000, max_files=20, max_depth=5)
    workspace = Workspace(tmp_path / "run", bounds=bounds)
    first = await workspace.create(app)
    with (workspace.path / "sparse").open("wb") as sparse:
        sparse.truncate(10**9)
    with pytest.raises(TooLargeError, match=r"more than 0.001 MB"):
        await workspace.commit_object("large", at=_AT)
    await workspace.reset_to(first)
    for n in range(20):
        (workspace.path / f"folder{n}").mkdir()
    with pytest.raises(TooLargeError, match="more than 20 files and folders"):
        await workspace.commit_object("many", at=_AT)
    await workspace.reset_to(first)
    (workspace.path / "1/2/3/4/5/6").mkdir(parents=True)
    with pytest.raises(TooLargeError, match="1/2/3/4/5/6"):
        await workspace.commit_object("deep", at=_AT)


async def test_a_tree_deeper_than_python_can_recurse_is_refused_and_removed(
    workspace: Workspace,
) -> None:
    script = "i=0; while [ $i -lt 1500 ]; do mkdir d && cd d || exit 1; i=$((i+1)); done"
    _run("sh", "-c", script, cwd=workspace.path)
    with pytest.raises(TooLargeError, match="nest deeper"):
        await workspace.commit_object("deep", at=_AT)
    await workspace.reset_to(await workspace.first())
    assert {"main.py", "start.sh", "tests/test_main.py"} == _names(workspace.path)


@pytest.mark.skipif(_ROOT, reason="root may read everything")
async def test_a_file_that_cannot_be_read_is_named(workspace: Workspace) -> None:
    (workspace.path / "main.py").chmod(0)
    with pytest.raises(UnreadableFileError, match=r"main.py \(Permission denied\)"):
        await workspace.commit_object("unreadable", at=_AT)


async def test_a_work_tree_that_is_gone_is_said_so_and_can_be_reset(workspace: Workspace) -> None:
    workspace.path.rename(workspace.path.with_name("elsewhere"))
    with pytest.raises(UnreadableFileError, match="No such file"):
        await workspace.commit_object("gone", at=_AT)
    await workspace.reset_to(await workspace.first())
    assert "main.py" in _names(workspace.path)


async def test_a_name_that_git_refuses_is_said_so(workspace: Workspace) -> None:
    """Git itself would leave it out of the commit without an error."""
    (workspace.path / "git~1").touch()
    with pytest.raises(UnfitTreeError, match=re.escape("git~1")):
        await workspace.commit_object("odd", at=_AT)


def _hostile_repository(folder: Path, script: str) -> None:
    """A repository in `folder` whose hooks and monitor run `script`."""
    _run("git", "init", "--quiet", str(folder), cwd=folder)
    hooks = folder / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("pre-commit", "post-checkout", "reference-transaction", "post-index-change"):
        (hooks / name).write_text(script)
        (hooks / name).chmod(0o755)
    config = f"[core]\nfsmonitor = {hooks}/pre-commit\nhooksPath = {hooks}\n"
    (folder / ".git" / "config").write_text(config)


def _git(workspace: Workspace, *words: str) -> str:
    return _run("git", f"--git-dir={workspace.git_dir}", *words, cwd=workspace.git_dir)


def _run(*command: str, cwd: Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=cwd).stdout
