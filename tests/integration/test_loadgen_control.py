"""The control routes, Locust's own page, and the end."""

import time
import urllib.error
from typing import Any

import pytest

from loadgen.testing import FakeApp, Generator, wait_until
from loadgen.testing.samples import IN_FLIGHT

pytest_plugins = ["loadgen.testing.fixtures"]


def dimension(behaviour: str, users: int, rate_hz: float, **extra: Any) -> dict[str, Any]:
    return {"behaviour": behaviour, "users": users, "rate_hz": rate_hz, **extra}


def refusal(generator: Generator, path: str, **request: Any) -> urllib.error.HTTPError:
    with pytest.raises(urllib.error.HTTPError) as refused:
        generator.ask(path, **request)
    return refused.value


def test_only_the_token_opens_the_controls(generator: Generator) -> None:
    for path in ("/ratchet/status", "/ratchet/ledger?after=0", "/ratchet/nothing"):
        for token in (None, "wrong", "t\u00f6ken"):
            if path != "/ratchet/nothing":
                assert refusal(generator, path, token=token).code == 401
    load = {"id": "x", "dimensions": []}
    assert refusal(generator, "/ratchet/load", put=load, token=None).code == 401
    assert "loadgen_cpu_ratio" in generator.ask("/metrics", token=None)


def test_it_says_since_when_it_runs_and_always_the_same(generator: Generator) -> None:
    first, second = generator.status(), generator.status()
    assert first["started_at"] == second["started_at"] <= time.time()


def test_locusts_own_page_shows_our_users_and_requests(
    fake_app: FakeApp, generator: Generator
) -> None:
    generator.offer(dimension("reader", 5, 20.0), dimension("herd", 5, 20.0))
    generator.done(50)
    assert "Locust" in generator.ask("/", token=None)

    def shown() -> str | None:
        text = generator.ask("/stats/requests", token=None)
        return text if '"list_messages"' in text and '"get_user"' in text else None

    report = wait_until("Locust's page shows the operations", shown)
    assert '"user_count": 10' in report
    assert '"state": "running"' in report
    assert '"Reader"' in generator.ask("/tasks", token=None)
    assert fake_app.seen()["paths"]


def test_locusts_own_controls_are_refused(generator: Generator) -> None:
    for path in ("/swarm", "/stop", "/user"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            generator.ask(path, post={})
        assert refused.value.code == 403


def test_it_stops_quickly_and_quietly_in_the_middle_of_everything(
    fake_app: FakeApp, generator: Generator
) -> None:
    fake_app.mood(hang=True)
    generator.offer(
        dimension("reader", 200, 5.0),
        dimension("poller", 50, 0.5),
        dimension("streamer", 10, 1.0),
    )
    generator.once("a hundred in flight", lambda now: now.total(IN_FLIGHT) >= 100)
    assert generator.terminate() == 0
    assert "Traceback" not in generator.stderr.read_text()


def test_bad_input_is_refused_with_every_problem_and_changes_nothing(
    generator: Generator,
) -> None:
    generator.offer(dimension("reader", 2, 1.0), load_id="good")
    bad = {
        "id": "bad",
        "dimensions": [dimension("hacker", 1, 1.0), dimension("reader", -1, 0.0)],
    }
    refused = refusal(generator, "/ratchet/load", put=bad)
    told = refused.read().decode()
    assert refused.code == 400
    for place in ("dimensions.0.behaviour", "dimensions.1.users", "dimensions.1.rate_hz"):
        assert place in told
    assert generator.status()["load_id"] == "good"
