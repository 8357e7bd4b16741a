"""How long one journaled event takes, against the bare disk.

python -m tests.bench.bench_journal
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from campaign.adapters.journal import open_journal
from campaign.testing import Simulation, World, make_plan

EVENTS = 400


async def _appends_ms(folder: Path) -> list[float]:
    plan = make_plan(4)
    simulation = Simulation(World(plan=plan), [])
    simulation.run()
    took = []
    async with open_journal(folder) as journal:
        for event in simulation.journal[:EVENTS]:
            began = time.perf_counter()
            await journal.append(event)
            took.append((time.perf_counter() - began) * 1000)
    return took


def _syncs_ms(folder: Path) -> list[float]:
    """What the disk itself takes to make one kilobyte durable."""
    took = []
    with (folder / "bare").open("wb") as file:
        for _ in range(100):
            began = time.perf_counter()
            file.write(b"x" * 1024)
            file.flush()
            os.fsync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    return took


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        appends = asyncio.run(_appends_ms(Path(name)))
        syncs = _syncs_ms(Path(name))
    append, sync = statistics.median(appends), statistics.median(syncs)
    result = {
        "benchmark": "journal_append",
        "times_a_bare_fsync": round(append / sync, 1),
        "median_ms": round(append, 2),
        "p95_ms": round(statistics.quantiles(appends, n=20)[-1], 2),
        "bare_fsync_ms": round(sync, 2),
        "events": len(appends),
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
