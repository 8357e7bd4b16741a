"""`ledger.jsonl`: acknowledged writes, kept so that a resumed campaign still knows them.

One JSON object a line. `{"database": …}` says whose writes follow; a database that was made anew
(an isolated trial's) begins with none. `{"written_off": […]}` names messages that are known to be
lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from campaign.adapters.database.ledger import Write


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptWrite:
    """An acknowledged write as it is kept."""

    message_id: int
    conversation_id: int
    user_id: int
    tokens: int
    #: epoch seconds
    acked_at: float


class _Header(BaseModel):
    database: str


class _WrittenOff(BaseModel):
    written_off: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is known of one database."""

    writes: list[KeptWrite]
    written_off: list[int]


_LINE: TypeAdapter[KeptWrite | _Header | _WrittenOff] = TypeAdapter(
    KeptWrite | _Header | _WrittenOff
)


class LedgerFile:
    """The file of one campaign; only this process writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, database: str) -> Kept:
        """The writes to `database`. A last line that was cut short by a crash is left out."""
        kept = Kept(writes=[], written_off=[])
        current = ""
        for text in self._lines():
            match _parsed(text):
                case _Header() as header:
                    current = header.database
                case KeptWrite() as write if current == database:
                    kept.writes.append(write)
                case _WrittenOff() as line if current == database:
                    kept.written_off.extend(line.written_off)
                case _:
                    continue
        return kept

    def begin(self, database: str) -> None:
        """What follows was written to `database`."""
        self._append([_Header(database=database).model_dump_json()])

    def append(self, writes: Iterable[Write]) -> None:
        self._append([_LINE.dump_json(_kept(write)).decode() for write in writes])

    def write_off(self, ids: list[int]) -> None:
        self._append([_WrittenOff(written_off=ids).model_dump_json()])

    def _append(self, lines: list[str]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            # A line of its own, whatever a crash left of the one before.
            file.write("".join(f"\n{line}\n" for line in lines))

    def _lines(self) -> list[str]:
        if not self._path.exists():
            return []
        return [line for line in self._path.read_text(encoding="utf-8").splitlines() if line]


def _parsed(line: str) -> KeptWrite | _Header | _WrittenOff | None:
    try:
        return _LINE.validate_json(line)
    except ValidationError:
        return None


def _kept(write: Write) -> KeptWrite:
    names = KeptWrite.__dataclass_fields__
    return KeptWrite(**{name: getattr(write, name) for name in names})
