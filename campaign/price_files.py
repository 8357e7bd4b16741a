"""The user's own price table, which stands in front of the shipped one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from operators.prices import Prices, PriceTable, shipped_table

from campaign.errors import UsageError
from chaos_profiles.document import read_document
from chaos_profiles.problems import ProfileError
from chaos_profiles.validation import validate


def price_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Where it is kept, whether or not there is one: `ratchet/prices.yaml` in the config folder."""
    home = environment.get("XDG_CONFIG_HOME", "")
    # A relative one is to be ignored: https://specifications.freedesktop.org/basedir-spec
    folder = Path(home) if home.startswith("/") else Path.home() / ".config"
    return folder / "ratchet" / "prices.yaml"


def read_prices(environment: Mapping[str, str] = os.environ) -> Prices:
    """The user's table if there is one, then the shipped one.

    Raises:
        UsageError: the user's is not as it should be; file, line and field of what is wrong.
    """
    own = price_file(environment)
    tables = (read_table(own),) if own.exists() else ()
    return Prices((*tables, shipped_table()))


def read_table(file: Path) -> PriceTable:
    """Raises UsageError with file, line and field of everything that is wrong."""
    try:
        return validate(read_document(file), PriceTable)
    except ProfileError as problem:
        raise UsageError(
            f"{file} is no price table: {problem}",
            hint="`ratchet operator price --json` shows one",
        ) from problem


def keep_table(file: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Put it in front of the shipped one; what was there before is replaced.

    Raises:
        UsageError: it is not as it should be, and nothing was changed.
    """
    read_table(file)
    own = price_file(environment)
    own.parent.mkdir(parents=True, exist_ok=True)
    draft = own.with_suffix(".yaml.new")
    shutil.copyfile(file, draft)
    draft.replace(own)
    return own
