"""One offered rate, watched for a while: what came of it, how exactly, and what it cost whom."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

from campaign.adapters.calibration import Histogram, read_histogram
from campaign.model import GeneratorLimits
from loadgen.testing import Master, Samples, Worker, wait_until
from loadgen.testing.samples import DONE, ERRORS, IN_FLIGHT, OFFERED
from tests.bench.load_server import SLOW_S, Server, Truth

#: before a step is looked at: a campaign does not judge by the first two seconds either
WARM_UP_S = 2.5
#: each of so many users; in flight it has three at most while nothing is late
_USER_RATE_HZ = 20.0
_IN_FLIGHT = 20
#: of the due requests, so many are answered in time where a step is reached
_REACHED = 0.98
#: about as often as Prometheus; a worst lag is told for a second
_LOOK_S = 0.9
_LAG = re.compile(r"^loadgen_scheduler_lag_seconds (\S+)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Step:
    """What came of one offered rate."""

    offered_hz: float
    #: arrivals that were due, and answers that came, a second
    due_hz: float
    answered_hz: float
    errors: int
    #: of any worker, as a campaign looks at it
    worst_lag_s: float
    #: by the clients' histograms, summed, and by the server's own clock
    p95_ms: float
    true_p95_ms: float
    #: the share that was slower than `SLOW_S`, by the same two
    slow_ratio: float
    true_slow_ratio: float
    #: cores, by part: each worker, master, server, bench, others (what else ran), stolen (by what
    #: else the machine's host runs)
    cpu: Mapping[str, float]

    @property
    def is_reached(self) -> bool:
        in_time = self.worst_lag_s <= GeneratorLimits().max_lag_s
        return self.answered_hz >= _REACHED * self.offered_hz and not self.errors and in_time

    @property
    def elsewhere(self) -> float:
        """Cores that were spent on nothing of ours."""
        return self.cpu.get("others", 0.0) + self.cpu.get("stolen", 0.0)

    @property
    def workers_cpu(self) -> float:
        """Cores that all workers together used."""
        return sum(cores for part, cores in self.cpu.items() if part.startswith("w"))

    def __str__(self) -> str:
        off = self.p95_ms / self.true_p95_ms - 1 if self.true_p95_ms else float("nan")
        cores = " ".join(f"{part} {used:.2f}" for part, used in self.cpu.items())
        return (
            f"{'' if self.is_reached else 'NOT REACHED: '}"
            f"{self.due_hz:.0f} due and {self.answered_hz:.0f} answered a second; "
            f"{self.errors} errors; worst lag {1000 * self.worst_lag_s:.0f} ms; "
            f"p95 {self.p95_ms:.1f} ms where {self.true_p95_ms:.1f} is true ({off:+.1%}); "
            f"slow {self.slow_ratio:.2%} where {self.true_slow_ratio:.2%} is true; cores: {cores}"
        )


@dataclass(frozen=True, kw_only=True)
class Offering:
    """A master with its workers, and whom they load."""

    master: Master
    workers: Sequence[Worker]
    server: Server

    def pids(self) -> dict[str, int]:
        """Of each part, by the name under which its CPU time is told."""
        workers = {worker.name: worker.pid for worker in self.workers}
        return {**workers, "master": self.master.pid, "server": self.server.pid}

    def silence(self) -> None:
        """Offer nothing, until nothing is under way: what was too much leaves no trace."""
        self.master.offer(load_id="silence")
        wait_until(
            "nothing is under way",
            lambda: all(worker.samples().total(IN_FLIGHT) == 0 for worker in self.workers),
        )


@dataclass(frozen=True, kw_only=True)
class Look:
    """Counters of everything at one instant."""

    samples: Sequence[Samples]
    durations: Histogram
    #: CPU seconds so far, by part
    used_s: Mapping[str, float]
    at_s: float

    @classmethod
    def at(cls, offering: Offering) -> Look:
        told = [worker.ask("/metrics") for worker in offering.workers]
        durations = Histogram(counts={})
        for each in told:
            durations = durations.plus(read_histogram(each, behaviour="herd"))
        samples = [Samples.parse(each) for each in told]
        return cls(
            samples=samples, durations=durations, used_s=_used(offering), at_s=time.monotonic()
        )


def measure(offering: Offering, rate_hz: float, seconds: float) -> Step:
    """Offer so much, and watch it for so long."""
    offering.master.offer(_load(rate_hz), load_id=f"{rate_hz}")
    time.sleep(WARM_UP_S)  # it is the load that time passes for, and there is nothing to wait for
    offering.server.truth()
    before = Look.at(offering)
    worst_lag_s = _watch(offering.workers, seconds)
    after = Look.at(offering)
    return step(before, after, offering.server.truth(), rate_hz=rate_hz, worst_lag_s=worst_lag_s)


def step(before: Look, after: Look, truth: Truth, *, rate_hz: float, worst_lag_s: float) -> Step:
    """What lies between two looks."""

    def grown(name: str) -> list[tuple[float, float]]:
        """Of each worker: by how much, and in how many seconds."""
        pairs = zip(before.samples, after.samples, strict=True)
        return [(new.total(name) - old.total(name), new.at_s - old.at_s) for old, new in pairs]

    spent = after.durations.since(before.durations)
    elapsed_s = after.at_s - before.at_s
    return Step(
        offered_hz=rate_hz,
        due_hz=sum(count / seconds for count, seconds in grown(OFFERED)),
        answered_hz=sum(count / seconds for count, seconds in grown(DONE)),
        errors=round(sum(count for count, _ in grown(ERRORS))),
        worst_lag_s=worst_lag_s,
        p95_ms=1000 * (spent.quantile(0.95) or 0.0),
        true_p95_ms=1000 * truth.quantile_s(0.95),
        slow_ratio=_slow_ratio(spent),
        true_slow_ratio=truth.slow_ratio,
        cpu={
            part: (used_s - before.used_s[part]) / elapsed_s
            for part, used_s in after.used_s.items()
        },
    )


def _watch(workers: Sequence[Worker], seconds: float) -> float:
    """The worst lag that is told until then, each worker asked as Prometheus would."""
    worst_s = 0.0
    until_s = time.monotonic() + seconds
    while (left_s := until_s - time.monotonic()) > 0:
        time.sleep(min(left_s, _LOOK_S))
        for worker in workers:
            told = _LAG.search(worker.ask("/metrics"))
            worst_s = max(worst_s, float(told[1]) if told else float("inf"))
    return worst_s


def _load(rate_hz: float) -> dict[str, object]:
    users = max(1, round(rate_hz / _USER_RATE_HZ))
    return {
        "behaviour": "herd",
        "users": users,
        "rate_hz": rate_hz / users,
        "params": {"max_in_flight": _IN_FLIGHT},
    }


def _slow_ratio(spent: Histogram) -> float:
    total = spent.counts.get(float("inf"), 0.0)
    return 1 - spent.counts[SLOW_S] / total if total else 0.0


def _used(offering: Offering) -> dict[str, float]:
    used_s = {part: _of(psutil.Process(pid)) for part, pid in offering.pids().items()}
    used_s["bench"] = _of(psutil.Process())
    whole = psutil.cpu_times()
    busy_s = whole.user + whole.nice + whole.system + whole.irq + whole.softirq
    return {**used_s, "others": busy_s - sum(used_s.values()), "stolen": whole.steal}


def _of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
