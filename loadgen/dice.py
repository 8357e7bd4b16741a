"""Choices that depend on nothing but the seed, the dimension, the user and the arrival."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from struct import pack

_PART_BITS = 32
_PARTS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Roll:
    """128 random-looking bits, spent in four independent parts of 32."""

    bits: int

    def below(self, limit: int, *, part: int) -> int:
        """A number in [0, limit); `part` (0 to 3) names which bits pay for it."""
        if not 0 <= part < _PARTS:
            raise ValueError(f"part must be 0 to {_PARTS - 1}, not {part}")
        mask: int = 2**_PART_BITS - 1
        return ((self.bits >> (_PART_BITS * part)) & mask) % limit


class Dice:
    """Rolls for one dimension: the same arrival always gets the same roll."""

    def __init__(self, *, seed: int, dimension: str) -> None:
        self._key = blake2b(f"{seed}:{dimension}".encode(), digest_size=16).digest()

    def roll(self, *, user: int, index: int) -> Roll:
        digest = blake2b(pack("<QQ", user, index), key=self._key, digest_size=16).digest()
        return Roll(bits=int.from_bytes(digest, "little"))
