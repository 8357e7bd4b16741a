"""chat-db-app's invariants, from raw series through the generated rules to a status.

promtool plays the series in simulated time; the very numbers it is made to confirm are then judged
as the controller judges them.
"""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from campaign.model import Invariant, Sample, Status, Timings, judge
from chaos_profiles import PROFILES_ROOT, calibrated, load_catalogue, rules_yaml

pytestmark = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is missing")

INVARIANTS = {
    invariant.id: invariant
    for invariant in calibrated(load_catalogue(PROFILES_ROOT / "chat_db_app").invariants, 0.005)
}
#: seconds of data before a source disappears, and when the rules are looked at
UNTIL, AT = 20, 20
#: the latency limits that are in force
_EDGES = ("0.15", "0.3", "0.5", "1.0")

Series = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What is recorded; None: nothing at all, nan: not a number."""

    value: float | None
    samples: float | None
    offered: float | None
    status: Status


@dataclass(frozen=True, kw_only=True)
class Case:
    """One invariant over some series."""

    name: str
    invariant: str
    series: Series
    expected: Expected
    at: int = AT


def counter(per_s: float, *, until: int = UNTIL) -> str:
    return f"0+{per_s}x{until}"


def gauge(value: float, *, until: int = UNTIL) -> str:
    return f"{value}+0x{until}"


def alive(until: int = UNTIL) -> dict[str, str]:
    """A generator that can be scraped, and offers nothing."""
    return {
        'loadgen_cpu_ratio{job="loadgen"}': gauge(0.2, until=until),
        'loadgen_scheduler_lag_seconds{job="loadgen"}': gauge(0.01, until=until),
    }


def traffic(
    behaviour: str,
    operation: str,
    *,
    rate: float,
    sent: float | None = None,
    done: float | None = None,
    slow: float = 0,
    errors: float = 0,
    overdue: float = 0,
    size: float = 1000,
    until: int = UNTIL,
) -> dict[str, str]:
    """`rate` due a second, `sent`, `done` completed (with slow ones), `overdue` not answered."""
    sent = rate if sent is None else sent
    done = sent if done is None else done
    labels = f'job="loadgen",behaviour="{behaviour}",operation="{operation}"'
    in_time = {
        f'loadgen_request_duration_seconds_bucket{{{labels},le="{le}"}}': done - slow
        for le in _EDGES
    }
    return {
        **alive(until),
        f"loadgen_offered_rate_hertz{{{labels}}}": gauge(rate, until=until),
        f"loadgen_requests_started_total{{{labels}}}": counter(sent, until=until),
        f"loadgen_request_duration_seconds_count{{{labels}}}": counter(done, until=until),
        **{name: counter(per_s, until=until) for name, per_s in in_time.items()},
        **{
            f'loadgen_unanswered_requests{{{labels},older_than_seconds="{edge}"}}': gauge(
                overdue, until=until
            )
            for edge in _EDGES
        },
        f'loadgen_request_errors_total{{{labels},kind="5xx"}}': counter(errors, until=until),
        f'loadgen_request_errors_total{{{labels},kind="timeout"}}': counter(0, until=until),
        f"loadgen_response_bytes_total{{{labels}}}": counter(done * size, until=until),
        f"loadgen_acknowledged_writes_total{{{labels}}}": counter(done, until=until),
    }


def database(
    *,
    active: int = 3,
    idle: int = 5,
    stuck: str | None = None,
    wal: float = 0,
    statements: float = 0,
    until: int = UNTIL,
) -> dict[str, str]:
    probe = "ratchet_database"
    return {
        f'{probe}_connections{{job="ratchet",state="active"}}': gauge(active, until=until),
        f'{probe}_connections{{job="ratchet",state="idle"}}': gauge(idle, until=until),
        f'{probe}_max_connections{{job="ratchet"}}': gauge(100, until=until),
        f'{probe}_idle_in_transaction_sessions{{job="ratchet"}}': stuck or gauge(0, until=until),
        f'{probe}_wal_bytes_total{{job="ratchet"}}': counter(wal, until=until),
        f'{probe}_statements_total{{job="ratchet"}}': counter(statements, until=until),
        f'{probe}_probes_total{{job="ratchet"}}': counter(1, until=until),
    }


def ledger(*, lost: str | None = None, missing: float = 0, until: int = UNTIL) -> dict[str, str]:
    return {
        'ratchet_ledger_lost_tokens{job="ratchet"}': lost or gauge(0, until=until),
        'ratchet_ledger_missing_messages{job="ratchet"}': gauge(missing, until=until),
        'ratchet_ledger_checks_total{job="ratchet"}': counter(1, until=until),
    }


HELD, VIOLATED, UNKNOWN, IDLE = Status.HELD, Status.VIOLATED, Status.UNKNOWN, Status.IDLE


def expected(
    value: float | None, samples: float | None, offered: float | None, status: Status
) -> Expected:
    return Expected(value=value, samples=samples, offered=offered, status=status)


NOTHING = expected(None, None, None, UNKNOWN)

LATENCIES = {
    "canary_latency": ("canary", "get_conversation"),
    "history_latency": ("reader", "list_messages"),
    "search_latency": ("searcher", "search_messages"),
    "stats_latency": ("stats_reader", "conversation_stats"),
    "list_latency": ("lister", "list_conversations"),
    "write_latency": ("writer", "create_message"),
    "notification_list_latency": ("notification_reader", "list_notifications"),
    "cleanup_latency": ("janitor", "cleanup_notifications"),
    "broadcast_latency": ("broadcaster", "broadcast"),
    "news_latency": ("returner", "poll_notifications"),
    "mark_read_latency": ("mark_reader", "mark_read"),
}


def latency_cases(invariant: str, behaviour: str, operation: str) -> list[Case]:
    def case(name: str, series: Series, what: Expected, *, at: int = AT) -> Case:
        return Case(name=name, invariant=invariant, series=series, expected=what, at=at)

    def load(**numbers: Any) -> dict[str, str]:
        return traffic(behaviour, operation, **{"rate": 20, **numbers})

    # One less than is needed, in a window of four seconds.
    few = int(INVARIANTS[invariant].min_offered) - 1
    return [
        case("all are fast", load(), expected(0, 80, 80, HELD)),
        case("one in forty is slow", load(slow=0.5), expected(0.025, 80, 80, HELD)),
        case("a tenth is slow", load(slow=2), expected(0.1, 80, 80, VIOLATED)),
        case("nothing comes back", load(done=0, overdue=60), expected(1, 60, 80, VIOLATED)),
        case("some never come back", load(overdue=20), expected(0.2, 100, 80, VIOLATED)),
        case("a lone slow one", load(rate=2, slow=0.25), expected(0, 8, 8, HELD)),
        case("nothing is known yet", load(done=0), expected(math.nan, 0, 80, UNKNOWN)),
        case("a third is missing", load(done=14), expected(0, 56, 80, HELD)),
        case("most is missing", load(done=9), expected(0, 36, 80, UNKNOWN)),
        case("hardly any is offered", load(rate=few / 4), expected(0, few, few, IDLE)),
        case("the behaviour was never asked for", alive(), expected(None, 0, 0, IDLE)),
        case("there is no generator", {}, NOTHING),
        case("the generator is gone", load(until=10), NOTHING, at=16),
        # The range still holds two good scrapes of each counter; they are no longer trusted.
        case("the generator is gone for three seconds", load(until=10), NOTHING, at=13),
        case("one scrape failed", load(until=10), expected(0, 80, 80, HELD), at=11),
        case("the load was just raised", raised(load(), since=19), expected(0, 20, 40, HELD)),
    ]


def raised(series: Series, *, since: int) -> dict[str, str]:
    """The same, from that second on; before it the generator offered next to nothing."""
    return {name: f"0+0x{since - 1} {_rest(values, since)}" for name, values in series.items()}


def _rest(values: str, since: int) -> str:
    return values.replace(f"x{UNTIL}", f"x{UNTIL - since}")


def error_cases() -> list[Case]:
    def case(name: str, series: Series, what: Expected, *, at: int = AT) -> Case:
        return Case(name=name, invariant="error_rate", series=series, expected=what, at=at)

    herd = ("herd", "get_user")
    mixed = traffic("reader", "list_messages", rate=10) | traffic(
        "streamer", "stream_reply", rate=10, errors=2
    )
    return [
        case("no error", traffic(*herd, rate=20), expected(0, 80, 80, HELD)),
        case("one percent", traffic(*herd, rate=100, errors=1), expected(0.01, 400, 400, HELD)),
        case("a twentieth", traffic(*herd, rate=20, errors=1), expected(0.05, 80, 80, VIOLATED)),
        case("streams count", mixed, expected(0.1, 80, 80, VIOLATED)),
        case("a lone error", traffic(*herd, rate=5, errors=0.25), expected(0, 20, 20, HELD)),
        case("hardly any load", traffic(*herd, rate=1), expected(0, 4, 4, IDLE)),
        case("nothing comes back", traffic(*herd, rate=20, done=0), NAN_80),
        case("the generator idles", alive(), expected(None, 0, 0, IDLE)),
        case("there is no generator", {}, NOTHING),
        case("the generator is gone", traffic(*herd, rate=20, until=10), NOTHING, at=16),
    ]


NAN_40 = expected(math.nan, 0, 40, UNKNOWN)
NAN_80 = expected(math.nan, 0, 80, UNKNOWN)
NO_PROBER = expected(None, 40, 40, UNKNOWN)


def probe_cases() -> list[Case]:
    def case(name: str, series: Series, what: Expected, *, at: int = AT) -> Case:
        return Case(name=name, invariant=invariant, series=series, expected=what, at=at)

    cases = []
    invariant = "connections"
    cases += [
        case("a few", database(), expected(0.03, 4, 4, HELD)),
        case("exactly nine tenths", database(active=90), expected(0.9, 4, 4, HELD)),
        case("nearly all", database(active=97), expected(0.97, 4, 4, VIOLATED)),
        case("nearly all, at rest", database(idle=94), expected(0.03, 4, 4, HELD)),
        case("no prober", {}, expected(None, None, 4, UNKNOWN)),
        case("the prober is gone", database(until=10), expected(None, None, 4, UNKNOWN), at=16),
        case("probes get no answer", unanswered(database()), expected(None, 0, 4, UNKNOWN)),
    ]
    invariant = "idle_in_transaction"
    blip = "0+0x17 40 0 0"
    cases += [
        case("none", database(), expected(0, 4, 4, HELD)),
        case("forty", database(stuck=gauge(40)), expected(40, 4, 4, VIOLATED)),
        case("five", database(stuck=gauge(5)), expected(5, 4, 4, HELD)),
        case("a blip", database(stuck=blip), expected(0, 4, 4, HELD)),
        case("for three seconds", database(stuck="0+0x17 40+0x3"), expected(40, 4, 4, VIOLATED)),
        case("no prober", {}, expected(None, None, 4, UNKNOWN)),
        case("the prober is gone", database(until=10), expected(None, None, 4, UNKNOWN), at=16),
    ]
    invariant = "missing_messages"
    cases += [
        case("none", ledger(), expected(0, 4, 4, HELD)),
        case("one", ledger(missing=1), expected(1, 4, 4, VIOLATED)),
        case("no ledger", {}, expected(None, None, 4, UNKNOWN)),
        case("the ledger is gone", ledger(until=10), expected(None, None, 4, UNKNOWN), at=16),
    ]
    invariant = "lost_tokens"
    cases += [
        case("none", ledger(), expected(0, 4, 4, HELD)),
        case("more and more", ledger(lost=counter(12)), expected(48, 4, 4, VIOLATED)),
        case("long ago", ledger(lost="0+12x5 60+0x14"), expected(0, 4, 4, HELD)),
        case("put right", ledger(lost="60+0x17 0+0x3"), expected(0, 4, 4, HELD)),
        case("no ledger", {}, expected(None, None, 4, UNKNOWN)),
        case("the ledger is gone", ledger(until=10), expected(None, None, 4, UNKNOWN), at=16),
    ]
    return cases


def unanswered(series: Series) -> dict[str, str]:
    """The prober is there, but since four seconds it has nothing to tell."""
    return {
        name: "0+1x15 15+0x4" if name.endswith('probes_total{job="ratchet"}') else "1+0x15"
        for name, values in series.items()
    }


def size_cases() -> list[Case]:
    def case(name: str, series: Series, what: Expected, *, at: int = AT) -> Case:
        return Case(name=name, invariant=invariant, series=series, expected=what, at=at)

    writer, lister = ("writer", "create_message"), ("lister", "list_conversations")
    cases = []
    invariant = "wal_per_message"
    cases += [
        case(
            "little",
            traffic(*writer, rate=10) | database(wal=100_000),
            expected(10_000, 40, 40, HELD),
        ),
        case(
            "a megabyte each",
            traffic(*writer, rate=10) | database(wal=10_000_000),
            expected(1_000_000, 40, 40, VIOLATED),
        ),
        case(
            "few writes",
            traffic(*writer, rate=1) | database(wal=10_000_000),
            expected(10_000_000, 4, 4, IDLE),
        ),
        case(
            "none acknowledged",
            traffic(*writer, rate=10, done=0) | database(wal=100_000),
            expected(math.inf, 0, 40, UNKNOWN),
        ),
        case("no prober", traffic(*writer, rate=10), expected(None, 40, 40, UNKNOWN)),
        case("nobody writes", alive() | database(wal=9), expected(None, 0, 0, IDLE)),
        case("no generator", database(wal=100_000), NOTHING),
        case(
            "the generator is gone",
            traffic(*writer, rate=10, until=10) | database(wal=100_000),
            NOTHING,
            at=16,
        ),
    ]
    invariant = "response_bytes"
    small, large = traffic(*lister, rate=2), traffic(*lister, rate=2, size=700_000)
    others = traffic("reader", "list_messages", rate=100)
    cases += [
        case("small", small, expected(1000, 8, 8, HELD)),
        case("large", large, expected(700_000, 8, 8, VIOLATED)),
        case("large among small ones", large | others, expected(700_000, 408, 408, VIOLATED)),
        case("one operation is silent", silent(small) | others, expected(1000, 400, 408, HELD)),
        case("most wait", traffic(*lister, rate=20, sent=2), expected(1000, 8, 8, HELD)),
        case("nothing comes back", traffic(*lister, rate=20, done=0), NAN_80),
        case("the generator idles", alive(), expected(None, 0, 0, IDLE)),
        case("no generator", {}, NOTHING),
        case("the generator is gone", traffic(*lister, rate=20, until=10), NOTHING, at=16),
    ]
    return cases


def statement_cases() -> list[Case]:
    def case(name: str, series: Series, what: Expected, *, at: int = AT) -> Case:
        return Case(
            name=name, invariant="statements_per_request", series=series, expected=what, at=at
        )

    some, many = database(statements=100), database(statements=10_000)
    ten = traffic("reader", "list_messages", rate=10)
    asked = 'ratchet_database_statements_total{job="ratchet"}'
    silent_ten = traffic("reader", "list_messages", rate=10, done=0)
    waiting = traffic("reader", "list_messages", rate=20, sent=5)
    under_way = traffic("reader", "list_messages", rate=20, sent=5, done=2)
    # 400 requests a second of ten statements each, since 16 s six; the database lags by two.
    calmed = (
        traffic("reader", "list_messages", rate=6) | database() | {asked: "0+4000x18 72060 72120"}
    )
    calmed |= {name: "0+400x16 6406+6x3" for name in calmed if "seconds_count" in name}
    forgotten = database() | {asked: "5000+100x17 6700+100x2"}
    return [
        case("ten each", ten | some, expected(10, 40, 40, HELD)),
        case("a thousand each", ten | many, expected(1000, 40, 40, VIOLATED)),
        case("most wait for their turn", waiting | some, expected(20, 20, 20, HELD)),
        case("most are on their way", under_way | some, expected(50, 8, 20, UNKNOWN)),
        case("nobody is answered", silent_ten | many, expected(math.inf, 0, 40, UNKNOWN)),
        case("nobody is answered, nothing is asked", silent_ten | database(), NAN_40),
        case("a load just ended", calmed, expected(10, 24, 24, HELD)),
        case("Postgres forgot its statistics", ten | forgotten, expected(7.5, 40, 40, HELD)),
        case(
            "hardly any load",
            traffic("reader", "list_messages", rate=1) | many,
            expected(10_000, 4, 4, IDLE),
        ),
        case("no prober", ten, expected(None, 40, 40, UNKNOWN)),
        case("the prober is gone", ten | database(until=10), NO_PROBER, at=16),
        case("the generator idles", alive() | some, expected(None, 0, 0, IDLE)),
        case("no generator", some, NOTHING),
        case(
            "the generator is gone",
            traffic("reader", "list_messages", rate=10, until=10) | some,
            NOTHING,
            at=16,
        ),
    ]


def silent(series: Series) -> dict[str, str]:
    """The same without a single answer."""
    return {
        name: values if re.search("offered|started", name) or "loadgen_" not in name else gauge(0)
        for name, values in series.items()
    }


CASES = [
    *(case for name, where in LATENCIES.items() for case in latency_cases(name, *where)),
    *error_cases(),
    *probe_cases(),
    *size_cases(),
    *statement_cases(),
]


@pytest.fixture(scope="module")
def rules_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("rules") / "rules.yml"
    file.write_text(rules_yaml(INVARIANTS.values(), Timings()))
    return file


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def run_test(folder: Path, rules_file: Path, test: dict[str, Any]) -> None:
    file = folder / "test.yml"
    with file.open("w") as out:
        YAML().dump(
            {
                "rule_files": [str(rules_file)],
                "evaluation_interval": "1s",
                "tests": [{"interval": "1s", **test}],
            },
            out,
        )
    done = promtool("test", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


def input_series(series: Series) -> list[dict[str, str]]:
    return [{"series": name, "values": values} for name, values in series.items()]


def recorded(name: str, invariant: str, value: float | None, *, at: int) -> dict[str, Any]:
    """The test that the series has this value at that second."""
    series = f'ratchet:invariant_{name}{{invariant="{invariant}"}}'
    test: dict[str, Any] = {"eval_time": f"{at}s"}
    if value is None:
        return {**test, "expr": series, "exp_samples": []}
    if math.isnan(value):
        sample = {"labels": "{}", "value": 1}
        return {**test, "expr": f"count({series} != {series})", "exp_samples": [sample]}
    sample = {"labels": f'{{invariant="{invariant}"}}', "value": value}
    if name == "offered":
        # Scrapes and evaluations coincide here, so that a window of Prometheus 2 may have five.
        about = f"({series} >= {value} <= {1.25 * value}) * 0 + {value}"
        return {**test, "expr": about, "exp_samples": [sample]}
    return {**test, "expr": f"round({series}, 0.0001)", "exp_samples": [sample]}


def sample_of(case: Case) -> Sample:
    """What the controller would read. With nothing recorded but the limit there is no time."""
    what = case.expected
    return Sample(
        invariant=case.invariant,
        value=what.value,
        samples=what.samples,
        offered=what.offered,
        measured_at=float(case.at),
    )


def status_of(invariant: Invariant, sample: Sample, *, at: float) -> Status:
    timings = Timings()
    reading = judge(invariant, sample, at=at, freshness_s=timings.freshness_s, starved=False)
    return reading.status


def test_promtool_accepts_the_rules(rules_file: Path) -> None:
    done = promtool("check", "rules", str(rules_file))
    assert (done.returncode, done.stderr) == (0, "")


def test_every_invariant_has_a_held_a_violated_and_an_unknown_case() -> None:
    covered = {(case.invariant, case.expected.status) for case in CASES}
    needed = {(name, status) for name in INVARIANTS for status in (HELD, VIOLATED, UNKNOWN)}
    assert set() == needed - covered


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.invariant}: {case.name}")
def test_series_become_a_status(case: Case, rules_file: Path, tmp_path: Path) -> None:
    what = case.expected
    tests = [
        recorded("value", case.invariant, what.value, at=case.at),
        recorded("samples", case.invariant, what.samples, at=case.at),
        recorded("offered", case.invariant, what.offered, at=case.at),
    ]
    run_test(
        tmp_path,
        rules_file,
        {"input_series": input_series(case.series), "promql_expr_test": tests},
    )
    assert what.status is status_of(INVARIANTS[case.invariant], sample_of(case), at=case.at)


def test_a_restarted_generator_is_no_violation(rules_file: Path, tmp_path: Path) -> None:
    """Its counters begin again at zero; what it saw before and after still adds up."""
    series = traffic("reader", "list_messages", rate=20)
    counters = [name for name in series if "_count" in name or "_bucket" in name]
    restarted = series | dict.fromkeys(counters, "0+20x17 0 20 40")
    tests = [
        recorded("value", "history_latency", 0, at=20),
        recorded("samples", "history_latency", 60, at=20),
    ]
    run_test(
        tmp_path,
        rules_file,
        {"input_series": input_series(restarted), "promql_expr_test": tests},
    )


def test_the_alert_fires_at_the_second_violating_evaluation(
    rules_file: Path, tmp_path: Path
) -> None:
    series = database(stuck="0+0x9 40+0x10")
    alert = {
        "exp_labels": {
            "invariant": "idle_in_transaction",
            "kind": "resource",
        },
        "exp_annotations": {"summary": INVARIANTS["idle_in_transaction"].title},
    }
    # The median of five scrapes is above the limit with the third of them, at 12 s.
    tests = [
        {"eval_time": "12s", "alertname": "InvariantViolated", "exp_alerts": []},
        {"eval_time": "13s", "alertname": "InvariantViolated", "exp_alerts": [alert]},
    ]
    run_test(tmp_path, rules_file, {"input_series": input_series(series), "alert_rule_test": tests})


def test_one_starved_second_taints_the_whole_window(rules_file: Path, tmp_path: Path) -> None:
    series = alive() | {'loadgen_scheduler_lag_seconds{job="loadgen"}': "0+0x16 2 0 0 0"}
    test = {
        "eval_time": "20s",
        "expr": "ratchet:generator_lag_seconds",
        "exp_samples": [{"labels": "ratchet:generator_lag_seconds", "value": 2}],
    }
    run_test(
        tmp_path, rules_file, {"input_series": input_series(series), "promql_expr_test": [test]}
    )
