from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from campaign.adapters.agents.tree import ProcessTree

SLEEP = "import time; time.sleep(600)"
LEAVES_ONE = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {SLEEP!r}])
print(child.pid, flush=True)
"""


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True) as process:
        yield process
        process.kill()


def test_a_tree_is_killed_with_all_that_it_started(stranger: subprocess.Popen[bytes]) -> None:
    ProcessTree.of(stranger.pid).kill()
    assert stranger.wait(10) == -9


def test_a_process_that_got_the_id_of_one_that_is_gone_lives_on(
    stranger: subprocess.Popen[bytes],
) -> None:
    tree = ProcessTree.of(stranger.pid)
    assert tree.began is not None
    for earlier in (replace(tree, began=tree.began - 60), replace(tree, began=None)):
        earlier.kill()
        assert stranger.poll() is None


def test_what_is_left_of_a_group_is_killed_when_its_leader_has_ended() -> None:
    leader = subprocess.Popen(
        [sys.executable, "-c", LEAVES_ONE], start_new_session=True, stdout=subprocess.PIPE
    )
    tree = ProcessTree.of(leader.pid)
    with leader:
        assert leader.stdout is not None
        child = int(leader.stdout.readline())
        leader.wait(10)
        tree.kill()
        # The end of its output: nobody holds the pipe any more.
        assert leader.stdout.read() == b""
    assert child > 0


def test_nobody_is_killed_when_nothing_is_left() -> None:
    done = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    tree = ProcessTree.of(done.pid)
    done.wait(10)
    tree.kill()
