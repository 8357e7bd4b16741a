"""What a tool is, and what it works with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict

from campaign.model import Assignment
from operators.toolbox.answer import Answer
from operators.toolbox.equipment import Desk, Equipment
from operators.toolbox.errors import ToolError
from operators.toolbox.instruments import Instruments, Shell


class Arguments(BaseModel):
    """What a tool takes; nothing else is taken."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Effect(Enum):
    """What a call does to what others see, and so when its turn comes."""

    #: it looks on, or says something: runs beside all others
    READS = auto()
    #: the workspace, or what runs: one after the other in the order of the calls
    CHANGES = auto()
    #: what later calls may do: in the order of the calls, too
    ALLOWS = auto()
    #: the session: in the order of the calls, once all before it are over
    CLOSES = auto()


#: what must be there for the tool to be offered
Needs: TypeAlias = Literal["nothing", "instruments", "shell"]


@dataclass(slots=True, kw_only=True)
class Deed:
    """What one call has done, also when it ends in an error or is cancelled."""

    #: epoch seconds; waiting for a turn or for a person does not count
    began_at: float = 0.0
    #: what it changed in the workspace
    diff: str = ""
    exit_code: int | None = None
    #: the ticket is closed, and that is on record
    resolved: bool = False
    #: names the files that a person agreed to deploy
    approved: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a tool works with: the session's things, and what this call does."""

    assignment: Assignment
    desk: Desk
    equipment: Equipment
    ticket_text: Callable[[], str]
    #: how its symptoms stand now, in a few lines; None: nobody can say
    standing: Callable[[], Awaitable[str]] | None
    #: the header by which the app knows its user
    user_header: str
    #: names the session's next deployment
    next_deployment: Callable[[], str]
    #: whether anything may be changed: not before a plan, where one has to be filed
    may_change: Callable[[], bool]
    given_instruments: Instruments | None = None
    given_shell: Shell | None = None
    #: in which nothing can be changed; None: there is none
    looking: Shell | None = None
    deed: Deed = field(default_factory=Deed)

    @property
    def instruments(self) -> Instruments:
        if self.given_instruments is None:
            raise ToolError("this session has no instruments")
        return self.given_instruments

    @property
    def shell(self) -> Shell:
        """The one that may be used now."""
        shell = self.given_shell if self.may_change() else self.looking
        if shell is None:
            raise ToolError("this session has no shell")
        return shell

    @property
    def whose(self) -> dict[str, Any]:
        """What each event of the session begins with."""
        assignment = self.assignment
        return {
            "trial": assignment.trial,
            "ticket": assignment.ticket.id,
            "session": assignment.session,
        }


A = TypeVar("A", bound=Arguments)


def reads(_: Arguments) -> Effect:
    return Effect.READS


def changes(_: Arguments) -> Effect:
    return Effect.CHANGES


def never(_: Work) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool(Generic[A]):
    """One tool: its text for the operator, its arguments, and what it does with them."""

    name: str
    #: what it does, its limits, an example, and what to do when it fails
    description: str
    arguments: type[A]
    #: may raise ToolError or, where the boundary was tried, PermissionError: both for the operator
    run: Callable[[Work, A], Awaitable[Answer]]
    effect: Callable[[A], Effect] = reads
    needs: Needs = "nothing"
    #: only where a plan has to be filed
    plan_mode_only: bool = False
    #: whether it can be used while nothing may be changed, since it then cannot change anything
    only_looks: Callable[[Work], bool] = never
    #: what a person who has to approve a call sees besides its arguments
    shown: Callable[[Work], Awaitable[Mapping[str, Any]]] | None = None
