"""`ratchet up`: what the compose stack does by itself: play a campaign, and leave the pages up."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from campaign.addresses import announced, daemon_file
from campaign.cli.common import RunsOption, split_names, tell
from campaign.cli.serve import DEFAULT_PORT, on_signal
from campaign.cli.webhook_options import webhook_of
from campaign.display import PlainDisplay
from campaign.errors import RatchetError, UsageError
from campaign.host import Host
from campaign.model import Finished
from campaign.rig import RigOptions
from campaign.runs import RunFolder, list_runs
from campaign.stack import ComposePlaces, is_compose
from campaign.states import read_campaign
from campaign.webhook import require_usable


def register(app: typer.Typer) -> None:
    app.command("up", epilog="Example: docker compose up")(up)


def up(
    runs: RunsOption,
    operator: Annotated[
        str | None, typer.Option(envvar="RATCHET_OPERATOR", help="Else by whether there is a key.")
    ] = None,
    profiles: Annotated[
        str | None, typer.Option(envvar="RATCHET_LADDER", help="Else the whole ladder.")
    ] = None,
    seed: Annotated[str | None, typer.Option(envvar="RATCHET_SEED")] = None,
) -> None:
    """Within the compose stack: play a campaign (one that was cut short first), and serve on."""
    if not is_compose():
        raise UsageError(
            "this is what the containers do", hint="docker compose up; here: ratchet run"
        )
    places = ComposePlaces()
    key = places.given_key
    options = RigOptions(api_key_file=key, webhook=webhook_of(os.environ))
    require_usable(options.webhook)
    chosen = choose_operator(operator or None, has_key=key is not None)
    order = order_of(chosen.operator, profiles=profiles or "", seed=seed or "")
    asyncio.run(_up(runs, options, chosen, order, token=places.daemon_token.read_text().strip()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Who resolves the tickets, and why he."""

    operator: str
    why: str


def choose_operator(asked: str | None, *, has_key: bool) -> Chosen:
    if asked is not None:
        return Chosen(operator=asked, why="RATCHET_OPERATOR names it")
    if has_key:
        return Chosen(operator="claude", why="there is an API key")
    why = "no API key: neither ANTHROPIC_API_KEY nor ANTHROPIC_API_KEY_FILE holds one"
    return Chosen(operator="reference", why=why)


def order_of(operator: str, *, profiles: str, seed: str) -> dict[str, Any]:
    """As the API takes it.

    Raises:
        UsageError: the seed is no number.
    """
    order: dict[str, Any] = {"operator": operator}
    if profiles:
        order["profiles"] = list(split_names(profiles))
    if seed:
        if not seed.isdecimal():
            raise UsageError(f"RATCHET_SEED={seed}: a whole number is expected")
        order["seed"] = int(seed)
    return order


async def _up(
    runs: Path, options: RigOptions, chosen: Chosen, order: dict[str, Any], *, token: str
) -> None:
    display = PlainDisplay(sys.stderr)
    async with Host(
        runs, port=DEFAULT_PORT, options=options, token=token, observers=(display,)
    ) as host:
        ending = on_signal()
        with announced(daemon_file(runs), host.address):
            _say_where(host)
            await _begin(host, chosen, order)
            await ending.wait()


async def _begin(host: Host, chosen: Chosen, order: dict[str, Any]) -> None:
    """What cannot be played is said, and the pages stay up."""
    latest = next(iter(list_runs(host.root)), None)
    try:
        if latest is None:
            tell(f"operator {chosen.operator}: {chosen.why}")
            name = await host.start(order)
            tell(f"campaign {name} begins")
        elif await _is_finished(latest):
            tell(
                f"campaign {latest.name} is finished; its report stays",
                "another one: docker compose run --rm campaign run",
            )
        else:
            await host.resume(latest.name)
            tell(f"campaign {latest.name} goes on where it was cut short")
    except RatchetError as error:
        tell(f"ratchet: {error}", f"  → {error.hint}")


async def _is_finished(run: RunFolder) -> bool:
    campaign = await read_campaign(run)
    return campaign is not None and isinstance(campaign.phase, Finished)


def _say_where(host: Host) -> None:
    """As they are published on the machine that runs the containers."""
    ports = {name: os.environ.get(f"RATCHET_{name}_PORT", "") for name in _PAGES}
    here = {name: f"http://127.0.0.1:{port}" for name, port in ports.items() if port}
    page = here.get("PAGE", host.address.url)
    tell(
        f"campaigns   {page}/api/campaigns?token={host.token}",
        *(f"{_PAGES[name]:11} {url}" for name, url in here.items() if name != "PAGE"),
        "log         docker compose logs --follow campaign",
    )


_PAGES = {"PAGE": "campaigns", "GRAFANA": "Grafana", "PROMETHEUS": "Prometheus", "LOCUST": "Locust"}
