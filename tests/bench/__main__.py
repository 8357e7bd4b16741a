"""All benchmarks, as a table with the ratios first: `python -m tests.bench`."""

from __future__ import annotations

import json
import platform
import subprocess
import sys

import psutil

BENCHMARKS = ("bench_machine", "bench_journal", "bench_stack", "bench_load")


def main() -> int:
    sys.stdout.write(f"{platform.platform()}, {psutil.cpu_count()} cores\n\n")
    sys.stdout.write("| benchmark | ratio | figures |\n|---|---|---|\n")
    failed = False
    for name in BENCHMARKS:
        command = [sys.executable, "-m", f"tests.bench.{name}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not done.stdout.strip():
            sys.stderr.write(done.stderr)
            return 1
        sys.stdout.write(_row(json.loads(done.stdout.splitlines()[-1])) + "\n")
        sys.stdout.flush()
        failed = failed or done.returncode != 0
    return 1 if failed else 0


def _row(result: dict[str, object]) -> str:
    """A ratio is what has no unit and is no count: the first such figure."""
    ratios = ("times_a_bare_fsync", "cold_over_warm", "two_over_one")
    ratio = next((f"{result[name]} ({name})" for name in ratios if name in result), None)
    best_ms, budget_ms = result.get("best_ms"), result.get("budget_ms")
    if ratio is None and isinstance(best_ms, float) and isinstance(budget_ms, float):
        ratio = f"{best_ms / budget_ms:.2f} (of its budget)"
    rest = ", ".join(f"{key} {value}" for key, value in result.items() if key != "benchmark")
    return f"| {result['benchmark']} | {ratio} | {rest} |"


if __name__ == "__main__":
    sys.exit(main())
