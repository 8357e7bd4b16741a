"""The API key: where it comes from, and that it goes nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from operators.claude.errors import ClaudeSetupError

VARIABLE = "ANTHROPIC_API_KEY"
_INSTEAD = "[key]"


def read_api_key(file: Path | None, environment: Mapping[str, str]) -> str:
    """The key from the file when one is named, else from ANTHROPIC_API_KEY.

    Raises:
        ClaudeSetupError: there is none, or it cannot be one; the message never has it in it.
    """
    if file is None:
        source, text = VARIABLE, environment.get(VARIABLE, "")
        if not text.strip():
            raise ClaudeSetupError(
                f"no API key: set {VARIABLE}, or name a file that holds it (--api-key-file)"
            )
    else:
        source = str(file)
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            # Its text would quote the bytes.
            raise ClaudeSetupError(f"{source} is no text file: it should hold the key") from None
        except OSError as problem:
            raise ClaudeSetupError(f"the API key cannot be read: {problem}") from problem
        if not text.strip():
            raise ClaudeSetupError(f"{source} is empty: it should hold the API key")
    key = text.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ClaudeSetupError(f"{source} holds no API key: it should be one word of one line")
    return key


class Scrubber:
    """Takes the key out of texts of others: a proxy may well say it back in an error."""

    __slots__ = ("_secret",)

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def clean(self, text: str) -> str:
        return text.replace(self._secret, _INSTEAD) if self._secret else text
