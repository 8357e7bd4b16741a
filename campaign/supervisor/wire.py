"""What goes over the supervisor's control socket and into its records."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

#: stopped: nothing was ever started, or everything was ended. crashed: gave up restarting.
State = Literal["stopped", "starting", "running", "crashed"]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExitRecord(_Wire):
    """How one process of the app ended. Times are seconds since the epoch."""

    at: float
    deployment: str
    #: None when it was ended by a signal.
    code: int | None
    #: Name of the signal, such as SIGKILL; None when it exited by itself.
    signal: str | None
    #: False when nobody had asked it to end.
    expected: bool


class Status(_Wire):
    """What runs now. `healthy` is false while the app hangs: judging that is the operator's job."""

    state: State
    deployment: str | None
    revision: str | None
    #: The app's process id on the host.
    pid: int | None
    source_hash: str | None
    #: Restarts of this deployment since it was handed over.
    restarts: int
    since: float
    last_exit: ExitRecord | None
    healthy: bool
    #: Id of the deployment under way.
    rollout: str | None


class DeploymentRequest(_Wire):
    """Run the source in the folder `source` (read-only from now on: nobody else writes to it)."""

    id: str = Field(min_length=1, max_length=200)
    revision: str = Field(min_length=1, max_length=200)
    #: Absolute path.
    source: str = Field(pattern="^/")


class DeploymentResult(_Wire):
    """What became of one deployment; `reason` is None when it went well."""

    id: str
    revision: str
    ok: bool
    reason: str | None
    log_tail: tuple[str, ...]
    #: The old process had to be drained before the new one got a database connection.
    drained_first: bool
    duration_s: float
    started_at: float
    finished_at: float
    #: None when the source could not be read.
    source_hash: str | None


class Logs(_Wire):
    """The app's last log lines, oldest first."""

    lines: tuple[str, ...]


class Problem(_Wire):
    """Why a request was refused."""

    errors: tuple[str, ...]
