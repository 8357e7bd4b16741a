"""How the gates are run: toy assertions, no app."""

from __future__ import annotations

import asyncio
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from campaign.gates import AppFailedError, Finding, GateRunner, LiveApp, Skip
from campaign.gates.discovery import Assertion, Check, assertions
from campaign.model import AssertionResult, AssertionState

PASS, FAIL, BLOCKED, SKIPPED, ERROR = (
    AssertionState.PASS,
    AssertionState.FAIL,
    AssertionState.BLOCKED,
    AssertionState.SKIPPED,
    AssertionState.ERROR,
)


class NoDatabase:
    """Nothing here asks it."""

    async def fetch(self, query: str, *_arguments: object) -> list[dict[str, object]]:
        raise AssertionError(query)

    plant = fetch

    async def acknowledged(self) -> list[object]:
        raise AssertionError

    async def quiet_s(self) -> float:
        raise AssertionError


async def passes(_app: LiveApp) -> Finding:
    return Finding(passed=True, message="it holds", details={"looked_at": 3})


async def fails(_app: LiveApp) -> Finding:
    return Finding(passed=False, message="it does not")


async def is_failed_by_the_app(_app: LiveApp) -> Finding:
    raise AppFailedError("one is missing", expected=[1, 2], actual=[1])


async def skips(_app: LiveApp) -> Finding:
    raise Skip("there is nothing yet")


async def breaks(_app: LiveApp) -> Finding:
    raise KeyError("our own mistake")


def toys(*checks: Check, gate: str = "functional", vital: Check | None = None) -> list[Assertion]:
    every = [*checks] if vital is None else [vital, *checks]
    return [
        Assertion(gate=gate, name=check.__name__, vital=check is vital, check=check)
        for check in every
    ]


@pytest.fixture
def runner(tmp_path: Path) -> Callable[..., GateRunner]:
    (tmp_path / "openapi.json").write_text('{"openapi": "3.1.0", "paths": {"/healthz": {}}}')

    def make(*found: Sequence[Assertion], patience_s: float = 5.0) -> GateRunner:
        by_gate = {group[0].gate: group for group in found}
        return GateRunner(
            app_socket=tmp_path / "app.sock",
            database=NoDatabase(),  # type: ignore[arg-type]
            target="toy",
            document=tmp_path / "openapi.json",
            cache_dir=tmp_path,
            seed=1,
            patience_s=patience_s,
            find=lambda gate, *, target: by_gate.get(gate, []) if target == "toy" else [],
        )

    return make


async def audited(runner: GateRunner, audit: str = "a") -> dict[str, AssertionResult]:
    return {result.name: result async for result in runner.audit(3, audit)}


async def states(runner: GateRunner) -> dict[str, AssertionState]:
    return {name: result.state for name, result in (await audited(runner)).items()}


async def test_each_assertion_gives_one_result(runner: Callable[..., GateRunner]) -> None:
    found = await states(runner(toys(passes, fails, is_failed_by_the_app, skips, breaks)))
    assert found == {
        "passes": PASS,
        "fails": FAIL,
        "is_failed_by_the_app": FAIL,
        "skips": SKIPPED,
        "breaks": ERROR,
    }


async def test_a_result_says_what_was_found(runner: Callable[..., GateRunner]) -> None:
    found = await audited(runner(toys(passes, is_failed_by_the_app, skips, breaks)))
    assert found["passes"].message == "it holds"
    assert found["passes"].details == {"looked_at": 3}
    assert found["passes"].gate == "functional"
    assert found["is_failed_by_the_app"].message == "one is missing"
    assert found["is_failed_by_the_app"].details == {"expected": [1, 2], "actual": [1]}
    assert found["skips"].message == "there is nothing yet"
    assert "our own mistake" in found["breaks"].message


@pytest.mark.parametrize("wrong", [fails, is_failed_by_the_app, breaks])
async def test_a_failed_gate_blocks_the_next(
    runner: Callable[..., GateRunner], wrong: Check
) -> None:
    found = await audited(runner(toys(wrong, passes), toys(skips, gate="correct")))
    assert found["passes"].state is PASS
    assert found["skips"].state is BLOCKED
    assert f"functional: {wrong.__name__}" in found["skips"].message


async def test_what_was_skipped_blocks_nothing(runner: Callable[..., GateRunner]) -> None:
    found = await states(runner(toys(skips), toys(passes, gate="correct")))
    assert found == {"skips": SKIPPED, "passes": PASS}


async def test_a_vital_assertion_that_fails_blocks_its_own_gate_too(
    runner: Callable[..., GateRunner],
) -> None:
    found = await states(runner(toys(passes, vital=fails), toys(skips, gate="correct")))
    assert found == {"fails": FAIL, "passes": BLOCKED, "skips": BLOCKED}


async def test_an_assertion_that_takes_too_long_by_itself_is_our_fault(
    runner: Callable[..., GateRunner],
) -> None:
    async def never_ends(_app: LiveApp) -> Finding:
        await asyncio.Event().wait()
        raise AssertionError

    found = await audited(runner(toys(never_ends, passes), patience_s=0.05))
    assert found["never_ends"].state is ERROR
    assert "0.05 s" in found["never_ends"].message
    assert found["passes"].state is PASS


async def test_an_assertion_that_takes_too_long_by_waiting_for_the_app_has_failed(
    runner: Callable[..., GateRunner], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time passes, for the event loop too, when the app has been asked."""
    patience_s, passed_s, real_s = 30.0, 0.0, time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real_s() + passed_s)

    async def waits_for_the_app(app: LiveApp) -> Finding:
        await app.request("GET", "/healthz", timeout_s=2 * patience_s)
        raise AssertionError

    async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal passed_s
        passed_s = patience_s
        await reader.read()
        writer.close()

    async with await asyncio.start_unix_server(says_nothing, tmp_path / "app.sock"):
        found = await audited(runner(toys(waits_for_the_app), patience_s=patience_s))
    assert found["waits_for_the_app"].state is FAIL
    assert "in waiting for the app" in found["waits_for_the_app"].message


async def test_an_app_that_is_not_there_fails(runner: Callable[..., GateRunner]) -> None:
    async def asks(app: LiveApp) -> Finding:
        await app.request("GET", "/healthz")
        raise AssertionError

    found = await audited(runner(toys(asks)))
    assert found["asks"].state is FAIL
    assert "no answer" in found["asks"].message


async def test_a_missing_document_is_our_fault(
    runner: Callable[..., GateRunner], tmp_path: Path
) -> None:
    made = runner(toys(passes))
    (tmp_path / "openapi.json").unlink()
    assert await states(made) == {"passes": ERROR}


async def test_an_assertion_knows_its_trial_and_draws_afresh_in_each_audit(
    runner: Callable[..., GateRunner],
) -> None:
    drawn: list[tuple[float, str]] = []

    async def draws(app: LiveApp) -> Finding:
        drawn.append((app.draw.random(), app.tag))
        assert app.trial == 3
        assert app.base_document["paths"] == {"/healthz": {}}
        return Finding(passed=True, message="")

    async def draws_too(app: LiveApp) -> Finding:
        return await draws(app)

    for audit in ("a", "a", "b"):
        await audited(runner(toys(draws, draws_too)), audit)
    assert len({number for number, _ in drawn}) == 6
    assert len({tag for _, tag in drawn}) == 3


async def test_results_come_as_they_are_found_and_the_rest_ends_with_the_audit(
    runner: Callable[..., GateRunner],
) -> None:
    ended: list[str] = []

    async def slow(_app: LiveApp) -> Finding:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("slow")
        raise AssertionError

    audit = runner(toys(slow, passes)).audit(0, "a")
    assert (await anext(audit)).name == "passes"
    await audit.aclose()  # type: ignore[attr-defined]
    assert ended == ["slow"]


# --- discovery -----------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Write modules of a package `toygates`."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(place: str, source: str) -> None:
        file = tmp_path / "toygates" / f"{place}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        for folder in [file.parent, *file.parent.parents][: len(Path(place).parts)]:
            (folder / "__init__.py").touch()
        file.write_text(textwrap.dedent(source))
        for name in [name for name in sys.modules if name.split(".")[0] == "toygates"]:
            monkeypatch.delitem(sys.modules, name)

    return write


def found(*, target: str = "app") -> list[str]:
    return [made.name for made in assertions("functional", target=target, package="toygates")]


TWO = """
    async def one(app): ...
    async def other(app): ...
    def no_coroutine(app): ...
    async def _helper(app): ...
"""


def test_public_coroutine_functions_are_assertions(package: Callable[[str, str], None]) -> None:
    package("functional/things", TWO)
    package("functional/_kit", "async def hidden(app): ...")
    assert found() == ["one", "other"]


def test_what_is_imported_is_no_assertion_of_the_module(
    package: Callable[[str, str], None],
) -> None:
    package("functional/_kit", "async def shared(app): ...")
    package("functional/things", "from toygates.functional._kit import shared")
    assert found() == []


def test_a_targets_own_assertions_come_for_that_target_only(
    package: Callable[[str, str], None],
) -> None:
    package("functional/things", "async def of_all(app): ...")
    package("functional/app/things", "async def of_the_app(app): ...")
    assert found() == ["of_all", "of_the_app"]
    assert found(target="another") == ["of_all"]


def test_what_is_vital_comes_first(package: Callable[[str, str], None]) -> None:
    package("functional/a_first", "async def other(app): ...")
    package("functional/health", "async def is_healthy(app): ...")
    assert found() == ["is_healthy", "other"]


def test_two_of_one_name_are_refused(package: Callable[[str, str], None]) -> None:
    package("functional/things", "async def same(app): ...")
    package("functional/app/things", "async def same(app): ...")
    with pytest.raises(ValueError, match="share a name: same"):
        found()


def test_a_module_that_cannot_be_imported_is_not_passed_over(
    package: Callable[[str, str], None],
) -> None:
    package("functional/things", "import a_module_that_is_not_there")
    with pytest.raises(ModuleNotFoundError):
        found()


def test_a_gate_need_not_be_there() -> None:
    assert assertions("robust", target="chat_db_app", package="toygates_that_are_not_there") == ()


def test_the_deciding_gates_have_assertions_for_the_target() -> None:
    assert assertions("functional", target="chat_db_app")[0].name == "is_healthy"
    assert len(assertions("correct", target="chat_db_app")) > 15


def test_every_assertion_says_more_than_its_name() -> None:
    checks: list[Callable[[LiveApp], Awaitable[Finding]]] = [
        assertion.check
        for gate in ("functional", "correct")
        for assertion in assertions(gate, target="chat_db_app")
    ]
    assert all(check.__doc__ for check in checks)
