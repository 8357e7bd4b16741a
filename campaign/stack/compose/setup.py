"""``python -m campaign.stack.compose.setup``: before anything else runs, in a container that ends.

It makes the passwords and tokens of this installation, once, and sees to it that each volume
belongs to whom it is for. Secrets that were given are put where only the campaign finds them.
"""

from __future__ import annotations

import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

from campaign.stack.components import LoadgenSettings, SupervisorSettings
from campaign.stack.compose.parts import IDLE, loadgen_config, supervisor_config, write_json
from campaign.stack.compose.places import (
    GROUP_ID,
    LOADGEN_ID,
    ONCALL_ID,
    POSTGRES_ID,
    PROMETHEUS_ID,
    ComposePlaces,
)

#: what runs before the first campaign says otherwise
_FIRST_CLIENTS = "loadgen.chat_db_app"
_WHEELS = Path("/opt/wheels")
_KEY_VARIABLE = "ANTHROPIC_API_KEY"
#: a secret of compose, from the file that ANTHROPIC_API_KEY_FILE names
_KEY_SECRET = "run/secrets/anthropic_api_key"  # noqa: S105 - a path
#: the same, from the file that RATCHET_WEBHOOK_SECRET_FILE names
_WEBHOOK_SECRET = "run/secrets/webhook_secret"  # noqa: S105 - a path
#: of a cluster: its load workers have no volume with what is made here, and are told it too
_TOKEN_SECRET = "run/secrets/load_token"  # noqa: S105 - a path


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """A folder, whose it is, and who may do what there."""

    path: Path
    user: int
    group: int
    mode: int


def folders(places: ComposePlaces) -> tuple[Owned, ...]:
    """The first folder on each volume; set-group-id where two users write."""
    ours = {"user": GROUP_ID, "group": GROUP_ID}
    return (
        Owned(
            path=places.root / "var/lib/postgresql/data",
            user=POSTGRES_ID,
            group=POSTGRES_ID,
            mode=0o700,
        ),
        Owned(path=places.database_sockets, user=POSTGRES_ID, group=POSTGRES_ID, mode=0o755),
        Owned(path=places.database_log.parent, user=POSTGRES_ID, group=GROUP_ID, mode=0o2750),
        Owned(path=places.database_password.parent, user=POSTGRES_ID, group=GROUP_ID, mode=0o2750),
        Owned(path=places.exchange, user=POSTGRES_ID, group=GROUP_ID, mode=0o2770),
        Owned(path=places.app_socket.parent, user=0, group=GROUP_ID, mode=0o755),
        Owned(path=places.control, user=0, group=GROUP_ID, mode=0o2770),
        Owned(path=places.app_state, user=0, group=GROUP_ID, mode=0o711),
        Owned(path=places.app_runs, user=0, group=GROUP_ID, mode=0o750),
        Owned(path=places.releases, mode=0o711, **ours),
        # Its files are the shells' own; the folder itself is not theirs to close.
        Owned(path=places.work_place, mode=0o711, **ours),
        Owned(path=places.work_tree, user=GROUP_ID, group=ONCALL_ID, mode=0o2775),
        Owned(path=places.shell_socket.parent, user=0, group=GROUP_ID, mode=0o2770),
        Owned(path=places.tool_environments, mode=0o755, **ours),
        Owned(path=places.runs, mode=0o700, **ours),
        Owned(path=places.cache, mode=0o700, **ours),
        Owned(path=places.loadgen_config.parent, user=GROUP_ID, group=LOADGEN_ID, mode=0o2750),
        Owned(path=places.loadgen_spool, user=LOADGEN_ID, group=LOADGEN_ID, mode=0o700),
        Owned(path=places.loadgen_token.parent, mode=0o700, **ours),
        Owned(path=places.generated, user=GROUP_ID, group=PROMETHEUS_ID, mode=0o2750),
        Owned(path=places.root / "prometheus", user=PROMETHEUS_ID, group=PROMETHEUS_ID, mode=0o700),
    )


def set_up(
    places: ComposePlaces,
    *,
    given_key: str = "",
    given_token: str = "",
    given_webhook_secret: str = "",
) -> None:
    """Make what is missing; what is there stays, but for the key and the webhook's secret.

    A token that is given is the load generator's, instead of one that is made up.

    Needs to be root with CHOWN, FOWNER, FSETID and DAC_OVERRIDE, and no more.
    """
    for folder in folders(places):
        _own(folder)
    _secret(places.database_password, user=POSTGRES_ID, mode=0o440)
    _secret(places.loadgen_token, user=GROUP_ID, mode=0o400, given=given_token)
    _secret(places.daemon_token, user=GROUP_ID, mode=0o400)
    _keep(places.api_key, given_key, user=GROUP_ID, mode=0o400)
    _keep(places.webhook_secret, given_webhook_secret, user=GROUP_ID, mode=0o400)
    if not places.supervisor_config.exists():
        idle = SupervisorSettings(wheels_dir=_WHEELS, environments_dir=places.environments)
        write_json(places.supervisor_config, supervisor_config(idle, places, run=IDLE))
        os.chown(places.supervisor_config, GROUP_ID, GROUP_ID)
    if not places.loadgen_config.exists():
        settings = LoadgenSettings(clients=_FIRST_CLIENTS)
        token = places.loadgen_token.read_text().strip()
        write_json(places.loadgen_config, loadgen_config(settings, places, token=token))
        os.chown(places.loadgen_config, GROUP_ID, LOADGEN_ID)


def main() -> int:
    places = ComposePlaces()
    key = os.environ.get(_KEY_VARIABLE, "").strip() or _read(places.root / _KEY_SECRET)
    set_up(
        places,
        given_key=key,
        given_token=_read(places.root / _TOKEN_SECRET),
        given_webhook_secret=_read(places.root / _WEBHOOK_SECRET),
    )
    where = "given" if key else "not given"
    sys.stderr.write(f"ratchet: volumes and secrets are ready; API key {where}\n")
    return 0


def _own(folder: Owned) -> None:
    folder.path.mkdir(parents=True, exist_ok=True)
    # The mode last: a change of owner takes set-group-id away.
    os.chown(folder.path, folder.user, folder.group)
    folder.path.chmod(folder.mode)


def _secret(path: Path, *, user: int, mode: int, given: str = "") -> None:
    if not path.exists():
        _keep(path, given or secrets.token_urlsafe(24), user=user, mode=mode)


def _keep(path: Path, text: str, *, user: int, mode: int) -> None:
    """Nobody else can read it at any moment; its group is its folder's."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_text(f"{text}\n" if text else "")
    os.chown(new, user, path.parent.stat().st_gid)
    new.chmod(mode)
    new.replace(path)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
