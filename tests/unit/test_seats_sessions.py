"""Sessions that somebody outside works on, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

import pytest
from operators.session import Session
from operators.toolbox.answer import Answer
from operators.toolbox.approvals import Decision
from operators.trace import TraceLostError

from campaign.errors import AccessError, BusyError, HarnessError, NotFoundError
from campaign.model import SessionOutcome, SessionResult, Spend
from campaign.ports import PortError
from campaign.seats import Taken
from campaign.shell import CampaignOverError
from campaign.testing.virtual import play
from tests.seats_kit import FakeCampaign, FakeTools, until


class Busy:
    """A driver that is at work until it is cancelled, after one turn that cost something."""

    traces_itself = False

    def __init__(self) -> None:
        self.left = False
        self.heard: list[str] = []

    async def drive(self, session: Session) -> SessionResult:
        await session.spent(Spend(turns=3, tokens=500, usd=0.25))
        try:
            while True:
                self.heard += await session.messages()
                await asyncio.sleep(1)
        finally:
            self.left = True


async def taken(campaign: FakeCampaign, *, key: str = "", again: bool = False) -> Taken:
    key = key or campaign.register.claim(campaign.register.seat_token or "")
    return await campaign.register.take(key, wait_s=60, again=again, gone=lambda: False)


def run(campaign: FakeCampaign, work: Coroutine[Any, Any, None], tickets: int = 1) -> None:
    """The campaign with somebody beside it, to the end of both."""

    async def both() -> None:
        await asyncio.gather(campaign.play(tickets), work)

    play(both())


def test_a_ticket_waits_until_somebody_takes_and_resolves_it() -> None:
    campaign = FakeCampaign()

    async def work() -> None:
        await asyncio.sleep(600)
        ticket = await taken(campaign)
        assert ticket.seat is not None
        assert ticket.token.startswith("T001-s1.")
        reply = await ticket.seat.call("resolve", {"root_cause": "locks"})
        assert reply.answer.ends_session

    run(campaign, work())
    assert campaign.results == [
        SessionResult(outcome=SessionOutcome.RESOLVED, spend=Spend(turns=1))
    ]
    assert campaign.sessions[0].trace.told == ["user: You are on call.\n\nT001: it is slow"]


def test_a_ticket_that_nobody_takes_ends_with_its_budget() -> None:
    campaign = FakeCampaign(wall_s=100)
    play(campaign.play())
    (result,) = campaign.results
    assert result.outcome is SessionOutcome.BUDGET_SPENT
    assert result.reason == "100 s are over; nobody took the ticket"


def test_a_client_that_vanished_does_not_outlive_the_budget() -> None:
    campaign = FakeCampaign(wall_s=100)

    async def work() -> None:
        await taken(campaign)

    run(campaign, work())
    assert campaign.results[0].reason == "100 s are over"


def test_every_call_from_outside_counts_as_a_turn() -> None:
    campaign = FakeCampaign(max_turns=2)

    async def work() -> None:
        seat = (await taken(campaign)).seat
        assert seat is not None
        for _ in range(2):
            await seat.call("sql", {"query": "select 1"})
        with pytest.raises(BusyError, match="2 turns are spent"):
            await seat.call("sql", {"query": "select 1"})

    run(campaign, work())
    assert campaign.results == [
        SessionResult(
            outcome=SessionOutcome.BUDGET_SPENT, reason="2 turns are spent", spend=Spend(turns=2)
        )
    ]


def test_a_ticket_that_is_given_back_is_given_up_with_the_reason() -> None:
    campaign = FakeCampaign()

    async def work() -> None:
        seat = (await taken(campaign)).seat
        assert seat is not None
        seat.release("out of ideas")
        with pytest.raises(BusyError, match="over"):
            await seat.call("sql", {"query": "select 1"})

    run(campaign, work())
    (result,) = campaign.results
    assert (result.outcome, result.reason) == (SessionOutcome.GAVE_UP, "out of ideas")


def test_of_two_who_want_the_same_ticket_one_gets_it() -> None:
    campaign = FakeCampaign(wall_s=10)
    won: list[Taken] = []
    lost: list[BusyError] = []

    async def work() -> None:
        key = campaign.register.claim(campaign.register.seat_token or "")
        for outcome in await asyncio.gather(
            *(taken(campaign, key=key) for _ in range(5)), return_exceptions=True
        ):
            (won if isinstance(outcome, Taken) else lost).append(outcome)  # type: ignore[arg-type]

    run(campaign, work())
    assert len(won) == 1
    assert [str(error) for error in lost] == ["session T001-s1 is taken already"] * 4


def test_the_seat_token_opens_once() -> None:
    async def work() -> None:
        register = FakeCampaign().register
        token = register.seat_token or ""
        key = register.claim(token)
        with pytest.raises(AccessError, match="used already"):
            register.claim(token)
        with pytest.raises(AccessError, match="not the seat token"):
            register.claim(key)
        with pytest.raises(AccessError, match="key of the seat"):
            register.require_key(token)
        register.require_key(key)

    play(work())


def test_an_invitation_moves_the_seat_when_it_is_used() -> None:
    async def work() -> None:
        register = FakeCampaign().register
        first = register.claim(register.seat_token or "")
        token = register.invite()
        register.require_key(first)
        second = register.claim(token)
        register.require_key(second)
        with pytest.raises(AccessError, match="somebody else"):
            register.require_key(first)
        with pytest.raises(BusyError, match="claimed the seat already"):
            register.claim_for_owner(again=False)
        register.require_key(register.claim_for_owner(again=True))

    play(work())


def test_an_old_token_does_not_open_the_next_ticket_and_the_try_is_on_record() -> None:
    campaign = FakeCampaign()

    async def work() -> None:
        key = campaign.register.claim(campaign.register.seat_token or "")
        first = await taken(campaign, key=key)
        assert first.seat is not None
        await first.seat.call("resolve", {"root_cause": "locks"})
        second = await taken(campaign, key=key)
        assert second.seat is not None
        with pytest.raises(AccessError, match="does not open session T002-s1"):
            await campaign.register.admitted("T002-s1", first.token)
        with pytest.raises(AccessError, match="session T001-s1 is over"):
            await campaign.register.admitted("T001-s1", first.token)
        with pytest.raises(AccessError):
            await campaign.register.admitted("T002-s1", "T002-s1.guessed")
        with pytest.raises(AccessError):
            await campaign.register.admitted("T002-s1", key)
        assert await campaign.register.admitted("T002-s1", second.token) is second.seat
        await second.seat.call("resolve", {"root_cause": "locks"})

    run(campaign, work(), tickets=2)
    assert campaign.refused == [
        "a call to session T002-s1 with the old token of T001-s1",
        "a call to session T002-s1 with a token that was never given out",
        "a call to session T002-s1 with the token of key",
    ]


def test_refusals_without_end_do_not_fill_the_journal() -> None:
    campaign = FakeCampaign(wall_s=10)

    async def work() -> None:
        await campaign.state("waiting")
        for _ in range(100):
            with pytest.raises(AccessError):
                await campaign.register.admitted("T001-s1", "guess")

    run(campaign, work())
    assert len(campaign.refused) == 20


def test_a_lost_token_is_replaced_and_dead() -> None:
    campaign = FakeCampaign()

    async def work() -> None:
        key = campaign.register.claim(campaign.register.seat_token or "")
        lost = await taken(campaign, key=key)
        found = await taken(campaign, key=key, again=True)
        assert lost.seat is found.seat is not None
        with pytest.raises(AccessError):
            await campaign.register.admitted("T001-s1", lost.token)
        await found.seat.call("resolve", {"root_cause": "locks"})

    run(campaign, work())
    assert campaign.refused == ["a call to session T001-s1 with the old token of T001-s1"]


def test_a_client_that_has_gone_is_given_no_ticket() -> None:
    campaign = FakeCampaign(wall_s=10)

    async def work() -> None:
        key = campaign.register.claim(campaign.register.seat_token or "")
        await campaign.state("waiting")
        gone = await campaign.register.take(key, wait_s=60, again=False, gone=lambda: True)
        assert gone == Taken(state="waiting")

    run(campaign, work())
    assert campaign.results[0].reason.endswith("nobody took the ticket")


def test_whoever_waits_is_told_when_the_campaign_is_over() -> None:
    campaign = FakeCampaign(wall_s=10)

    async def work() -> None:
        key = campaign.register.claim(campaign.register.seat_token or "")
        await campaign.state("over")
        assert (await taken(campaign, key=key)).state == "over"

    run(campaign, work())


def test_a_person_takes_over_when_the_operator_has_left_and_all_is_counted() -> None:
    driver = Busy()
    campaign = FakeCampaign(driver=driver)

    async def work() -> None:
        seat = await campaign.state("operator")
        token = await seat.take_over()
        assert driver.left
        assert await campaign.register.admitted(seat.id, token) is seat
        await seat.call("resolve", {"root_cause": "locks"})

    run(campaign, work())
    assert campaign.results == [
        SessionResult(
            outcome=SessionOutcome.RESOLVED,
            reason="a person took the session over",
            spend=Spend(turns=4, tokens=500, usd=0.25),
        )
    ]
    assert campaign.said == ["a person took the session over"]
    assert campaign.sessions[0].trace.told == ["remark: a person took the session over"]


def test_the_calls_of_a_person_are_traced_when_the_operator_that_left_told_the_trace_itself() -> (
    None
):
    class Agent(Busy):
        traces_itself = True

    campaign = FakeCampaign(driver=Agent())

    async def work() -> None:
        seat = await campaign.state("operator")
        await seat.take_over()
        await seat.call("sql", {"query": "1"})
        await seat.call("resolve", {"root_cause": "locks"})

    run(campaign, work())
    assert campaign.sessions[0].trace.told == [
        "remark: a person took the session over",
        "T001-s1-p1: sql query",
        "T001-s1-p1: sql is done",
        "T001-s1-p2: resolve root_cause",
        "T001-s1-p2: resolved",
    ]


def test_an_operator_goes_on_when_whoever_wanted_its_session_has_left() -> None:
    class Leaving(Busy):
        """Takes a while to leave; the second time it resolves."""

        def __init__(self) -> None:
            super().__init__()
            self.begun = 0

        async def drive(self, session: Session) -> SessionResult:
            self.begun += 1
            if self.begun > 1:
                await session.spent(Spend(turns=1, tokens=100, usd=0.05))
                assert session.over_budget() == ""
                await session.tools.call("resolve", {"root_cause": "locks"})
                spend = Spend(turns=2, tokens=200, usd=0.1)
                return SessionResult(outcome=SessionOutcome.RESOLVED, spend=spend)
            try:
                return await super().drive(session)
            finally:
                await asyncio.sleep(30)

    driver = Leaving()
    campaign = FakeCampaign(driver=driver)

    async def work() -> None:
        seat = await campaign.state("operator")
        taking = asyncio.create_task(seat.take_over())
        await asyncio.sleep(1)
        taking.cancel()
        await campaign.state("over")

    run(campaign, work())
    assert driver.begun == 2
    assert campaign.results == [
        SessionResult(outcome=SessionOutcome.RESOLVED, spend=Spend(turns=5, tokens=700, usd=0.35))
    ]
    assert campaign.sessions[0].noted == Spend(turns=4, tokens=600, usd=0.3)
    assert campaign.said == []
    assert campaign.sessions[0].trace.told == [
        "remark: a person wanted the session and left again: its operator begins anew"
    ]


def test_nobody_takes_over_what_has_ended_meanwhile() -> None:
    class Done:
        traces_itself = False

        async def drive(self, session: Session) -> SessionResult:
            del session
            await asyncio.sleep(5)
            return SessionResult(outcome=SessionOutcome.GAVE_UP, reason="no")

    campaign = FakeCampaign(driver=Done())

    async def work() -> None:
        seat = await campaign.state("over")
        with pytest.raises(BusyError, match="session T001-s1 is over"):
            await seat.take_over()

    run(campaign, work())
    assert campaign.results[0].reason == "no"


def test_an_operator_that_resolves_while_it_is_taken_over_has_resolved() -> None:
    class Stubborn:
        traces_itself = False

        async def drive(self, session: Session) -> SessionResult:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                await session.tools.call("resolve", {"root_cause": "locks"})
            raise RuntimeError

    campaign = FakeCampaign(driver=Stubborn())

    async def work() -> None:
        seat = await campaign.state("operator")
        with pytest.raises(BusyError):
            await seat.take_over()

    run(campaign, work())
    assert campaign.results == [SessionResult(outcome=SessionOutcome.RESOLVED)]


def test_a_message_reaches_the_operator_and_the_record() -> None:
    driver = Busy()
    campaign = FakeCampaign(driver=driver)

    async def work() -> None:
        seat = await campaign.state("operator")
        await seat.say("look at the locks")
        await asyncio.sleep(2)
        assert driver.heard == ["look at the locks"]
        await seat.take_over()
        seat.release("done")

    run(campaign, work())
    assert campaign.said == ["look at the locks", "a person took the session over"]


def test_a_message_reaches_whoever_is_outside_with_the_next_answer() -> None:
    campaign = FakeCampaign()

    async def work() -> None:
        seat = (await taken(campaign)).seat
        assert seat is not None
        await seat.say("look at the locks")
        assert (await seat.call("sql", {"query": "1"})).messages == ["look at the locks"]
        assert (await seat.call("resolve", {"root_cause": "x"})).messages == []

    run(campaign, work())
    assert campaign.sessions[0].trace.told[1:] == ["user: look at the locks"]


@pytest.mark.parametrize("granted", [True, False])
def test_a_call_waits_for_a_persons_word(granted: bool) -> None:  # noqa: FBT001 - parametrized
    campaign = FakeCampaign(approve=True)

    async def work() -> None:
        seat = (await taken(campaign)).seat
        assert seat is not None
        calling = asyncio.create_task(seat.call("deploy", {"message": "an index"}))
        await asyncio.sleep(1)
        (call,) = seat.approvals.waiting
        assert (call.approval, call.tool) == ("T001-s1-a1", "deploy")
        await asyncio.sleep(60)
        assert not calling.done()
        seat.approvals.answer(call.approval, Decision(granted=granted, reason="not now"))
        with pytest.raises(NotFoundError):
            seat.approvals.answer(call.approval, Decision(granted=True))
        text = (await calling).answer.text
        assert text == ("deploy is done" if granted else "refused: not now")
        await seat.call("resolve", {"root_cause": "x"})

    run(campaign, work())


def test_a_session_that_ends_while_a_call_waits_for_approval_grants_nothing() -> None:
    campaign = FakeCampaign(approve=True, wall_s=30)

    async def work() -> None:
        seat = (await taken(campaign)).seat
        assert seat is not None
        with pytest.raises(BusyError, match="ended during the call"):
            await seat.call("deploy", {"message": "an index"})
        assert seat.approvals.waiting == ()

    run(campaign, work())
    assert campaign.results[0].outcome is SessionOutcome.BUDGET_SPENT


@pytest.mark.parametrize(
    "fault",
    [
        PortError("supervisor", "/secret/place is gone"),
        TraceLostError("/secret/place is full"),
        ZeroDivisionError("/secret/place"),
    ],
)
def test_a_fault_of_the_harness_ends_the_session_as_such(fault: Exception) -> None:
    campaign = FakeCampaign()
    ended: list[object] = []

    async def work() -> None:
        seat = (await taken(campaign)).seat
        assert seat is not None
        campaign.sessions[0].tools.failure = fault
        with pytest.raises(HarnessError, match="not your fault") as caught:
            await seat.call("deploy", {"message": "x"})
        assert "/secret" not in str(caught.value)

    async def both() -> None:
        ended.extend(await asyncio.gather(campaign.play(), work(), return_exceptions=True))

    play(both())
    played, worked = ended
    assert worked is None
    assert isinstance(played, PortError | TraceLostError)
    assert str(fault) in str(played)


def test_a_call_after_the_end_of_the_campaign_is_no_fault_of_anybodys() -> None:
    campaign = FakeCampaign(wall_s=10)

    async def work() -> None:
        seat = (await taken(campaign)).seat
        assert seat is not None
        campaign.sessions[0].tools.failure = CampaignOverError("over")
        with pytest.raises(BusyError, match="ended with its campaign"):
            await seat.call("sql", {"query": "1"})

    run(campaign, work())
    assert campaign.results[0].outcome is SessionOutcome.BUDGET_SPENT


def test_a_call_that_its_client_hung_up_is_a_turn_too() -> None:
    campaign = FakeCampaign(max_turns=3)

    async def work() -> None:
        seat = (await taken(campaign)).seat
        assert seat is not None
        for _ in range(3):
            call = asyncio.create_task(seat.call("bash", {"command": "sleep"}))
            await asyncio.sleep(0.1)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        with pytest.raises(BusyError, match="3 turns are spent"):
            await seat.call("bash", {"command": "ls"})

    run(campaign, work())
    assert campaign.results[0].spend == Spend(turns=3)
    assert len(campaign.sessions[0].tools.calls) == 3


def test_calls_side_by_side_do_not_go_beyond_the_budget_and_none_is_cut_short() -> None:
    campaign = FakeCampaign(max_turns=2)

    async def work() -> None:
        seat = (await taken(campaign)).seat
        assert seat is not None
        calls = [asyncio.create_task(seat.call("bash", {"command": "sleep"})) for _ in range(2)]
        await asyncio.sleep(5)
        with pytest.raises(BusyError, match="the last that the budget of 2 turns allows"):
            await seat.call("bash", {"command": "ls"})
        campaign.sessions[0].tools.may_go_on.set()
        replies = await asyncio.gather(*calls)
        assert [reply.answer.text for reply in replies] == ["bash is done"] * 2

    run(campaign, work())
    assert campaign.results[0].spend == Spend(turns=2)


def test_a_session_is_not_over_before_calls_that_were_hung_up_have_ended() -> None:
    class Slow(FakeTools):
        async def call(self, tool: str, arguments: Mapping[str, Any], *, call: str = "") -> Answer:
            try:
                return await super().call(tool, arguments, call=call)
            except asyncio.CancelledError:
                await asyncio.sleep(30)
                self.ended.append("at last")
                raise

    campaign = FakeCampaign()

    async def work() -> None:
        seat = (await taken(campaign)).seat
        assert seat is not None
        session = campaign.sessions[0]
        session.tools = Slow(session=session)
        call = asyncio.create_task(seat.call("bash", {"command": "sleep"}))
        await asyncio.sleep(1)
        call.cancel()
        await asyncio.sleep(1)
        seat.release("out of ideas")
        await until(lambda: seat.is_closed)
        assert session.tools.ended == ["bash", "at last"]

    run(campaign, work())


def test_only_so_many_calls_run_side_by_side() -> None:
    campaign = FakeCampaign()

    async def work() -> None:
        seat = (await taken(campaign)).seat
        assert seat is not None
        calls = [asyncio.create_task(seat.call("bash", {"command": "sleep"})) for _ in range(8)]
        await asyncio.sleep(1)
        with pytest.raises(BusyError, match="8 calls"):
            await seat.call("sql", {"query": "1"})
        campaign.sessions[0].tools.may_go_on.set()
        await asyncio.gather(*calls)
        await seat.call("resolve", {"root_cause": "x"})

    run(campaign, work())
    assert campaign.results[0].spend == Spend(turns=9)
