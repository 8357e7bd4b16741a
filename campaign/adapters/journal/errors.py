"""What can be wrong with a journal. The docstring is the message; the detail says what to do."""

from __future__ import annotations

from campaign.ports import PortError


class JournalError(PortError):
    """The journal cannot be used."""

    def __init__(self, detail: str) -> None:
        summary = (type(self).__doc__ or "").rstrip(".")
        super().__init__("journal", f"{summary}: {detail}")


class JournalInUseError(JournalError):
    """Only one process may write a campaign's journal."""

    def __init__(self, campaign: str, pid: int | None) -> None:
        holder = "another process" if pid is None else f"pid {pid}"
        super().__init__(
            f"campaign {campaign} is in use by {holder}; stop that one first, or only read it"
        )
        self.campaign = campaign
        self.pid = pid


class NoJournalError(JournalError):
    """There is no journal."""


class UnsupportedUrlError(JournalError):
    """The journal's URL is not understood."""


class NewerJournalError(JournalError):
    """The journal was written by a newer Ratchet."""


class OlderJournalError(JournalError):
    """The journal was written by an older Ratchet."""


class BrokenChainError(JournalError):
    """The journal was changed after it was written."""

    def __init__(self, seq: int, problem: str) -> None:
        super().__init__(
            f"event {seq} {problem}; the events before it are as they were written. "
            "Restore the journal from a copy: nothing can be concluded from this one"
        )
        self.seq = seq


class UnreadableEventError(JournalError):
    """An event in the journal means nothing to this Ratchet."""

    def __init__(self, seq: int, field: str, problem: str) -> None:
        super().__init__(
            f"event {seq}, field {field}: {problem}. "
            "Read the journal with the version of Ratchet that wrote it"
        )
        self.seq = seq
        self.field = field


class UnwritableEventError(JournalError):
    """An event cannot be written as JSON."""

    def __init__(self, kind: str, field: str, problem: str) -> None:
        super().__init__(f"{kind}, field {field}: {problem}")
        self.kind = kind
        self.field = field


class JournalFailedError(JournalError):
    """The database of the journal failed."""
