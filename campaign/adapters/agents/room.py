"""The folder that an agent's run has to itself: its sockets, its files, its prompt."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from operators.command import Invocation

from campaign.identity import Identity

#: where the folder appears in the sandbox
INSIDE = "/run/agent"

_TOOLS_SOCKET = "tools.sock"
_MODEL_SOCKET = "model.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """On the loopback that the agent sees."""

    tools: int
    model: int
    #: port -> descriptor of a socket that has it already
    held: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A folder of this machine that only the agent's user and we can enter."""

    folder: Path
    identity: Identity

    def listen(self) -> Sockets:
        return Sockets(tools=self._listener(_TOOLS_SOCKET), model=self._listener(_MODEL_SOCKET))

    def furnish(
        self,
        invocation: Invocation,
        *,
        seen_at: str,
        home: str,
        ports: Ports,
        command: Sequence[str],
    ) -> None:
        """Write down all that the relay needs; `seen_at` is where the agent sees this folder."""
        for path, text in invocation.files.items():
            self._write(f"files/{path}", text)
        (self.folder / "files").mkdir(exist_ok=True)
        self._write("stdin", invocation.stdin)
        self._write("passwd", self._passwd(home))
        self._write("relay.py", (Path(__file__).parent / "relay.py").read_text(encoding="utf-8"))
        config = {
            "ports": {
                str(ports.tools): f"{seen_at}/{_TOOLS_SOCKET}",
                str(ports.model): f"{seen_at}/{_MODEL_SOCKET}",
            },
            "held": {str(port): descriptor for port, descriptor in ports.held.items()},
            "home": home,
            "files": f"{seen_at}/files",
            "stdin": f"{seen_at}/stdin",
            "environment": dict(invocation.environment),
            "command": list(command),
        }
        self._write("config.json", json.dumps(config))

    def _passwd(self, home: str) -> str:
        """Some programs give up when their user has no name."""
        return f"agent:x:{self.identity.uid}:{self.identity.gid}:agent:{home}:/bin/sh\n"

    def _listener(self, name: str) -> socket.socket:
        path = self.folder / name
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        # The folder says who comes this far.
        path.chmod(0o666)
        listener.listen(128)
        listener.setblocking(False)  # noqa: FBT003 - positional only
        return listener

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sockets:
    """Both listen."""

    tools: socket.socket
    model: socket.socket

    def close(self) -> None:
        self.tools.close()
        self.model.close()


@contextmanager
def open_room(identity: Identity) -> Iterator[Room]:
    """Gone at the end, with all that is in it."""
    folder = Path(tempfile.mkdtemp(prefix="agent-"))
    try:
        if not identity.is_ours:
            os.chown(folder, identity.uid, identity.gid)
        yield Room(folder=folder, identity=identity)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def held_ports() -> Iterator[Ports]:
    """For an agent that shares our loopback: no other program can take them before its relay."""
    with socket.socket() as tools, socket.socket() as model:
        for holder in (tools, model):
            holder.bind(("127.0.0.1", 0))
        numbers = [holder.getsockname()[1] for holder in (tools, model)]
        held = dict(zip(numbers, (tools.fileno(), model.fileno()), strict=True))
        yield Ports(tools=numbers[0], model=numbers[1], held=held)


def base_environment(home: str, path: str) -> Mapping[str, str]:
    """What every agent has, before its adapter adds to it."""
    return {"HOME": home, "PATH": path, "LANG": "C.UTF-8", "TERM": "dumb", "TMPDIR": "/tmp"}  # noqa: S108
