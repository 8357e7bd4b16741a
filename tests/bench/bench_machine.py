"""How fast the pure core judges a whole ladder: `python -m tests.bench.bench_machine`.

Folds the journal of eighteen simulated trials. The best of many rounds is what the code costs;
the median is what a busy machine makes of it.
"""

from __future__ import annotations

import json
import statistics
import sys
import time

from campaign.machine import fold
from campaign.model import Evaluated, Event
from campaign.testing import Simulation, World, make_plan

TRIALS = 18
ROUNDS = 30
#: more than this and every resume, report and test is felt
BUDGET_MS = 50.0


def ladder() -> list[Event]:
    journal: list[Event] = []
    Simulation(World(plan=make_plan(TRIALS)), journal).run()
    return journal


def timed_ms(journal: list[Event]) -> float:
    began = time.perf_counter()
    fold(journal)
    return (time.perf_counter() - began) * 1000


def main() -> int:
    journal = ladder()
    rounds = [timed_ms(journal) for _ in range(ROUNDS)]
    evaluations = sum(isinstance(event, Evaluated) for event in journal)
    best = min(rounds)
    result = {
        "benchmark": "machine_fold",
        "trials": TRIALS,
        "events": len(journal),
        "evaluations": evaluations,
        "invariants": TRIALS + 1,
        "best_ms": round(best, 2),
        "median_ms": round(statistics.median(rounds), 2),
        "us_per_event": round(best * 1000 / len(journal), 1),
        "budget_ms": BUDGET_MS,
        "within_budget": best < BUDGET_MS,
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0 if result["within_budget"] else 1


if __name__ == "__main__":
    sys.exit(main())
