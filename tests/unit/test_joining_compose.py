"""What is said of joining a campaign that is played in a container: addresses that lead there."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from campaign import host as hosting
from campaign import preflight
from campaign.cli import operator_people
from campaign.cli.app import app
from campaign.cli.operator_common import Owner, checked_url
from campaign.errors import BusyError, UsageError
from campaign.host import Host
from campaign.joining import Door
from campaign.listening import DAEMON_PORT, way_in
from campaign.machine import Campaign
from campaign.player import Performance
from campaign.preflight import require_ready
from campaign.runs import RunFolder
from campaign.seats import Register, how_to_join, how_to_join_there
from campaign.seats.joining import invitation
from campaign.stack import ComposePlaces
from campaign.stack.compose.layout import alone

#: as a container calls itself
DAEMON = f"http://172.18.0.9:{DAEMON_PORT}"
ANOTHER = "http://172.18.0.11:40123"
INSIDE = "docker compose exec --no-TTY campaign ratchet operator"


@pytest.fixture
def _container(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a project whose page is published on another port than usual."""
    monkeypatch.setenv("RATCHET_STACK", "compose")
    monkeypatch.setenv("RATCHET_PAGE_PORT", "18390")


def joined(lines: tuple[str, ...]) -> str:
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.usefixtures("_container")
def test_the_daemon_is_reached_by_the_port_that_is_published() -> None:
    register = Register(campaign="one", url=DAEMON)
    told = joined(how_to_join(register))
    assert (
        f"export RATCHET_URL=http://127.0.0.1:18390 RATCHET_SEAT_TOKEN={register.seat_token}\n"
        in told
    )
    assert "172.18" not in told
    assert checked_url("http://127.0.0.1:18390")


def test_what_the_container_calls_itself_is_of_no_use_outside() -> None:
    """The reason for all of this: no command would send a secret there."""
    with pytest.raises(UsageError, match="another machine"):
        checked_url(DAEMON)


@pytest.mark.usefixtures("_container")
def test_whoever_may_use_docker_needs_no_secret() -> None:
    told = joined(how_to_join(Register(campaign="one", url=DAEMON)))
    assert "docker compose exec campaign ratchet operator shell\n" in told
    assert f"{INSIDE} mcp " in told
    assert f"{INSIDE} wait " in told


@pytest.mark.usefixtures("_container")
def test_a_container_of_its_own_publishes_nothing_and_shows_no_token() -> None:
    register = Register(campaign="one", url=ANOTHER)
    told = joined(how_to_join(register))
    assert f"{INSIDE} wait " in told
    assert "RATCHET_URL" not in told
    assert str(register.seat_token) not in told


@pytest.mark.usefixtures("_container")
def test_a_command_that_has_the_daemon_play_says_how_to_join_there() -> None:
    told = joined(how_to_join_there(Path("/var/lib/ratchet/runs"), is_resumed=True))
    assert "join again" in told
    assert f"{INSIDE} wait " in told
    assert f"{INSIDE} invite\n" in told
    assert "--runs" not in told


def test_elsewhere_an_address_is_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the local stack, and in a cluster, where nothing is published."""
    monkeypatch.setenv("RATCHET_PAGE_PORT", "18390")
    assert way_in(DAEMON) is None
    monkeypatch.setenv("RATCHET_STACK", "compose")
    monkeypatch.setenv("RATCHET_PAGE_PORT", "")
    assert way_in(DAEMON) is None
    assert f"RATCHET_URL={DAEMON} " in joined(invitation(DAEMON, "seat.x"))


@pytest.mark.usefixtures("_container")
@pytest.mark.parametrize(
    ("url", "printed"),
    [
        (DAEMON, "export RATCHET_URL=http://127.0.0.1:18390 RATCHET_SESSION_TOKEN=T001-s1.x\n"),
        (ANOTHER, "export RATCHET_SESSION_TOKEN=T001-s1.x\n"),
    ],
    ids=["daemon", "another container"],
)
def test_a_session_that_is_taken_over_goes_on_at_an_address_that_leads_there(
    monkeypatch: pytest.MonkeyPatch, url: str, printed: str
) -> None:
    owner = Owner(door=Door(url=url), token="owner")  # noqa: S106 - opens nothing
    monkeypatch.setattr(operator_people, "find_owner", lambda *_: owner)
    monkeypatch.setattr(operator_people, "_ask", lambda *_, **__: {"token": "T001-s1.x"})
    done = CliRunner().invoke(app, ["operator", "take-over", "T001-s1", "--token"])
    assert done.output == printed


# -- who says it ----------------------------------------------------------------------------------


@pytest.fixture
def performances(monkeypatch: pytest.MonkeyPatch) -> list[Performance]:
    """Of campaigns that begin and are over at once."""
    seen: list[Performance] = []

    async def play(performance: Performance) -> Campaign:
        seen.append(performance)
        performance.on_external()
        raise UsageError("over")

    monkeypatch.setattr(hosting, "play", play)
    monkeypatch.setattr(hosting, "require_ready", lambda _: "")
    return seen


@pytest.mark.parametrize("speaks", [True, False])
async def test_the_process_that_plays_tells_how_to_join_if_it_is_to(
    tmp_path: Path, performances: list[Performance], *, speaks: bool
) -> None:
    """`ratchet up` is to: nobody else would learn the token. `ratchet serve` is not."""
    told: list[tuple[str, ...]] = []
    async with Host(tmp_path, on_external=told.append if speaks else None) as host:
        with pytest.raises(UsageError, match="over"):
            await host.start({"operator": "external", "name": "one"})
        assert len(performances) == 1
        assert host.seats is not None
        assert told == ([how_to_join(host.seats)] if speaks else [])


# -- one campaign at a time -----------------------------------------------------------------------


@pytest.mark.usefixtures("_container")
def test_a_campaign_beside_another_one_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = ComposePlaces(root=tmp_path)
    places.runs.mkdir(parents=True)
    monkeypatch.setattr(preflight, "ComposePlaces", lambda: places)
    monkeypatch.setattr(preflight, "require_reachable", lambda _: None)
    monkeypatch.setattr(preflight, "run_checks", lambda **_: ())
    run = RunFolder(path=places.runs / "one")
    with alone(places.stack_lock), pytest.raises(BusyError, match="another campaign"):
        require_ready(run)
    assert require_ready(run) == ""
    assert not run.path.exists()
