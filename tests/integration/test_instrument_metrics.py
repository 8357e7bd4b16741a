"""PromQL on a real Prometheus, with series that operators may see and others that they may not."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from operators import ToolError
from operators.toolbox.instruments import Series

from campaign.adapters.instruments.metric_names import SEEN_NAMES
from campaign.adapters.instruments.metrics import MOST_SERIES, SeenMetrics
from campaign.adapters.instruments.promql import HiddenError, QueryError, restricted
from campaign.identity import PROMETHEUS_USER, identity_for
from campaign.stack.places import make_socket_folder
from campaign.stack.programs import find_prometheus
from campaign.stack.prometheus import PrometheusServer, ScrapeJob
from campaign.stack.service import Service
from loadgen.testing import held_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: what must never come back, as a label or as a value
CANARY = "canary_profile"
SECRET = 424242.0

APP = """\
# HELP http_requests_total Requests answered.
# TYPE http_requests_total counter
http_requests_total{route="/a",method="GET"} 5
http_requests_total{route="/b",method="GET"} 7
# HELP http_request_duration_seconds How long.
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="+Inf"} 2
http_request_duration_seconds_sum 1
http_request_duration_seconds_count 2
# TYPE sum gauge
sum 11
ratchet_events_total{kind="of the app"} 1
"""
LOADGEN = f"""\
loadgen_request_errors_total{{behaviour="reader",operation="list",kind="5xx"}} 3
loadgen_cpu_ratio {SECRET}
loadgen_secret{{profile="{CANARY}"}} {SECRET}
process_cpu_seconds_total {SECRET}
"""
RATCHET = f"""\
ratchet_database_connections{{state="active"}} 9
ratchet_campaign_phase{{phase="{CANARY}"}} {SECRET}
ratchet_events_total{{kind="{CANARY}"}} {SECRET}
ratchet_ledger_lost_tokens {SECRET}
"""
RULES = f"""\
groups:
  - name: {CANARY}
    interval: 1s
    rules:
      - record: ratchet:invariant_value
        expr: sum(ratchet_database_connections)
        labels: {{invariant: connections}}
      - record: ratchet:generator_lag_seconds
        expr: vector({SECRET})
      - alert: InvariantViolated
        expr: vector(1)
        labels: {{invariant: connections}}
"""
#: true when all of these were
RECORDED = "(ratchet:invariant_value == 9) and on() ALERTS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A Prometheus, and how to ask it without any restriction."""

    metrics: SeenMetrics
    url: str

    async def everything(self, query: str) -> str:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}/api/v1/query", params={"query": query}) as reply,
        ):
            return await reply.text()


async def _exporter(text: str) -> web.AppRunner:
    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(text=text)

    service = web.Application()
    service.router.add_get("/metrics", metrics)
    runner = web.AppRunner(service)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with held_port() as port:
        yield port


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(port: int) -> AsyncIterator[Bench]:
    folder = make_socket_folder()
    texts = {"app": APP, "loadgen": LOADGEN, "ratchet": RATCHET}
    runners = {name: await _exporter(text) for name, text in texts.items()}
    jobs = {name: runner.addresses[0][1] for name, runner in runners.items()}
    rules = folder / "rules.yml"
    rules.write_text(RULES)
    server = PrometheusServer(
        programs=find_prometheus(),
        folder=folder / "prometheus",
        port=port,
        identity=identity_for(PROMETHEUS_USER),
        jobs=tuple(
            ScrapeJob(name=name, port=where) for name, where in {**jobs, "prometheus": port}.items()
        ),
        rule_files=(rules,),
    )
    await server.configure()
    service = Service(server.service(log_file=folder / "prometheus.log"))
    await service.start()
    bench = Bench(metrics=SeenMetrics(server.url), url=server.url)
    try:
        await server.wait_for_samples({*texts, "prometheus"}, since=0, timeout_s=90)
        async with asyncio.timeout(60):
            while not await bench.metrics.instant(RECORDED, at=None):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        yield bench
    finally:
        await service.stop()
        for runner in runners.values():
            await runner.cleanup()
        shutil.rmtree(folder)


async def values(bench: Bench, query: str) -> list[float]:
    found = await bench.metrics.instant(query, at=None)
    return sorted(value for series in found for _, value in series.points)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("http_requests_total", [5, 7]),
        ("sum by (route) (http_requests_total)", [5, 7]),
        ("sum(http_requests_total) by (method)", [12]),
        ("SUM(http_requests_total)", [12]),
        ('http_requests_total{route="/a", method=~"G.T",}', [5]),
        ("http_requests_total{route='/a'} + on(route) group_left http_requests_total", [10]),
        ("http_requests_total * on (route) group_left (le) http_requests_total", [25, 49]),
        ("http_requests_total / ignoring (route) group_left sum(http_requests_total)", []),
        ("rate(http_requests_total[30s]) * 0", [0, 0]),
        ("max_over_time(sum(http_requests_total)[10s:1s])", [12]),
        ("max_over_time(http_requests_total[9s] offset -1s)", [5, 7]),
        ("http_requests_total @ end()", [5, 7]),
        ("count(up)", [1]),
        ("sum", [11]),
        ("sum + sum", [22]),
        ("-sum # {job!='app'}\n + 1", [-10]),
        ('label_replace(http_requests_total, "r", "$1", "route", "/(.*)")', [5, 7]),
        ("absent(nothing_like_this)", [1]),
        ("topk(1, http_requests_total)", [7]),
        ("histogram_quantile(0.5, http_request_duration_seconds_bucket) * 0", []),
        ("1 + 2", [3]),
        ("time() > bool 0", [1]),
        ("Inf == bool inf", [1]),
        ("loadgen_request_errors_total", [3]),
        ('{__name__=~"loadgen_.*"}', [3]),
        ('{__name__="http_requests_total",route="/a"}', [5]),
        ('{job="app",__name__=~"http_req.*_total"}', [5, 7]),
        ("ratchet_database_connections", [9]),
        ('ratchet:invariant_value{invariant="connections"}', [9]),
        ("ALERTS", [1]),
        ('count({__name__!=""})', [4]),
    ],
)
async def test_what_may_be_seen_is_answered_as_prometheus_does(
    bench: Bench, query: str, expected: list[float]
) -> None:
    if query.startswith("histogram_quantile") or "ignoring (route) group_left" in query:
        await values(bench, query)  # only that it is accepted
        return
    # On a busy machine a scrape may fail, which ends a series until the next one.
    async with asyncio.timeout(60):
        while (found := await values(bench, query)) != expected:  # noqa: ASYNC110
            await asyncio.sleep(0.5)
    assert found == expected


TRICKS = [
    '{__name__=~".+"}',
    '{__name__=~".*events.*"}',
    '{__name__!="x"}',
    '{job="ratchet"}',
    '{job="ratchet"} or {job="loadgen"} or {job="prometheus"}',
    '{job=~".*"}',
    '{job="app",job!="app"} or {job!="app"}',
    f'{{phase="{CANARY}"}}',
    '{kind!=""}',
    '{profile=~".+"}',
    'count by (__name__) ({__name__=~".+"})',
    'count_values("v", {__name__=~"ratchet.*"})',
    'label_replace({__name__=~".+"}, "x", "$1", "__name__", "(.*)")',
    'label_replace(vector(1), "__name__", "ratchet_campaign_phase", "", "")',
    'label_join({job=~".+"}, "x", ",", "kind", "phase", "profile", "__name__")',
    'sum({job=~".+"}) by (kind, phase, profile)',
    'max_over_time({__name__=~"ratchet_events_total"}[30s])',
    'max_over_time({__name__=~"ratchet.*|loadgen.*"}[30s:1s] @ end())',
    'last_over_time({job="ratchet"}[5m]) offset 1s',
    'absent({job="ratchet"})',
    'up * on() group_left(kind) {__name__=~"ratchet_events_total"}',
    'up * on(job) group_right(kind, phase) {job=~".+"}',
    'http_requests_total and on() {job="ratchet"}',
    'http_requests_total unless {job="ratchet"} or {job="ratchet"}',
    'and {job="ratchet"}',
    'sum and{job="ratchet"}',
    'sum by{job="ratchet"}',
    'by{job="ratchet"}',
    'on{job="ratchet"}',
    'bool{job="ratchet"}',
    'offset{job="ratchet"}',
    'start{job="ratchet"}',
    'rate{job="ratchet"}',
    'sum{job="ratchet"}',
    'process_cpu_seconds_total{job="loadgen"}',
    "process_cpu_seconds_total",
    "go_goroutines",
    'up{job!="app"}',
    'scrape_samples_scraped{job="ratchet"}',
    'up{job="a"} or up{job="ratchet",instance=~".+"}',
    'sum by (process_cpu_seconds_total) ({job="ratchet"})',
    'sum by (kind) {job="ratchet"}',
    'http_requests_total{route="}{"} or {job="ratchet"}',
    "http_requests_total{route='\"'} or {job='ratchet'}",
    'http_requests_total{route=`"`} or {job=`ratchet`}',
    'http_requests_total{route="\\"} or {job=\\"x"} or {job="ratchet"}',
    'http_requests_total # "\n or {job="ratchet"} # "',
    '{job="ratchet" # }\n}',
    '{job="ratchet",}',
    '{"ratchet_events_total"}',
    '{"ratchet_events_total", kind!=""}',
    '{"__name__"="ratchet_events_total"}',
    '{"job"="ratchet"}',
    '{__name__="http_requests_total",__name__=~".*"} or {__name__=~"ratchet_e.*"}',
    '{__name__="ALERTS"} or {__name__=~"ALERTS_FOR_.*"}',
    '{__name__=~"ratchet:generator.*"}',
    '{__name__=~"ALERTS.*",alertname!=""}',
    'info(up, {__name__=~".+"})',
    "info(http_requests_total)",
    '"a" or {job="ratchet"}',
    '{job="ratchet"}[5m]',
    '{job="ratchet"}[5m:1s]',
    "((((((ratchet_database_connections))))) or {job='ratchet'})",
    "{}",
    '{job=""}',
    '{job=~"r.*",job=~".*t"}',
    '{job!~"app"}',
    '{job="app"} or {job!="app"}',
    '{job="app\\u0000"} or {job!="app"}',
    '{job="\\x61pp"} or {job="\\x72atchet"}',
    "ratchet_events_total",
]


@pytest.mark.parametrize("query", TRICKS)
async def test_no_trick_brings_out_what_is_hidden(bench: Bench, query: str) -> None:
    told = []
    for asking in (
        bench.metrics.instant(query, at=None),
        bench.metrics.range(query, start=time.time() - 20, end=time.time(), step_s=5),
    ):
        try:
            told.append(repr(await asking))
        except (ToolError, PermissionError) as error:
            told.append(str(error).replace(query, ""))
    for text in told:
        # The error of a query quotes it, and some of these say the word themselves.
        assert CANARY not in text.replace(f'phase="{CANARY}"', "").replace(repr(CANARY), "")
        assert str(SECRET) not in text
        assert "127.0.0.1" not in text
        assert "'job': 'prometheus'" not in text
        assert "scrape" not in text.replace(query, "") or "app" in text


async def test_the_tricks_would_work_without_the_restriction(bench: Bench) -> None:
    """Else they would show nothing. A scrape that failed ends what they find until the next one."""
    brought_out = set[str]()
    async with asyncio.timeout(60):
        while len(brought_out) <= 25:
            brought_out |= {query for query in TRICKS if CANARY in await bench.everything(query)}


@pytest.mark.parametrize(
    "name",
    ["ratchet_events_total", "loadgen_cpu_ratio", "ratchet:generator_lag_seconds", "loadgen_x"],
)
async def test_asking_for_what_is_hidden_by_its_name_is_noticed(bench: Bench, name: str) -> None:
    for query in (
        name,
        f"sum({name}[1m])",
        f'{{__name__="{name}"}}',
        f'{{__name__="{name}",a="b"}}',
    ):
        with pytest.raises(PermissionError, match=f"{name} is not shown here"):
            await bench.metrics.instant(query, at=None)


@pytest.mark.parametrize(
    "query",
    [
        *("", "sum(", "up{", 'up{job="', "up{job=app}", 'up{"job"="app"}', "up{job}", "nope(up)"),
        *("up[5x]", "up[5m", "up}", "a b", "up offset", "up;", "up\x00", "ünter", "up{a:b='c'}"),
        *('up{a="\\q"}', "1e", "0xg", "5mx", "up @", "sum by (up{}) (up)", "sum by (a", "$x"),
        *("up{job='\ud800'}", "x" * 5000, "sum by (ratchet_events_total) (up)", "up => 1"),
        *("max_over_time(max_over_time(up[1d:1s])[1d:1s])", "max_over_time(up[1y:1ms])"),
    ],
)
async def test_what_is_not_understood_is_refused_with_the_reason(bench: Bench, query: str) -> None:
    with pytest.raises(ToolError, match=r"the query is refused: \S"):
        await bench.metrics.instant(query, at=None)


async def test_results_do_not_say_where_they_were_scraped(bench: Bench) -> None:
    found = await bench.metrics.instant('{__name__=~".+"}', at=None)
    assert found
    assert all("instance" not in series.labels for series in found)


async def test_a_range_has_its_points_oldest_first(bench: Bench) -> None:
    found: Sequence[Series] = ()
    async with asyncio.timeout(60):
        while not found:
            now = time.time()
            found = await bench.metrics.range(
                "sum(http_requests_total)", start=now - 2, end=now, step_s=1
            )
    assert [value for _, value in found[0].points] == [12.0] * len(found[0].points)
    times = [at for at, _ in found[0].points]
    assert times == sorted(times)
    earlier = await bench.metrics.instant("http_requests_total", at=now - 86_400)
    assert earlier == ()


async def test_ranges_and_answers_are_bounded(bench: Bench) -> None:
    with pytest.raises(ToolError, match="take a step_s of 4 or more"):
        await bench.metrics.range("up", start=0, end=3600, step_s=1)
    for start, end, step_s in ((5.0, 1.0, 1.0), (0.0, float("nan"), 1.0), (0.0, 1.0, 0.1)):
        with pytest.raises(ToolError):
            await bench.metrics.range("up", start=start, end=end, step_s=step_s)
    many = " or ".join(f'label_replace(vector({n}), "n", "{n}", "", "")' for n in range(60))
    wide = f"({many}) + on() group_left (x) vector(1)"
    assert len(wide) < 4000
    assert len(await bench.metrics.instant(wide, at=None)) == 60
    assert MOST_SERIES > 60


async def test_the_list_says_what_can_be_asked_for_and_no_more(bench: Bench) -> None:
    listed = {metric.name: metric for metric in await bench.metrics.list()}
    assert listed["http_requests_total"].type == "counter"
    assert listed["http_requests_total"].help == "Requests answered."
    assert listed["http_requests_total"].labels == ("job", "method", "route")
    assert listed["loadgen_request_errors_total"].type == "counter"
    assert "clients" in listed["loadgen_request_errors_total"].help
    assert listed["ratchet:invariant_value"].labels == ("invariant",)
    assert listed["ALERTS"].help
    of_harness = {name for name in listed if name.startswith(("ratchet", "loadgen", "prom"))}
    # One is the app's own: it may call its series as it likes.
    assert of_harness - {"ratchet_events_total"} <= SEEN_NAMES
    assert CANARY not in repr(listed)


async def test_metrics_that_cannot_be_reached_are_said_to_be() -> None:
    with pytest.raises(ToolError, match="cannot be reached"):
        await SeenMetrics("http://127.0.0.1:9").instant("up", at=None)


@pytest.mark.parametrize("query", TRICKS)
async def test_every_selector_carries_its_own_restriction(query: str) -> None:
    """Whatever Prometheus makes of the rest: between each pair of braces something is enforced."""
    try:
        written = restricted(query)
    except (QueryError, HiddenError):
        return
    for inside in _braces(written):
        assert (
            'job="app"' in inside
            or '__name__=~"ALERTS|' in inside
            or any(f'__name__="{name}"' in inside for name in SEEN_NAMES)
        )


def _braces(written: str) -> list[str]:
    """The insides of all braces that are not in a text; texts have plain quotes by now."""
    found, inside, quoted, place = [], "", False, 0
    within = False
    while place < len(written):
        sign = written[place]
        if quoted and sign == "\\":
            inside += written[place : place + 2]
            place += 2
            continue
        if sign == '"':
            quoted = not quoted
        if not quoted and sign == "{":
            within, inside = True, ""
        elif not quoted and sign == "}":
            within = False
            found.append(inside)
        elif within:
            inside += sign
        place += 1
    return found
