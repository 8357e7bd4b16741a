"""The client on a server that answers as Prometheus does, and as it should not."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from campaign.adapters.prometheus import Point, PrometheusClient, RangeSeries
from campaign.model import GeneratorHealth, Sample
from campaign.ports import PortError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakePrometheus:
    """Answers every query with `reply`; keeps what it was asked."""

    def __init__(self) -> None:
        self.reply: Handler = matrix()
        self.asked: dict[str, str] = {}
        self.server: BaseTestServer

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked = {
            "route": request.path,
            **{k: str(v) for k, v in (await request.post()).items()},
        }
        return await self.reply(request)


def says(text: str, *, status: int = 200) -> Handler:
    async def reply(_request: web.Request) -> web.Response:
        return web.Response(text=text, status=status, content_type="application/json")

    return reply


def matrix(*series: dict[str, Any]) -> Handler:
    async def reply(_request: web.Request) -> web.Response:
        data = {"resultType": "matrix", "result": list(series)}
        return web.json_response({"status": "success", "data": data})

    return reply


def recorded(name: str, invariant: str, *values: tuple[float, str]) -> dict[str, Any]:
    metric = {"__name__": f"ratchet:invariant_{name}", "invariant": invariant}
    return {"metric": metric, "values": values}


def of_generator(name: str, *values: tuple[float, str]) -> dict[str, Any]:
    return {"metric": {"__name__": f"ratchet:generator_{name}"}, "values": values}


@pytest.fixture
async def prometheus() -> AsyncIterator[FakePrometheus]:
    fake = FakePrometheus()
    app = web.Application()
    app.router.add_post("/api/v1/{route}", fake.answer)
    async with TestServer(app) as server:
        fake.server = server
        yield fake


@pytest.fixture
async def client(
    prometheus: FakePrometheus, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[PrometheusClient]:
    """A patient one: the machine may be busy with other tests."""
    patience = aiohttp.ClientTimeout(total=60)
    monkeypatch.setattr("campaign.adapters.prometheus._OBSERVE_TIMEOUT", patience)
    async with PrometheusClient(str(prometheus.server.make_url("/"))) as client:
        yield client


async def test_the_newest_evaluation_of_each_invariant_is_taken(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    prometheus.reply = matrix(
        recorded("value", "errors", (10.5, "0.1"), (11.5, "0.25")),
        recorded("samples", "errors", (10.5, "7"), (11.5, "8")),
        recorded("offered", "errors", (10.5, "9"), (11.5, "10")),
        recorded("limit", "errors", (10.5, "0.02"), (11.5, "0.02")),
        of_generator("lag_seconds", (10.5, "0.5"), (11.5, "0.01")),
        of_generator("cpu_ratio", (11.5, "0.3")),
    )
    seen = await client.observe()
    assert seen.samples == (
        Sample(invariant="errors", value=0.25, samples=8, offered=10, measured_at=11.5),
    )
    assert seen.generator == GeneratorHealth(lag_s=0.01, cpu_ratio=0.3)
    asked = '{__name__=~"ratchet:.*",job!="app"}[5s]'
    assert prometheus.asked == {"route": "/api/v1/query", "query": asked}


async def test_an_older_value_never_stands_in_for_one_that_is_not_there(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    prometheus.reply = matrix(
        recorded("value", "errors", (10.5, "0.1")),
        recorded("samples", "errors", (10.5, "7"), (11.5, "0")),
        recorded("limit", "errors", (10.5, "0.02"), (11.5, "0.02")),
    )
    (sample,) = (await client.observe()).samples
    assert sample == Sample(invariant="errors", samples=0, measured_at=11.5)


async def test_an_evaluation_that_is_still_being_recorded_is_not_taken(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    """The limit is recorded last: without it the others of that moment are incomplete."""
    prometheus.reply = matrix(
        recorded("value", "errors", (10.5, "0.1"), (11.5, "0.9")),
        recorded("samples", "errors", (10.5, "7")),
        recorded("offered", "errors", (10.5, "9")),
        recorded("limit", "errors", (10.5, "0.02")),
    )
    (sample,) = (await client.observe()).samples
    assert (sample.value, sample.samples, sample.measured_at) == (0.1, 7, 10.5)


async def test_nan_and_infinity_are_numbers(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    prometheus.reply = matrix(
        recorded("value", "errors", (11.5, "NaN")),
        recorded("samples", "errors", (11.5, "+Inf")),
        recorded("limit", "errors", (11.5, "0.02")),
    )
    (sample,) = (await client.observe()).samples
    assert sample.value is not None
    assert math.isnan(sample.value)
    assert sample.samples == math.inf


async def test_nothing_recorded_is_nothing_observed(client: PrometheusClient) -> None:
    seen = await client.observe()
    assert (seen.samples, seen.generator) == ((), None)


async def test_an_invariant_that_is_recorded_twice_is_refused(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    twice = recorded("value", "errors", (11.5, "0"))
    other = {**twice, "metric": {**twice["metric"], "job": "x"}}
    prometheus.reply = matrix(twice, other, recorded("limit", "errors", (11.5, "0.02")))
    with pytest.raises(PortError, match="ratchet:invariant_value of 'errors' is recorded more"):
        await client.observe()


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (says("not json"), "answered 200 with something else"),
        (says("<html>", status=502), "answered 502 with something else"),
        (says('{"status": "success"}'), "no data in the answer"),
        (says('{"status": "success", "data": {"resultType": "vector", "result": []}}'), "else"),
        (says('{"status": "success", "data": {"resultType": "matrix", "result": [7]}}'), "else"),
        (says('{"status": "success", "data": {"resultType": "matrix", "result": null}}'), "else"),
        (
            says('{"status": "error", "errorType": "bad_data", "error": "parse"}', status=400),
            "refused the query: parse",
        ),
    ],
)
async def test_any_other_answer_is_a_fault_of_prometheus(
    prometheus: FakePrometheus, client: PrometheusClient, reply: Handler, message: str
) -> None:
    prometheus.reply = reply
    with pytest.raises(PortError, match=message) as caught:
        await client.observe()
    assert caught.value.component == "prometheus"


async def test_a_series_without_a_value_is_no_sample(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    prometheus.reply = matrix(recorded("limit", "errors"), of_generator("cpu_ratio"))
    seen = await client.observe()
    assert (seen.samples, seen.generator) == ((), None)


async def test_silence_is_a_fault_within_a_second(prometheus: FakePrometheus) -> None:
    """An answer that takes a second comes too late: the loop's clock decides for both alike."""

    async def late(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(1.0)
        return await matrix()(request)

    prometheus.reply = late
    async with PrometheusClient(str(prometheus.server.make_url("/"))) as client:
        with pytest.raises(PortError, match="gave no answer"):
            await client.observe()


async def test_a_server_that_is_gone_is_a_fault() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        async with PrometheusClient(f"http://127.0.0.1:{nobody.getsockname()[1]}") as client:
            with pytest.raises(PortError, match="gave no answer"):
                await client.observe()


async def test_whole_series_are_read_for_reports(
    prometheus: FakePrometheus, client: PrometheusClient
) -> None:
    metric = {"__name__": "up", "job": "app"}
    prometheus.reply = matrix({"metric": metric, "values": [(10, "1"), (12, "0")]})
    found = await client.range_series("up", start=10, end=12, step_s=1)
    points = (Point(at=10, value=1), Point(at=12, value=0))
    assert found == (RangeSeries(labels=metric, points=points),)
    assert prometheus.asked == {
        "route": "/api/v1/query_range",
        "query": "up",
        "start": "10",
        "end": "12",
        "step": "1",
    }
