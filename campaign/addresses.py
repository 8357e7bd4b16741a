"""How one `ratchet` command reaches the process of another: a small file in the runs' folder."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Of a process that serves the HTTP API; whoever has it may start and stop campaigns."""

    url: str
    token: str = field(repr=False)
    pid: int
    #: where that pid counts: in a container it is another machine's
    host: str = field(default_factory=socket.gethostname)

    @property
    def may_live(self) -> bool:
        """False when its process is known to be gone."""
        return self.host != socket.gethostname() or psutil.pid_exists(self.pid)


def daemon_file(root: Path) -> Path:
    """Where `ratchet serve` says how to reach it."""
    return root / "daemon.json"


def read_address(file: Path) -> Address | None:
    """None when there is none, or the process that wrote it is gone."""
    try:
        address = Address(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return address if address.may_live else None


def announce(file: Path, address: Address) -> None:
    """Write it for our own user only, all at once."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    with os.fdopen(handle, "w") as stream:
        json.dump(asdict(address), stream)
    Path(name).replace(file)


@contextmanager
def announced(file: Path, address: Address) -> Iterator[None]:
    """Within the block; another's address that took its place meanwhile is left alone."""
    file.parent.mkdir(parents=True, exist_ok=True)
    announce(file, address)
    try:
        yield
    finally:
        if read_address(file) == address:
            file.unlink(missing_ok=True)
