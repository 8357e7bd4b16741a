"""An engineer's night on call, from the ticket to its end."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.fake_messages.oncall import holding, pooling, queries, scanning, watching
from tests.fake_messages.oncall.asking import Work, ask, do, insist, logs, replace, sql
from tests.fake_messages.oncall.conversation import Call, Result
from tests.fake_messages.oncall.evidence import NotEnoughError, is_refusal, objects, succeeded
from tests.fake_messages.oncall.remedy import Remedy
from tests.fake_messages.oncall.watching import Gauges, Seen

_ROUNDS = 3
_LOOKS = 8
_PAUSE_S = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Before:
    """How it was when the ticket came."""

    gauges: Gauges
    seen: Seen
    #: kinds of requests that the ticket names
    affected: set[str]
    #: log lines in which a connection is refused
    refused: int


def work(tools: frozenset[str]) -> Work[str]:
    """Until the ticket is resolved; answers with the last words.

    Raises:
        NotEnoughError: what the tools told does not say what to do next.
    """
    before = yield from _arrive()
    done: list[Remedy] = []
    for number in range(_ROUNDS):
        remedy = yield from _diagnose(before, first=number == 0)
        if any(remedy.edits == other.edits for other in done):
            raise NotEnoughError("I come to the same conclusion again, and it was not enough")
        yield from _carry_out(remedy, tools if number == 0 else frozenset())
        done.append(remedy)
        if (yield from _recovered(before, remedy)):
            yield from _resolve(done)
            return "The ticket is resolved."
    raise NotEnoughError("what I changed was not enough")


def _arrive() -> Work[_Before]:
    ticket, app, _, listed = yield from do(
        "I read the ticket and the logs, and see what can be measured.",
        Call(tool="read_ticket", arguments={}),
        logs("app", lines=40, level="warning"),
        logs("database", lines=20),
        Call(tool="list_metrics", arguments={}),
        think="First what is known, then who is hurt, then why.",
    )
    words = set(re.findall(r"\w+", succeeded(ticket, "the ticket")))
    gauges = watching.gauges(listed)
    look = yield from watching.look(
        "I have it. What do clients see at the moment?",
        gauges,
        Call(tool="acknowledge", arguments={"message": "Looking into it."}),
    )
    seen = look.seen
    affected = {name for name in seen.p95_s if set(re.findall(r"\w+", name)) & words}
    refused = sum(is_refusal(line) for line in app.text.splitlines())
    return _Before(
        gauges=gauges,
        seen=seen,
        affected={name for name in affected if name in words} or affected,
        refused=0 if app.is_error else refused,
    )


def _diagnose(before: _Before, *, first: bool) -> Work[Remedy]:
    """From what the database does, in the order of how much else it would explain."""
    connections, statements, sessions = yield from insist(
        "What is the database doing?",
        sql(queries.CONNECTIONS),
        sql(queries.STATEMENTS),
        sql(queries.SESSIONS),
    )
    refusal = connections.is_error and is_refusal(connections.text)
    if (first and before.refused and before.seen.failing > 0) or refusal:
        return (yield from pooling.diagnose(connections))
    earlier = objects(statements, "id", "calls", "total_ms", "query")
    rows = objects(sessions, "state", "sessions", "query", "blocks")
    later: list[Result] = []
    for _ in range(2):
        # Calls of one turn run beside each other, so the pause has one of its own.
        yield from ask("I wait a moment.", sql(queries.pause(3)))
        again, other = yield from insist(
            "What was run in between?", sql(queries.STATEMENTS), sql(queries.SESSIONS)
        )
        later.append(again)
        rows += objects(other, "state", "sessions", "query", "blocks")
    heavy = scanning.heaviest(earlier, objects(later[-1], "id", "calls", "total_ms", "query"))
    reasons = []
    held = holding.seen(rows, looks=3)
    if held is not None:
        try:
            return (yield from holding.diagnose(held))
        except NotEnoughError as reason:
            reasons.append(str(reason))
    for statement in heavy:
        try:
            return (yield from scanning.diagnose(statement))
        except NotEnoughError as reason:
            reasons.append(str(reason))
    raise NotEnoughError(
        "; ".join(reasons) or "the database is not doing anything that would explain the ticket"
    )


def _carry_out(remedy: Remedy, tools: frozenset[str]) -> Work[None]:
    """Plan, edit, deploy.

    Raises:
        NotEnoughError: one of them failed.
    """
    if "file_plan" in tools:
        plan = f"Cause: {remedy.cause}.\nChange: {remedy.change}.\nThen deploy, and verify."
        filed = yield from ask("", Call(tool="file_plan", arguments={"plan": plan}))
        succeeded(filed, "filing the plan")
    for edit in remedy.edits:
        edited = yield from ask(
            f"The cause: {remedy.cause}. {edit.path} has to change.",
            replace(edit.path, edit.old, edit.new),
        )
        succeeded(edited, f"editing {edit.path}")
    deployed = yield from ask(
        "I deploy it.", Call(tool="deploy", arguments={"message": _subject(remedy)})
    )
    if not re.search(r"\bdeployed\b", succeeded(deployed, "the deployment"), re.IGNORECASE):
        raise NotEnoughError("I cannot tell whether the deployment went well")


def _recovered(before: _Before, remedy: Remedy) -> Work[bool]:
    """Whether the change is at work and clients fare well, given some time."""
    for _ in range(_LOOKS):
        _, health = yield from do(
            "It takes a moment to show.",
            Call(tool="bash", arguments={"command": f"sleep {_PAUSE_S}"}),
            Call(tool="http_request", arguments={"method": "GET", "path": "/healthz"}),
        )
        look = yield from watching.look(
            "Is the change at work, and how do clients fare?", before.gauges, remedy.check.call
        )
        (checked,) = look.others
        at_work = not checked.is_error and re.search(remedy.check.expected, checked.text)
        healthy = not health.is_error and re.match(r"HTTP 200\b", health.text.strip())
        if at_work and healthy and look.seen.better_than(before.seen, before.affected):
            return True
    return False


def _resolve(done: list[Remedy]) -> Work[None]:
    cause = ". ".join(f"{of.cause}. Changed: {of.change}" for of in done)
    files = list(dict.fromkeys(file for of in done for file in of.files))
    functions = list(dict.fromkeys(place for of in done for place in of.functions))
    closed = yield from ask(
        "The change is at work, and clients are served as they should be.",
        Call(
            tool="resolve",
            arguments={"root_cause": f"{cause}.", "files": files, "functions": functions},
        ),
    )
    succeeded(closed, "resolving the ticket")


def _subject(remedy: Remedy) -> str:
    return remedy.change[:200]
