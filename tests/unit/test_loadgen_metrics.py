from types import SimpleNamespace

import pytest
from prometheus_client import generate_latest

from loadgen import metrics
from loadgen.backlog import Arrival, Slot
from loadgen.dice import Roll
from loadgen.health import CpuShare, WorstLag
from loadgen.metrics import ErrorKind, Instruments, Series

LABELS = {"behaviour": "reader", "operation": "list_messages"}
NOW_S = 100.0


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever somebody asks."""
    monkeypatch.setattr(metrics, "time", SimpleNamespace(monotonic=lambda: NOW_S))


def slot(*, age_s: float) -> Slot:
    due_s = NOW_S - age_s
    arrival = Arrival(user=0, index=0, roll=Roll(bits=0))
    return Slot(arrival=arrival, operation="list_messages", intended_s=due_s, counted_from_s=due_s)


def series_of(instruments: Instruments) -> Series:
    return instruments.series(behaviour="reader", operation="list_messages")


def value(instruments: Instruments, name: str, **labels: str) -> float | None:
    return instruments.registry.get_sample_value(name, {**LABELS, **labels})


def test_every_series_exists_at_zero_before_the_first_request() -> None:
    instruments = Instruments()
    series_of(instruments)
    for name in ("offered", "started"):
        assert value(instruments, f"loadgen_requests_{name}_total") == 0
    for kind in ("timeout", "5xx", "4xx", "connection", "invalid", "missed"):
        assert value(instruments, "loadgen_request_errors_total", kind=kind) == 0
    for edge in ("0.005", "0.1", "1.0", "10.0", "+Inf"):
        assert value(instruments, "loadgen_request_duration_seconds_bucket", le=edge) == 0
    assert value(instruments, "loadgen_inflight_requests") == 0
    assert value(instruments, "loadgen_unanswered_requests", older_than_seconds="0.1") == 0


def test_open_slots_are_counted_by_age_when_somebody_asks() -> None:
    instruments = Instruments()
    for age_s in (0.0, 0.2, 4.0):
        series_of(instruments).offer(slot(age_s=age_s))
    assert value(instruments, "loadgen_unanswered_requests", older_than_seconds="0.1") == 2
    assert value(instruments, "loadgen_unanswered_requests", older_than_seconds="3.0") == 1
    assert value(instruments, "loadgen_unanswered_requests", older_than_seconds="5.0") == 0


def test_a_slot_is_either_open_or_observed_once() -> None:
    instruments = Instruments()
    series, late = series_of(instruments), slot(age_s=1.0)
    series.offer(late)
    series.settle(late, age_s=1.0)
    series.settle(late, age_s=7.0)
    assert value(instruments, "loadgen_request_duration_seconds_count") == 1
    assert value(instruments, "loadgen_request_duration_seconds_sum") == 1.0
    assert value(instruments, "loadgen_unanswered_requests", older_than_seconds="0.005") == 0


def test_a_stream_is_in_flight_after_its_first_token_but_no_longer_late() -> None:
    instruments = Instruments()
    series, stream = series_of(instruments), slot(age_s=2.0)
    series.offer(stream)
    series.start()
    series.settle(stream, age_s=2.0)
    assert value(instruments, "loadgen_inflight_requests") == 1
    assert value(instruments, "loadgen_unanswered_requests", older_than_seconds="1.0") == 0
    series.end(size_bytes=100)
    assert value(instruments, "loadgen_inflight_requests") == 0
    assert value(instruments, "loadgen_response_bytes_total") == 100


def test_errors_are_counted_by_kind() -> None:
    instruments = Instruments()
    series_of(instruments).fail(ErrorKind.SERVER)
    assert value(instruments, "loadgen_request_errors_total", kind="5xx") == 1
    assert value(instruments, "loadgen_request_errors_total", kind="4xx") == 0


def test_the_edges_of_both_kinds_of_buckets_are_spelled_alike() -> None:
    instruments = Instruments()
    series_of(instruments)
    text = generate_latest(instruments.registry).decode()
    for edge in ("0.005", "0.75", "1.0", "10.0"):
        assert text.count(f'{{behaviour="reader",le="{edge}"') == 2  # duration, first byte
        assert text.count(f'older_than_seconds="{edge}"') == 1


def test_the_worst_lag_is_remembered_for_one_second() -> None:
    lag = WorstLag()
    lag.note(at_s=10.0, lag_s=0.5)
    lag.note(at_s=10.4, lag_s=0.1)
    lag.note(at_s=10.8, lag_s=0.2)
    assert lag.worst_s(at_s=10.9) == 0.5
    assert lag.worst_s(at_s=11.5) == 0.2
    assert lag.worst_s(at_s=20.0) == 0.0


def test_the_cpu_share_is_that_of_the_last_second() -> None:
    cpu = CpuShare()
    assert cpu.ratio() == 0.0
    for tenth in range(21):
        busy_s = 0.0 if tenth <= 10 else (tenth - 10) * 0.05
        cpu.note(at_s=tenth / 10, cpu_s=busy_s)
    assert round(cpu.ratio(), 6) == 0.5
