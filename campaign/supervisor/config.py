"""The supervisor's configuration: one JSON file, every problem in it named at once."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from campaign.identity import APP_USER
from campaign.sandbox import Limits

#: A Unix socket's path is at most this long (sockaddr_un of Linux: 108 with the closing NUL; of
#: macOS: 104).
SOCKET_PATH_LIMIT = 103

#: Room for the longest name of a socket in the app's folder.
_LONGEST_SOCKET_NAME = "app-9999999.sock"


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError(f"must be an absolute path, not {path}")
    return path


def _fits_a_socket(path: Path) -> Path:
    if len(bytes(path)) > SOCKET_PATH_LIMIT:
        raise ValueError(f"is too long for a Unix socket ({SOCKET_PATH_LIMIT} bytes): {path}")
    return path


def _holds_sockets(path: Path) -> Path:
    _fits_a_socket(path / _LONGEST_SOCKET_NAME)
    return path


Seconds = Annotated[float, Field(gt=0)]
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
SocketPath = Annotated[AbsolutePath, AfterValidator(_fits_a_socket)]
SocketFolder = Annotated[AbsolutePath, AfterValidator(_holds_sockets)]


class ConfigError(Exception):
    """The configuration cannot be used; ``problems`` has a line for each mistake."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AppLimits(_Model):
    """Resource limits of the app, as in `campaign.sandbox.Limits`."""

    processes: int | None = Field(default=256, gt=0)
    address_space_bytes: int | None = Field(default=4 << 30, gt=0)
    file_size_bytes: int | None = Field(default=256 << 20, gt=0)
    open_files: int | None = Field(default=None, gt=0)

    def limits(self) -> Limits:
        return Limits(**self.model_dump())


class SupervisorConfig(_Model):
    """Where everything lives, how the app runs, how patient the supervisor is."""

    #: Folder of the app's sockets; the public one is ``app.sock``. Clients must be able to enter.
    app_dir: SocketFolder
    control_socket: SocketPath
    #: Permission bits of that socket; its group is ours.
    control_socket_mode: int = Field(default=0o600, ge=0, le=0o777)
    #: Records of deployments; one supervisor at a time (a lock file guards it).
    state_dir: AbsolutePath
    #: The app's output, at most twice `log_bytes` with the one rotated file beside it.
    log_file: AbsolutePath
    log_bytes: int = Field(default=32 << 20, ge=4096)
    #: Cache of Python environments, one per set of requirements. The app's user must be able to
    #: read it (so not below root's home).
    environments_dir: AbsolutePath
    #: Folder of wheels that requirements are installed from.
    wheel_cache: AbsolutePath
    #: The interpreter for the app; None picks one that the app's user can execute.
    python: AbsolutePath | None = None
    command: tuple[str, ...] = Field(default=("python", "main.py"), min_length=1)
    #: Added to the app's environment: DATABASE_URL, TOKEN_DELAY_MS and so on. Without a sandbox
    #: the paths in it must be the host's.
    environment: dict[str, str] = Field(default_factory=dict)
    #: Folder of Postgres's Unix socket on the host; /run/postgresql inside the sandbox.
    database_dir: AbsolutePath | None = None
    #: container: this very container is the sandbox, and holds nothing that the app may not see.
    sandbox: Literal["bubblewrap", "container", "none"] = "bubblewrap"
    #: Whom the app runs as when the supervisor is root.
    user: str = APP_USER
    #: In a container: the users that its processes run as, one each (see `users`).
    users: tuple[str, ...] = ()
    limits: AppLimits = AppLimits()
    #: TCP port that is relayed to the app's socket; None for no relay.
    relay_port: int | None = Field(default=None, ge=1, le=65535)
    relay_host: str = "127.0.0.1"
    relay_connections: int = Field(default=512, ge=1)
    #: Migrations may wait for minutes behind open writers.
    health_timeout_s: Seconds = 180.0
    #: A new process that complains about connections but does not exit is given up after this.
    starved_patience_s: Seconds = 10.0
    probe_interval_s: Seconds = 1.0
    probe_timeout_s: Seconds = 2.0
    unhealthy_after: int = Field(default=3, ge=1)
    #: The old process keeps serving this long after the new socket is public, so that whoever
    #: connected at the last moment is answered before it is told to end.
    handover_pause_s: float = Field(default=0.25, ge=0)
    drain_timeout_s: Seconds = 10.0
    restart_limit: int = Field(default=5, ge=0)
    restart_window_s: Seconds = 60.0


def load_config(path: Path) -> SupervisorConfig:
    """Read the file.

    Raises:
        ConfigError: it cannot be read, or something in it is wrong.
    """
    try:
        return SupervisorConfig.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError((f"{path}: {error.strerror}",)) from error
    except ValidationError as error:
        problems = (f"{path}: {_place(each['loc'])}{each['msg']}" for each in error.errors())
        raise ConfigError(tuple(problems)) from error


def _place(location: tuple[int | str, ...]) -> str:
    return f"{'.'.join(map(str, location))}: " if location else ""
