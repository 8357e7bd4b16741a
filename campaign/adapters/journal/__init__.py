"""The append-only record of events, in SQLite (in the run's folder) or Postgres (by URL).

async with open_journal(run_dir) as journal:      # one writer, by a lock
seq = await journal.append(event)             # durable when it returns
async with open_reader(run_dir) as journal:       # any number, beside the writer
events = await journal.read(after=seq)
"""

from campaign.adapters.journal.errors import (
    BrokenChainError,
    JournalError,
    JournalFailedError,
    JournalInUseError,
    NewerJournalError,
    NoJournalError,
    OlderJournalError,
    UnreadableEventError,
    UnsupportedUrlError,
    UnwritableEventError,
)
from campaign.adapters.journal.lock import run_lock
from campaign.adapters.journal.place import locate
from campaign.adapters.journal.reader import JournalReader, open_reader
from campaign.adapters.journal.writer import JournalWriter, open_journal

__all__ = [
    "BrokenChainError",
    "JournalError",
    "JournalFailedError",
    "JournalInUseError",
    "JournalReader",
    "JournalWriter",
    "NewerJournalError",
    "NoJournalError",
    "OlderJournalError",
    "UnreadableEventError",
    "UnsupportedUrlError",
    "UnwritableEventError",
    "locate",
    "open_journal",
    "open_reader",
    "run_lock",
]
