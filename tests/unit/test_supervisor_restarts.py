import pytest

from campaign.supervisor.restarts import RestartPolicy

POLICY = RestartPolicy(limit=5, window_s=60.0, first_delay_s=0.25, longest_delay_s=1.0)


@pytest.mark.parametrize(
    ("exits", "delay_s"),
    [(1, 0.0), (2, 0.25), (3, 0.5), (4, 1.0), (5, 1.0), (6, None)],
)
def test_the_first_restart_is_immediate_later_ones_wait_longer_up_to_a_limit(
    exits: int, delay_s: float | None
) -> None:
    assert POLICY.delay_s((0.0,) * exits) == delay_s


def test_only_exits_within_the_window_count() -> None:
    assert POLICY.recent((0.0, 39.0, 41.0, 100.0), at=100.0) == (41.0, 100.0)
