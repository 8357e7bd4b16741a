"""`deploy/postgres/start`: the order is carried out before the server starts, however often."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy/postgres/start"
#: what may be interrupted, and is interrupted here
TOOLS = ("cp", "mv", "rm", "chmod", "mkdir")
_KILLS = (
    'echo {tool} >>"$CALLS"; '
    '[ "$(wc -l <"$CALLS")" != "$KILL_AT" ] || {{ kill -KILL "$PPID"; exit; }}'
)


@dataclass(frozen=True, kw_only=True)
class Server:
    """A volume, an exchange, and programs in front of the real ones that can be told to kill."""

    root: Path

    @property
    def volume(self) -> Path:
        return self.root / "volume"

    @property
    def exchange(self) -> Path:
        return self.root / "exchange"

    @property
    def said(self) -> Path:
        """What a server for one user was told."""
        return self.root / "said"

    @property
    def served(self) -> str:
        return (self.volume / "pgdata" / "name").read_text()

    @property
    def owner(self) -> str:
        return (self.volume / "owner").read_text().strip()

    def cluster(self, folder: Path, name: str) -> None:
        """Made in this very installation."""
        folder.mkdir(parents=True)
        (folder / "name").write_text(name)
        (folder / "PG_VERSION").write_text("17\n")
        digest = hashlib.sha256((self.root / "password").read_bytes()).hexdigest()
        (folder / "ratchet.seal").write_text(f"{digest}  -\n")

    def order(self, text: str) -> None:
        (self.exchange / "order").write_text(f"{text}\n")

    def start(self, *, killed_before: int | None = None) -> int:
        """Run the script, killed with SIGKILL before its n-th call of a tool; its exit code."""
        (self.root / "calls").write_text("")
        environment = {
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
            "PGDATA": str(self.volume / "pgdata"),
            "DATABASE_VOLUME": str(self.volume),
            "DATABASE_EXCHANGE": str(self.exchange),
            "POSTGRES_USER": "ratchet",
            "POSTGRES_PASSWORD_FILE": str(self.root / "password"),
            "POSTGRES_INITDB_ARGS": "--encoding=UTF8 --no-sync",
            "CALLS": str(self.root / "calls"),
            "KILL_AT": str(killed_before or 0),
        }
        done = subprocess.run([str(SCRIPT), "postgres"], env=environment, check=False)
        return done.returncode

    def program(self, name: str, *lines: str) -> None:
        file = self.root / "bin" / name
        file.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        file.chmod(0o755)

    @property
    def calls(self) -> int:
        return len((self.root / "calls").read_text().splitlines())


@pytest.fixture
def server(tmp_path: Path) -> Server:
    made = Server(root=tmp_path)
    for folder in (made.volume, made.exchange, tmp_path / "bin"):
        folder.mkdir()
    (tmp_path / "password").write_text("hush\n")
    made.program("docker-entrypoint.sh", '[ -s "$PGDATA/PG_VERSION" ]')
    # As the real one, it has its version there long before it is whole.
    made.program(
        "initdb",
        f'folder=${{1#--pgdata=}}; {shutil.which("mkdir")} "$folder"',
        'echo 17 >"$folder/PG_VERSION"',
        _KILLS.format(tool="initdb"),
        'printf new >"$folder/name"',
    )
    for tool in TOOLS:
        made.program(tool, _KILLS.format(tool=tool), f'exec {shutil.which(tool)} "$@"')
    return made


def test_without_an_order_nothing_is_touched(server: Server) -> None:
    server.cluster(server.volume / "pgdata", "old")
    assert server.start() == 0
    assert server.served == "old"


def test_a_copy_takes_the_place_of_what_was_served(server: Server) -> None:
    server.cluster(server.volume / "pgdata", "nobody's")
    server.cluster(server.exchange / "copy", "first")
    server.order("one copy")
    assert server.start() == 0
    assert (server.served, server.owner) == ("first", "one")
    assert not (server.exchange / "order").exists()
    assert not (server.volume / "kept").exists()


def test_a_copy_that_is_gone_changes_nothing(server: Server) -> None:
    """Else the server would never start again."""
    server.cluster(server.volume / "pgdata", "old")
    server.order("one copy")
    assert server.start() == 0
    assert server.served == "old"
    assert not (server.exchange / "order").exists()


def test_an_order_that_is_withdrawn_while_it_is_copied_changes_nothing(server: Server) -> None:
    """What was ordered is removed after its order, so that a part of it may have been copied."""
    server.cluster(server.volume / "pgdata", "old")
    server.cluster(server.exchange / "copy", "first")
    server.order("one copy")
    copying = server.root / "bin" / "cp"
    copying.write_text(f'#!/bin/sh\n{shutil.which("cp")} "$@"\nrm {server.exchange / "order"}\n')
    assert server.start() == 0
    assert server.served == "old"
    assert not (server.volume / "owner").exists()
    assert not (server.volume / "coming").exists()


def test_a_start_that_was_killed_while_a_cluster_was_made_is_made_good(server: Server) -> None:
    """What was half made has a version, as a whole one has, and would never start."""
    assert server.start() == 0
    initdb = (server.root / "calls").read_text().split().index("initdb") + 1
    shutil.rmtree(server.volume / "pgdata")
    assert server.start(killed_before=initdb) == -signal.SIGKILL
    assert not (server.volume / "pgdata").exists()
    assert server.start() == 0
    assert server.served == "new"
    assert [path.name for path in server.volume.iterdir()] == ["pgdata"]


def test_a_copy_of_another_installation_gets_this_ones_password(server: Server) -> None:
    server.program("postgres", f'echo "$@" >{server.root / "asked"}', "cat >>" + str(server.said))
    server.cluster(server.exchange / "copy", "theirs")
    (server.exchange / "copy" / "ratchet.seal").write_text("another's\n")
    server.order("one copy")
    assert server.start() == 0
    assert (server.served, server.owner) == ("theirs", "one")
    assert "--single" in (server.root / "asked").read_text()
    assert "hush" not in (server.root / "asked").read_text()
    assert server.said.read_text() == "ALTER ROLE \"ratchet\" PASSWORD 'hush'\n"


def test_a_copy_of_this_installation_is_served_as_it_is(server: Server) -> None:
    server.program("postgres", "exit 1")
    test_a_copy_takes_the_place_of_what_was_served(server)


def test_a_copy_that_cannot_be_opened_changes_nothing_and_its_order_stays(server: Server) -> None:
    """By the order that is still there the campaign sees that it was not carried out."""
    server.program("postgres", "exit 1")
    server.cluster(server.volume / "pgdata", "old")
    server.cluster(server.exchange / "copy", "theirs")
    (server.exchange / "copy" / "ratchet.seal").unlink()
    server.order("one copy")
    assert server.start() == 0
    assert server.served == "old"
    assert (server.exchange / "order").exists()
    assert not (server.volume / "coming").exists()


def test_another_campaigns_database_is_put_aside_and_can_be_had_again(server: Server) -> None:
    test_a_copy_takes_the_place_of_what_was_served(server)
    server.order("two fresh")
    assert server.start() == 0
    assert (server.served, server.owner) == ("new", "two")
    server.order("one kept")
    assert server.start() == 0
    assert (server.served, server.owner) == ("first", "one")
    assert (server.volume / "kept" / "two" / "name").read_text() == "new"


def test_one_that_was_not_kept_changes_nothing(server: Server) -> None:
    test_a_copy_takes_the_place_of_what_was_served(server)
    server.order("three kept")
    assert server.start() == 0
    assert (server.served, server.owner) == ("first", "one")
    assert not (server.exchange / "order").exists()


def test_a_campaign_that_starts_anew_keeps_nothing_of_its_own(server: Server) -> None:
    test_a_copy_takes_the_place_of_what_was_served(server)
    (server.exchange / "copy" / "name").write_text("second")
    server.order("one copy")
    assert server.start() == 0
    assert server.served == "second"
    assert not (server.volume / "kept").exists()


def test_only_the_latest_are_kept(server: Server) -> None:
    names = ("one", "two", "three", "four")
    for name in names:
        server.order(f"{name} fresh")
        assert server.start() == 0
        for kept in (server.volume / "kept").glob("*"):
            os.utime(kept, (names.index(kept.name),) * 2)
    assert {path.name for path in (server.volume / "kept").iterdir()} == {"two", "three"}
    assert server.owner == "four"


@pytest.mark.parametrize("text", ["../../etc copy", "one steal", "", "a;b copy"])
def test_an_order_that_is_none_ends_it(server: Server, text: str) -> None:
    server.cluster(server.volume / "pgdata", "old")
    server.order(text)
    assert server.start() == 2
    assert server.served == "old"


@pytest.mark.parametrize("what", ["copy", "kept", "fresh"])
def test_killed_before_any_step_it_ends_where_it_would_have_ended(
    server: Server, what: str
) -> None:
    """Every step, then the whole again as the restart policy would have it."""
    steps = _prepared_and_started(server, what, killed_before=None)
    assert steps > 3
    for step in range(1, steps + 1):
        for folder in (server.volume, server.exchange):
            shutil.rmtree(folder)
            folder.mkdir()
        _prepared_and_started(server, what, killed_before=step)
        assert server.start() == 0
        assert server.owner == "mine"
        assert server.served == {"copy": "coming", "kept": "put aside", "fresh": "new"}[what]
        kept = server.volume / "kept" / "theirs" / "name"
        assert kept.read_text() == "another's"


def _prepared_and_started(server: Server, what: str, *, killed_before: int | None) -> int:
    server.cluster(server.volume / "pgdata", "another's")
    (server.volume / "owner").write_text("theirs\n")
    server.cluster(server.exchange / "copy", "coming")
    if what == "kept":
        server.cluster(server.volume / "kept" / "mine", "put aside")
    server.order(f"mine {what}")
    code = server.start(killed_before=killed_before)
    assert code == (0 if killed_before is None else -signal.SIGKILL)
    return server.calls
