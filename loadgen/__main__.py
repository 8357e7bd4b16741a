"""`python -m loadgen --config FILE`."""

from __future__ import annotations

import sys

import prometheus_client

from loadgen.clients import ClientsError
from loadgen.options import parse


def main() -> int:
    """Exit codes: 0 stopped by a signal, 1 could not serve, 2 wrong use."""
    parser, config = parse()
    # Locust's page reads the command line again, as if it were Locust's own, and exits on ours.
    del sys.argv[1:]
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

    # Locust patches the standard library for gevent when it is imported: only from here on.
    from loadgen import logs  # noqa: PLC0415
    from loadgen.process import Process, ServeError  # noqa: PLC0415

    logs.configure(config.log_file)
    try:
        process = Process(config)
    except ClientsError as error:
        parser.error(f"clients: {error}")
    except ServeError as error:
        sys.stderr.write(f"loadgen: {error}\n")
        return 1
    return process.run()


if __name__ == "__main__":
    sys.exit(main())
