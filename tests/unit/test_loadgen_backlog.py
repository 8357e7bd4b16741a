from loadgen.backlog import Arrival, Backlog, Slot
from loadgen.dice import Roll


def slot(intended_s: float) -> Slot:
    arrival = Arrival(user=0, index=int(intended_s), roll=Roll(bits=0))
    return Slot(
        arrival=arrival,
        operation="get_user",
        intended_s=intended_s,
        counted_from_s=intended_s,
    )


def full_backlog(*, waiting: int) -> tuple[Backlog, list[Slot]]:
    """Two in flight at second 0, then one more waiting for each second from 1 on."""
    backlog = Backlog(limit=2, patience_s=5.0)
    assert backlog.offer(slot(0.0))
    assert backlog.offer(slot(0.0))
    queued = [slot(float(second)) for second in range(1, waiting + 1)]
    for late in queued:
        assert not backlog.offer(late)
    return backlog, queued


def test_at_most_the_limit_is_in_flight() -> None:
    backlog, _ = full_backlog(waiting=3)
    assert (backlog.in_flight, backlog.waiting) == (2, 3)


def test_the_oldest_waiting_slot_takes_the_place_of_a_finished_one() -> None:
    backlog, queued = full_backlog(waiting=2)
    assert backlog.finish() is queued[0]
    assert (backlog.in_flight, backlog.waiting) == (2, 1)


def test_a_place_is_free_again_when_nobody_waits() -> None:
    backlog, _ = full_backlog(waiting=0)
    assert backlog.finish() is None
    assert backlog.offer(slot(1.0))


def test_a_slot_that_waited_for_the_whole_patience_is_given_up_once() -> None:
    backlog, queued = full_backlog(waiting=3)
    assert backlog.expire(5.9) == []
    assert backlog.expire(7.0) == queued[:2]
    assert backlog.expire(7.0) == []
    assert backlog.waiting == 1


def test_an_hour_of_hanging_leaves_no_more_than_the_patience_waiting() -> None:
    backlog, _ = full_backlog(waiting=0)
    missed = 0
    for second in range(1, 3_600):
        missed += len(backlog.expire(float(second)))
        backlog.offer(slot(float(second)))
    assert backlog.waiting == 5
    assert missed == 3_599 - 5


def test_a_user_who_leaves_takes_what_waits_along_but_not_what_is_in_flight() -> None:
    backlog, queued = full_backlog(waiting=2)
    assert backlog.withdraw() == queued
    assert (backlog.in_flight, backlog.waiting) == (2, 0)
    assert backlog.finish() is None


def test_age_counts_from_when_an_answer_was_due() -> None:
    poll = slot(10.0)
    poll.counted_from_s = 18.0
    assert poll.age_s(15.0) == 0.0
    assert poll.age_s(20.0) == 2.0
