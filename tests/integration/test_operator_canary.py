"""No profile's name, place or fix is in anything that an operator can read."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from functools import cache

import aiohttp
import asyncpg
import pytest
import pytest_asyncio
from aiohttp import web
from operators import Toolbox, ToolError
from operators.external import expected_tools
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from campaign.adapters.database import TargetDatabase
from campaign.adapters.database.connections import connect_harness
from campaign.adapters.instruments.database import AppDatabase
from campaign.adapters.instruments.metrics import SeenMetrics
from campaign.host_metrics import HostMetrics
from campaign.identity import PROMETHEUS_USER, identity_for
from campaign.machine import Campaign, step
from campaign.model import OperatorOptions, Symptom, Ticket, Timings
from campaign.stack.places import make_socket_folder
from campaign.stack.programs import find_prometheus
from campaign.stack.prometheus import PrometheusServer, ScrapeJob
from campaign.stack.service import Service
from chaos_profiles import PROFILES_ROOT, calibrated, load_catalogue, rules_yaml
from loadgen.metrics import Instruments
from loadgen.testing import held_port
from tests.hostile_kit import Arena, Scene, arena, scene, staged
from tests.integration.database_kit import data, running_server
from tests.integration.instrument_kit import NO_SANDBOX
from tests.runs_kit import played
from tests.toolbox_kit import ASSIGNMENT, Bench, Panel

CATALOGUE = load_catalogue(PROFILES_ROOT / "chat_db_app")
APP = CATALOGUE.target.app_dir
NAMED = CATALOGUE.profiles[0]
#: what a Python that reads the app leaves there, even while it is copied
_NOT_DELIVERED = shutil.ignore_patterns(".*", "__pycache__")
#: lines of a fix that are shorter could be anybody's
_TELLING_CHARS = 40

in_one_loop = pytest.mark.asyncio(loop_scope="module")
sandboxed = pytest.mark.skipif(NO_SANDBOX is not None, reason=f"no sandbox: {NO_SANDBOX}")


@cache
def forbidden() -> frozenset[str]:
    """Names, however they are spelt, words about them, the place, and what the fixes add."""
    words = {"chaos_profiles", "chaos profile", "fix.patch", "anti_pattern", "anti-pattern"}
    words.add(str(PROFILES_ROOT))
    for profile in CATALOGUE.profiles:
        words |= {profile.id, profile.id.replace("_", "-"), profile.title, profile.symptom}
        words |= _added(CATALOGUE.fix_patch(profile).read_text())
    return frozenset(word.lower() for word in words)


def _added(patch: str) -> set[str]:
    """Lines of a fix that the app as delivered does not have."""
    source = "\n".join(file.read_text() for file in APP.rglob("*.py"))
    lines = {line[1:].strip() for line in patch.splitlines() if re.match(r"\+[^+]", line)}
    return {line for line in lines if len(line) >= _TELLING_CHARS and line not in source}


def leaks(text: str) -> list[str]:
    told = text.lower()
    return sorted(word for word in forbidden() if word in told)


def test_the_canary_sings() -> None:
    assert leaks(f"played {NAMED.id}") == [NAMED.id]
    assert len(forbidden()) > 100


# -- tickets and tools ----------------------------------------------------------------------------


async def test_tickets_of_every_invariant_name_none() -> None:
    limited = calibrated(CATALOGUE.invariants, 0.005)
    symptoms = tuple(
        Symptom(
            invariant=each.id,
            title=each.title,
            value=1.0,
            limit=each.limit,
            since=90.0,
            unit=each.unit,
        )
        for each in limited
    )
    ticket = Ticket(id="T001", opened_at=90.0, symptoms=symptoms, offered_hz=6.0, users=12)
    bench = Bench()
    tools = Toolbox(bench.equipment, replace(ASSIGNMENT, ticket=ticket), bench)
    told = (await tools.call("read_ticket", {})).text
    assert all(each.title in told for each in limited)
    assert leaks(told) == []


@pytest.mark.parametrize("plan_mode", [True, False])
async def test_no_tool_names_one_in_what_it_says_of_itself_or_refuses(*, plan_mode: bool) -> None:
    options = OperatorOptions(plan_mode=plan_mode)
    specs = expected_tools(options)
    bench, panel = Bench(), Panel(answers=[ToolError("not now")] * 1000)
    tools = Toolbox(
        bench.equipment,
        ASSIGNMENT,
        bench,
        instruments=panel.instruments,
        shell=panel,
        options=options,
    )
    assert [spec.name for spec in tools.specs] == [spec.name for spec in specs]
    texts = [f"{each.name} {each.description} {json.dumps(each.parameters)}" for each in specs]
    strange: tuple[dict[str, object], ...] = (
        {},
        {"nonsense": 1},
        {"command": 1},
        {"path": "/etc"},
        {"query": ["x"]},
    )
    texts += [(await tools.call(s.name, given)).text for s in specs for given in strange]
    texts.append((await tools.call("no such tool", {})).text)
    assert leaks("\n".join(texts)) == []


# -- what a sandbox shows -------------------------------------------------------------------------


@pytest_asyncio.fixture(name="place", scope="module", loop_scope="module")
async def make_place() -> AsyncIterator[Arena]:
    async with arena() as place:
        shutil.copytree(APP, place.folder / "delivered", ignore=_NOT_DELIVERED)
        yield place


#: every name that can be seen, and every text outside of the system's own folders
_LOOK = r"""
import os, sys
words = {words!r}
found = []
def look(text, where):
    told = text.lower()
    found.extend((word, where) for word in words if word in told)
system = ("/usr", "/proc", "/sys", "/dev")
seen = 0
for folder, folders, files in os.walk("/"):
    # A process is looked at by what it is, not by what it has open.
    folders[:] = [f for f in folders if f not in ("map_files", "task", "cwd", "root", "fd", "net")]
    for name in (*folders, *files):
        seen += 1
        path = os.path.join(folder, name)
        look(path, path)
        if os.path.islink(path):
            try:
                look(os.readlink(path), path)
            except OSError:
                pass
        of_a_process = path.startswith("/proc/") and path.split("/")[2].isdigit()
        if name in files and (of_a_process or not path.startswith(system)):
            try:
                with open(path, "rb") as file:
                    look(file.read(1 << 20).decode(errors="replace"), path)
            except OSError:
                pass
look(repr(dict(os.environ)), "environment")
result = [seen, found[:20]]
"""


def look(*, beside: tuple[str, ...]) -> str:
    return _LOOK.format(words=sorted(forbidden() | set(beside)))


@sandboxed
@in_one_loop
async def test_nothing_in_the_shells_sandbox_names_one(place: Arena) -> None:
    async with scene(place) as made:
        told = await in_the_shell(made, look(beside=(place.secret,)))
        seen, found = json.loads(told)
        assert seen > 1000
        assert found == []
        planted = await in_the_shell(
            made, f"open('/srv/app/{NAMED.id}.txt', 'w').close()\n{look(beside=())}"
        )
        assert [NAMED.id, f"/srv/app/{NAMED.id}.txt"] in json.loads(planted)[1]
    await place.restore()


async def in_the_shell(made: Scene, code: str) -> str:
    script = f"/usr/bin/python3 - <<'END'\n{code}\nimport json\nprint(json.dumps(result))\nEND"
    answer = await made.call("bash", command=script, timeout_s=300)
    return answer.text.splitlines()[0]


@sandboxed
@in_one_loop
async def test_nothing_in_the_apps_sandbox_or_its_logs_names_one(place: Arena) -> None:
    async with staged(place) as made:
        path, body = "/run", {"code": look(beside=(place.secret,))}
        answer = await made.call("http_request", method="POST", path=path, body=body, timeout_s=60)
        seen, found = json.loads(answer.text.splitlines()[-1])
        assert seen > 1000
        assert found == []
        logs = [
            (await made.call("read_logs", source=source, lines=1000)).text
            for source in ("app", "database")
        ]
        told = (await made.call("list_deployments", diff=True)).text
    assert leaks("\n".join((*logs, told, made.log.read_text() if made.log.exists() else ""))) == []


@sandboxed
@in_one_loop
async def test_the_app_as_it_is_delivered_names_none(place: Arena) -> None:
    files = [file for file in (place.folder / "delivered").rglob("*") if file.is_file()]
    assert len(files) > 5
    assert {str(f): leaks(f"{f.name} {f.read_text(errors='replace')}") for f in files} == {
        str(f): [] for f in files
    }


# -- metrics --------------------------------------------------------------------------------------


def expositions() -> dict[str, bytes]:
    """What is scraped in a campaign; and that one of it names a profile, so that this can fail."""
    instruments, registry, state = Instruments(), CollectorRegistry(), None
    for behaviour in CATALOGUE.target.clients.split("."):
        instruments.series(behaviour=behaviour, operation="list_messages")
    metrics = HostMetrics(registry)
    for event in played(2):
        before: Campaign | None = state
        state = step(before, event).campaign
        metrics.observe(before, event, state)
    Gauge("ratchet_profile", "Leaky", ["profile"], registry=registry).labels(NAMED.id).set(1)
    Gauge(f"loadgen_{NAMED.id}", "Leaky", registry=instruments.registry).set(1)
    return {
        "app": b"# TYPE http_requests_total counter\nhttp_requests_total 5\n",
        "loadgen": generate_latest(instruments.registry),
        "ratchet": generate_latest(registry),
    }


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with held_port() as port:
        yield port


@pytest_asyncio.fixture(name="prometheus", scope="module", loop_scope="module")
async def make_prometheus(port: int) -> AsyncIterator[PrometheusServer]:
    folder, texts = make_socket_folder(), expositions()
    runners: dict[str, web.AppRunner] = {}
    for name, text in texts.items():
        runners[name] = await _exporter(text)
    rules = folder / "rules.yaml"
    rules.write_text(rules_yaml(calibrated(CATALOGUE.invariants, 0.005), Timings()))
    server = PrometheusServer(
        programs=find_prometheus(),
        folder=folder / "prometheus",
        port=port,
        identity=identity_for(PROMETHEUS_USER),
        jobs=tuple(
            ScrapeJob(name=name, port=runner.addresses[0][1]) for name, runner in runners.items()
        ),
        rule_files=(rules,),
    )
    await server.configure()
    service = Service(server.service(log_file=folder / "prometheus.log"))
    await service.start()
    try:
        await server.wait_for_samples(texts, since=0, timeout_s=60)
        yield server
    finally:
        await service.stop()
        for runner in runners.values():
            await runner.cleanup()
        shutil.rmtree(folder)


async def _exporter(text: bytes) -> web.AppRunner:
    async def told(_: web.Request) -> web.Response:
        return web.Response(body=text, content_type="text/plain")

    service = web.Application()
    service.router.add_get("/metrics", told)
    runner = web.AppRunner(service)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


@in_one_loop
async def test_no_metric_that_is_shown_names_one(prometheus: PrometheusServer) -> None:
    async with aiohttp.ClientSession() as http:
        url, everything = f"{prometheus.url}/api/v1/series", {"match[]": '{__name__=~".+"}'}
        async with http.get(url, params=everything) as answer:
            assert NAMED.id in leaks(await answer.text())
    shown = SeenMetrics(prometheus.url)
    listed = await shown.list()
    names = {metric.name for metric in listed}
    assert {"http_requests_total", "loadgen_requests_offered_total"} <= names
    texts = [repr(metric) for metric in listed]
    for name in names:
        for suffix in ("", "_bucket", "_count", "_sum"):
            texts += map(repr, await _series(shown, name + suffix))
    texts += map(repr, await _series(shown, '{__name__=~".+"}'))
    assert leaks("\n".join(texts)) == []


async def _series(shown: SeenMetrics, query: str) -> list[object]:
    try:
        return list(await shown.instant(f"topk(100, {query})", at=None))
    except PermissionError:
        return []


# -- the database ---------------------------------------------------------------------------------

#: whatever the role can read of the server and of others at work there
_CATALOGUES = (
    "SELECT * FROM pg_stat_activity",
    "SELECT * FROM pg_stat_statements",
    "SELECT nspname FROM pg_namespace",
    "SELECT relname, relacl FROM pg_class",
    "SELECT description FROM pg_description",
    "SELECT name, setting, sourcefile FROM pg_settings",
    "SELECT * FROM pg_roles",
    "SELECT datname, datacl FROM pg_database",
    "SELECT proname, prosrc FROM pg_proc WHERE pronamespace::regnamespace::text !~ '^pg_'",
    "SELECT * FROM pg_prepared_xacts",
    "SELECT * FROM pg_locks",
)
#: how many sessions do something for the harness that has this word in it
_AT_WORK = (
    "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
    "AND query LIKE '%pg_sleep%' AND position($1 in query) > 0"
)


async def test_nothing_that_the_database_tells_the_app_names_one() -> None:
    """After a profile's data was loaded, and beside somebody who works for the harness."""
    small = {"users": {"first": 1_000_000_000, "count": 5}}
    small |= {"conversations": {"first": 1_000_000_000, "count": 5}}
    profile = replace(NAMED, growth=NAMED.growth | small)
    async with running_server() as server:
        superuser = await asyncpg.connect(server.superuser_dsn)
        busy = asyncio.create_task(superuser.execute(f"SELECT pg_sleep(600) AS {NAMED.id}"))
        try:
            async with asyncio.timeout(60):
                while not await server.fetchval(_AT_WORK, NAMED.id):  # noqa: ASYNC110 - no bell
                    await asyncio.sleep(0.05)
            await (await connect_harness(server.superuser_dsn)).close()
            async with TargetDatabase(server.superuser_dsn, data=data()) as database:
                await database.grow(profile, growth_id="T001-growth")
            told = AppDatabase(server.addresses.app_dsn)
            texts = []
            for query in _CATALOGUES:
                rows = await told.query(query, max_rows=10_000, timeout_s=20)
                texts.append(repr(rows.rows))
            readable = await told.query(
                "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
                "WHERE schemaname !~ '^pg_|information_schema' AND "
                "has_schema_privilege(schemaname, 'USAGE') AND "
                "has_table_privilege(format('%I.%I', schemaname, tablename), 'SELECT')",
                max_rows=1000,
                timeout_s=20,
            )
            assert len(readable.rows) > 3
            for (table,) in readable.rows:
                query = f"SELECT * FROM {table} LIMIT 200"  # noqa: S608 - quoted by Postgres
                rows = await told.query(query, max_rows=200, timeout_s=20)
                texts.append(repr(rows.rows))
            # The harness's own query is there to be seen by whoever may.
            assert await server.fetchval(_AT_WORK, NAMED.id) == 1
        finally:
            busy.cancel()
            await asyncio.gather(busy, return_exceptions=True)
            superuser.terminate()
    assert leaks("\n".join(texts)) == []
