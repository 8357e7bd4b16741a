"""What every way of starting the processes offers: child processes here, containers elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from types import TracebackType

    from campaign.stack.copies import StoredSnapshot
    from campaign.stack.postgres import PostgresAddresses
    from campaign.stack.template import TemplateRecipe

ComponentName: TypeAlias = Literal["postgres", "supervisor", "loadgen", "prometheus"]

#: where a database comes from: a recipe, a snapshot, or the folder of a stopped cluster
DatabaseSource: TypeAlias = "TemplateRecipe | StoredSnapshot | Path"


@dataclass(frozen=True, slots=True, kw_only=True)
class StackAddresses:
    """How to reach every part of a running stack."""

    database: PostgresAddresses
    prometheus_url: str
    #: Locust's page, its /metrics and, with the token, the routes under /ratchet
    loadgen_url: str
    loadgen_token: str = field(repr=False)
    #: the app over TCP, for people and for Prometheus; refuses until something is deployed
    app_url: str
    #: the app itself
    app_socket: Path
    #: the supervisor's control API (HTTP)
    supervisor_socket: Path
    #: one `<component>.log` each
    logs_dir: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentDown:
    """A component ended although nobody asked it to (or a restart was asked for)."""

    name: str
    reason: str
    log_tail: tuple[str, ...] = ()
    #: True: it will not be started again, it has failed too often
    final: bool = False
    #: nothing that is judged rests on it
    covered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentUp:
    """It is ready again. What it held in memory is gone: the load generator offers no load."""

    name: str


ComponentEvent: TypeAlias = ComponentDown | ComponentUp


class ProcessStack(Protocol):
    """The processes a campaign needs, as an asynchronous context manager."""

    @property
    def addresses(self) -> StackAddresses:
        """Valid while the stack runs, restarts of components included."""

    async def __aenter__(self) -> Self:
        """Start everything; nothing is left behind when that fails.

        Raises:
            StackError: with what to do next, and an exit code for the command line.
        """

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop everything; the database's files stay for a later start."""

    def events(self) -> AsyncIterator[ComponentEvent]:
        """Components that go down and come back, until the stack stops; for one reader."""

    async def restart(self, component: ComponentName) -> None:
        """Stop and start one component; its addresses stay."""

    async def reload_rules(self) -> None:
        """Have Prometheus take up the rule files as they are now."""

    async def reset_database(self, database: DatabaseSource) -> None:
        """Replace the database by a fresh one; the app's connections are cut."""

    def copy_of_database(self) -> AbstractAsyncContextManager[Path]:
        """A physical copy of the running database, as of about now, for as long as it lasts.

        Raises:
            StackError: it cannot be made; too little room on the disk, for instance.
        """
