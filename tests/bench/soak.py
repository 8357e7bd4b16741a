"""Campaigns back to back in one process: what the harness uses must not grow.

    python -m tests.bench.soak --minutes 60

One JSON line after each campaign; the last one says what grew. Exit 1 when something did, or when
a trial was not resolved.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from campaign.host import Host
from campaign.machine import Campaign
from campaign.model import Event, Resolved
from campaign.orders import Order, specify
from campaign.player import Performance
from campaign.rig import Rig, RigOptions
from campaign.runs import RunFolder
from campaign.stack import LocalStack, discard_data

#: the first campaigns fill caches; growth is judged between the first and the last third after
_WARM_UP = 1
_TOLERATED_GROWTH = 1.15
_COUNTED = ("rss_mib", "files", "threads", "tasks", "children", "disk_mib", "sockets")


@dataclass(slots=True)
class Cpu:
    """Seconds of processor time of this process and of Prometheus while trials run."""

    rig: Rig | None = None
    began: float = 0.0
    own: float = 0.0
    prometheus: float = 0.0
    _last: dict[str, float] = field(default_factory=dict)

    def take(self, rig: Rig) -> None:
        self.rig = rig
        self._last = {}

    def __call__(self, before: Campaign | None, event: Event, after: Campaign) -> None:
        """At the trial's first evaluation and at its end."""
        del event
        if before is None or self.rig is None or self.rig.stack is None:
            return
        if not self._last and after.trial.baseline_at is not None:
            self._last = {"wall": time.monotonic(), **self._seconds()}
        elif self._last and after.trial.verdict is not None and before.trial.verdict is None:
            now = self._seconds()
            self.began += time.monotonic() - self._last["wall"]
            self.own += now["own"] - self._last["own"]
            self.prometheus += now["prometheus"] - self._last["prometheus"]
            self._last = {}

    def _seconds(self) -> dict[str, float]:
        assert self.rig is not None
        assert isinstance(self.rig.stack, LocalStack)
        pid = self.rig.stack._services["prometheus"].pid
        assert pid is not None
        return {"own": _cpu_s(psutil.Process()), "prometheus": _cpu_s(psutil.Process(pid))}

    @property
    def of_one_core(self) -> float | None:
        return (self.own + self.prometheus) / self.began if self.began else None


@dataclass(slots=True)
class Sockets:
    """The folders of sockets that our stacks made; others on this machine have theirs."""

    rig: Rig | None = None
    seen: set[Path] = field(default_factory=set)

    def take(self, rig: Rig) -> None:
        self.rig = rig

    def __call__(self, before: Campaign | None, event: Event, after: Campaign) -> None:
        del before, event, after
        if self.rig is not None and self.rig.stack is not None:
            self.seen.add(self.rig.stack.addresses.app_socket.parent)

    @property
    def left(self) -> int:
        return sum(folder.exists() for folder in self.seen)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _threads(process: psutil.Process) -> int:
    """Without the idle ones of asyncio's pool, which grows to a fixed size when it is needed."""
    pooled = sum(thread.name.startswith("asyncio_") for thread in threading.enumerate())
    return process.num_threads() - pooled


def _used(root: Path, sockets: Sockets) -> dict[str, float]:
    """What this process holds between two campaigns, when nothing is played."""
    gc.collect()
    process = psutil.Process()
    disk = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    return {
        "rss_mib": round(process.memory_info().rss / 2**20, 1),
        "files": process.num_fds(),
        "threads": _threads(process),
        "tasks": len(asyncio.all_tasks()),
        "children": len(process.children(recursive=True)),
        "disk_mib": round(disk / 2**20, 1),
        "sockets": sockets.left,
    }


def _trials(campaign: Campaign) -> list[dict[str, Any]]:
    return [
        {
            "profile": trial.profile,
            "verdict": "none" if trial.verdict is None else trial.verdict.kind,
            "reason": "" if trial.verdict is None else trial.verdict.reason,
            "detect_s": _rounded(trial.time_to_detect_s),
            "repair_s": _rounded(trial.time_to_repair_s),
            "whole_s": _rounded((trial.ended_at or trial.started_at) - trial.started_at),
        }
        for trial in campaign.done
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


async def _soak(root: Path, minutes: float, profiles: Sequence[str] | None) -> int:
    ends_at = time.monotonic() + minutes * 60
    spec = specify(Order(profiles=None if profiles is None else tuple(profiles)))
    used: list[dict[str, float]] = []
    lost = 0
    cpu, sockets = Cpu(), Sockets()

    def take(rig: Rig) -> None:
        cpu.take(rig)
        sockets.take(rig)

    async with Host(root) as host:
        while time.monotonic() < ends_at:
            run = RunFolder(path=root / f"soak-{len(used) + 1:03d}")
            campaign = await host.play(
                Performance(
                    run=run,
                    plan=spec.plan(run.name),
                    options=RigOptions(),
                    observers=(cpu, sockets),
                    on_rig=take,
                )
            )
            lost += sum(not isinstance(trial.verdict, Resolved) for trial in campaign.done)
            trials = _trials(campaign)
            del campaign
            await asyncio.to_thread(discard_data, run.path)
            used.append(_used(root, sockets))
            _say({"campaign": run.name, **used[-1], "trials": trials})
    return _conclude(used, lost, cpu)


def _conclude(used: list[dict[str, float]], lost: int, cpu: Cpu) -> int:
    settled = used[_WARM_UP:]
    third = max(1, len(settled) // 3)
    growth = {
        name: _ratio([each[name] for each in settled], third)
        for name in _COUNTED
        if name != "disk_mib"  # a journal and a report are kept of every campaign, by design
    }
    grew = [name for name, ratio in growth.items() if ratio > _TOLERATED_GROWTH]
    _say(
        {
            "campaigns": len(used),
            "trials_not_resolved": lost,
            "last_third_over_first_third": growth,
            "disk_mib_per_campaign": round(used[-1]["disk_mib"] / len(used), 2) if used else None,
            "harness_cpu_of_one_core": cpu.of_one_core and round(cpu.of_one_core, 4),
            "grew": grew,
        }
    )
    return 1 if grew or lost else 0


def _ratio(values: list[float], third: int) -> float:
    if not values:
        return 1.0
    first, last = statistics.median(values[:third]), statistics.median(values[-third:])
    return round(last / first, 3) if first else (1.0 if not last else float("inf"))


def _say(content: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--profiles", help="with commas between; the whole ladder when left out")
    given = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="ratchet-soak-"))
    root.chmod(0o755)
    profiles = given.profiles.split(",") if given.profiles else None
    return asyncio.run(_soak(root, given.minutes, profiles))


if __name__ == "__main__":
    sys.exit(main())
