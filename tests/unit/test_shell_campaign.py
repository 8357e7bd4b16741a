"""The loop: journal, judge, act; from the first event to the last."""

from __future__ import annotations

from itertools import pairwise

import pytest

from campaign.machine import Campaign, fold
from campaign.model import CampaignStarted, Event, Finished, LoadApplied, Resolved
from campaign.shell import Shell
from campaign.testing import FakeStack, MemoryJournal, World, fake_ports, make_plan, play
from tests.shell_kit import Stage


def played() -> Stage:
    async def story() -> Stage:
        stage = Stage()
        await stage.run()
        return stage

    return play(story())


def test_a_campaign_is_played_to_its_end() -> None:
    campaign = played().shell.campaign
    assert campaign is not None
    assert isinstance(campaign.phase, Finished)
    assert [record.verdict for record in campaign.done] == [Resolved(), Resolved()]


def test_the_journal_tells_the_whole_state() -> None:
    stage = played()
    assert isinstance(stage.journal.events[0], CampaignStarted)
    assert fold(stage.journal.events) == stage.shell.campaign


def test_the_load_is_healed_last_of_all() -> None:
    assert played().stack.calls[-1] == "apply stop"


def test_a_trial_is_put_away_before_the_next_one_begins() -> None:
    calls = played().stack.calls
    assert calls.index("close p0 T001-s1-d1-rev") < calls.index("apply t1-baseline")
    assert calls.index("close p1 T002-s1-d1-rev") < calls.index("apply stop")


def test_an_event_is_durable_before_it_is_judged() -> None:
    judged_early: list[str] = []

    class Watched(MemoryJournal):
        async def append(self, event: Event) -> int:
            if fold(self.events) != stage.shell.campaign:
                judged_early.append(event.kind)
            return await super().append(event)

    stage = Stage(plan=make_plan(1), journal=Watched())
    play(stage.run())
    assert judged_early == []


def test_a_journal_that_refuses_ends_the_campaign_loudly_and_nothing_is_done() -> None:
    async def story() -> list[str]:
        stage = Stage(journal=MemoryJournal(full_at=0))
        with pytest.raises(Exception, match="no space left on device"):
            await stage.run()
        return stage.stack.calls

    assert play(story()) == ["apply stop"]


def test_what_follows_from_a_refused_event_is_never_done() -> None:
    async def story() -> Stage:
        stage = Stage()
        stage.journal.full_at = 2  # the campaign started, the stack is ready
        with pytest.raises(Exception, match="no space left on device"):
            await stage.run()
        return stage

    stage = play(story())
    assert [event.kind for event in stage.journal.events] == ["campaign_started", "stack_ready"]
    assert stage.stack.calls == [
        "prepare fresh=True revision=None",
        "apply t0-baseline",  # asked for by the stack's readiness, which is in the journal
        "apply stop",
    ]


def test_whoever_waits_for_a_refused_event_learns_why() -> None:
    async def story() -> None:
        stage = Stage()
        run = stage.start()
        await stage.until("baseline")
        stage.journal.full_at = len(stage.journal.events)
        with pytest.raises(Exception, match=r"no space left|is over"):
            await stage.shell.record(LoadApplied(at=stage.shell.now(), trial=0, load_id="x"))
        with pytest.raises(Exception, match="no space left"):
            await run

    play(story())


def test_a_display_that_fails_is_told_nothing_more_and_does_not_end_the_campaign() -> None:
    told: list[str] = []

    def broken(before: Campaign | None, event: Event, after: Campaign) -> None:
        del before, after
        told.append(event.kind)
        raise RuntimeError("no terminal")

    async def story() -> Campaign:
        return await Stage(observers=(broken,)).run()

    assert isinstance(play(story()).phase, Finished)
    assert told == ["campaign_started"]


def test_an_empty_journal_needs_a_plan_that_can_be_played() -> None:
    async def story() -> None:
        stage = FakeStack(World(plan=make_plan(1)))
        for plan in (None, make_plan(0)):
            journal = MemoryJournal()
            with pytest.raises(ValueError, match="no plan"):
                await Shell(fake_ports(stage, journal)).run(plan)
            assert journal.events == []
        assert stage.calls == []

    play(story())


def test_a_finished_campaign_is_left_as_it_is() -> None:
    async def story() -> Stage:
        stage = Stage()
        await stage.run()
        stage.stack.calls.clear()
        stage.raise_curtain()
        await stage.run()
        await stage.shell.request_stop("too late")
        return stage

    stage = play(story())
    assert stage.stack.calls == []
    assert stage.shell.campaign is not None
    assert not stage.shell.campaign.stopped


def test_one_evaluation_a_second_is_the_campaigns_clock() -> None:
    stage = played()
    times = [event.at for event in stage.journal.events if event.kind == "evaluated"]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert max(gaps) < 1.1
