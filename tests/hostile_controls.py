"""Every control of the boundary, and how to switch that one off: so that an attack can succeed.

As a program it runs the supervisor with one control off:
`python -m tests.hostile_controls NAME --config FILE`. What is switched off is replaced by a wider
bound, never by none, so that no attack endangers the machine.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias
from unittest import mock

import operators.toolbox.files as file_tools
from operators.briefing import quoting, selection

from campaign import sandbox, seccomp
from campaign.adapters import workspace_shell
from campaign.adapters.instruments import bash, logs, metrics, surroundings, watch
from campaign.adapters.workspace import workspace as workspaces
from campaign.seats import register
from campaign.supervisor import app, environments, process
from campaign.supervisor.__main__ import main as supervise

Words: TypeAlias = list[str]
Switch: TypeAlias = Callable[[], Iterator[None]]

#: where the host's files appear when the control of what is visible is off
HOST = "/host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One thing that stops attacks."""

    name: str
    #: for the page: what it is
    about: str
    #: where it is, for the page
    where: str
    #: (object, attribute, what to put in its place), each while it is off
    off: Callable[[], Sequence[Replacement]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    owner: Any
    name: str
    value: Any


@contextmanager
def without(name: str | None) -> Iterator[None]:
    """Within the block that control is off; None: all are on."""
    replacements = [] if name is None else CONTROLS[name].off()
    with mock.patch.multiple(sys, **{}) if not replacements else _all(replacements):
        yield


@contextmanager
def _all(replacements: Sequence[Replacement]) -> Iterator[None]:
    patches = [mock.patch.object(each.owner, each.name, each.value) for each in replacements]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in reversed(patches):
            patch.stop()


# -- bubblewrap's options -------------------------------------------------------------------------


def _words(part: str, change: Callable[[Words], Words]) -> Callable[[], Sequence[Replacement]]:
    """The options that `sandbox.argv` has from its function `part`, changed."""

    def off() -> Sequence[Replacement]:
        original = getattr(sandbox, part)
        return [
            Replacement(
                owner=sandbox, name=part, value=lambda *given: change(list(original(*given)))
            )
        ]

    return off


def _drop(words: Words, *dropped: str) -> Words:
    return [word for word in words if word not in dropped]


def _drop_pair(words: Words, option: str, value: str) -> Words:
    at = next(i for i, pair in enumerate(zip(words, words[1:], strict=False)) if pair == (option, value))
    return words[:at] + words[at + 2 :]


def _instead(words: Words, beginning: str, value: str) -> Words:
    return [value if word.startswith(beginning) else word for word in words]


def _show_host(words: Words) -> Words:
    return ["--bind", "/", HOST, *words]


def _larger_tmp(words: Words) -> Words:
    return [str(512 << 20) if before == "--size" else word for before, word in zip(["", *words], words, strict=False)]


def _share_processes() -> Sequence[Replacement]:
    isolation = _words("_isolation", partial(_drop, **{}))
    del isolation
    original_isolation, original_files = sandbox._isolation, sandbox._filesystem

    def isolation_without(box: sandbox.Sandbox) -> Words:
        return _drop(original_isolation(box), "--unshare-pid")

    def files_without(box: sandbox.Sandbox) -> Words:
        words = _drop_pair(original_files(box), "--proc", "/proc")
        return ["--ro-bind", "/proc", "/proc", *_drop_pair(words, "--remount-ro", "/proc")]

    return [
        Replacement(owner=sandbox, name="_isolation", value=isolation_without),
        Replacement(owner=sandbox, name="_filesystem", value=files_without),
    ]
