from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.dice import Dice, Roll
from loadgen.schedule import ArrivalKind, Schedule, delay_s


def schedule(
    *,
    rate_hz: float = 2.0,
    users: int = 4,
    arrival: ArrivalKind = ArrivalKind.STAGGERED,
    start_s: float = 100.0,
) -> Schedule:
    return Schedule(rate_hz=rate_hz, users=users, arrival=arrival, start_s=start_s)


def test_staggered_users_divide_the_period_evenly() -> None:
    plan = schedule()
    firsts = [plan.intended_s(user=user, index=0) for user in range(4)]
    assert firsts == [100.0, 100.125, 100.25, 100.375]


def test_users_of_a_burst_are_due_at_exactly_the_same_instants() -> None:
    plan = schedule(users=250, rate_hz=0.5, arrival=ArrivalKind.BURST)
    for index in range(3):
        instants = {plan.intended_s(user=user, index=index) for user in range(250)}
        assert instants == {100.0 + 2.0 * index}


def test_each_user_is_due_once_per_period_without_drift() -> None:
    plan = schedule(rate_hz=3.0)
    assert plan.intended_s(user=1, index=3_000_000) == pytest.approx(
        plan.intended_s(user=1, index=0) + 1_000_000, abs=1e-6
    )


@given(
    rate_hz=st.floats(min_value=0.01, max_value=1_000),
    users=st.integers(min_value=1, max_value=400),
    arrival=st.sampled_from(ArrivalKind),
)
def test_all_first_arrivals_lie_within_the_first_period(
    rate_hz: float, users: int, arrival: ArrivalKind
) -> None:
    plan = schedule(rate_hz=rate_hz, users=users, arrival=arrival, start_s=0.0)
    for user in range(users):
        assert 0.0 <= plan.intended_s(user=user, index=0) < plan.period_s


def test_the_same_arrival_always_gets_the_same_roll() -> None:
    one, two = (Dice(seed=7, dimension="reader").roll(user=3, index=9) for _ in range(2))
    assert one == two


def test_seed_dimension_user_and_index_each_change_the_roll() -> None:
    rolls = {
        Dice(seed=seed, dimension=dimension).roll(user=user, index=index)
        for seed in (1, 2)
        for dimension in ("reader", "writer")
        for user in (0, 1)
        for index in (0, 1)
    }
    assert len(rolls) == 16


def test_rolls_spread_over_the_whole_range() -> None:
    dice = Dice(seed=1, dimension="reader")
    chosen = {dice.roll(user=0, index=index).below(20, part=0) for index in range(400)}
    assert chosen == set(range(20))


def test_a_part_of_a_roll_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="part must be 0 to 3"):
        Roll(bits=0).below(10, part=4)


@given(count=st.integers(min_value=1, max_value=60), rate_hz=st.floats(0.01, 1_000))
def test_dimensions_begin_apart_from_each_other_and_soon(count: int, rate_hz: float) -> None:
    delays = sorted(delay_s(number, rate_hz=rate_hz) for number in range(count))
    most = min(1.0, 1 / rate_hz)
    assert (delays[0], delays[-1] < most) == (0.0, True)
    gaps = [later - sooner for sooner, later in pairwise([*delays, most])]
    # The best that there is has gaps of 1/count.
    assert min(gaps) > 0.35 * most / count
    assert max(gaps) < 2.7 * most / count
