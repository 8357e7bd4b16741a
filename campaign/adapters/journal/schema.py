"""Which version the schema of a journal has, and bringing it up to date."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from campaign.adapters.journal.errors import NewerJournalError, NoJournalError, OlderJournalError

_MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(connection: Connection) -> None:
    """Create or update the tables, within the caller's transaction.

    Raises:
        NewerJournalError: the schema has a version that this Ratchet does not know.
    """
    config = _config()
    version = _known_version(connection, config)
    if version != _newest(config):
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def require_current(connection: Connection) -> None:
    """For those who only read.

    Raises:
        NoJournalError: nothing was ever written here.
        OlderJournalError: the schema must be updated first.
        NewerJournalError: the schema has a version that this Ratchet does not know.
    """
    config = _config()
    version = _known_version(connection, config)
    if version is None:
        raise NoJournalError("the database is empty; start a campaign first")
    if version != _newest(config):
        raise OlderJournalError(
            f"its schema is {version}, this one reads {_newest(config)}; "
            "open it once for writing (ratchet resume) to bring it up to date"
        )


def _known_version(connection: Connection, config: Config) -> str | None:
    version = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise NewerJournalError(
            f"its schema is {version}, this one knows up to {_newest(config)}; upgrade Ratchet"
        )
    return version


def _newest(config: Config) -> str | None:
    return ScriptDirectory.from_config(config).get_current_head()


def _config() -> Config:
    config = Config()
    # Config interpolates: a "%" in the path would be taken for a variable.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config
