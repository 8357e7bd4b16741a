"""What is offered: when, how much, and how it is replaced while it runs."""

from pathlib import Path
from typing import Any

import pytest

from loadgen.testing import FakeApp, Generator
from loadgen.testing.samples import DONE, ERRORS, IN_FLIGHT, OFFERED, OLDER, STARTED, Samples

pytestmark = pytest.mark.alone

pytest_plugins = ["loadgen.testing.fixtures"]


def older(samples: Samples, *, than: str) -> float:
    """How many arrivals without an answer are older than `than` seconds, an edge."""
    return samples.total(OLDER, older_than_seconds=than)


def dimension(behaviour: str, users: int, rate_hz: float, **extra: Any) -> dict[str, Any]:
    return {"behaviour": behaviour, "users": users, "rate_hz": rate_hz, **extra}


def test_the_offered_rate_is_reached(fake_app: FakeApp, generator: Generator) -> None:
    generator.offer(dimension("reader", 20, 10.0), dimension("canary", 5, 4.0))
    before = generator.done(100)
    after = generator.done(before.total(DONE) + 500)
    elapsed_s = after.at_s - before.at_s
    for behaviour, rate_hz in (("reader", 200.0), ("canary", 20.0)):
        offered = after.total(OFFERED, behaviour=behaviour)
        offered -= before.total(OFFERED, behaviour=behaviour)
        assert offered / elapsed_s == pytest.approx(rate_hz, rel=0.2)
    assert after.total(ERRORS) == 0
    assert after.total("loadgen_offered_rate_hertz") == 220.0
    assert len(fake_app.seen()["arrivals"]) >= after.total(DONE)


def test_a_burst_is_simultaneous(fake_app: FakeApp, generator: Generator) -> None:
    generator.offer(dimension("herd", 100, 0.5, arrival="burst"))
    generator.done(200)
    arrivals = sorted(fake_app.seen()["arrivals"])
    first, second = arrivals[:100], arrivals[100:200]
    width_s = max(first[-1] - first[0], second[-1] - second[0])
    assert width_s < (second[0] - first[-1]) / 3


def test_staggered_users_are_spread_over_the_period(
    fake_app: FakeApp, generator: Generator
) -> None:
    generator.offer(dimension("herd", 20, 1.0))
    generator.done(60)
    arrivals = sorted(fake_app.seen()["arrivals"])[:60]
    busiest = max(
        sum(start <= arrival < start + 0.25 for arrival in arrivals) for start in arrivals
    )
    assert busiest <= 60 / 4


def test_requests_in_flight_are_counted_by_age(fake_app: FakeApp, generator: Generator) -> None:
    fake_app.mood(delay_s=0.6)
    generator.offer(dimension("reader", 40, 1.0))
    samples = generator.once("some are old", lambda now: older(now, than="0.3") >= 5)
    assert older(samples, than="0.05") >= older(samples, than="0.3")
    assert older(samples, than="1.0") == 0
    assert samples.total(IN_FLIGHT) >= 5


def test_slots_that_wait_for_their_turn_count_by_their_age(
    fake_app: FakeApp, generator: Generator
) -> None:
    fake_app.mood(hang=True)
    generator.offer(dimension("reader", 1, 20.0, params={"max_in_flight": 2}))
    samples = generator.once("ten slots are open", lambda now: older(now, than="0.1") >= 10)
    assert samples.total(STARTED) == 2
    assert samples.total(IN_FLIGHT) == 2


def test_a_new_load_leaves_the_dimensions_that_stay_alone(
    fake_app: FakeApp, generator: Generator
) -> None:
    stays = dimension("herd", 10, 1.0, arrival="burst", params={"users": [1, 10]})
    generator.offer(stays, dimension("reader", 20, 5.0))
    generator.done(20, behaviour="herd")
    for users in (5, 50, 0):
        before = generator.samples().total(OFFERED, behaviour="herd")
        generator.offer(stays, dimension("writer", users, 5.0), load_id=f"next-{users}")
        generator.done(before + 20, behaviour="herd")
    seen = fake_app.seen()
    bursts = [
        arrival
        for arrival, path in zip(seen["arrivals"], seen["paths"], strict=True)
        if path.startswith("/api/users/")
    ]
    offsets = [arrival - bursts[0] for arrival in bursts]
    assert all(abs(offset - round(offset)) < 0.25 for offset in offsets)
    assert [round(offset) for offset in offsets] == [
        second for second in range(round(offsets[-1]) + 1) for _ in range(10)
    ][: len(offsets)]


def test_what_is_no_longer_offered_stops_at_once_and_keeps_its_series(
    fake_app: FakeApp, generator: Generator
) -> None:
    generator.offer(dimension("reader", 20, 10.0))
    generator.done(50)
    generator.offer(load_id="silence")
    stopped = generator.samples()
    generator.offer(dimension("canary", 5, 20.0), load_id="other")
    later = generator.done(50, behaviour="canary")
    assert fake_app.seen()["paths"][-1].count("/") == 3
    assert later.total(OFFERED, behaviour="reader") == stopped.total(OFFERED, behaviour="reader")
    assert later.total("loadgen_offered_rate_hertz", behaviour="reader") == 0
    assert later.total("loadgen_users", behaviour="reader") == 0
    assert later.total("loadgen_users", behaviour="canary") == 5


def test_the_same_seed_asks_for_the_same_things(short_folder: Path, fake_app: FakeApp) -> None:
    asked = []
    for seed in (1, 1, 2):
        before = len(fake_app.seen()["paths"])
        with Generator(short_folder, app_socket=short_folder / "app.sock", seed=seed) as generator:
            generator.offer(dimension("reader", 1, 50.0))
            generator.done(20)
        asked.append(fake_app.seen()["paths"][before:][:20])
    assert asked[0] == asked[1]
    assert asked[0] != asked[2]


def test_four_hundred_users_are_exchanged_at_once(fake_app: FakeApp, generator: Generator) -> None:
    for number in range(4):
        generator.offer(dimension("herd", 400, 1.0 + number), load_id=f"load-{number}")
    status = generator.status()
    assert (status["load_id"], status["users"]) == ("load-3", 400)
    samples = generator.done(1_000)
    assert samples.total(ERRORS) == 0
    assert len(fake_app.seen()["arrivals"]) >= 1_000
