"""One answer of the model, whatever it takes: retries, and what a provider does not offer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

from campaign.model import SessionOutcome
from operators.claude.assembly import Assembly, Turn
from operators.claude.errors import BrokenStreamError
from operators.claude.keys import Scrubber
from operators.claude.meter import Meter
from operators.claude.request import Offers, Standing, parameters
from operators.claude.retries import Fault, Trouble, advice, classify, next_wait
from operators.claude.troubles import told, trouble_of
from operators.session import Session
from operators.trace.recorder import TurnUsage

Price: TypeAlias = Callable[[TurnUsage], float | None]

_REFUSED_REQUEST = frozenset({400, 422})


class Client(Protocol):
    """The part of the SDK's clients that is used; the same for every provider."""

    @property
    def messages(self) -> Any: ...
    @property
    def beta(self) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """How the world outside is reached and paid for; the same for every session."""

    price: Price
    scrubber: Scrubber
    #: seconds; not the real one in tests
    sleep: Callable[[float], Awaitable[None]]
    #: from 0 to 1
    chance: Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgrown:
    """The conversation does not fit the model's context window any more."""

    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """There is none to be had; how the session ends, and why."""

    outcome: SessionOutcome
    reason: str


Asked: TypeAlias = Turn | Outgrown | NoAnswer


class _CallFailedError(Exception):
    """Something was raised by the SDK, or by what it stands on: its cause."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Asking:
    """Asks a model within one session, and keeps what it has cost."""

    def __init__(
        self, session: Session, client: Client, means: Means, standing: Standing, offers: Offers
    ) -> None:
        self._session = session
        self._client = client
        self._means = means
        self._standing = standing
        self._offers = offers
        self.meter = Meter()

    async def ask(self, messages: Sequence[Mapping[str, Any]]) -> Asked:
        """The next answer to this conversation; it is on the trace and paid for."""
        failed = 0
        failing_since = 0.0
        lately = ""
        while True:
            spent = self._session.over_budget()
            if spent:
                return self._no_answer(SessionOutcome.BUDGET_SPENT, spent + lately)
            tried = await self._try(messages)
            if not isinstance(tried, Trouble):
                return tried
            if self._lowered(tried):
                continue
            verdict = self._judged(tried)
            if verdict is not None:
                return verdict
            now = self._session.now()
            failing_since = failing_since or now
            failed += 1
            wait = next_wait(
                self._standing.settings.patience,
                failed,
                failing_s=now - failing_since,
                retry_after_s=tried.retry_after_s,
                chance=self._means.chance(),
            )
            if wait is None:
                return self._out_of_patience(tried, failed, now - failing_since)
            lately = f"; of late {_for_retry(tried)}"
            self._remark(f"{_for_retry(tried)}; asking again in {wait:.0f} s (call {failed + 1})")
            await self._means.sleep(wait)

    # -- one call -------------------------------------------------------------------------------

    async def _try(self, messages: Sequence[Mapping[str, Any]]) -> Turn | Trouble | NoAnswer:
        assembly = Assembly()
        began = self._session.now()
        failure: Exception | None = None
        try:
            await self._stream(messages, assembly)
        except asyncio.CancelledError:
            await self._interrupted(assembly)
            raise
        except _CallFailedError as failed:
            failure = failed.cause
        except BrokenStreamError as broken:
            failure = broken
        turn = assembly.turn(latency_s=self._session.now() - began)
        if failure is None and turn.stop_reason is not None:
            await self._complete(turn)
            return turn
        await self._broke_off(turn)
        failure = failure or _unfinished(turn)
        # No operator is to be blamed for what is not in an answer: the campaign waits.
        return trouble_of(failure) or self._no_answer(
            SessionOutcome.UNAVAILABLE, f"the provider cannot be asked: {told(failure)}"
        )

    async def _stream(self, messages: Sequence[Mapping[str, Any]], assembly: Assembly) -> None:
        """Raises _CallFailedError or BrokenStreamError; what the session raises goes as it is."""
        async with aclosing(self._events(messages)) as events:
            async for event in events:
                assembly.add(event)
                if event["type"] == "message_start":
                    await self._begun(assembly.turn())

    async def _events(
        self, messages: Sequence[Mapping[str, Any]]
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        asked = parameters(self._standing, messages, self._offers)
        api = self._client.beta.messages if "betas" in asked else self._client.messages
        try:
            async with await api.create(**asked) as events:
                async for event in events:
                    yield event.to_dict()
        except Exception as error:
            raise _CallFailedError(error) from error

    # -- what is put on record ------------------------------------------------------------------

    async def _begun(self, turn: Turn) -> None:
        """What the question has cost is known before the answer is: it counts, come what may."""
        usage = replace(turn.usage, output_tokens=turn.usage.output_tokens or 0)
        if usage.input_tokens is not None:
            so_far = self.meter.broken(usage, self._means.price(usage))
            await self._session.spent(so_far.spend)

    async def _complete(self, turn: Turn) -> None:
        self._tell(turn)
        if turn.cleared_results:
            self._remark(
                f"the results of {turn.cleared_results} old calls were left out of the prompt "
                f"({turn.cleared_tokens} tokens)"
            )
        self._session.trace.turn(turn.usage)
        self.meter = self.meter.turn(turn.usage, self._means.price(turn.usage))
        await self._session.spent(self.meter.spend)

    async def _interrupted(self, assembly: Assembly) -> None:
        """The session is being ended: what came is on the trace, what it cost on record."""
        partial = assembly.turn()
        self._tell(partial)
        self._remark("interrupted while the model was answering")
        await self._broke_off(partial)

    async def _broke_off(self, turn: Turn) -> None:
        """An answer that will never be whole has cost something all the same."""
        if turn.usage.input_tokens is not None:
            self._session.trace.broken_off(turn.usage)
            self.meter = self.meter.broken(turn.usage, self._means.price(turn.usage))
            await self._session.spent(self.meter.spend)

    def _tell(self, turn: Turn) -> None:
        for block in turn.blocks:
            match block["type"]:
                case "thinking" if block["thinking"].strip():
                    self._session.trace.thinking(block["thinking"], model=turn.model)
                case "text":
                    self._session.trace.assistant_text(block["text"], model=turn.model)
                case _:
                    pass

    def _remark(self, text: str) -> None:
        self._session.trace.remark(self._means.scrubber.clean(text))

    # -- what a trouble leads to ----------------------------------------------------------------

    def _lowered(self, trouble: Trouble) -> bool:
        """Whether the request was refused for something that can be done without."""
        if trouble.status not in _REFUSED_REQUEST:
            return False
        less = self._offers.without(trouble.message)
        if less is None:
            return False
        self._remark(f"not offered here, going on without it: {trouble.words}")
        self._offers = less
        return True

    def _judged(self, trouble: Trouble) -> Asked | None:
        """How it ends; None: it may pass."""
        match classify(trouble):
            case Fault.PASSING:
                return None
            case Fault.TOO_LONG:
                return Outgrown(words=self._means.scrubber.clean(trouble.words))
            case Fault.NO_CREDIT:
                words = f"the provider's account is spent ({trouble.words}): see to its credit"
                return self._no_answer(SessionOutcome.UNAVAILABLE, words)
            case Fault.OURS:
                words = advice(trouble, model=self._standing.model)
                # No operator is to be blamed for a key or a request: the campaign waits.
                return self._no_answer(SessionOutcome.UNAVAILABLE, words)

    def _out_of_patience(self, trouble: Trouble, failed: int, failing_s: float) -> NoAnswer:
        words = f"{_for_retry(trouble)}; {failed} calls failed within {failing_s:.0f} s"
        return self._no_answer(SessionOutcome.UNAVAILABLE, words)

    def _no_answer(self, outcome: SessionOutcome, words: str) -> NoAnswer:
        return NoAnswer(outcome=outcome, reason=self._means.scrubber.clean(words))


def _unfinished(turn: Turn) -> BrokenStreamError:
    """The stream came to a clean end, but the answer did not."""
    if not turn.model:
        return BrokenStreamError("nothing of the Messages API came; is the base URL right?")
    return BrokenStreamError("it ended before it was whole")


def _for_retry(trouble: Trouble) -> str:
    wished = trouble.retry_after_s
    wish = "" if wished is None else f", which asks for {wished:.0f} s of rest"
    return f"the provider does not answer: {trouble.words}{wish}"
