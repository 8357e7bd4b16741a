"""The secrets that a campaign gives out: what each opens, and which are dead."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """Whoever has a secret that was given out once."""

    #: what it opens, or opened
    holder: str
    alive: bool


class Keyring:
    """Keeps digests alone, and compares all of them, so that time tells nothing."""

    def __init__(self) -> None:
        self._bearers: dict[bytes, Bearer] = {}

    def issue(self, holder: str) -> str:
        """A new secret that opens `holder`, whose name it begins with; those before it live on."""
        token = f"{holder}.{secrets.token_urlsafe(24)}"
        self._bearers[_digest(token)] = Bearer(holder=holder, alive=True)
        return token

    def who(self, token: str) -> Bearer | None:
        """None: it was never given out."""
        given, found = _digest(token), None
        for known, bearer in self._bearers.items():
            if hmac.compare_digest(known, given):
                found = bearer
        return found

    def withdraw(self, holder: str) -> None:
        """Its secrets open nothing any more, and are still known."""
        for digest, bearer in self._bearers.items():
            if bearer.holder == holder:
                self._bearers[digest] = Bearer(holder=holder, alive=False)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()
