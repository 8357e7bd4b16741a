"""What can be wrong with a workspace. The docstring is the message, before the detail."""

from __future__ import annotations

from campaign.ports import PortError


class WorkspaceError(PortError):
    """The workspace cannot be used."""

    def __init__(self, detail: str) -> None:
        summary = (type(self).__doc__ or "").rstrip(".")
        super().__init__("workspace", f"{summary}: {detail}")


class UnfitTreeError(WorkspaceError):
    """The files cannot be committed as they are.

    Whoever edits them can repair that: names in the detail are relative to the work tree.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.reason = f"the files cannot be committed as they are: {detail}"


class TooLargeError(UnfitTreeError):
    """The work tree is too large."""


class OutsideLinkError(UnfitTreeError):
    """A symbolic link leads out of the work tree."""


class UnreadableFileError(UnfitTreeError):
    """A file cannot be read."""


class NoWorkspaceError(WorkspaceError):
    """There is no workspace yet."""


class UnknownRevisionError(WorkspaceError):
    """There is no such revision."""


class DivergedError(WorkspaceError):
    """The revision does not follow on what is deployed."""


class TagTakenError(WorkspaceError):
    """The tag names another revision already."""


class GitFailedError(WorkspaceError):
    """Git failed."""
