"""Whatever comes, in whatever order: what the core guarantees."""

from __future__ import annotations

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from campaign.machine import fold
from tests.machine_chaos import Chaos

WEATHER = ("clear", "red", "canary", "blind", "starved", "idle", "swallowed", "flapping")
numbers = st.integers(min_value=0, max_value=30)

moves = st.one_of(
    st.tuples(st.just("proceed"), st.integers(1, 9)),
    st.tuples(st.just("proceed"), st.integers(1, 9)),
    st.tuples(st.just("proceed"), st.integers(1, 3)),
    st.tuples(st.just("tick"), st.integers(1, 12), st.sampled_from(WEATHER)),
    st.tuples(st.just("answer"), numbers),
    st.tuples(st.just("drop"), numbers),
    st.tuples(st.just("fail"), numbers),
    st.tuples(st.just("again"), numbers),
    st.tuples(st.just("gap"), st.integers(1, 60)),
    st.tuples(st.just("gates"), st.sampled_from(("fail", "err", "hang"))),
    st.tuples(
        st.just("act"),
        st.sampled_from(("request", "deployed", "failed", "resolve", "end", "give up")),
    ),
    st.tuples(
        st.just("tell"), st.sampled_from(("down", "up", "pause", "continue", "stop", "resume"))
    ),
)


@settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(moves, min_size=6, max_size=40))
def test_every_step_of_every_story_passes_the_audit(story: list[tuple[str, ...]]) -> None:
    """The audit itself, clause by clause, is in `tests/machine_audit.py`."""
    chaos = Chaos()
    for name, *arguments in story:
        getattr(chaos, name)(*arguments)
    for record in chaos.campaign.done:
        event(f"verdict {record.verdict.kind if record.verdict else None}")
    assert fold(chaos.drive.journal) == chaos.campaign


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(moves, max_size=25))
def test_every_campaign_ends_once_the_world_behaves(story: list[tuple[str, ...]]) -> None:
    chaos = Chaos()
    for name, *arguments in story:
        getattr(chaos, name)(*arguments)
    chaos.tell("stop")
    for _ in range(60):
        if chaos.campaign.phase.kind == "finished":
            break
        chaos.proceed(1)
    assert chaos.campaign.phase.kind == "finished"
    failed_to_start = chaos.campaign.trial.index == 0 and not chaos.campaign.done
    assert failed_to_start or len(chaos.campaign.done) == 3
