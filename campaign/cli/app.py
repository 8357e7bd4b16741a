"""The commands of `ratchet`, and what their exit codes mean.

0 done; 1 a trial was lost (or a profile is not proven); 2 wrong use; 3 the harness failed;
130 stopped by Ctrl-C (resume with the printed command).
"""

from __future__ import annotations

import sys
from typing import NoReturn

import typer
from rich.console import Console

from campaign.cli import doctor, profiles, run, serve, watch
from campaign.errors import RatchetError

app = typer.Typer(
    name="ratchet",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Turn up the load on a live service, trial after trial, and learn what an operator can "
    "keep alive.\n\n"
    "Exit codes: 0 done, 1 a trial was lost, 2 wrong use, 3 the harness failed.",
)
run.register(app)
watch.register(app)
doctor.register(app)
serve.register(app)
app.add_typer(profiles.app, name="profiles")


def main() -> NoReturn:
    """Run the command; errors that are ours are one clear message, not a traceback."""
    try:
        app(standalone_mode=False)
    except RatchetError as error:
        _complain(str(error), hint=error.hint)
        sys.exit(error.exit_code)
    except typer.Exit as done:
        sys.exit(done.exit_code)
    except typer.Abort:
        sys.exit(130)
    except Exception as error:
        usage = getattr(error, "format_message", None)
        if usage is None:
            raise
        _complain(usage(), hint="see `ratchet --help`")
        sys.exit(2)
    sys.exit(0)


def _complain(message: str, *, hint: str) -> None:
    console = Console(stderr=True, highlight=False)
    console.print(f"[bold red]ratchet:[/] {_plain(message)}")
    if hint:
        console.print(f"  [dim]→[/] {_plain(hint)}")


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
