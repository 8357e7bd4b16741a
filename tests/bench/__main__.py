"""All benchmarks, as a table with the ratios first: `python -m tests.bench`."""

from __future__ import annotations

import json
import platform
import subprocess
import sys

import psutil

BENCHMARKS = ("bench_machine", "bench_journal", "bench_stack")


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
    ratios = ("times_a_bare_fsync", "cold_over_warm")
    ratio = next((f"{result[name]} ({name})" for name in ratios if name in result), None)
    if ratio is None and isinstance(result["best_ms"], float):
        budget = result["budget_ms"]
        assert isinstance(budget, float)
        ratio = f"{result['best_ms'] / budget:.2f} (of its budget)"
    rest = ", ".join(f"{key} {value}" for key, value in result.items() if key != "benchmark")
    return f"| {result['benchmark']} | {ratio} | {rest} |"


if __name__ == "__main__":
    sys.exit(main())
