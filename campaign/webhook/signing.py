"""Signatures as Standard Webhooks 1.0 wants them. Pure.

What is signed is `<id>.<timestamp>.<body>`, by HMAC-SHA256; a secret is `whsec_` and base64.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

_PREFIX = "whsec_"
#: bytes that the standard wants a secret to have
_SIZES = range(24, 65)
#: a current one, and one that receivers still have
_MOST_SECRETS = 2


class SecretError(ValueError):
    """The file holds no secret; the message never has what it holds."""


def parse_secrets(text: str) -> tuple[bytes, ...]:
    """The keys in a secret file: one a line, the first is the current one.

    Raises:
        SecretError: none, too many, or one that the standard does not allow.
    """
    words = text.split()
    if not words:
        raise SecretError("it is empty")
    if len(words) > _MOST_SECRETS:
        raise SecretError(f"it holds {len(words)} words: expected one secret, or two to change it")
    return tuple(_key(word, place) for place, word in enumerate(words, start=1))


def _key(word: str, place: int) -> bytes:
    try:
        key = base64.b64decode(word.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        # The cause would quote what is there.
        raise SecretError(f"secret {place} is not {_PREFIX} and base64") from None
    if len(key) not in _SIZES:
        raise SecretError(
            f"secret {place} has {len(key)} bytes: "
            f"expected {_SIZES.start} to {_SIZES.stop - 1}, drawn at random"
        )
    return key


def signature(key: bytes, *, notice: str, timestamp: int, body: bytes) -> str:
    """Such as `v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=`."""
    signed = f"{notice}.{timestamp}.".encode() + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def headers(
    keys: Sequence[bytes], *, notice: str, timestamp: int, body: bytes
) -> Mapping[str, str]:
    """The three of the standard; without a key there is no signature.

    `timestamp`: of this attempt, epoch seconds; `notice`: the id, the same for all attempts.
    """
    named = {"webhook-id": notice, "webhook-timestamp": str(timestamp)}
    if not keys:
        return named
    signatures = (signature(key, notice=notice, timestamp=timestamp, body=body) for key in keys)
    return {**named, "webhook-signature": " ".join(signatures)}
