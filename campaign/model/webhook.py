"""Where a campaign's notices go."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A receiver beside the campaign: never the operator, for notices name the profile."""

    #: its path may be a secret: shown nowhere
    url: str = field(repr=False)
    #: holds what notices are signed with; None: they are not
    secret_file: str | None = None
