"""What is made of the answers: operations, ledger, streams and polls."""

from typing import Any

import pytest

from loadgen.testing import FakeApp, Generator, Samples, wait_until
from loadgen.testing.samples import DONE, ERRORS, IN_FLIGHT, OLDER, QUICKER

pytestmark = pytest.mark.alone

pytest_plugins = ["loadgen.testing.fixtures"]


@pytest.fixture
def client_timeout_s() -> float:
    """An answer that is late is none of the errors that are looked for here."""
    return 60.0


def dimension(behaviour: str, users: int, rate_hz: float, **extra: Any) -> dict[str, Any]:
    return {"behaviour": behaviour, "users": users, "rate_hz": rate_hz, **extra}


def most_were_quick(now: Samples, *, of: int) -> bool:
    """A pause of the machine makes some slow; more that are quick make up for them."""
    done = now.total(DONE)
    return done >= of and now.total(QUICKER, le="0.3") >= 0.75 * done


def test_every_behaviour_is_understood_by_a_well_behaved_app(
    fake_app: FakeApp, generator: Generator
) -> None:
    names = "reader writer searcher broadcaster janitor herd canary mark_reader lister stats_reader"
    generator.offer(
        *(dimension(name, 2, 2.0) for name in names.split()),
        dimension("streamer", 2, 2.0, params={"tokens": 5}),
        dimension("poller", 2, 2.0, params={"timeout_s": 0.2}),
        dimension("notification_reader", 2, 2.0, params={"unread_count": True}),
    )

    def all_seen(now: Samples) -> bool:
        return all(series > 0 for series in now.values(DONE))

    samples = generator.once("every operation was done", all_seen)
    assert len(samples.values(DONE)) == 14
    assert samples.total(ERRORS) == 0
    assert samples.total("loadgen_users") == 26

    def goes_on() -> bool:
        return any("/poll?since=1&" in path for path in fake_app.seen()["paths"])

    wait_until("a poll goes on from the notification that was seen", goes_on)


def test_the_ledger_holds_every_acknowledged_write(fake_app: FakeApp, generator: Generator) -> None:
    generator.offer(
        dimension("writer", 10, 10.0, params={"tokens": 7}),
        dimension("streamer", 5, 2.0, params={"tokens": 5, "content_tokens": 3}),
    )
    generator.done(200)
    end = generator.silence()
    after, entries = 0, []
    while (page := generator.ledger(after=after, limit=50))["entries"]:
        assert page["dropped"] == 0
        entries += page["entries"]
        after = page["last"]
    stored = {message["id"]: message for message in fake_app.seen()["messages"]}
    assert {entry["message_id"] for entry in entries} == set(stored)
    assert len(entries) == len(stored) == end.total("loadgen_acknowledged_writes_total")
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    for entry in entries:
        message = stored[entry["message_id"]]
        assert (entry["user_id"], entry["tokens"]) == (message["user_id"], message["tokens"])


def test_the_latency_of_a_stream_ends_at_its_first_token(
    fake_app: FakeApp, generator: Generator
) -> None:
    """A hundred tokens take half a second here; the first one does not."""
    generator.offer(dimension("streamer", 4, 1.0, params={"tokens": 100}))
    generator.once("most first tokens came quickly", lambda now: most_were_quick(now, of=8))
    assert fake_app.seen()["messages"]


def test_the_time_a_poll_was_asked_to_wait_is_no_latency(
    fake_app: FakeApp, generator: Generator
) -> None:
    params = {"timeout_s": 1.5, "since": 1}
    generator.offer(dimension("poller", 10, 0.5, params=params))

    def waiting_is_no_latency(now: Samples) -> bool:
        """Nor is a poll that still waits taken for one that has got no answer."""
        waits = now.total(IN_FLIGHT) > 0 and now.total(OLDER, older_than_seconds="0.3") == 0
        return waits and most_were_quick(now, of=10)

    samples = generator.once("polls wait without getting old", waiting_is_no_latency)
    assert samples.total(ERRORS) == 0
    assert fake_app.seen()["paths"]
