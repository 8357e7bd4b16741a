"""`python -m loadgen --config FILE`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import prometheus_client
from pydantic import ValidationError

from loadgen.clients import ClientsError
from loadgen.config import Config


def main() -> int:
    """Exit codes: 0 stopped by a signal, 1 could not serve, 2 wrong use."""
    parser = argparse.ArgumentParser(prog="loadgen", description="Offers load to the target app.")
    parser.add_argument("--config", type=Path, required=True, help="JSON file, see loadgen.config")
    path = parser.parse_args().config
    try:
        config = Config.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        parser.error(f"{path}: {error}")
    # Locust's page reads the command line again, as if it were Locust's own, and exits on ours.
    del sys.argv[1:]
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

    # Locust patches the standard library for gevent when it is imported: only from here on.
    from loadgen import logs  # noqa: PLC0415
    from loadgen.process import Process  # noqa: PLC0415

    logs.configure(config.log_file)
    try:
        process = Process(config)
    except ClientsError as error:
        parser.error(f"{path}: clients: {error}")
    return process.run()


if __name__ == "__main__":
    sys.exit(main())
