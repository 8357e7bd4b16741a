"""Folders and files that belong to one component's user alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from campaign.identity import Identity, can_enter
from campaign.stack.errors import UnreachableFolderError

if TYPE_CHECKING:
    from pathlib import Path


def private_folder(folder: Path, identity: Identity, *, mode: int = 0o700) -> Path:
    """Create `folder` (its parent exists) for `identity` alone, or take it over if it exists.

    Raises:
        UnreachableFolderError: `identity` cannot walk down to it.
    """
    if not can_enter(identity, folder.parent):
        raise UnreachableFolderError(
            f"user {identity.user} cannot reach {folder}",
            hint="choose a folder whose parents may be entered by everybody (chmod o+x)",
        )
    folder.mkdir(mode=mode, exist_ok=True)
    folder.chmod(mode)
    if not identity.is_ours:
        os.chown(folder, identity.uid, identity.gid)
    return folder


def hand_over(file: Path, identity: Identity, *, mode: int = 0o600) -> Path:
    """Make `file` readable by `identity` (and us) alone."""
    file.chmod(mode)
    if not identity.is_ours:
        os.chown(file, identity.uid, identity.gid)
    return file
