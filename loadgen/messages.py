"""What master and workers tell each other, over Locust's own connection; checked on arrival.

The token is the campaign's: whoever can reach the master's port still needs it to have a part.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from loadgen.ledger import Write

#: names of Locust's custom messages: from the master, from a worker
ORDER, WORD, REPORT = "ratchet_order", "ratchet_word", "ratchet_report"

#: a worker that is not heard for so long is lost, and one that hears no master stops by itself
PATIENCE_S = 3.0

#: a worker's name is also a file's: see `loadgen.spool`
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    token: str


class Order(_Message):
    """To one worker: play this share of this load from now on."""

    #: counts the master's orders; what is acknowledged is the newest
    turn: int
    load: dict[str, Any]
    #: see `loadgen.shares.Share`
    place: int
    of: int
    present: tuple[int, ...]
    #: for each dimension of the load, see `loadgen.fleet.Assignment`
    starts_in_s: dict[str, float]
    seed: int
    timeout_s: float
    #: so long nobody played the users that are taken over with this order
    gap_s: float = Field(ge=0)


class Word(_Message):
    """To one worker, in answer to a report: the master hears it."""

    #: which of the master's processes this is; another one knows of no orders
    master: str
    #: the newest acknowledged write that the master has taken in
    ledger: int
    #: the worker has no part in the load: whatever it still offers it must not
    outside: bool
    #: asks for a report at once, with this number in it
    ask: int = 0


class Numbered(BaseModel):
    """An entry of a worker's ledger."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seq: int
    write: Write


class Report(_Message):
    """From a worker: it lives, this is what it plays and what the app acknowledged."""

    name: Name
    #: one process of that name; a restarted worker has another
    life: Name
    pid: int
    #: where Prometheus scrapes it, host:port
    metrics: str = Field(pattern=r"^[^\s/]+:\d{1,5}$")
    #: the newest order that is carried out; 0: none
    turn: int
    users: int
    lag_s: float
    cpu_ratio: float
    #: what the app acknowledged and the master does not have yet, oldest first
    writes: tuple[Numbered, ...]
    #: acknowledged writes that were dropped because the master did not take them in time
    dropped: int
    #: the number that the master asked with
    answers: int = 0
