"""What a client sees of an app that is slow, hung, wrong, dead or being replaced."""

from pathlib import Path
from typing import Any

import pytest

from loadgen.testing import FakeApp, Generator
from loadgen.testing.samples import CLIENT_TIMEOUT_S, DONE, ERRORS, OFFERED, OLDER, QUICKER, STARTED

pytestmark = pytest.mark.alone

pytest_plugins = ["loadgen.testing.fixtures"]


def dimension(behaviour: str, users: int, rate_hz: float, **extra: Any) -> dict[str, Any]:
    return {"behaviour": behaviour, "users": users, "rate_hz": rate_hz, **extra}


def test_a_hang_gives_timeouts_and_missed_slots_but_no_backlog_outlives_it(
    fake_app: FakeApp, generator: Generator
) -> None:
    generator.offer(dimension("reader", 5, 20.0))
    generator.done(100)
    fake_app.mood(hang=True)
    hung = generator.once(
        "timeouts and missed slots",
        lambda now: (
            now.total(ERRORS, kind="timeout") >= 20 and now.total(ERRORS, kind="missed") >= 100
        ),
    )
    # A slot waits for its turn for the timeout at most, so no more than that can be open.
    assert hung.total(OFFERED) - hung.total(DONE) <= 5 * (20.0 * CLIENT_TIMEOUT_S + 4) * 1.1
    assert hung.total(OLDER, older_than_seconds=str(2 * CLIENT_TIMEOUT_S + 1)) == 0
    fake_app.mood()
    generator.once("nothing is late", lambda now: now.total(OLDER, older_than_seconds="0.3") == 0)
    calm = generator.samples()
    later = generator.done(calm.total(DONE) + 200)
    assert later.total(ERRORS) == calm.total(ERRORS)
    quick = later.total(QUICKER, le="0.3")
    quick -= calm.total(QUICKER, le="0.3")
    assert quick >= 0.9 * (later.total(DONE) - calm.total(DONE))


def test_every_offered_slot_is_accounted_for(fake_app: FakeApp, generator: Generator) -> None:
    fake_app.mood(hang=True)
    generator.offer(dimension("reader", 5, 20.0), dimension("writer", 5, 20.0))
    generator.once("some were missed", lambda now: now.total(ERRORS, kind="missed") >= 20)
    end = generator.silence()
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
    end = generator.done(10)
    end = generator.silence()
    assert end.total(ERRORS, kind=kind) == end.total(ERRORS) == end.total(DONE)


def test_without_an_app_every_slot_is_a_connection_error_and_nothing_spins(
    generator: Generator,
) -> None:
    generator.offer(dimension("reader", 10, 10.0))
    samples = generator.done(200)
    assert samples.total(ERRORS, kind="connection") == samples.total(ERRORS)
    assert samples.total(ERRORS) >= 200
    assert samples.total("loadgen_cpu_ratio") < 0.7


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
    fake_app: FakeApp, generator: Generator
) -> None:
    """More connections than the queue of a stopped app holds: no error but the timeouts."""
    fake_app.pause()
    generator.offer(dimension("herd", 400, 5.0))
    samples = generator.once("timeouts", lambda now: now.total(ERRORS, kind="timeout") >= 1_000)
    assert samples.total(ERRORS, kind="connection") == 0
    fake_app.go_on()


def test_replacing_the_app_under_load_costs_not_one_error(
    short_folder: Path, fake_app: FakeApp, generator: Generator
) -> None:
    generator.offer(
        dimension("reader", 20, 10.0),
        dimension("writer", 20, 10.0),
        dimension("streamer", 5, 1.0, params={"tokens": 20}),
    )
    generator.done(200)
    old = fake_app
    for number in range(3):
        new = FakeApp(short_folder / "app.sock", stderr=short_folder / f"{number}.log")
        assert old.terminate() == 0
        generator.done(generator.samples().total(DONE) + 200)
        old = new
    with old:
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
    assert end.total(ERRORS, kind="invalid") == end.total(DONE) == end.total(OFFERED)
    assert end.total("loadgen_first_byte_seconds_count") == end.total(DONE)
    assert generator.ledger(after=0)["entries"] == []
