"""Somebody from outside who takes tickets and calls tools: what all ways of joining share."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from campaign.errors import AccessError, UsageError
from campaign.joining.door import CALL_S, Door, GoneError, UnansweredError
from campaign.joining.wallet import Wallet, keep_wallet, read_wallet

#: one question to the campaign may take so long, seconds; more is asked again
_WAIT_S = 20.0
_MARGIN_S = 10.0
#: a question without an answer is asked so often again, after so many seconds
_PATIENCE, _PAUSE_S = 5, 1.0

WaitState: TypeAlias = Literal["ticket", "waiting", "over"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """As the toolbox describes it."""

    name: str
    description: str
    #: JSON Schema of its arguments: an object
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a tool answered."""

    text: str
    is_error: bool
    exit_code: int | None
    ends_session: bool
    #: what people have said to the session meanwhile
    messages: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """One that is ours to work on."""

    session: str
    role: str
    prior: str
    text: str
    tools: Sequence[Tool]

    @property
    def briefing(self) -> str:
        return "\n\n".join(part for part in (self.role, self.prior, self.text) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """What waiting came to."""

    state: WaitState
    ticket: Ticket | None = None


class Member:
    """Every call raises what `Door.ask` raises.

    `session_token` is for one session alone; else `seat_token` (once) or `owner_token` gives the
    key that takes tickets, and the wallet keeps what was given.
    """

    def __init__(
        self,
        door: Door,
        *,
        seat_token: str = "",
        owner_token: str = "",
        session_token: str = "",
    ) -> None:
        self._door = door
        self._seat_token = seat_token
        self._owner_token = owner_token
        self._fixed = session_token
        self._wallet = Wallet() if session_token else read_wallet(door.url)

    @property
    def has_one_session(self) -> bool:
        """It came with the token of a session, and takes no other."""
        return bool(self._fixed)

    @property
    def token(self) -> str:
        """Opens the session; empty: there is none."""
        return self._fixed or self._wallet.token

    @property
    def session(self) -> str:
        """Raises UsageError when there is none."""
        if not self.token:
            raise UsageError("there is no ticket", hint="`ratchet operator wait` takes one")
        return self.token.rpartition(".")[0]

    async def take(self, *, wait_s: float, again: bool = False) -> Waited:
        """The next ticket. Its campaign's process is gone: over, if it ever was there."""
        known = bool(self._wallet.key)
        left, unanswered = wait_s, 0
        while True:
            asked_s = min(left, _WAIT_S)
            try:
                told = await self._take(wait_s=asked_s, again=again)
            except GoneError:
                if known or self._wallet.key:
                    return Waited(state="over")
                raise
            except UnansweredError:
                # It may be ending, or have too much to do.
                unanswered += 1
                if unanswered > _PATIENCE:
                    raise
                await asyncio.sleep(_PAUSE_S)
                continue
            unanswered = 0
            left -= asked_s
            if told["state"] == "ticket":
                self._keep(replace(self._wallet, token=str(told["token"])))
                return Waited(state="ticket", ticket=read_ticket(told))
            if told["state"] == "over" or left <= 0:
                return Waited(state=told["state"])

    async def tools(self) -> Sequence[Tool]:
        """Of our session; without one, those that the next will have."""
        if self.token:
            try:
                return await self.session_tools()
            except UsageError:
                if self.has_one_session:
                    raise
        await self._require_key(again=False)
        return _tools(await self._door.ask("GET", "/api/seat/tools", token=self._wallet.key))

    async def session_tools(self) -> Sequence[Tool]:
        """Of our session; refused when it is over."""
        return _tools(await self._door.ask("GET", f"{self._path}/tools", token=self.token))

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> Told:
        told = await self._door.ask(
            "POST",
            f"{self._path}/tools/{tool}",
            token=self.token,
            body=arguments,
            timeout_s=CALL_S,
        )
        return Told(
            text=str(told["text"]),
            is_error=bool(told["is_error"]),
            exit_code=told["exit_code"],
            ends_session=bool(told["ends_session"]),
            messages=[str(text) for text in told["messages"]],
        )

    async def release(self, reason: str) -> None:
        await self._door.ask(
            "POST", f"{self._path}/release", token=self.token, body={"reason": reason}
        )

    # -- how ------------------------------------------------------------------------------------

    @property
    def _path(self) -> str:
        return f"/api/sessions/{self.session}"

    async def _take(self, *, wait_s: float, again: bool) -> dict[str, Any]:
        await self._require_key(again=again)
        body = {"wait_s": wait_s, "again": again}
        timeout_s = wait_s + _MARGIN_S
        path = "/api/seat/take"
        try:
            return await self._door.ask(
                "POST", path, token=self._wallet.key, body=body, timeout_s=timeout_s
            )
        except AccessError:
            # A key of an earlier campaign at the same address, or somebody else has the seat.
            if not (self._seat_token or self._owner_token):
                raise
            self._wallet = Wallet()
            await self._require_key(again=again)
        return await self._door.ask(
            "POST", path, token=self._wallet.key, body=body, timeout_s=timeout_s
        )

    async def _require_key(self, *, again: bool) -> None:
        if self.has_one_session:
            raise UsageError("this token is for one session, which takes no other ticket")
        if self._wallet.key:
            return
        token = self._seat_token or self._owner_token
        if not token:
            raise UsageError(
                "the seat token is missing",
                hint="set RATCHET_SEAT_TOKEN; `ratchet run --operator external` prints it",
            )
        body = {"again": again}
        told = await self._door.ask("POST", "/api/seat/claim", token=token, body=body)
        self._keep(Wallet(campaign=str(told["campaign"]), key=str(told["key"])))

    def _keep(self, wallet: Wallet) -> None:
        self._wallet = wallet
        keep_wallet(self._door.url, wallet)


def read_ticket(told: Mapping[str, Any]) -> Ticket:
    """From what taking it, or taking it over, is answered."""
    return Ticket(
        session=str(told["session"]),
        role=str(told["role"]),
        prior=str(told["prior"]),
        text=str(told["ticket"]),
        tools=_tools(told),
    )


def _tools(told: Mapping[str, Any]) -> Sequence[Tool]:
    return tuple(
        Tool(name=tool["name"], description=tool["description"], parameters=tool["parameters"])
        for tool in told["tools"]
    )
