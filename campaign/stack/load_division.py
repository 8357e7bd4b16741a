"""Among which processes the load is divided."""

from __future__ import annotations

from dataclasses import dataclass, field

from campaign.stack.network import LOOPBACK


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadDivision:
    """One process, unless there are workers."""

    #: started with the stack, on this machine
    workers: int = 0
    #: on other hosts, started by somebody else; the stack is not ready without them
    others: int = 0
    #: where the master listens for them, and the port; None: any that is free
    host: str = LOOPBACK
    port: int | None = None
    #: what they must know; None: one is made up, which nobody else can know
    token: str | None = field(default=None, repr=False)

    @property
    def is_divided(self) -> bool:
        return self.expected > 0

    @property
    def expected(self) -> int:
        return self.workers + self.others


#: how long workers on other hosts are waited for
OTHERS_PATIENCE_S = 300.0
