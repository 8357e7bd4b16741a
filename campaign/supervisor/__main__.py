"""``python -m campaign.supervisor --config FILE``: exit code 2 when the configuration is wrong."""

import argparse
import asyncio
import fcntl
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog
from aiohttp import web

from campaign.supervisor import api, listeners
from campaign.supervisor.config import ConfigError, SupervisorConfig, load_config
from campaign.supervisor.relay import Relay
from campaign.supervisor.supervisor import Supervisor

log = structlog.get_logger()

_WRONG_USE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m campaign.supervisor",
        description="Run a target app in its sandbox and redeploy it without failing a request.",
    )
    parser.add_argument("--config", type=Path, required=True, help="JSON file")
    chosen = parser.parse_args(arguments)
    _log_as_json()
    try:
        config = load_config(chosen.config)
        with _alone(config.state_dir):
            asyncio.run(_serve(config))
    except ConfigError as error:
        for problem in error.problems:
            sys.stderr.write(f"{problem}\n")
        return _WRONG_USE
    return 0


async def _serve(config: SupervisorConfig) -> None:
    supervisor = await Supervisor.prepare(config)
    _stop_on_signals(supervisor)
    relay = Relay(config.app_dir / listeners.PUBLIC_NAME, limit=config.relay_connections)
    runner = web.AppRunner(api.build(supervisor), access_log=None, shutdown_timeout=1.0)
    try:
        if config.relay_port is not None:
            await _open_relay(relay, config.relay_host, config.relay_port)
        await runner.setup()
        listening = api.control_socket(config.control_socket, mode=config.control_socket_mode)
        await web.SockSite(runner, listening).start()
        log.info("supervisor is ready", action="ready", socket=str(config.control_socket))
        await supervisor.wait()
    finally:
        await supervisor.close()
        await runner.cleanup()
        await relay.close()
        config.control_socket.unlink(missing_ok=True)
        log.info("supervisor ended", action="ended")


async def _open_relay(relay: Relay, host: str, port: int) -> None:
    try:
        await relay.serve_tcp(host, port)
    except OSError as error:
        raise ConfigError((f"relay_port: {error}",)) from error


def _stop_on_signals(supervisor: Supervisor) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop)


@contextmanager
def _alone(state_dir: Path) -> Iterator[None]:
    """Hold the lock of the state folder: two supervisors would mix up their records."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        file = (state_dir / "supervisor.lock").open("w")
    except OSError as error:
        raise ConfigError((f"state_dir: {error}",)) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError((f"state_dir: another supervisor uses {state_dir}",)) from error
        yield


def _log_as_json() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


if __name__ == "__main__":
    sys.exit(main())
