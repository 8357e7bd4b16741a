from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry, generate_latest
from yarl import URL

from campaign.adapters.journal import BrokenChainError
from campaign.errors import BusyError, HarnessError, NotFoundError, UsageError
from campaign.host_metrics import HostMetrics
from campaign.http_api import build_api
from campaign.machine import Campaign, step
from campaign.shell import CampaignOverError
from campaign.testing import make_plan
from tests.machine_kit import Drive

TOKEN = "secret"  # noqa: S105 - a test's own
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}

Client = TestClient[web.Request, web.Application]


@dataclass(kw_only=True)
class FakeControl:
    """One campaign, `one`, with three events; everything else is refused."""

    folder: Path
    calls: list[tuple[str, Any]] = field(default_factory=list)

    async def campaigns(self) -> list[dict[str, Any]]:
        return [await self.campaign("one")]

    async def campaign(self, name: str) -> dict[str, Any]:
        self._require(name)
        return {"campaign": name, "phase": "finished"}

    async def start(self, order: Mapping[str, Any]) -> str:
        if "operator" in order:
            raise UsageError("unknown operator: x", hint="there are: reference, none")
        self.calls.append(("start", dict(order)))
        return "two"

    async def resume(self, name: str) -> None:
        self._require(name)
        raise BusyError("campaign two is being played", hint="wait for it")

    async def stop(self, name: str) -> None:
        self._require(name)
        self.calls.append(("stop", name))

    async def pause(self, name: str) -> None:
        self.calls.append(("pause", name))

    async def proceed(self, name: str) -> None:
        self.calls.append(("continue", name))

    async def events(
        self, name: str, *, after: int
    ) -> AsyncGenerator[tuple[int, dict[str, Any]], None]:
        self._require(name)
        return self._events(after)

    async def _events(self, after: int) -> AsyncGenerator[tuple[int, dict[str, Any]], None]:
        for number in range(after + 1, 4):
            yield number, {"kind": "evaluated", "at": float(number), "missing": "a\nb"}

    async def report(self, name: str) -> Path:
        if name == "broken":
            raise BrokenChainError(7, "was changed")
        if name == "lost":
            raise HarnessError("the disk is gone")
        self._require(name)
        return self.folder

    def _require(self, name: str) -> None:
        if name != "one":
            raise NotFoundError(f"there is no campaign {name}", hint="the latest are: one")


@pytest.fixture
def control(tmp_path: Path) -> FakeControl:
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "index.html").write_text("<p>the report</p>")
    (folder / "leads_out").symlink_to(tmp_path / "journal.db")
    (tmp_path / "journal.db").write_text("private")
    return FakeControl(folder=folder)


@pytest.fixture
async def client(control: FakeControl) -> AsyncGenerator[Client, None]:
    """Has the token."""
    async with TestClient(TestServer(api_of(control)), headers=AUTHORIZED) as client:
        yield client


@pytest.fixture
async def stranger(control: FakeControl) -> AsyncGenerator[Client, None]:
    """Has none; whatever a browser would keep it keeps."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with TestClient(TestServer(api_of(control)), cookie_jar=jar) as client:
        yield client


def api_of(control: FakeControl) -> web.Application:
    registry = CollectorRegistry()
    HostMetrics(registry)
    return build_api(control, registry=registry, token=TOKEN)


async def problem(answer: Any) -> tuple[int, str, str]:
    told = await answer.json()
    return answer.status, told["error"], told["hint"]


async def test_it_says_that_it_lives_and_which_process_it_is(client: Client) -> None:
    told = await (await client.get("/healthz")).json()
    assert told["status"] == "ok"
    assert isinstance(told["pid"], int)


async def test_its_metrics_are_prometheus_text(client: Client) -> None:
    answer = await client.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert "# TYPE ratchet_events_total counter" in await answer.text()


async def test_campaigns_are_told(client: Client) -> None:
    assert (await (await client.get("/api/campaigns")).json())["campaigns"][0]["campaign"] == "one"
    assert (await (await client.get("/api/campaigns/one")).json())["phase"] == "finished"


@pytest.mark.parametrize(
    "path", ["/api/campaigns/x", "/api/campaigns/x/events", "/api/campaigns/x/report/index.html"]
)
async def test_an_unknown_campaign_is_404_with_what_there_is(client: Client, path: str) -> None:
    assert await problem(await client.get(path)) == (
        404,
        "there is no campaign x",
        "the latest are: one",
    )


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": TOKEN},
        {"Authorization": "Basic c2VjcmV0"},
        {"Authorization": "Bearer secr\udce9t"},
    ],
)
@pytest.mark.parametrize("path", ["/api/campaigns", "/api/campaigns/one/stop", "/api/campaigns/x"])
async def test_nothing_is_changed_without_the_token(
    stranger: Client, control: FakeControl, path: str, headers: dict[str, str]
) -> None:
    answer = await stranger.post(path, json={}, headers=headers)
    assert await problem(answer) == (
        401,
        "the token is missing or wrong",
        "`ratchet serve` prints it; a browser needs ?token=… once",
    )
    assert control.calls == []


TELLING = (
    "/api/campaigns",
    "/api/campaigns/one",
    "/api/campaigns/one/events",
    "/api/campaigns/one/report/index.html",
    "/api/campaigns/one/report/",
    "/api/campaigns/none",
    "/api/sessions",
    "/api/approvals",
    "/nothing",
)


@pytest.mark.parametrize("path", TELLING)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_nothing_is_told_of_a_campaign_without_the_token(
    stranger: Client, method: str, path: str
) -> None:
    for query in ("", "?token=", "?token=wrong", "?token=%E2%82%AC"):
        answer = await stranger.request(method, f"{path}{query}")
        assert answer.status == 401
        assert "phase" not in await answer.text()


async def test_what_tells_of_no_campaign_is_open_to_prometheus(stranger: Client) -> None:
    for path in ("/healthz", "/metrics", "/openapi.json"):
        assert (await stranger.get(path)).status == 200
        assert (await stranger.get(path, headers={"Host": "ratchet:8390"})).status == 200
        assert (await stranger.post(path)).status == 401


async def test_a_browser_reads_on_with_a_cookie_that_can_change_nothing(
    stranger: Client, control: FakeControl
) -> None:
    page = "/api/campaigns/one/report/index.html"
    first = await stranger.get(page, params={"token": TOKEN, "x": "1"}, allow_redirects=False)
    assert (first.status, first.headers["Location"]) == (303, f"{page}?x=1")
    cookie = first.headers["Set-Cookie"]
    assert TOKEN not in cookie
    for attribute in ("HttpOnly", "SameSite=Strict", "Path=/api/campaigns"):
        assert attribute in cookie
    assert await (await stranger.get(page)).text() == "<p>the report</p>"
    assert (await stranger.get("/api/campaigns/one/events")).status == 200
    assert (await stranger.post("/api/campaigns/one/stop")).status == 401
    assert control.calls == []


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8390", "127.0.0.1.evil.example", "[", "", "10.0.0.1"]
)
async def test_a_name_that_somebody_made_lead_here_is_refused(client: Client, host: str) -> None:
    answer = await client.get("/api/campaigns/one", headers={"Host": host})
    status, error, _ = await problem(answer)
    assert (status, error) == (421, f"this is not {host!r}")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8390", "127.0.0.1:1", "[::1]:8390"])
async def test_its_own_names_are_as_good_as_its_address(client: Client, host: str) -> None:
    assert (await client.get("/api/campaigns/one", headers={"Host": host})).status == 200


async def test_a_campaign_that_is_over_is_409(
    client: Client, control: FakeControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def over(_: FakeControl, name: str) -> None:
        raise CampaignOverError(f"{name} is over")

    monkeypatch.setattr(FakeControl, "stop", over)
    answer = await client.post("/api/campaigns/one/stop")
    assert await problem(answer) == (
        409,
        "one is over",
        "`ratchet resume` takes up one that was stopped",
    )
    assert control.calls == []


def test_the_metrics_name_no_profile() -> None:
    registry = CollectorRegistry()
    metrics = HostMetrics(registry)
    made = make_plan(2)
    named = tuple(replace(each, id=f"secret_{each.id}") for each in made.profiles)
    before: Campaign | None = None
    for event in Drive(replace(made, profiles=named)).to_second_trial().to_repairing().journal:
        after = step(before, event).campaign
        metrics.observe(before, event, after)
        before = after
    text = generate_latest(registry).decode()
    assert "ratchet_trial_number 2.0" in text
    assert "secret" not in text


async def test_a_campaign_is_started_by_an_order(client: Client, control: FakeControl) -> None:
    answer = await client.post("/api/campaigns", json={"first": 1}, headers=AUTHORIZED)
    assert (answer.status, await answer.json()) == (201, {"campaign": "two"})
    assert control.calls == [("start", {"first": 1})]


async def test_a_bad_order_is_400_with_what_to_do(client: Client) -> None:
    answer = await client.post("/api/campaigns", json={"operator": "x"}, headers=AUTHORIZED)
    assert await problem(answer) == (400, "unknown operator: x", "there are: reference, none")


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"x"', b"\xff", b"[" * 100_000])
async def test_a_body_that_is_no_json_object_is_400(client: Client, body: bytes) -> None:
    headers = {**AUTHORIZED, "Content-Type": "application/json; charset=no-such"}
    answer = await client.post("/api/campaigns", data=body, headers=headers)
    assert answer.status == 400
    assert (await answer.json())["error"].startswith("the body")


async def test_a_body_that_is_too_large_is_refused_as_json(client: Client) -> None:
    answer = await client.post("/api/campaigns", data=b" " * 2_000_000, headers=AUTHORIZED)
    assert await problem(answer) == (413, "Request Entity Too Large", "see /openapi.json")


@pytest.mark.parametrize("action", ["stop", "pause", "continue"])
async def test_a_campaign_is_told_what_to_do(
    client: Client, control: FakeControl, action: str
) -> None:
    answer = await client.post(f"/api/campaigns/one/{action}", headers=AUTHORIZED)
    assert await answer.json() == {"campaign": "one", "done": action}
    assert control.calls == [(action, "one")]


async def test_what_cannot_be_done_now_is_409(client: Client) -> None:
    answer = await client.post("/api/campaigns/one/resume", headers=AUTHORIZED)
    assert await problem(answer) == (409, "campaign two is being played", "wait for it")


async def test_a_fault_of_the_harness_is_500_with_its_words(client: Client) -> None:
    lost = await client.get("/api/campaigns/lost/report/")
    assert await problem(lost) == (500, "the disk is gone", "")
    status, error, _ = await problem(await client.get("/api/campaigns/broken/report/"))
    assert status == 500
    assert error.startswith("The journal was changed after it was written: event 7")


async def test_what_there_is_no_route_for_is_told_as_json_too(client: Client) -> None:
    assert (await problem(await client.get("/nothing")))[0] == 404
    answer = await client.put("/api/campaigns", headers=AUTHORIZED)
    assert (await problem(answer))[0] == 405
    assert answer.headers["Allow"] == "GET,HEAD,POST"


async def read_events(client: Client, path: str = "", **headers: str) -> list[str]:
    answer = await client.get(
        f"/api/campaigns/one/events{path}",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/event-stream"
    return (await answer.text()).split("\n\n")


async def test_events_are_sent_as_server_sent_events(client: Client) -> None:
    first, _, last, rest = await read_events(client)
    data = '{"kind": "evaluated", "at": 1.0, "missing": "a\\nb"}'
    assert first == f"id: 1\nevent: evaluated\ndata: {data}"
    assert last.startswith("id: 3\n")
    assert rest == ""


async def test_a_client_goes_on_after_what_it_saw_last(client: Client) -> None:
    assert [event[:5] for event in await read_events(client, "?after=2")] == ["id: 3", ""]
    again = await read_events(client, "?after=0", Last_Event_ID="1")
    assert [event[:5] for event in again] == ["id: 2", "id: 3", ""]


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "٣", "9" * 5000])
async def test_what_is_no_sequence_number_is_400(client: Client, after: str) -> None:
    answer = await client.get("/api/campaigns/one/events", params={"after": after})
    status, error, _ = await problem(answer)
    assert status == 400
    assert "sequence number" in error


@pytest.mark.parametrize("file", ["", "index.html", "./index.html", "x/../index.html"])
async def test_the_report_is_served(client: Client, file: str) -> None:
    answer = await client.get(f"/api/campaigns/one/report/{file}")
    assert await answer.text() == "<p>the report</p>"
    assert answer.headers["Content-Type"] == "text/html"


@pytest.mark.parametrize(
    "file",
    [
        "missing.html",
        "%2e%2e/journal.db",
        "..%2fjournal.db",
        "..%2F..%2F..%2F..%2Fetc%2Fpasswd",
        "%2fetc%2fpasswd",
        "leads_out",
        "x%00",
        "x" * 4000,
        "%2e",
    ],
)
async def test_nothing_outside_of_the_report_is_served(client: Client, file: str) -> None:
    answer = await client.get(URL(f"/api/campaigns/one/report/{file}", encoded=True))
    assert answer.status == 404
    assert "private" not in await answer.text()


def routes(api: web.Application) -> set[tuple[str, str]]:
    """Method and path as OpenAPI writes them."""
    return {
        (route.method.lower(), re.sub(r"{(\w+):[^}]*}", r"{\1}", route.resource.canonical))
        for route in api.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }


async def test_the_document_describes_every_route_and_no_other(client: Client) -> None:
    document = await (await client.get("/openapi.json")).json()
    described = {
        (method, path) for path, methods in document["paths"].items() for method in methods
    }
    assert described == routes(client.server.app)  # type: ignore[attr-defined]


async def test_the_document_says_which_errors_there_are(client: Client) -> None:
    document = json.loads(await (await client.get("/openapi.json")).text())
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            expected = set()
            if path.startswith("/api/"):
                expected |= {"401"}
                assert told["security"] == [{"token": []}]
            if "{name}" in path:
                expected |= {"404"}
            if method == "post":
                expected |= {"400", "409"}
            assert expected <= set(told["responses"]), (method, path)
