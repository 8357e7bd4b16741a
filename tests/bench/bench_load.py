"""How much load one generator, and two workers under a master, really offer, and how exactly.

python -m tests.bench.bench_load

Both offer the same steps to a server that does nothing but answer. A step is reached when so many
answers came as requests were due, and no wake-up was late by more than a campaign tolerates. On a
machine with two cores the server and two workers share them: what is gained there is less than
what two more cores would give.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from campaign.adapters.calibration import Histogram, read_histogram
from campaign.model import GeneratorLimits
from loadgen.testing import Generator, Master, Samples, Worker, wait_until
from loadgen.testing.samples import DONE, ERRORS, OFFERED

#: requests a second that are offered, one step after the other
RATES_HZ = (1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 10_000)
STEP_S = 5.0
#: before a step is looked at
_WARM_UP_S = 1.5
#: each of so many users
_USER_RATE_HZ = 20.0
#: of the due requests, so many are answered in time where a step is reached
_REACHED = 0.98
#: the worst lag is looked for so often
_LOOK_S = 0.25


@dataclass(frozen=True, kw_only=True)
class Step:
    """What came of one offered rate."""

    offered_hz: float
    #: arrivals that were due, and answers that came, a second
    due_hz: float
    reached_hz: float
    errors: int
    worst_lag_s: float
    #: share of a core, the busiest process
    cpu_ratio: float
    p50_ms: float
    p99_ms: float

    @property
    def is_reached(self) -> bool:
        in_time = self.worst_lag_s <= GeneratorLimits().max_lag_s
        return self.reached_hz >= _REACHED * self.offered_hz and not self.errors and in_time


@dataclass(frozen=True, kw_only=True)
class Offering:
    """A load generator of one or more processes."""

    control: Generator
    parts: Sequence[Generator]

    def samples(self) -> list[Samples]:
        return [part.samples() for part in self.parts]

    def durations(self) -> Histogram:
        whole = Histogram(counts={})
        for part in self.parts:
            whole = whole.plus(read_histogram(part.ask("/metrics"), behaviour="herd"))
        return whole


class Echo(asyncio.Protocol):
    """Answers `GET /api/users/7` with the user's id, and does nothing else."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        number = data.split(b" ", 2)[1].rsplit(b"/", 1)[1]
        body = b'{"id": ' + number + b"}"
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
        self._transport.write(head + str(len(body)).encode() + b"\r\n\r\n" + body)


async def _serve(path: str) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    server = await asyncio.get_running_loop().create_unix_server(Echo, sock=listener, backlog=1024)
    await server.serve_forever()


@contextmanager
def _server(path: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.bench.bench_load", "--serve", str(path)]
    with subprocess.Popen(command) as process:
        try:
            wait_until("the server listens", path.exists)
            yield
        finally:
            process.kill()


def _load(rate_hz: float) -> dict[str, Any]:
    users = max(1, round(rate_hz / _USER_RATE_HZ))
    return {"behaviour": "herd", "users": users, "rate_hz": rate_hz / users}


def _step(offering: Offering, rate_hz: float, seconds: float) -> Step:
    offering.control.offer(_load(rate_hz), load_id=f"{rate_hz}")
    time.sleep(_WARM_UP_S)
    before, durations = offering.samples(), offering.durations()
    worst_s = busiest = 0.0
    until_s = time.monotonic() + seconds
    while (left_s := until_s - time.monotonic()) > 0:
        time.sleep(min(left_s, _LOOK_S))
        for now in offering.samples():
            worst_s = max(worst_s, now.total("loadgen_scheduler_lag_seconds"))
            busiest = max(busiest, now.total("loadgen_cpu_ratio"))
    after = offering.samples()
    spent = offering.durations().since(durations)

    def rate(name: str) -> float:
        """Of all parts, each over the time between its own two scrapes."""
        pairs = zip(before, after, strict=True)
        return sum(
            (new.total(name) - old.total(name)) / (new.at_s - old.at_s) for old, new in pairs
        )

    return Step(
        offered_hz=rate_hz,
        due_hz=round(rate(OFFERED), 1),
        reached_hz=round(rate(DONE), 1),
        errors=round(sum(now.total(ERRORS) for now in after)),
        worst_lag_s=round(worst_s, 3),
        cpu_ratio=round(busiest, 2),
        p50_ms=round(1000 * (spent.quantile(0.5) or 0.0), 1),
        p99_ms=round(1000 * (spent.quantile(0.99) or 0.0), 1),
    )


def _climb(offering: Offering, rates_hz: Sequence[float], seconds: float) -> list[Step]:
    """Up to the first step that is not reached."""
    steps = []
    for rate_hz in rates_hz:
        steps.append(_step(offering, rate_hz, seconds))
        sys.stderr.write(f"{asdict(steps[-1])}\n")
        if not steps[-1].is_reached:
            break
    return steps


def _one(folder: Path, socket_: Path, open_: ExitStack) -> Offering:
    alone = open_.enter_context(Generator(folder, app_socket=socket_))
    return Offering(control=alone, parts=[alone])


def _two(folder: Path, socket_: Path, open_: ExitStack) -> Offering:
    spool = folder / "spool"
    spool.mkdir()
    master = open_.enter_context(Master(folder, expect_workers=2, spool_dir=str(spool)))
    workers = [
        open_.enter_context(Worker(master, name, app_socket=socket_, spool_dir=str(spool)))
        for name in ("w1", "w2")
    ]
    wait_until("both workers are there", master.is_ready)
    return Offering(control=master, parts=workers)


def _measure(
    start: Callable[[Path, Path, ExitStack], Offering], rates_hz: Sequence[float], seconds: float
) -> list[Step]:
    with tempfile.TemporaryDirectory(prefix="lgb-") as name, ExitStack() as open_:
        folder = Path(name)
        open_.enter_context(_server(folder / "app.sock"))
        return _climb(start(folder, folder / "app.sock", open_), rates_hz, seconds)


def _figures(one: Sequence[Step], two: Sequence[Step]) -> Mapping[str, object]:
    reached_one, reached_two = _most(one), _most(two)
    return {
        "benchmark": "load of one generator, and of two workers",
        "two_over_one": round(reached_two / reached_one, 2) if reached_one else None,
        "one_reached_hz": reached_one,
        "two_reached_hz": reached_two,
        **_accuracy("one", one),
        **_accuracy("two", two),
    }


def _most(steps: Sequence[Step]) -> float:
    return max((step.reached_hz for step in steps if step.is_reached), default=0.0)


def _accuracy(name: str, steps: Sequence[Step]) -> Mapping[str, object]:
    """How far what was due is from what was asked for, at worst; and latency while it is calm."""
    reached = [step for step in steps if step.is_reached]
    if not reached:
        return {f"{name}_failed_at": asdict(steps[0])}
    worst = max(abs(step.due_hz / step.offered_hz - 1) for step in reached)
    return {
        f"{name}_rate_error": round(worst, 4),
        f"{name}_worst_lag_s": max(step.worst_lag_s for step in reached),
        f"{name}_first_p50_ms": reached[0].p50_ms,
        f"{name}_first_p99_ms": reached[0].p99_ms,
        f"{name}_cpu_ratio": reached[-1].cpu_ratio,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=STEP_S, help="each step is watched")
    parser.add_argument("--rates", default=",".join(map(str, RATES_HZ)), help="with commas between")
    parser.add_argument("--serve", metavar="PATH", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(_serve(arguments.serve))
        return 0
    rates_hz = [float(rate) for rate in arguments.rates.split(",")]
    one = _measure(_one, rates_hz, arguments.seconds)
    two = _measure(_two, rates_hz, arguments.seconds)
    sys.stdout.write(json.dumps(_figures(one, two)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
