"""An arena for hostile operators: real tools, sandbox, supervisor, database and metrics, no load.

What must not be got at lies in plain sight of whoever is not confined: files that everybody may
read, a process of the operator's own user, services on the loopback. So each attack depends on the
one control that is to stop it, as it does where the harness is an ordinary user's.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from string import Template
from typing import Any, cast

from operators import Answer, Equipment, Toolbox

from campaign.adapters.deployments import Deployments
from campaign.adapters.instruments import Allowance, Places, open_instruments
from campaign.adapters.instruments.opening import _surroundings
from campaign.adapters.instruments.shell import WorkspaceShell, WorkspaceShells
from campaign.adapters.journal import JournalWriter, open_journal
from campaign.adapters.workspace import Workspace
from campaign.adapters.workspace_shell import WorkspaceShell as OneShot
from campaign.model import ActionTaken, CampaignStarted, Event
from campaign.operator_records import JournalRecords
from campaign.stack.postgres import APP_ROLE, PostgresAddresses
from campaign.stack.prometheus import PrometheusServer
from campaign.testing import make_plan
from campaign.wiring import WorkspaceTools
from tests.hostile_attacks import AMOUNTS, PRELUDE, Attack
from tests.hostile_controls import GROUP, without
from tests.hostile_places import (
    a_database,
    a_prometheus,
    a_service,
    an_abstract_socket,
    own_address,
    plant_files,
    priorities,
    shared_memory,
    start_victim,
)
from tests.integration.instrument_kit import LIMITS, processes_with
from tests.integration.supervisor_kit import REQUIREMENTS, Stage, healthy, supervised
from tests.toolbox_kit import ASSIGNMENT

PATIENT_S = 60.0
#: the most that is held of a flood, and logged, with the control on
_HELD_BYTES = 1 << 20
_LOGGED_BYTES = 6 << 20
_ALLOWANCE = Allowance(memory_bytes=256 << 20, disk_bytes=64 << 20, files=2000)

_PLAIN = ("campaign.supervisor",)


@dataclass(kw_only=True)
class Desk:
    """The real journal, and what went into it."""

    journal: JournalWriter
    events: list[Event] = field(default_factory=list)

    async def record(self, event: Event) -> None:
        await self.journal.append(event)
        self.events.append(event)

    def now(self) -> float:
        return time.time()

    @property
    def actions(self) -> list[ActionTaken]:
        return [event for event in self.events if isinstance(event, ActionTaken)]


@dataclass(frozen=True, kw_only=True)
class Rig:
    """As much of `campaign.rig.Rig` as the tools of a workspace use."""

    workspace: Workspace
    deployments: Path

    async def export(self, revision: str) -> Path:
        return await self.workspace.export(revision, self.deployments / revision)


@dataclass(kw_only=True)
class Arena:
    """All that attacks are tried on. `secret` is what they must never get."""

    folder: Path
    secret: str
    desk: Desk
    workspace: Workspace
    database: PostgresAddresses
    prometheus: PrometheusServer
    service_port: int
    victim: asyncio.subprocess.Process
    memory: int
    abstract: str
    #: a supervisor at work; its control socket is open to whoever finds it
    stage: Stage
    #: the first revision
    first: str
    #: how many there were; deployments are named after them
    sessions: int = 0
    #: in the command line of a process that is left behind
    word: str = field(default_factory=lambda: f"9{secrets.randbelow(10**8):08}")

    @property
    def forgeable(self) -> Path:
        return self.folder / "harness" / "forgeable.db"

    async def restore(self) -> None:
        """Make good what an attack did."""
        await self.workspace.reset_to(self.first)
        self.forgeable.write_bytes(b"")
        if self.victim.returncode is not None:
            self.victim = await start_victim(self.secret)

    def places(self, *, writable: str) -> dict[str, str]:
        """What the names in an attack's code stand for, as Python."""
        harness = self.folder / "harness"
        files = ["profile.yaml", "fix.patch", "machine.py", "journal.db"]
        return {
            name: repr(value)
            for name, value in {
                **AMOUNTS,
                "files": [str(harness / file) for file in files],
                "key_file": str(harness / "api.key"),
                "journal": str(self.forgeable),
                "supervisor": str(self.stage.folder / "supervisor.sock"),
                "victim": self.victim.pid,
                "word": self.word,
                "service": self.service_port,
                "prometheus": self.prometheus.port,
                "address": own_address(),
                "abstract": self.abstract,
                "memory": self.memory,
                "writable": writable,
            }.items()
        }

    def shown(self, app_socket: Path) -> Places:
        return Places(
            workspace=self.workspace.path,
            confined=True,
            app_socket=app_socket,
            app_dsn=self.database.app_dsn,
            app_role=APP_ROLE,
            database_dir=self.database.socket_dir,
            prometheus_url=self.prometheus.url,
            logs_dir=self.folder,
            allowance=_ALLOWANCE,
        )


@dataclass(kw_only=True)
class Scene:
    """One session's tools in the arena, perhaps with one control off."""

    arena: Arena
    tools: Toolbox
    shell: WorkspaceShell
    #: the app's
    log: Path
    stage: Stage | None

    async def call(self, tool: str, **arguments: Any) -> Answer:
        return await self.tools.call(tool, arguments)

    async def attack(self, attack: Attack, surface: str) -> Answer:
        writable = "/srv/app" if surface == "shell" else "/tmp"  # noqa: S108 - the sandbox's
        places = self.arena.places(writable=writable)
        code = f"# {attack.name}\n{PRELUDE}{Template(attack.code).substitute(places)}"
        if surface == "app":
            return await self.call(
                "http_request", method="POST", path="/run", body={"code": code}, timeout_s=PATIENT_S
            )
        script = f"/usr/bin/python3 - <<'END_OF_ATTACK'\n{code}\nprint(result)\nEND_OF_ATTACK"
        return await self.call("bash", command=script, timeout_s=PATIENT_S)

    async def succeeded(self, attack: Attack, answer: Answer) -> bool:
        """Whether it got what it wanted; for what shows at the end only, see `left_behind`."""
        arena = self.arena
        match attack.sign:
            case "secret":
                return arena.secret in answer.text
            case "folder":
                return arena.folder.name in answer.text
            case "got":
                return "GOT" in answer.text
            case "killed":
                # What was sent arrives, but not at once.
                patience_s = PATIENT_S if "sent" in answer.text else 0.5
                with suppress(TimeoutError):
                    await asyncio.wait_for(arena.victim.wait(), patience_s)
                return arena.victim.returncode is not None
            case "written":
                return arena.forgeable.stat().st_size > 0
            case "held":
                bash = self.shell._bash
                return bash is not None and len(bash._held) > _HELD_BYTES
            case "log":
                return await settled(lambda: logged_bytes(self.log))
            case "left":
                return False

    async def left_behind(self) -> bool:
        """After the scene: whether a process of it lives on; it is ended."""
        left = processes_with(self.arena.word)
        for pid in left:
            os.kill(pid, 9)
        return bool(left)


def logged_bytes(log: Path) -> int:
    """With the file before it, which it becomes at any time."""
    size_bytes = 0
    for file in log.parent.glob(f"{log.name}*"):
        with suppress(FileNotFoundError):
            size_bytes += file.stat().st_size
    return size_bytes


async def settled(size: Any) -> bool:
    """Whether a log grows beyond its bound in the time that its writer needs."""
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        if size() > _LOGGED_BYTES:
            return True
        await asyncio.sleep(0.1)
    return False


# -- setting it up --------------------------------------------------------------------------------


@asynccontextmanager
async def arena() -> AsyncIterator[Arena]:
    secret = f"sk-canary-{secrets.token_hex(8)}"
    folder = Path("/tmp") / f"ratchet-hostile-{secrets.token_hex(4)}"  # noqa: S108 - short, ours
    folder.mkdir(mode=0o755)
    before = os.environ.get("ANTHROPIC_API_KEY")
    os.environ["ANTHROPIC_API_KEY"] = secret
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(_restore, before)
        stack.enter_context(priorities())
        plant_files(folder / "harness", secret)
        workspace = Workspace(folder)
        (folder / "source").mkdir()
        (folder / "source" / "main.py").write_text(healthy("one"))
        (folder / "source" / "requirements.txt").write_text(REQUIREMENTS)
        first = await workspace.create(folder / "source")
        port = await stack.enter_async_context(a_service(secret))
        abstract = await stack.enter_async_context(an_abstract_socket(secret))
        memory = stack.enter_context(shared_memory(secret))
        made = Arena(
            folder=folder,
            secret=secret,
            desk=Desk(journal=await stack.enter_async_context(open_journal(folder / "run"))),
            workspace=workspace,
            database=await stack.enter_async_context(a_database(folder)),
            prometheus=await stack.enter_async_context(a_prometheus(folder, port, secret)),
            service_port=port,
            victim=await start_victim(secret),
            memory=memory,
            abstract=abstract,
            stage=await stack.enter_async_context(_supervisor(folder)),
            first=first,
        )
        await made.desk.record(CampaignStarted(at=time.time(), plan=make_plan(1)))
        try:
            yield made
        finally:
            with suppress(ProcessLookupError):
                made.victim.kill()
            await made.victim.wait()


@asynccontextmanager
async def scene(
    arena: Arena, *, off: str | None = None, stage: Stage | None = None
) -> AsyncIterator[Scene]:
    """A session; `off` is the control that its tools and its shell do without.

    Without a `stage` there is no app, and nothing can be deployed.
    """
    app_socket = arena.folder / "no.sock" if stage is None else stage.app_socket
    control_socket = arena.folder / "no.sock" if stage is None else stage.folder / "supervisor.sock"
    tools = cast("Any", Rig(workspace=arena.workspace, deployments=arena.folder / "deployments"))
    places = arena.shown(app_socket)
    records = JournalRecords(journal=arena.desk.journal, history=arena.workspace)
    arena.sessions += 1
    with without(off):
        surroundings = replace(
            _surroundings(places),
            confined=off != "the sandbox",
            limits=LIMITS,
            tmp_bytes=16 << 20,
        )
        shells = WorkspaceShells(surroundings, allowance=_ALLOWANCE)
        async with (
            open_instruments(places, records=records) as instruments,
            shells.open() as shell,
        ):
            toolbox = Toolbox(
                Equipment(
                    sandbox=OneShot(arena.workspace.path, confined=True),
                    workspace=WorkspaceTools(rig=tools),
                    deployer=Deployments(control_socket),
                ),
                replace(ASSIGNMENT, session=arena.sessions),
                arena.desk,
                instruments=instruments,
                shell=shell,
            )
            yield Scene(
                arena=arena,
                tools=toolbox,
                shell=shell,
                log=control_socket.with_name("app.log"),
                stage=stage,
            )


@asynccontextmanager
async def staged(
    arena: Arena, *, off: str | None = None, group: Path | None = None
) -> AsyncIterator[Scene]:
    """The same with a supervisor (in a control group), and an app, deployed through the tools."""
    program = ("tests.hostile_controls", off or "none") if off or group else _PLAIN
    environment = {} if group is None else {GROUP: str(group)}
    limits = {"processes": 64, "address_space_bytes": 1 << 30, "file_size_bytes": 16 << 20}
    folder = arena.folder / f"stage-{secrets.token_hex(2)}"
    folder.mkdir(mode=0o755)
    async with (
        supervised(
            folder,
            program=program,
            added=environment,
            database_dir=str(arena.database.socket_dir),
            limits=limits,
            log_bytes=1 << 20,
        ) as stage,
        scene(arena, stage=stage) as made,
    ):
        deployed = await made.call("deploy", message="An app that does what it is told")
        assert not deployed.is_error, deployed.text
        yield made


@asynccontextmanager
async def _supervisor(folder: Path) -> AsyncIterator[Stage]:
    home = folder / "supervisor"
    home.mkdir(mode=0o755)
    async with supervised(home) as stage:
        (home / "supervisor.sock").chmod(0o666)
        yield stage


def _restore(key: str | None) -> None:
    del os.environ["ANTHROPIC_API_KEY"]
    if key is not None:
        os.environ["ANTHROPIC_API_KEY"] = key
