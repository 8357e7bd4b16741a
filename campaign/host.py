"""The process that plays campaigns: its HTTP API and metrics, and the way to stop or pause it."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, ConfigDict, ValidationError

from campaign.adapters.journal import open_reader
from campaign.adapters.journal.codec import encode
from campaign.errors import RatchetError, UsageError
from campaign.host_metrics import HostMetrics
from campaign.http_api import build_api
from campaign.machine import Campaign, fold, step
from campaign.model import ContinueRequested, Event, Mode, PauseRequested
from campaign.orders import Order, specify
from campaign.player import Performance, play
from campaign.rig import RigOptions
from campaign.runs import RunFolder, api_file, find_run, list_runs, new_name, new_run
from campaign.shell import Shell
from reports import summarise, write_report
from reports.view import phase_name

log = structlog.get_logger(__name__)

_LOOPBACK = "127.0.0.1"
#: how often a follower of another process's journal looks for more
_FOLLOW_S = 0.5


class ApiOrder(BaseModel):
    """The body of `POST /api/campaigns`."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    target: str | None = None
    operator: str | None = None
    mode: Mode | None = None
    seed: int | None = None
    profiles: tuple[str, ...] | None = None
    first: int | None = None


@dataclass(slots=True)
class _Current:
    """The campaign that is being played."""

    run: RunFolder
    shell: Shell | None = None


class Host:
    """Serves the API while it is open, and plays one campaign at a time.

    Two loads on one machine would measure each other.
    """

    def __init__(
        self, root: Path, *, port: int = 0, sandbox: bool = True, token: str | None = None
    ) -> None:
        self.root = root
        self._wanted_port = port
        self._sandbox = sandbox
        self.token = token or secrets.token_urlsafe(24)
        self.registry = CollectorRegistry()
        self._metrics = HostMetrics(self.registry)
        self._runner: web.AppRunner | None = None
        self._port = 0
        self._current: _Current | None = None
        self._happened = asyncio.Event()
        self._plays: set[asyncio.Task[None]] = set()
        self._address_file: Path | None = None

    @property
    def url(self) -> str:
        return f"http://{_LOOPBACK}:{self._port}"

    async def __aenter__(self) -> Self:
        api = build_api(self, registry=self.registry, token=self.token)
        self._runner = web.AppRunner(api, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, _LOOPBACK, self._wanted_port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise UsageError(
                f"port {self._wanted_port} is in use", hint="choose another one with --port"
            ) from error
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._current is not None and self._current.shell is not None:
            await self._current.shell.request_stop("the daemon ends")
        await asyncio.gather(*self._plays, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    async def play(self, performance: Performance) -> Campaign:
        """Play it here and now, within reach of the API.

        Raises:
            UsageError: this host plays already.
        """
        current = self._claim(performance.run)
        given = performance.on_shell

        def on_shell(shell: Shell) -> None:
            current.shell = shell
            self._announce(performance.run)
            given(shell)

        performance = replace(
            performance,
            on_shell=on_shell,
            observers=(*performance.observers, self._observe),
            options=replace(performance.options, daemon_port=self._port),
            registry=self.registry,
        )
        try:
            return await play(performance)
        finally:
            self._current = None
            api_file(performance.run).unlink(missing_ok=True)
            self._happened.set()

    def _claim(self, run: RunFolder) -> _Current:
        if self._current is not None:
            raise UsageError(
                f"campaign {self._current.run.name} is being played",
                hint="wait for it, or stop it: two loads on one machine would measure each other",
            )
        self._current = _Current(run=run)
        return self._current

    def _announce(self, run: RunFolder) -> None:
        """How other commands reach this process; readable by its user only."""
        file = api_file(run)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(json.dumps({"url": self.url, "token": self.token, "pid": os.getpid()}))

    def _observe(self, before: Campaign | None, event: Event, after: Campaign) -> None:
        self._metrics.observe(before, event, after)
        self._happened.set()

    # -- what the API asks (see `http_api.Control`) ---------------------------------------------

    async def campaigns(self) -> list[dict[str, Any]]:
        return [await self._state(run) for run in list_runs(self.root)]

    async def campaign(self, name: str) -> dict[str, Any]:
        return await self._state(find_run(self.root, name))

    async def start(self, order: Mapping[str, Any]) -> str:
        try:
            asked = ApiOrder.model_validate(order)
        except ValidationError as error:
            problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise UsageError("; ".join(problems)) from error
        wanted = Order(**asked.model_dump(exclude={"name"}))
        spec = await asyncio.to_thread(specify, wanted)
        name = asked.name or new_name(spec.catalogue.target.name)
        run = new_run(self.root, name)
        self._play_soon(Performance(run=run, plan=spec.plan(name), options=self._options))
        return name

    async def resume(self, name: str) -> None:
        run = find_run(self.root, name)
        self._play_soon(Performance(run=run, plan=None, options=self._options))

    async def stop(self, name: str) -> None:
        await self._shell(name).request_stop("asked over the API")

    async def pause(self, name: str) -> None:
        shell = self._shell(name)
        await shell.record(PauseRequested(at=shell.now()))

    async def proceed(self, name: str) -> None:
        shell = self._shell(name)
        await shell.record(ContinueRequested(at=shell.now()))

    async def events(self, name: str, *, after: int) -> AsyncIterator[tuple[int, dict[str, Any]]]:
        """From the journal; goes on for as long as the campaign is played here."""
        run = find_run(self.root, name)
        async with open_reader(run.path) as journal:
            while True:
                plays = self._plays_now(run)
                self._happened.clear()
                for event in await journal.read(after=after):
                    after += 1
                    yield after, json.loads(encode(event))
                if not plays:
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._happened.wait(), _FOLLOW_S)

    async def report(self, name: str) -> Path:
        """Made anew, also of a campaign under way."""
        run = find_run(self.root, name)
        async with open_reader(run.path) as journal:
            events = await journal.read()
        await asyncio.to_thread(write_report, events, step, run.report)
        return run.report

    @property
    def _options(self) -> RigOptions:
        return RigOptions(sandbox=self._sandbox)

    def _plays_now(self, run: RunFolder) -> bool:
        return self._current is not None and self._current.run == run

    def _shell(self, name: str) -> Shell:
        current = self._current
        if current is None or current.run.name != name or current.shell is None:
            raise UsageError(f"campaign {name} is not being played here")
        return current.shell

    def _play_soon(self, performance: Performance) -> None:
        if self._current is not None:
            self._claim(performance.run)
        task = asyncio.create_task(self._play_to_log(performance), name="play")
        self._plays.add(task)
        task.add_done_callback(self._plays.discard)

    async def _play_to_log(self, performance: Performance) -> None:
        name = performance.run.name
        try:
            campaign = await self.play(performance)
        except RatchetError as error:
            log.error("campaign_failed", campaign=name, error=str(error))  # noqa: TRY400 - ours
        except Exception:
            log.exception("campaign_crashed", campaign=name)
        else:
            log.info("campaign_ended", campaign=name, state=summarise(campaign)["state"])

    async def _state(self, run: RunFolder) -> dict[str, Any]:
        async with open_reader(run.path) as journal:
            campaign = fold(await journal.read())
        if campaign is None:
            return {"campaign": run.name, "phase": "empty", "running_here": self._plays_now(run)}
        return {
            **summarise(campaign),
            "phase": phase_name(campaign),
            "trial": campaign.trial.index,
            "running_here": self._plays_now(run),
        }
