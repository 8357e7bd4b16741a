"""Where a member keeps its secrets between commands: a private file of its user's."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """What was given to us at one address."""

    campaign: str = ""
    #: takes tickets
    key: str = field(default="", repr=False)
    #: opens the tools of the ticket that was taken last
    token: str = field(default="", repr=False)


def state_folder() -> Path:
    """`XDG_STATE_HOME`, or what stands for it."""
    given = os.environ.get("XDG_STATE_HOME")
    return (Path(given) if given else Path.home() / ".local" / "state") / "ratchet"


def wallet_file(url: str) -> Path:
    name = hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]
    return state_folder() / f"seat-{name}.json"


def read_wallet(url: str) -> Wallet:
    """An empty one when there is none, or none that can be read."""
    try:
        return Wallet(**json.loads(wallet_file(url).read_text()))
    except (OSError, ValueError, TypeError):
        return Wallet()


def keep_wallet(url: str, wallet: Wallet) -> None:
    """For our own user only, all at once."""
    file = wallet_file(url)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    with os.fdopen(handle, "w") as stream:
        json.dump(asdict(wallet), stream)
    Path(name).replace(file)
