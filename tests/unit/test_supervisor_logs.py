from pathlib import Path

from campaign.supervisor.logs import LONGEST_LINE, AppLog, LogBudget, split_lines


def test_what_exceeds_the_budget_does_not_fit_until_it_is_refilled() -> None:
    budget = LogBudget(rate_bytes_s=100, burst_bytes=200, tokens=200, at=0.0)
    budget, fits = budget.spend(150, at=0.0)
    assert fits
    budget, fits = budget.spend(150, at=0.5)
    assert not fits
    budget, fits = budget.spend(150, at=1.0)
    assert fits


def test_an_idle_budget_never_exceeds_its_burst() -> None:
    budget = LogBudget(rate_bytes_s=100, burst_bytes=200, tokens=200, at=0.0)
    assert not budget.spend(201, at=1e6)[1]


def test_lines_are_split_and_the_rest_is_kept() -> None:
    split = split_lines(b"one\r\ntwo\nthr")
    assert (split.lines, split.rest) == ([b"one", b"two"], b"thr")


def test_a_line_without_an_end_is_cut() -> None:
    split = split_lines(b"x" * (LONGEST_LINE + 1))
    assert [len(line) for line in split.lines] == [LONGEST_LINE, 1]
    assert split.rest == b""


def test_the_file_is_rotated_and_the_last_lines_stay_in_memory(tmp_path: Path) -> None:
    log = AppLog(tmp_path / "app.log", limit_bytes=100)
    for number in range(40):
        log.write([b"line %02d" % number])
    log.close()
    assert log.tail(2) == ("line 38", "line 39")
    assert log.tail(0) == ()
    sizes = [path.stat().st_size for path in sorted(tmp_path.iterdir())]
    assert len(sizes) == 2
    assert max(sizes) <= 108


def test_bytes_that_are_no_text_are_kept_as_well_as_can_be(tmp_path: Path) -> None:
    log = AppLog(tmp_path / "app.log", limit_bytes=100)
    log.write([b"\xff!"])
    log.close()
    assert log.tail(1) == ("�!",)
