"""The command line of a load generator process, put before its configuration file."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from loadgen.config import DEFAULT_MASTER_PORT, Config

#: the control token, where no file holds it
TOKEN_VARIABLE = "RATCHET_LOAD_TOKEN"  # noqa: S105 - its name

_EXAMPLE = f"""examples:
  python -m loadgen --config loadgen.json
  {TOKEN_VARIABLE}=… python -m loadgen --master --expect-workers 2 --web-port 8089 \\
      --clients loadgen.chat_db_app
  {TOKEN_VARIABLE}=… python -m loadgen --worker --master-host 10.0.0.5 --web-port 9646 \\
      --web-host 10.0.0.6 --clients loadgen.chat_db_app --app-address 10.0.0.5:8080
"""


class OptionsError(ValueError):
    """The process cannot be started like that; the message says what is wrong with what."""


def parser() -> argparse.ArgumentParser:
    """One option for each field of `Config` that is of use on a command line."""
    made = argparse.ArgumentParser(
        prog="loadgen",
        description="Offers load to the target app; alone, or as master and workers.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--config", type=Path, help="JSON file, see loadgen.config")
    role = made.add_mutually_exclusive_group()
    role.add_argument(
        "--master", dest="role", action="store_const", const="master", help="lead workers"
    )
    role.add_argument(
        "--worker", dest="role", action="store_const", const="worker", help="work for a master"
    )
    made.add_argument("--master-host", help="where the master listens, or is (default 127.0.0.1)")
    made.add_argument(
        "--master-port", type=int, help=f"the same, its port (default {DEFAULT_MASTER_PORT})"
    )
    made.add_argument(
        "--expect-workers", type=int, metavar="N", help="master: not ready with fewer (default 1)"
    )
    made.add_argument("--name", help="worker: under which it is known (default: the host's)")
    made.add_argument(
        "--metrics-address", metavar="HOST:PORT", help="worker: where Prometheus reaches it"
    )
    made.add_argument("--clients", help="what the users do: a module, or a file")
    made.add_argument("--app-socket", help="the app's Unix socket")
    made.add_argument("--app-address", metavar="HOST:PORT", help="the app over TCP")
    made.add_argument("--web-host", help="for /metrics and the controls (default 127.0.0.1)")
    made.add_argument("--web-port", type=int, help="the same, its port")
    made.add_argument("--client-timeout-s", type=float, help="how long a client waits (default 5)")
    made.add_argument("--seed", type=int, help="of every choice (default 1)")
    made.add_argument("--spool-dir", help="a folder that master and workers of one host share")
    made.add_argument("--log-file", help="JSON lines")
    made.add_argument("--token-file", type=Path, help=f"holds the token; else {TOKEN_VARIABLE}")
    return made


def read_config(arguments: argparse.Namespace) -> Config:
    """The file's settings, and what the command line says instead.

    Raises:
        OptionsError: a file cannot be read, or something is missing or wrong.
    """
    given = {name: value for name, value in vars(arguments).items() if value is not None}
    file, token_file = given.pop("config", None), given.pop("token_file", None)
    settings: dict[str, Any] = {}
    try:
        if file is not None:
            settings |= json.loads(file.read_bytes())
        if token_file is not None:
            settings["control_token"] = token_file.read_text().strip()
        elif "control_token" not in settings and TOKEN_VARIABLE in os.environ:
            settings["control_token"] = os.environ[TOKEN_VARIABLE]
        return Config.model_validate_json(json.dumps(settings | given))
    except (OSError, ValueError) as error:
        told = _told(error) if isinstance(error, ValidationError) else str(error)
        raise OptionsError(f"{file}: {told}" if file else told) from error


def _told(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc']) or 'all'}: {problem['msg']}"
        for problem in problems
    )


def parse(arguments: Sequence[str] | None = None) -> tuple[argparse.ArgumentParser, Config]:
    """Leaves the process with exit code 2 when the options are wrong."""
    made = parser()
    try:
        return made, read_config(made.parse_args(arguments))
    except OptionsError as error:
        made.error(str(error))
