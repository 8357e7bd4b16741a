"""What the services are told by files: the supervisor's and the load generator's configuration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from campaign.stack.compose.places import APP_PYTHON, APP_USERS, LOADGEN_PORT
from campaign.stack.postgres import APP_ROLE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from campaign.stack.components import LoadgenSettings, SupervisorSettings
    from campaign.stack.compose.places import ComposePlaces

#: between two campaigns; no campaign can have this name (`campaign.runs.new_run`)
IDLE = "_idle"


def supervisor_config(
    settings: SupervisorSettings, places: ComposePlaces, *, run: str
) -> Mapping[str, object]:
    """As `campaign.supervisor.config` reads it; the container is the app's sandbox."""
    folder = places.app_runs / run
    dsn = f"postgresql://{APP_ROLE}@/{APP_ROLE}?host={places.database_sockets}"
    return {
        "command": list(settings.command),
        "app_dir": str(places.app_socket.parent),
        "control_socket": str(places.supervisor_socket),
        # Its group is the campaign's; the app has no way into the folder.
        "control_socket_mode": 0o660,
        "state_dir": str(folder / "supervisor"),
        "log_file": str(folder / "app.log"),
        "environments_dir": str(places.environments),
        "wheel_cache": str(settings.wheels_dir),
        "python": APP_PYTHON,
        "environment": {"DATABASE_URL": dsn, **settings.app_environment},
        "sandbox": "container",
        "users": list(APP_USERS),
    }


def loadgen_config(
    settings: LoadgenSettings, places: ComposePlaces, *, token: str
) -> Mapping[str, object]:
    """As `loadgen.config` reads it."""
    return {
        "clients": settings.clients,
        "app_socket": str(places.app_socket),
        "web_host": "0.0.0.0",  # noqa: S104 - its own networks only
        "web_port": LOADGEN_PORT,
        "control_token": token,
        "client_timeout_s": settings.client_timeout_s,
        "seed": settings.seed,
        "spool_dir": str(places.loadgen_spool),
    }


def write_json(path: Path, content: object, *, mode: int = 0o640) -> None:
    """All at once: who reads it may start at any moment."""
    new = path.with_name(f".{path.name}.new")
    new.touch(mode=mode)
    new.write_text(json.dumps(content) + "\n")
    new.chmod(mode)
    new.replace(path)
