"""The bounds of the operator's shell that are the kernel's: control groups and system calls."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from campaign.adapters.instruments.cgroup import GroupLimits, make_group
from campaign.seccomp import filter_program

LIMITS = GroupLimits(memory_bytes=1 << 20, processes=9)
FILES = ("memory.max", "pids.max", "memory.swap.max", "memory.oom.group", "cpu.weight")


def machine(folder: Path, *, own: str, delegated: bool = True) -> dict[str, Path]:
    """As /proc and a tree of groups look; a new group is an ordinary folder here."""
    root = folder / "groups"
    here = root / own.lstrip("/")
    here.mkdir(parents=True)
    for group in (root, *here.relative_to(root).parents[::-1]):
        text = "cpu memory pids" if delegated else "cpu"
        (root / group / "cgroup.subtree_control").write_text(text)
    (folder / "mountinfo").write_text(
        f"30 23 0:26 / {root} rw,relatime shared:9 - cgroup2 cgroup2 rw\n"
    )
    (folder / "cgroup").write_text(f"4:memory:/old\n0::{own}\n")
    return {"mounts": folder / "mountinfo", "own": folder / "cgroup"}


def test_a_group_is_made_beside_our_own_with_its_limits(tmp_path: Path) -> None:
    group = make_group(LIMITS, **machine(tmp_path, own="/user/app"))
    assert group is not None
    assert group.path.parent == tmp_path / "groups" / "user"
    assert (group.path / "memory.max").read_text() == str(1 << 20)
    assert (group.path / "pids.max").read_text() == "9"
    group.take(123)
    assert (group.path / "cgroup.procs").read_text() == "123"


def test_in_the_root_group_it_is_made_below(tmp_path: Path) -> None:
    group = make_group(LIMITS, **machine(tmp_path, own="/"))
    assert group is not None
    assert group.path.parent == tmp_path / "groups"


@pytest.mark.parametrize("own", ["/user/app", "/../outside"])
def test_where_nothing_is_delegated_there_is_none(tmp_path: Path, own: str) -> None:
    places = machine(tmp_path, own=own, delegated=False)
    assert make_group(LIMITS, **places) is None
    places["own"].write_text("4:memory:/old\n")
    assert make_group(LIMITS, **places) is None
    places["own"].unlink()
    assert make_group(LIMITS, **places) is None


def run(program: bytes, *, architecture: int, number: int) -> int:
    """What the filter answers: an interpreter of the few steps that it is made of."""
    data = {0: number, 4: architecture}
    steps = list(struct.iter_unpack("=HBBI", program))
    accumulator = place = 0
    while True:
        code, yes, no, value = steps[place]
        place += 1
        match code:
            case 0x20:
                accumulator = data[value]
            case 0x15:
                place += yes if accumulator == value else no
            case 0x35:
                place += yes if accumulator >= value else no
            case _:
                return int(value)


@pytest.mark.parametrize(
    ("machine_name", "architecture", "muted"),
    [("x86_64", 0xC000003E, (112, 162, 306)), ("aarch64", 0xC00000B7, (157, 81, 267))],
)
def test_only_what_would_slow_the_machine_is_muted(
    machine_name: str, architecture: int, muted: tuple[int, ...]
) -> None:
    program = filter_program(machine_name)
    assert program is not None
    for number in range(600):
        answer = run(program, architecture=architecture, number=number)
        assert answer == (0x00050000 if number in muted else 0x7FFF0000)
    x32 = run(program, architecture=architecture, number=0x40000000 + muted[0])
    foreign = run(program, architecture=0x40000003, number=66)
    assert (x32, foreign) == (0x00050000 | 38, 0x00050000 | 38)


def test_on_a_machine_that_is_not_known_there_is_no_filter() -> None:
    assert filter_program("pdp11") is None
