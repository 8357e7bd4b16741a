"""A campaign's journal in a Postgres database of its own, instead of its folder."""

from __future__ import annotations

from campaign.adapters.journal import UnsupportedUrlError, locate
from campaign.errors import UsageError
from campaign.runs import RunFolder


def keep_journal_at(run: RunFolder, url: str) -> None:
    """Its journal is the Postgres database at `url`, from its first event on.

    Raises:
        UsageError: that is no such URL.
    """
    try:
        locate(url)
    except UnsupportedUrlError as error:
        raise UsageError(f"--journal: {error.reason}") from error
    run.path.mkdir(parents=True, exist_ok=True)
    run.journal_url.touch(mode=0o600)
    run.journal_url.write_text(url)
