"""How a daemon in a container is found, by others in containers and from the host."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpClient

from campaign.addresses import Address, announce, read_address
from campaign.errors import AccessError, MisdirectedError
from campaign.http_access import Handler, guarded
from campaign.listening import Listening, listening

#: above what the kernel gives
NO_PID = 2**22 + 1
TOKEN = "open sesame"  # noqa: S105 - opens nothing


def test_a_pid_of_another_container_says_nothing(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    address = Address(url="http://172.18.0.4:8390", token=TOKEN, pid=NO_PID, host="another")
    announce(file, address)
    assert read_address(file) == address


def test_a_pid_of_this_one_does(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    announce(file, Address(url="http://127.0.0.1:8390", token=TOKEN, pid=NO_PID))
    assert read_address(file) is None


def test_an_address_of_an_older_version_is_still_read(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    told = asdict(Address(url="http://127.0.0.1:8390", token=TOKEN, pid=1))
    file.write_text(json.dumps({name: told[name] for name in ("url", "token", "pid")}))
    assert read_address(file) is not None


def test_on_the_local_stack_only_the_loopback_is_listened_on() -> None:
    assert listening() == Listening(address="127.0.0.1", name="127.0.0.1")


@pytest.mark.parametrize(
    ("host", "header", "status"),
    [
        ("172.18.0.4:8390", f"Bearer {TOKEN}", 200),
        ("127.0.0.1", f"Bearer {TOKEN}", 200),
        ("evil.example", f"Bearer {TOKEN}", 421),
        ("172.18.0.4:8390", "Bearer wrong", 401),
        ("172.18.0.4:8390", "", 401),
    ],
)
async def test_in_a_container_its_own_name_leads_to_it_with_the_token(
    aiohttp_client: AiohttpClient, host: str, header: str, status: int
) -> None:
    guard = guarded(TOKEN, but_for=frozenset(), names=frozenset({"172.18.0.4"}))
    api = web.Application(middlewares=[_refusals, guard])
    api.router.add_get("/api/campaigns", _told)
    client = await aiohttp_client(api)
    answer = await client.get("/api/campaigns", headers={"Host": host, "Authorization": header})
    assert answer.status == status


async def _told(_request: web.Request) -> web.Response:
    return web.Response(text="told")


@web.middleware
async def _refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except AccessError:
        return web.Response(status=401)
    except MisdirectedError:
        return web.Response(status=421)
