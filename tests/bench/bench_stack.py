"""Starting a stack with and without a warm template, and loading data by COPY.

python -m tests.bench.bench_stack
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from campaign.adapters.database import TargetDatabase
from campaign.adapters.workspace import Workspace
from campaign.doctor import WHEELS_DIR
from campaign.orders import read_catalogue
from campaign.seeding import recipe
from campaign.stack import LoadgenSettings, LocalStack, LocalStackConfig, SupervisorSettings
from chaos_profiles import load_target_data

MESSAGES = 100_000


async def _measure(root: Path) -> dict[str, Any]:
    catalogue = read_catalogue()
    first = Workspace(root / "cold")
    (root / "cold").mkdir()
    revision = await first.create(catalogue.target.app_dir)
    source = await first.export(revision, root / "source")
    seeded = recipe(catalogue.target, source=source, revision=revision)
    unseen = replace(seeded, key=f"{seeded.key} {time.time_ns()}")

    async def start(name: str) -> tuple[float, float]:
        began = time.perf_counter()
        config = LocalStackConfig(
            run_dir=root / name,
            database=unseen,
            loadgen=LoadgenSettings(clients=catalogue.target.clients),
            supervisor=SupervisorSettings(wheels_dir=WHEELS_DIR),
        )
        async with LocalStack(config) as stack:
            ready = time.perf_counter() - began
            data = load_target_data(catalogue.target.folder)
            database = TargetDatabase(stack.addresses.database.superuser_dsn, data=data)
            began = time.perf_counter()
            await database.grow(catalogue.profile("missing_index"), growth_id="bench")
            return ready, time.perf_counter() - began

    cold_s, _ = await start("cold")
    warm_s, grown_s = await start("warm")
    return {
        "benchmark": "stack",
        "cold_over_warm": round(cold_s / warm_s, 2),
        "cold_s": round(cold_s, 1),
        "warm_s": round(warm_s, 1),
        "messages_per_s": round(MESSAGES / grown_s),
    }


def main() -> int:
    root = Path(tempfile.mkdtemp(prefix="ratchet-bench-"))
    root.chmod(0o755)
    try:
        sys.stdout.write(json.dumps(asyncio.run(_measure(root))) + "\n")
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
