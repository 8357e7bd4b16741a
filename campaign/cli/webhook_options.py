"""The options of every command that plays a campaign here, or has it played."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from campaign.errors import UsageError
from campaign.model import Webhook

VARIABLE = "RATCHET_WEBHOOK"
SECRET_VARIABLE = "RATCHET_WEBHOOK_SECRET_FILE"  # noqa: S105 - a variable's name

_PANEL = "Who else is told"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookArguments:
    """As given on the command line, or in the environment; None: not given."""

    webhook: Annotated[
        str | None,
        typer.Option(
            "--webhook",
            metavar="URL",
            help="POST tickets, deployments, ends of sessions and verdicts there; else to "
            f"${VARIABLE}. They name profiles: never to the operator.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    webhook_secret_file: Annotated[
        Path | None,
        typer.Option(
            "--webhook-secret-file",
            help="What they are signed with is in this file (whsec_ and base64); of the address "
            f"in the environment: ${SECRET_VARIABLE}.",
            dir_okay=False,
            resolve_path=True,
            rich_help_panel=_PANEL,
        ),
    ] = None

    @property
    def asked(self) -> Webhook | None:
        """Raises UsageError when there is something to sign with and nowhere to send it."""
        if self.webhook is not None:
            file = self.webhook_secret_file
            return Webhook(url=self.webhook, secret_file=None if file is None else str(file))
        if self.webhook_secret_file is not None:
            raise UsageError("--webhook-secret-file signs what goes to --webhook: where to?")
        return None


def webhook_of(environment: Mapping[str, str]) -> Webhook | None:
    """For whatever is played in this process and was told nothing else; empty is unset."""
    url = environment.get(VARIABLE)
    if not url:
        return None
    file = environment.get(SECRET_VARIABLE)
    return Webhook(url=url, secret_file=str(Path(file).resolve()) if file else None)
