"""The process that plays campaigns: its HTTP API and metrics, and the way to stop or pause it."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, disable_created_metrics

from campaign.adapters.journal import open_reader
from campaign.adapters.journal.codec import encode
from campaign.addresses import Address, announced
from campaign.api_order import read_order
from campaign.errors import BusyError, RatchetError, UsageError
from campaign.host_metrics import HostMetrics
from campaign.http_api import build_api
from campaign.listening import listening
from campaign.machine import Campaign, step
from campaign.model import ContinueRequested, Event, PauseRequested, Plan
from campaign.orders import specify
from campaign.player import Performance, play
from campaign.preflight import require_operator_ready, require_ready
from campaign.rig import RigOptions
from campaign.run_holder import run_holder
from campaign.runs import RunFolder, api_file, find_run, list_runs, new_name, new_run
from campaign.seats import Register, how_to_join
from campaign.shell import CampaignOverError, Observer, Shell
from campaign.states import read_state
from campaign.webhook import kept, require_usable
from reports import summarise, write_report

log = structlog.get_logger(__name__)

#: how often a follower of another process's journal looks for more
_FOLLOW_S = 0.5


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
        self,
        root: Path,
        *,
        port: int = 0,
        options: RigOptions | None = None,
        token: str | None = None,
        observers: tuple[Observer, ...] = (),
        on_external: Callable[[tuple[str, ...]], None] | None = None,
    ) -> None:
        """`options`, `observers`, `on_external`: of the campaigns that are asked for over the API.

        `on_external` is told how to join one whose operator comes from outside: lines, with a
        secret in them.
        """
        self.root = root
        self._listening = listening()
        self._observers = observers
        self._on_external = on_external
        self._wanted_port = port
        self._options = options or RigOptions()
        self.token = token or secrets.token_urlsafe(24)
        # Else each counter brings a second series along that nobody reads: when it was made.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._metrics = HostMetrics(self.registry)
        self._runner: web.AppRunner | None = None
        self._port = 0
        self._current: _Current | None = None
        #: of the campaign that is played, or was last
        self._seats: Register | None = None
        self._happened = asyncio.Event()
        #: those that were asked for over the API
        self._plays: set[asyncio.Task[Campaign]] = set()

    @property
    def address(self) -> Address:
        url = f"http://{self._listening.name}:{self._port}"
        return Address(url=url, token=self.token, pid=os.getpid())

    @property
    def seats(self) -> Register | None:
        """Of the campaign that is played, or was last; None: none yet."""
        return self._seats

    async def __aenter__(self) -> Self:
        api = build_api(
            self,
            registry=self.registry,
            token=self.token,
            seats=lambda: self.seats,
            names=self._listening.names,
        )
        self._runner = web.AppRunner(api, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._listening.address, self._wanted_port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            problem = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had: {error}"
            raise UsageError(
                f"port {self._wanted_port} {problem}", hint="choose another one with --port"
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
        else:
            for task in self._plays:
                task.cancel()
        await asyncio.gather(*self._plays, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    async def play(self, performance: Performance) -> Campaign:
        """Play it here and now, within reach of the API.

        Raises:
            BusyError: this host plays already.
        """
        current = self._claim(performance.run)
        seats = self._seats = Register(campaign=performance.run.name, url=self.address.url)
        with ExitStack() as ending:
            ending.callback(self._release)
            ending.callback(seats.close)

            def on_shell(shell: Shell) -> None:
                current.shell = shell
                ending.enter_context(announced(api_file(performance.run), self.address))
                performance.on_shell(shell)

            return await play(
                replace(
                    performance,
                    on_shell=on_shell,
                    observers=(*performance.observers, self._observe),
                    options=replace(performance.options, daemon_port=self._port),
                    registry=self.registry,
                    seats=seats,
                )
            )

    def _claim(self, run: RunFolder) -> _Current:
        if self._current is not None:
            raise BusyError(
                f"campaign {self._current.run.name} is being played",
                hint="wait for it, or stop it: two loads on one machine would measure each other",
            )
        self._current = _Current(run=run)
        return self._current

    def _release(self) -> None:
        self._current = None
        self._happened.set()

    def _observe(self, before: Campaign | None, event: Event, after: Campaign) -> None:
        self._metrics.observe(before, event, after)
        self._happened.set()

    # -- what the API asks (see `http_api.Control`) ---------------------------------------------

    async def campaigns(self) -> list[dict[str, Any]]:
        return [await self._state(run) for run in list_runs(self.root)]

    async def campaign(self, name: str) -> dict[str, Any]:
        return await self._state(find_run(self.root, name))

    async def start(self, order: Mapping[str, Any]) -> str:
        asked = read_order(order)
        spec = await asyncio.to_thread(specify, asked.order)
        name = asked.name or new_name(spec.catalogue.target.name)
        await self._begin(new_run(self.root, name), spec.plan(name))
        return name

    async def resume(self, name: str) -> None:
        await self._begin(find_run(self.root, name), None)

    async def stop(self, name: str) -> None:
        await self._shell(name).request_stop("asked over the API")

    async def pause(self, name: str) -> None:
        await self._record(name, lambda at: PauseRequested(at=at))

    async def proceed(self, name: str) -> None:
        await self._record(name, lambda at: ContinueRequested(at=at))

    async def events(
        self, name: str, *, after: int
    ) -> AsyncGenerator[tuple[int, dict[str, Any]], None]:
        """From the journal; goes on for as long as anybody plays the campaign."""
        run = find_run(self.root, name)
        async with open_reader(run.journal) as journal:
            last = (await journal.last()).seq
        if after > last:
            raise UsageError(f"there is no event {after} yet", hint=f"the last one is {last}")
        return self._follow(run, after=after)

    async def report(self, name: str) -> Path:
        """Made anew, also of a campaign under way."""
        run = find_run(self.root, name)
        async with open_reader(run.journal) as journal:
            events = await journal.read()
        if not events:
            raise BusyError(f"campaign {name} has no events yet", hint="ask again in a moment")
        await asyncio.to_thread(write_report, events, step, run.report)
        return run.report

    # -- how ------------------------------------------------------------------------------------

    async def _follow(
        self, run: RunFolder, *, after: int
    ) -> AsyncGenerator[tuple[int, dict[str, Any]], None]:
        async with open_reader(run.journal) as journal:
            while True:
                is_played = run_holder(run.path) is not None
                self._happened.clear()
                for event in await journal.read(after=after):
                    after += 1
                    yield after, json.loads(encode(event))
                if not is_played:
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._happened.wait(), _FOLLOW_S)

    async def _begin(self, run: RunFolder, plan: Plan | None) -> None:
        """Play it in a task; returns when its journal is open.

        Raises:
            UsageError: why it cannot be played.
        """
        require_usable(self._options.webhook or kept(run.webhook))
        no_sandbox = await asyncio.to_thread(require_ready, run)
        options = replace(self._options, sandbox=self._options.sandbox and not no_sandbox)
        await require_operator_ready(run, plan, options, no_sandbox=no_sandbox)
        begun = asyncio.Event()
        performance = Performance(
            run=run,
            plan=plan,
            options=options,
            observers=self._observers,
            on_shell=lambda _: begun.set(),
            on_external=lambda: self._say_how_to_join(is_resumed=plan is None),
        )
        playing = asyncio.create_task(self.play(performance), name=run.name)
        self._plays.add(playing)
        playing.add_done_callback(self._ended)
        waiting = asyncio.create_task(begun.wait(), name="begun")
        await asyncio.wait({playing, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not begun.is_set():
            await playing

    def _say_how_to_join(self, *, is_resumed: bool) -> None:
        if self._on_external is not None and self._seats is not None:
            self._on_external(how_to_join(self._seats, is_resumed=is_resumed))

    def _ended(self, playing: asyncio.Task[Campaign]) -> None:
        self._plays.discard(playing)
        name = playing.get_name()
        if playing.cancelled():
            log.info("campaign_cancelled", campaign=name)
        elif (error := playing.exception()) is None:
            log.info("campaign_ended", campaign=name, state=summarise(playing.result())["state"])
        elif isinstance(error, RatchetError):
            log.error("campaign_failed", campaign=name, error=str(error))
        else:
            log.error("campaign_crashed", campaign=name, exc_info=error)

    def _shell(self, name: str) -> Shell:
        run, current = find_run(self.root, name), self._current
        if current is None or current.run != run or current.shell is None:
            raise BusyError(
                f"campaign {name} is not being played here", hint="`ratchet resume` takes it up"
            )
        return current.shell

    async def _record(self, name: str, event: Callable[[float], Event]) -> None:
        shell = self._shell(name)
        try:
            await shell.record(event(shell.now()))
        except CampaignOverError as error:
            raise BusyError(f"campaign {name} is over") from error

    async def _state(self, run: RunFolder) -> dict[str, Any]:
        is_here = self._current is not None and self._current.run == run
        return {**await read_state(run), "running_here": is_here}
