"""How much load one worker really offers, and two, and how exactly.

python -m tests.bench.bench_load

A master with one worker and then with two offer the same rates, one after the other, to a server
that costs next to nothing (`load_server`). A rate is reached when as many answers came as were due,
without an error, and no wake-up was late by more than a campaign tolerates. What fails is tried
again: something else that ran for an instant is not the generator's limit.

On two cores, two workers have what the server, the master and this process leave them, and not
two cores: beside each rate stands how many cores each part had. So there are two ratios.
`two_over_one`, of the most that was reached, is this machine's. `cost_two_over_one`, of the CPU
time that workers spend on one request at the lowest rate, asks for no free core: near 1, a worker
with a core of its own carries what the first one does. Neither is told when something else had
more than a little of the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from loadgen.testing import Master, Worker, wait_until
from tests.bench.load_server import running
from tests.bench.load_step import Offering, Step, measure

#: requests a second that are offered, one step after the other; the first is what one worker can do
RATES_HZ = (2000, *range(3000, 20_001, 500))
STEP_S = 5.0
#: a rate that is not reached so often in a row is too much
_TRIES = 3
#: cores; where more goes elsewhere, it is not the generator that was measured
_QUIET = 0.25


@dataclass(frozen=True, kw_only=True)
class Climb:
    """The steps that were reached, in order, and the last try of the one that was not."""

    reached: Sequence[Step]
    missed: Step | None

    @property
    def most_hz(self) -> float:
        return self.reached[-1].answered_hz if self.reached else 0.0

    @property
    def steps(self) -> Sequence[Step]:
        return [*self.reached, *([self.missed] if self.missed else [])]

    def at(self, offered_hz: float) -> Step | None:
        return next((step for step in self.steps if step.offered_hz == offered_hz), None)


@contextmanager
def _offering(workers: int) -> Iterator[Offering]:
    with tempfile.TemporaryDirectory(prefix="lgb-") as name, ExitStack() as open_:
        folder, spool = Path(name), Path(name) / "spool"
        spool.mkdir()
        server = open_.enter_context(running(folder / "app.sock"))
        master = open_.enter_context(Master(folder, expect_workers=workers, spool_dir=str(spool)))
        crew = [
            open_.enter_context(
                Worker(master, f"w{number}", app_socket=server.path, spool_dir=str(spool))
            )
            for number in range(1, workers + 1)
        ]
        wait_until("the workers are there", master.is_ready)
        yield Offering(master=master, workers=crew, server=server)


def _climb(offering: Offering, rates_hz: Sequence[float], seconds: float) -> Climb:
    reached: list[Step] = []
    for rate_hz in rates_hz:
        for _ in range(_TRIES):
            step = measure(offering, rate_hz, seconds)
            sys.stderr.write(f"{len(offering.workers)} at {rate_hz:g}: {step}\n")
            if step.is_reached:
                reached.append(step)
                break
            offering.silence()
        else:
            return Climb(reached=reached, missed=step)
    return Climb(reached=reached, missed=None)


def figures(one: Climb, two: Climb) -> Mapping[str, object]:
    """The ratios first; then both at the rate that one can do, and at the first that it cannot."""
    elsewhere = max(step.elsewhere for step in (*one.steps, *two.steps))
    is_quiet = elsewhere <= _QUIET
    told: dict[str, object] = {
        "benchmark": "load of one worker, and of two",
        "two_over_one": _ratio(two.most_hz, one.most_hz) if is_quiet else None,
        "cost_two_over_one": _ratio(_cost(two), _cost(one)) if is_quiet else None,
        "one_reached_hz": round(one.most_hz),
        "two_reached_hz": round(two.most_hz),
        "cores": psutil.cpu_count(),
        "elsewhere_at_worst": round(elsewhere, 2),
    }
    if not is_quiet:
        told["why_no_ratio"] = f"something else had {elsewhere:.2f} cores: measure it alone"
    lowest = one.reached[0].offered_hz if one.reached else None
    too_much = one.missed.offered_hz if one.missed else None
    for rate_hz in (lowest, too_much):
        if rate_hz is not None:
            told[f"one_at_{rate_hz:g}"] = str(one.at(rate_hz))
            told[f"two_at_{rate_hz:g}"] = str(two.at(rate_hz) or "not tried: less was too much")
    if two.missed is not None and two.missed.offered_hz != too_much:
        told["two_end_at"] = f"{two.missed.offered_hz:g}: {two.missed}"
    return told


def _ratio(of: float, to: float) -> float | None:
    return round(of / to, 2) if of and to else None


def _cost(climb: Climb) -> float:
    """CPU seconds that workers spend on one answer at the lowest rate; 0 where it was missed."""
    if not climb.reached:
        return 0.0
    first = climb.reached[0]
    return first.workers_cpu / first.answered_hz


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=STEP_S, help="each step is watched")
    parser.add_argument("--rates", default=",".join(map(str, RATES_HZ)), help="with commas between")
    arguments = parser.parse_args()
    rates_hz = [float(rate) for rate in arguments.rates.split(",")]
    climbs = []
    for workers in (1, 2):
        with _offering(workers) as offering:
            climbs.append(_climb(offering, rates_hz, arguments.seconds))
    sys.stdout.write(json.dumps(figures(*climbs)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
