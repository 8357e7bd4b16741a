"""`ratchet operator` as a process, beside a campaign that this very process plays."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from campaign.addresses import Address, announce
from campaign.runs import api_file
from tests.runs_kit import RATCHET, played, write_run
from tests.seats_kit import TOKEN, FakeCampaign, serving

#: importing takes a while on a machine that has other things to do
_PATIENCE_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Done:
    code: int
    out: str
    err: str


@dataclass(kw_only=True)
class Outside:
    """Somebody who has the seat token and a shell, and nothing else."""

    campaign: FakeCampaign
    state: Path
    #: of the run, for whoever plays it
    runs: Path
    environment: dict[str, str] = field(default_factory=dict)

    def env(self, **more: str) -> dict[str, str]:
        seat = self.campaign.register.seat_token or ""
        self.environment.setdefault("RATCHET_SEAT_TOKEN", seat)
        return {
            **os.environ,
            "XDG_STATE_HOME": str(self.state),
            "RATCHET_URL": self.campaign.url,
            "COLUMNS": "120",
            **self.environment,
            **more,
        }

    async def start(
        self, *arguments: str, env: Mapping[str, str] | None = None
    ) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            str(RATCHET),
            "operator",
            *arguments,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=self.env(**(env or {})),
        )

    async def run(
        self, *arguments: str, text: str = "", env: Mapping[str, str] | None = None
    ) -> Done:
        process = await self.start(*arguments, env=env)
        return await self.end(process, text=text)

    async def end(self, process: asyncio.subprocess.Process, *, text: str = "") -> Done:
        async with asyncio.timeout(_PATIENCE_S):
            out, err = await process.communicate(text.encode())
        return Done(code=process.returncode or 0, out=out.decode(), err=err.decode())

    async def own(self, *arguments: str, text: str = "") -> Done:
        """As whoever plays the campaign."""
        more = ("--campaign", "one", "--runs", str(self.runs))
        return await self.run(*arguments, *more, text=text)


def interrupt(process: asyncio.subprocess.Process) -> None:
    process.send_signal(signal.SIGINT)


@asynccontextmanager
async def outside(
    campaign: FakeCampaign, folder: Path, *, tickets: int = 1
) -> AsyncIterator[Outside]:
    """The campaign is played, and can be reached, within the block."""
    run = await asyncio.to_thread(write_run, folder / "runs", "one", played(1))
    async with serving(campaign) as url:
        announce(api_file(run), Address(url=url, token=TOKEN, pid=os.getpid()))
        playing = asyncio.create_task(campaign.play(tickets), name="campaign")
        try:
            yield Outside(campaign=campaign, state=folder / "state", runs=folder / "runs")
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
