"""What the compose stack asks of its services, and in which order; the services are fakes."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpServer

from campaign.stack import (
    BadRulesError,
    ComponentDown,
    ComponentUp,
    ComposePlaces,
    ComposeStack,
    LoadgenSettings,
    LocalStackConfig,
    StackError,
    StackInUseError,
    StoredSnapshot,
    SupervisorSettings,
    TemplateRecipe,
)
from campaign.stack.compose.asking import HttpService, Services
from campaign.stack.compose.database import Order, ServedDatabase
from campaign.stack.compose.watch import Alive, Look, Refused
from campaign.stack.errors import ComponentFailedError
from campaign.stack.log_bound import LIMIT_BYTES
from campaign.stack.snapshots import SnapshotStore

RULES = "groups: []\n"
NAMES = ("postgres", "supervisor", "loadgen", "prometheus")


@dataclass
class World:
    """Who runs since when, whose database is served, and all that was asked, in order."""

    started: dict[str, float] = field(default_factory=lambda: dict.fromkeys(NAMES, 100.0))
    owner: str = ""
    kept: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    #: what Prometheus answers to a reload
    objection: str = ""

    def renew(self, name: str) -> None:
        self.asked.append(f"end {name}")
        self.started[name] += 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeService(HttpService):
    world: World

    async def look(self) -> Look:
        return Alive(started_at=self.world.started[self.name])

    async def end(self) -> None:
        self.world.renew(self.name)

    async def post(self, path: str) -> str:
        self.world.asked.append(f"post {path}")
        return self.world.objection


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeDatabase(ServedDatabase):
    world: World

    async def started_at(self) -> float:
        return self.world.started["postgres"]

    async def owner(self) -> str:
        return self.world.owner

    async def keeps(self, campaign: str) -> bool:
        return campaign in self.world.kept

    async def version(self) -> str:
        return "17.1"

    async def end(self) -> None:
        self.world.renew("postgres")

    async def serve(self, campaign: str, what: Order) -> None:
        self.world.asked.append(f"serve {campaign} {what}")
        self.world.owner = campaign

    async def install(self, campaign: str, store: SnapshotStore, name: str) -> None:
        self.world.asked.append(f"install {campaign} {name[:8]} of {store.path.name}")
        self.world.owner = campaign

    @asynccontextmanager
    async def copy(self) -> AsyncIterator[Path]:
        folder = self.places.exchange / "snapshot"
        folder.mkdir()
        yield folder


@pytest.fixture
async def places(tmp_path: Path, aiohttp_server: AiohttpServer) -> ComposePlaces:
    async def samples(_request: web.Request) -> web.Response:
        found = [{"metric": {"job": job}} for job in ("prometheus", "loadgen")]
        return web.json_response({"data": {"result": found}})

    prometheus = web.Application()
    prometheus.router.add_get("/api/v1/query", samples)
    server = await aiohttp_server(prometheus)
    made = ComposePlaces(
        root=tmp_path / "root", prometheus_url=str(server.make_url("")).rstrip("/")
    )
    for folder in (
        made.control,
        made.loadgen_config.parent,
        made.generated,
        made.releases,
        made.runs,
        made.cache,
        made.exchange,
        made.database_password.parent,
    ):
        folder.mkdir(parents=True)
    made.database_password.write_text("hush\n")
    return made


@pytest.fixture
def world() -> World:
    return World()


def config_of(places: ComposePlaces, name: str, **changes: Any) -> LocalStackConfig:
    run_dir = places.runs / name
    run_dir.mkdir(exist_ok=True)
    rules = run_dir / "invariants.yaml"
    rules.write_text(RULES)

    async def populate(_dsn: str) -> None: ...

    config = LocalStackConfig(
        run_dir=run_dir,
        database=StoredSnapshot(store=SnapshotStore(run_dir / "snapshots.db"), name="trial-1"),
        loadgen=LoadgenSettings(clients="loadgen.chat_db_app", seed=5),
        supervisor=SupervisorSettings(wheels_dir=Path("/opt/wheels")),
        rule_files=(rules,),
        daemon_port=8390,
    )
    return replace(config, **changes)


def stack_of(places: ComposePlaces, world: World, config: LocalStackConfig) -> ComposeStack:
    def service(name: str) -> FakeService:
        return FakeService(name=name, url="", token="t", world=world)  # noqa: S106 - opens nothing

    return ComposeStack(
        config,
        places=places,
        database=FakeDatabase(places=places, world=world),
        services=Services(
            supervisor=service("supervisor"),
            loadgen=service("loadgen"),
            prometheus=service("prometheus"),
        ),
    )


async def test_the_services_are_told_and_started_anew(places: ComposePlaces, world: World) -> None:
    async with stack_of(places, world, config_of(places, "one")) as stack:
        assert {"end supervisor", "end loadgen"} <= set(world.asked)
        assert "post /-/reload" in world.asked
        assert json.loads(places.loadgen_config.read_text())["seed"] == 5
        told = json.loads(places.supervisor_config.read_text())
        assert told["state_dir"].endswith("/runs/one/supervisor")
        assert (places.generated / "campaign.rules.yaml").read_text() == RULES
        (target,) = json.loads((places.generated / "ratchet.json").read_text())[0]["targets"]
        assert target == "127.0.0.1:8390"
        assert stack.addresses.app_socket == places.app_socket


async def test_a_prometheus_that_comes_up_late_is_waited_for(
    places: ComposePlaces, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container that does not run has no name either."""
    looks: list[Look] = [Refused(reason="is not there"), Alive(started_at=100.0)]

    async def look(service: FakeService) -> Look:
        if service.name != "prometheus":
            return Alive(started_at=world.started[service.name])
        return looks.pop(0) if len(looks) > 1 else looks[0]

    def resolve(_name: str) -> str:
        if len(looks) > 1:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return "10.0.0.7"

    monkeypatch.setattr(FakeService, "look", look)
    monkeypatch.setattr("campaign.stack.compose.stack.own_address", resolve)
    async with stack_of(places, world, config_of(places, "one")):
        told = json.loads((places.generated / "ratchet.json").read_text())
        assert told == [{"targets": ["10.0.0.7:8390"]}]


async def test_what_other_containers_see_of_a_run_is_on_their_volumes(
    places: ComposePlaces, world: World
) -> None:
    async with stack_of(places, world, config_of(places, "one")):
        run = places.runs / "one"
        assert (run / "deployments").resolve() == places.releases / "one"
        assert (run / "logs" / "postgres.log").readlink() == places.database_log
        older = places.database_log.with_name("postgres.log.1")
        assert (run / "logs" / "postgres.log.1").readlink() == older
        assert (run / "supervisor").readlink() == places.app_runs / "one" / "supervisor"


async def test_a_new_campaign_gets_its_database(places: ComposePlaces, world: World) -> None:
    world.owner = "another"
    async with stack_of(places, world, config_of(places, "one")):
        assert "install one trial-1 of snapshots.db" in world.asked
    assert (places.runs / "one" / "stack.json").exists()


async def test_a_campaign_that_goes_on_finds_its_database(
    places: ComposePlaces, world: World
) -> None:
    async with stack_of(places, world, config_of(places, "one")):
        pass
    world.asked.clear()
    async with stack_of(places, world, config_of(places, "one")):
        assert not [asked for asked in world.asked if asked.startswith(("install", "serve"))]


async def test_one_that_was_put_aside_is_taken_back(places: ComposePlaces, world: World) -> None:
    async with stack_of(places, world, config_of(places, "one")):
        pass
    world.owner, world.kept = "two", {"one"}
    async with stack_of(places, world, config_of(places, "one")):
        assert "serve one kept" in world.asked


async def test_a_campaign_whose_database_is_gone_is_not_given_another(
    places: ComposePlaces, world: World
) -> None:
    async with stack_of(places, world, config_of(places, "one")):
        pass
    world.owner = "two"
    with pytest.raises(StackError, match="the database of one is gone"):
        await stack_of(places, world, config_of(places, "one")).start()


async def test_one_that_was_killed_while_its_database_was_made_gets_it_anew(
    places: ComposePlaces, world: World
) -> None:
    """It is served as this campaign's from its first moment, when it is empty."""
    world.owner = "one"
    async with stack_of(places, world, config_of(places, "one")):
        assert "install one trial-1 of snapshots.db" in world.asked


async def test_one_that_was_killed_while_it_was_reset_gets_it_anew(
    places: ComposePlaces, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killed(_database: object, campaign: str, *_snapshot: object) -> None:
        world.owner = campaign
        raise KeyboardInterrupt

    config = config_of(places, "one")
    async with stack_of(places, world, config) as stack:
        with monkeypatch.context() as patch:
            patch.setattr(FakeDatabase, "install", killed)
            with pytest.raises(KeyboardInterrupt):
                await stack.reset_database(config.database)
    world.asked.clear()
    async with stack_of(places, world, config):
        assert "install one trial-1 of snapshots.db" in world.asked


async def test_what_a_killed_campaign_has_ordered_is_not_carried_out(
    places: ComposePlaces, world: World
) -> None:
    """Else its database would be served at the next start of the server, whoever plays then."""
    (places.exchange / "order").write_text("another fresh\n")
    async with stack_of(places, world, config_of(places, "one")):
        assert not (places.exchange / "order").exists()


async def test_what_is_not_taken_up_is_withdrawn(places: ComposePlaces) -> None:
    ordered: list[str] = []

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Stuck(ServedDatabase):
        async def end(self) -> None:
            ordered.append((self.places.exchange / "order").read_text())
            raise ComponentFailedError("postgres", "does not end when it is told to")

    with pytest.raises(ComponentFailedError):
        await Stuck(places=places).serve("one", "fresh")
    assert ordered == ["one fresh\n"]
    assert list(places.exchange.iterdir()) == []


async def test_one_campaign_at_a_time_has_the_stack(places: ComposePlaces, world: World) -> None:
    async with stack_of(places, world, config_of(places, "one")):
        world.asked.clear()
        with pytest.raises(StackInUseError, match="another campaign"):
            await stack_of(places, world, config_of(places, "two")).start()
        assert world.asked == []


async def test_at_its_end_no_app_runs_and_no_load(places: ComposePlaces, world: World) -> None:
    async with stack_of(places, world, config_of(places, "one")):
        world.asked.clear()
    assert sorted(world.asked) == ["end loadgen", "end supervisor"]


async def test_rules_that_prometheus_refuses_are_taken_back(
    places: ComposePlaces, world: World
) -> None:
    config = config_of(places, "one")
    async with stack_of(places, world, config) as stack:
        config.rule_files[0].write_text("not rules\n")
        world.objection = "yaml: line 1"
        with pytest.raises(BadRulesError, match="yaml: line 1"):
            await stack.reload_rules()
        assert (places.generated / "campaign.rules.yaml").read_text() == RULES


async def test_rules_that_are_refused_at_the_start_are_left_to_nobody(
    places: ComposePlaces, world: World
) -> None:
    """Prometheus would not start again with them, whoever plays by then."""
    world.objection = "yaml: line 1"
    with pytest.raises(BadRulesError):
        await stack_of(places, world, config_of(places, "one")).start()
    assert not (places.generated / "campaign.rules.yaml").exists()


async def test_rules_that_keep_prometheus_from_starting_go_before_it_is_waited_for(
    places: ComposePlaces, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a campaign that was killed between two lines, say."""
    left = places.generated / "campaign.rules.yaml"
    left.write_text("not rules\n")

    async def look(service: FakeService) -> Look:
        if service.name == "prometheus" and left.exists() and left.read_text() != RULES:
            return Refused(reason="is not there")
        return Alive(started_at=world.started[service.name])

    monkeypatch.setattr(FakeService, "look", look)
    monkeypatch.setattr("campaign.stack.compose.stack._READY_TIMEOUT_S", 1.0)
    async with stack_of(places, world, config_of(places, "one")):
        assert left.read_text() == RULES


async def test_rules_are_taken_back_when_prometheus_cannot_be_reached(
    places: ComposePlaces, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_service: FakeService, _path: str) -> str:
        raise ComponentFailedError("prometheus", "cannot be reached")

    config = config_of(places, "one")
    async with stack_of(places, world, config) as stack:
        config.rule_files[0].write_text("perhaps not rules\n")
        monkeypatch.setattr(FakeService, "post", away)
        with pytest.raises(ComponentFailedError):
            await stack.reload_rules()
        assert (places.generated / "campaign.rules.yaml").read_text() == RULES


def test_rules_in_two_files_are_refused_before_anything_is_done(
    places: ComposePlaces, world: World
) -> None:
    """There is one place for them: the second would take the first one's."""
    config = config_of(places, "one")
    (rules,) = config.rule_files
    with pytest.raises(StackError, match="one file of rules"):
        stack_of(places, world, replace(config, rule_files=(rules, rules)))


async def test_one_that_refuses_to_end_with_the_campaign_is_told_of(
    places: ComposePlaces, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(service: FakeService) -> None:
        raise ComponentFailedError(service.name, "does not end: 403")

    with structlog.testing.capture_logs() as said:
        async with stack_of(places, world, config_of(places, "one")):
            monkeypatch.setattr(FakeService, "end", refuse)
    told = {entry["component"]: entry["reason"] for entry in said if "component" in entry}
    assert set(told) == {"supervisor", "loadgen"}
    assert all("does not end: 403" in reason for reason in told.values())
    # The next campaign can have the stack all the same.
    monkeypatch.undo()
    async with stack_of(places, world, config_of(places, "two")):
        pass


async def test_the_databases_log_is_put_aside_by_its_server(
    places: ComposePlaces, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def put_aside(_database: FakeDatabase) -> None:
        asked.set()

    monkeypatch.setattr(FakeDatabase, "put_log_aside", put_aside)
    places.database_log.parent.mkdir(parents=True)
    places.database_log.touch()
    async with stack_of(places, world, config_of(places, "one")):
        os.truncate(places.database_log, LIMIT_BYTES + 1)
        await asyncio.wait_for(asked.wait(), timeout=20)


async def test_a_restart_is_told_of(places: ComposePlaces, world: World) -> None:
    async with stack_of(places, world, config_of(places, "one")) as stack:
        world.asked.clear()
        await stack.restart("loadgen")
        assert world.asked == ["end loadgen"]
        events = stack.events()
        assert await anext(events) == ComponentDown(
            name="loadgen", reason="a restart was asked for"
        )
        assert await anext(events) == ComponentUp(name="loadgen")


async def test_one_that_does_not_come_back_is_watched_again(
    places: ComposePlaces, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def refuse(_service: FakeService) -> None:
        raise ComponentFailedError("loadgen", "does not end")

    async def look(service: FakeService) -> Look:
        if service.name == "loadgen":
            asked.set()
        return Alive(started_at=world.started[service.name])

    monkeypatch.setattr(FakeService, "look", look)
    async with stack_of(places, world, config_of(places, "one")) as stack:
        with monkeypatch.context() as patch:
            patch.setattr(FakeService, "end", refuse)
            with pytest.raises(ComponentFailedError):
                await stack.restart("loadgen")
        asked.clear()
        await asyncio.wait_for(asked.wait(), timeout=10)


async def test_a_template_is_made_once(
    places: ComposePlaces, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    cooked: list[str] = []

    async def cook(_addresses: object, recipe: TemplateRecipe) -> None:
        cooked.append(recipe.key)

    monkeypatch.setattr("campaign.stack.compose.templates.populate", cook)

    async def populate(_dsn: str) -> None: ...

    recipe = TemplateRecipe(key="chat 1", populate=populate)
    async with stack_of(places, world, config_of(places, "one", database=recipe)) as stack:
        assert cooked == ["chat 1"]
        assert "serve one fresh" in world.asked
        await stack.reset_database(recipe)
        assert cooked == ["chat 1"]
        installs = [asked for asked in world.asked if asked.startswith("install one")]
        assert len(installs) == 2
        assert installs[0] == installs[1]
