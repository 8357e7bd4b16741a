"""What a client sees of an app that is slow, hung, wrong, dead or being replaced."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from loadgen.testing import FakeApp, Generator, Samples
from loadgen.testing.samples import DONE, ERRORS, OFFERED, OLDER, QUICKER, STARTED

pytestmark = pytest.mark.alone

pytest_plugins = ["loadgen.testing.fixtures"]

#: of clients that are to lose their patience: in seconds, but not for a moment of a busy machine
HASTY_S = 2.0


@pytest.fixture
def hasty(short_folder: Path) -> Iterator[Generator]:
    path = short_folder / "app.sock"
    with Generator(short_folder, app_socket=path, client_timeout_s=HASTY_S) as generator:
        yield generator


@pytest.fixture
def client_timeout_s() -> float:
    """Of all others."""
    return 20.0


def dimension(behaviour: str, users: int, rate_hz: float, **extra: Any) -> dict[str, Any]:
    return {"behaviour": behaviour, "users": users, "rate_hz": rate_hz, **extra}


def test_a_hang_gives_timeouts_and_missed_slots_but_no_backlog_outlives_it(
    fake_app: FakeApp, hasty: Generator
) -> None:
    hasty.offer(dimension("reader", 5, 20.0))
    hasty.done(100)
    fake_app.mood(hang=True)
    # It has hung for longer than any slot may last: its turn within the timeout, and the timeout.
    hung = hasty.once(
        "timeouts, missed slots, and none too old",
        lambda now: (
            now.total(ERRORS, kind="timeout") >= 20
            and now.total(ERRORS, kind="missed") >= 450
            and now.total(OLDER, older_than_seconds=str(2 * HASTY_S + 1)) == 0
        ),
    )
    # A slot waits for its turn for the timeout at most, so no more than that can be open.
    assert hung.total(OFFERED) - hung.total(DONE) <= 5 * (20.0 * HASTY_S + 4) * 1.1
    fake_app.mood()
    calm = hasty.once(
        "nothing is late", lambda now: now.total(OLDER, older_than_seconds="0.3") == 0
    )

    def quick(now: Samples) -> bool:
        done = now.total(DONE) - calm.total(DONE)
        quick = now.total(QUICKER, le="0.3") - calm.total(QUICKER, le="0.3")
        return done >= 200 and quick >= 0.9 * done

    later = hasty.once("all is quick again", quick)
    assert later.total(ERRORS) == calm.total(ERRORS)


def test_every_offered_slot_is_accounted_for(fake_app: FakeApp, hasty: Generator) -> None:
    fake_app.mood(hang=True)
    hasty.offer(dimension("reader", 5, 20.0), dimension("writer", 5, 20.0))
    hasty.once("some were missed", lambda now: now.total(ERRORS, kind="missed") >= 20)
    end = hasty.silence()
    assert end.total(OFFERED) == end.total(DONE)
    # The rest was still waiting when the load was taken away.
    assert end.total(STARTED) <= end.total(OFFERED) - end.total(ERRORS, kind="missed")


def test_load_that_is_taken_away_is_no_error(fake_app: FakeApp, generator: Generator) -> None:
    fake_app.mood(delay_s=0.5)
    generator.offer(dimension("reader", 5, 20.0))
    generator.once("some wait", lambda now: now.total(OFFERED) - now.total(STARTED) >= 20)
    end = generator.silence()
    assert end.total(OFFERED) == end.total(DONE)
    assert end.total(STARTED) < end.total(OFFERED)
    assert end.total(ERRORS) == 0


@pytest.mark.parametrize(
    ("mood", "kind"),
    [
        ({"status": 503}, "5xx"),
        ({"status": 404}, "4xx"),
        ({"status": 302}, "invalid"),
        ({"body": "[]"}, "invalid"),
        ({"body": '{"messages": "none"}'}, "invalid"),
        ({"body": "{" * 7_000}, "invalid"),
    ],
)
def test_wrong_answers_are_errors_of_their_kind(
    fake_app: FakeApp, generator: Generator, mood: dict[str, Any], kind: str
) -> None:
    fake_app.mood(**mood)
    generator.offer(dimension("reader", 2, 10.0))
    generator.done(10)
    end = generator.silence()
    assert end.total(ERRORS, kind=kind) == end.total(ERRORS) == end.total(STARTED) >= 10


def test_without_an_app_every_slot_is_a_connection_error_and_nothing_spins(
    generator: Generator,
) -> None:
    generator.offer(dimension("reader", 10, 10.0))
    samples = generator.once(
        "200 are done, at leisure",
        lambda now: now.total(DONE) >= 200 and now.total("loadgen_cpu_ratio") < 0.7,
    )
    assert samples.total(ERRORS, kind="connection") == samples.total(ERRORS)
    assert samples.total(ERRORS) >= 200


def test_an_app_that_dies_is_found_again_when_it_is_back(
    short_folder: Path, fake_app: FakeApp, generator: Generator
) -> None:
    generator.offer(dimension("reader", 10, 10.0))
    generator.done(50)
    fake_app.kill()
    generator.once("connection errors", lambda now: now.total(ERRORS, kind="connection") >= 10)
    with FakeApp(short_folder / "app.sock", stderr=short_folder / "second.log"):
        calm = generator.samples()
        later = generator.done(calm.total(DONE) + 200)
        assert later.total(ERRORS) - calm.total(ERRORS) <= 10
        assert set(later.values(ERRORS, kind="invalid")) == {0.0}


def test_a_listener_with_a_full_queue_is_waited_for_without_spinning(
    fake_app: FakeApp, hasty: Generator
) -> None:
    """More connections than the queue of a stopped app holds: no error but the timeouts."""
    fake_app.pause()
    hasty.offer(dimension("herd", 400, 5.0))
    samples = hasty.once("timeouts", lambda now: now.total(ERRORS, kind="timeout") >= 1_000)
    assert samples.total(ERRORS, kind="connection") == 0
    fake_app.go_on()


def test_replacing_the_app_under_load_costs_not_one_error(
    short_folder: Path, fake_app: FakeApp, generator: Generator
) -> None:
    generator.offer(
        dimension("reader", 20, 5.0),
        dimension("writer", 20, 5.0),
        dimension("streamer", 5, 1.0, params={"tokens": 20}),
    )
    generator.done(200)
    with ExitStack() as apps:
        old = fake_app
        for number in range(3):
            log = short_folder / f"{number}.log"
            new = apps.enter_context(FakeApp(short_folder / "app.sock", stderr=log))
            # As the supervisor does: who reached the old one is answered before it is to end.
            time.sleep(0.5)
            generator.once(
                "none waits", lambda now: now.total(OLDER, older_than_seconds="0.3") == 0
            )
            assert old.terminate() == 0
            generator.done(generator.samples().total(DONE) + 200)
            old = new
        end = generator.silence()
    assert end.total(ERRORS) == 0
    assert end.total(OFFERED) == end.total(DONE)


def test_a_stream_without_its_last_event_is_invalid_and_acknowledges_nothing(
    fake_app: FakeApp, generator: Generator
) -> None:
    fake_app.mood(cut_streams=True)
    generator.offer(dimension("streamer", 5, 2.0, params={"tokens": 5}))
    generator.done(10)
    end = generator.silence()
    assert end.total(DONE) == end.total(OFFERED)
    assert end.total(ERRORS, kind="invalid") == end.total(ERRORS) == end.total(STARTED)
    assert end.total("loadgen_first_byte_seconds_count") == end.total(STARTED)
    assert generator.ledger(after=0)["entries"] == []
