"""`stack.json`: what a run has started, so that its next start can clear up after a crash."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from campaign.stack.errors import StackError, StackInUseError
from campaign.stack.places import is_data_folder, is_socket_folder
from campaign.stack.processes import is_alive, kill_processes

if TYPE_CHECKING:
    from campaign.stack.processes import Child

RECORD_NAME = "stack.json"
#: psutil derives creation times from the boot time, which moves when the clock is set
_CREATE_TIME_TOLERANCE_S = 1.0
_GRACE_S = 5.0


class ProcessRecord(BaseModel):
    """A process, told apart from a later one with the same pid by when it was created."""

    model_config = ConfigDict(frozen=True)

    name: str
    pid: int
    #: epoch seconds
    create_time: float
    stop_signal: int = signal.SIGTERM

    def find(self) -> psutil.Process | None:
        """The process itself, if it is still there."""
        try:
            process = psutil.Process(self.pid)
            age_gap_s = abs(process.create_time() - self.create_time)
        except psutil.NoSuchProcess:
            return None
        return process if age_gap_s <= _CREATE_TIME_TOLERANCE_S and is_alive(process) else None


class StackRecord(BaseModel):
    """All that one stack has outside its run folder."""

    model_config = ConfigDict(frozen=True)

    owner: ProcessRecord | None = None
    processes: tuple[ProcessRecord, ...] = ()
    socket_dir: Path | None = None
    #: where the database and the metrics lie; stays across a crash, for `ratchet resume`
    data_dir: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """What `cleanup_leftovers` found and removed."""

    killed: tuple[str, ...] = ()
    removed: Path | None = None


class StackRecordFile:
    """The record of a running stack; every change is on disk before the next step is taken."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / RECORD_NAME
        self.record = read_record(run_dir)

    def open(self, *, socket_dir: Path, data_dir: Path) -> None:
        ourselves = psutil.Process()
        owner = ProcessRecord(
            name="ratchet", pid=ourselves.pid, create_time=ourselves.create_time()
        )
        self._write(StackRecord(owner=owner, socket_dir=socket_dir, data_dir=data_dir))

    def add(self, child: Child) -> None:
        entry = ProcessRecord(
            name=child.spec.name,
            pid=child.pid,
            create_time=child.create_time,
            stop_signal=child.spec.stop_signal,
        )
        self._write_processes((*self._without(entry.name), entry))

    def remove(self, name: str) -> None:
        self._write_processes(self._without(name))

    def close(self) -> None:
        """Nothing runs any more; only where the data lies is kept."""
        self._write(StackRecord(data_dir=self.record.data_dir))

    def _without(self, name: str) -> tuple[ProcessRecord, ...]:
        return tuple(entry for entry in self.record.processes if entry.name != name)

    def _write_processes(self, processes: tuple[ProcessRecord, ...]) -> None:
        self._write(self.record.model_copy(update={"processes": processes}))

    def _write(self, record: StackRecord) -> None:
        scratch = self._path.with_suffix(".tmp")
        scratch.write_text(record.model_dump_json(indent=2) + "\n")
        scratch.replace(self._path)
        self.record = record


def read_record(run_dir: Path) -> StackRecord:
    """The record of `run_dir`, empty when there is none.

    Raises:
        StackError: it is damaged; nothing may be killed or removed on its word.
    """
    path = run_dir / RECORD_NAME
    try:
        return StackRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return StackRecord()
    except ValidationError as exc:
        hint = "see whether something of it still runs, then delete it"
        raise StackError(f"{path} is damaged: {exc}", hint=hint) from exc


def cleanup_leftovers(run_dir: Path) -> Leftovers:
    """End what an earlier, killed owner of `run_dir` left running; remove its socket folder.

    Only processes that match in pid *and* creation time are touched, and their children.

    Raises:
        StackInUseError: the owner is alive and it is not us.
    """
    record = read_record(run_dir)
    _refuse_live_owner(record, run_dir)
    killed = tuple(entry.name for entry in record.processes if _end(entry))
    file = StackRecordFile(run_dir)
    removed = _remove_sockets(record.socket_dir)
    if record != StackRecord():
        file.close()
    return Leftovers(killed=killed, removed=removed)


def discard_data(run_dir: Path) -> None:
    """Remove the database and the raw metrics of a run that is over and not to be resumed.

    Raises:
        StackInUseError: its stack still runs.
    """
    cleanup_leftovers(run_dir)
    data_dir = read_record(run_dir).data_dir
    if data_dir is not None and is_data_folder(data_dir, run_dir):
        shutil.rmtree(data_dir)
    (run_dir / RECORD_NAME).unlink(missing_ok=True)


def _refuse_live_owner(record: StackRecord, run_dir: Path) -> None:
    if record.owner is None or record.owner.pid == os.getpid() or record.owner.find() is None:
        return
    raise StackInUseError(
        f"{run_dir} is in use by process {record.owner.pid}",
        hint="stop it first, with `ratchet stop`",
    )


def _end(entry: ProcessRecord) -> bool:
    process = entry.find()
    if process is None:
        return False
    try:
        family = [process, *process.children(recursive=True)]
        process.send_signal(signal.Signals(entry.stop_signal))
    except psutil.NoSuchProcess:
        return False
    kill_processes(family, grace_s=_GRACE_S)
    return True


def _remove_sockets(socket_dir: Path | None) -> Path | None:
    if socket_dir is None or not is_socket_folder(socket_dir):
        return None
    shutil.rmtree(socket_dir)
    return socket_dir
