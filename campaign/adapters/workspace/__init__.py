"""The git working copy of the target app that the operator may edit, and its history.

The work tree is `<run>/workspace` and belongs to the operator. Its history is
`<run>/workspace.git`, which the operator never sees. Git itself is never let into the work tree,
where a hostile `.gitattributes`, nested repository or link could steer it: we copy the files out,
reading each by a descriptor that follows no link, and hand git the copy.
"""

from campaign.adapters.workspace.errors import (
    DivergedError,
    GitFailedError,
    NoWorkspaceError,
    OutsideLinkError,
    TagTakenError,
    TooLargeError,
    UnfitTreeError,
    UnknownRevisionError,
    UnreadableFileError,
    WorkspaceError,
)
from campaign.adapters.workspace.files import Bounds
from campaign.adapters.workspace.objects import Commit
from campaign.adapters.workspace.workspace import Workspace

__all__ = [
    "Bounds",
    "Commit",
    "DivergedError",
    "GitFailedError",
    "NoWorkspaceError",
    "OutsideLinkError",
    "TagTakenError",
    "TooLargeError",
    "UnfitTreeError",
    "UnknownRevisionError",
    "UnreadableFileError",
    "Workspace",
    "WorkspaceError",
]
