"""Claude as a driver: its clients, and a shift for each session."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

from campaign.model import Provider, SessionOutcome, SessionResult
from operators.claude.asking import Asking, Means, Price
from operators.claude.keys import Scrubber
from operators.claude.request import Offers, Standing
from operators.claude.settings import ClaudeSettings
from operators.claude.shift import Shift
from operators.claude.troubles import told
from operators.session import Session


class ClaudeDriver:
    """Works on tickets with one model of one provider; effort is the session's option.

    `connect` makes a client of the SDK's; each session has its own. `secret` is the key that never
    shows in what is put on record.
    """

    #: the toolbox traces its calls
    traces_itself = False

    def __init__(
        self,
        *,
        connect: Callable[[], AbstractAsyncContextManager[Any]],
        model: str,
        price: Price,
        provider: Provider = "anthropic",
        secret: str = "",
        settings: ClaudeSettings | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._connect = connect
        self._model = model
        self._settings = settings or ClaudeSettings()
        self._offers = Offers(automatic_cache=provider == "anthropic")
        self._means = Means(price=price, scrubber=Scrubber(secret), sleep=sleep, chance=chance)

    async def drive(self, session: Session) -> SessionResult:
        """Until it is resolved, given up, or nothing more can be had of the provider."""
        async with AsyncExitStack() as connected:
            try:
                client = await connected.enter_async_context(self._connect())
            except Exception as problem:  # noqa: BLE001 - such as a region that is missing
                words = f"the provider cannot be reached: {told(problem)}"
                reason = self._means.scrubber.clean(words)
                # Nothing was asked yet: no operator is to be blamed, the campaign waits.
                return SessionResult(outcome=SessionOutcome.UNAVAILABLE, reason=reason)
            standing = Standing(
                model=self._model,
                effort=session.options.effort,
                role=session.briefing.role,
                specs=tuple(session.tools.specs),
                settings=self._settings,
            )
            asking = Asking(session, client, self._means, standing, self._offers)
            return await Shift(session, asking, self._settings).work()
