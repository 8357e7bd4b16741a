"""A filter of system calls: what one process could slow the whole machine with does nothing inside.

`setsid` gives a process a scheduling group of its own, with as large a share of the processors as
all of the harness has; `sync` and `syncfs` have the whole disk written out, the database's too.
Filtered, they answer 0 as if they had been done, so that programs that call them go on.

The filter is classic BPF, as ``bwrap --seccomp`` reads it: a few comparisons, no library needed.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4
_ALLOW = 0x7FFF0000
_FAIL = 0x00050000
_ENOSYS = 38
#: system calls from here on are those of x32, which exist on x86_64 only
_X32 = 0x40000000
_STEP_BYTES = 8
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    audit: int
    setsid: int
    sync: int
    syncfs: int


_MACHINES: Mapping[str, _Machine] = {
    "x86_64": _Machine(audit=0xC000003E, setsid=112, sync=162, syncfs=306),
    "aarch64": _Machine(audit=0xC00000B7, setsid=157, sync=81, syncfs=267),
}


def filter_program(machine: str = "") -> bytes | None:
    """The program for this machine's system calls; None where their numbers are not known."""
    known = _MACHINES.get(machine or platform.machine())
    if known is None:
        return None
    muted = (known.setsid, known.sync, known.syncfs)
    checks = [_JUMP_IF_AT_LEAST, *(_JUMP_IF_EQUAL for _ in muted)]
    values = [_X32, *muted]
    # After the checks: allow, done (mutes), no such call. Jumps count what is skipped.
    count = len(checks)
    program = [
        _step(_LOAD, _ARCHITECTURE_AT),
        _step(_JUMP_IF_EQUAL, known.audit, no=1 + count + 2),
        _step(_LOAD, _NUMBER_AT),
    ]
    for index, (check, value) in enumerate(zip(checks, values, strict=True)):
        left = count - index - 1
        program.append(_step(check, value, yes=left + (2 if check == _JUMP_IF_AT_LEAST else 1)))
    program += [_step(_RETURN, _ALLOW), _step(_RETURN, _FAIL), _step(_RETURN, _FAIL | _ENOSYS)]
    return b"".join(program)


@contextmanager
def filter_descriptor() -> Iterator[int | None]:
    """A descriptor that gives the program to the child that inherits it; None: there is none."""
    program = filter_program()
    if program is None:
        yield None
        return
    reading, writing = os.pipe()
    try:
        os.write(writing, program)
        os.close(writing)
        yield reading
    finally:
        os.close(reading)


def filter_ourselves() -> bool:
    """Put this process, and all that it starts from now on, under it; False: there is none.

    For where no bubblewrap does it. It cannot be undone, and takes no privilege where none can be
    gained (`no-new-privileges`).

    Raises:
        OSError: the system does not take it.
    """
    program = filter_program()
    if program is None:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    steps = ctypes.create_string_buffer(program, len(program))
    told = _Program(len(program) // _STEP_BYTES, ctypes.cast(steps, ctypes.c_void_p))
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(told), 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"no filter of system calls: {os.strerror(number)}")
    return True


class _Program(ctypes.Structure):
    """The kernel's `struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_void_p))


def _step(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)
