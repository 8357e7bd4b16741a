"""`ratchet profiles`: what can be played, and whether each profile is proven."""

from __future__ import annotations

import typer

from campaign.cli.lazy import lazy_group

_COMMANDS = {
    "campaign.cli.verify": ("verify",),
    "campaign.cli.profiles_page": ("page",),
    "campaign.cli.authoring": ("new", "schema"),
    "campaign.cli.profiles_list": ("list", "show"),
}

_app = typer.Typer(
    cls=lazy_group(_COMMANDS),
    no_args_is_help=True,
    help="What can be played, and whether it is proven.",
)


def register(app: typer.Typer) -> None:
    app.add_typer(_app, name="profiles")
