"""The commands of `ratchet`, and what their exit codes mean.

0 done; 1 a trial was lost (or a profile is not proven); 2 wrong use; 3 the harness failed;
4 the operator cannot be reached; 130 stopped by Ctrl-C (resume either with the printed command).
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from campaign.cli.exit_codes import EXIT_HARNESS, EXIT_STOPPED, EXIT_USAGE
from campaign.cli.lazy import lazy_group
from campaign.errors import RatchetError
from campaign.logs import log_to_terminal
from campaign.ports import PortError

#: as `chaos_profiles` has it, which takes long to import
_PROFILES_VARIABLE = "RATCHET_PROFILES"

ProfilesDirOption = Annotated[
    Path | None,
    typer.Option(
        "--profiles-dir",
        help=f"Folder of your own targets and profiles; else ${_PROFILES_VARIABLE}.",
        file_okay=False,
        exists=True,
        resolve_path=True,
    ),
]

_COMMANDS = {
    "campaign.cli.run": ("run", "trial", "resume"),
    "campaign.cli.replay": ("replay",),
    "campaign.cli.immunity": ("immunity",),
    "campaign.cli.status": ("status",),
    "campaign.cli.watch": ("watch", "report"),
    "campaign.cli.steering": ("pause", "continue", "stop"),
    "campaign.cli.doctor": ("doctor",),
    "campaign.cli.serve": ("serve",),
    "campaign.cli.up": ("up",),
    "campaign.cli.profiles": ("profiles",),
    "campaign.cli.operator": ("operator",),
}

app = typer.Typer(
    cls=lazy_group(_COMMANDS),
    name="ratchet",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Turn up the load on a live service, trial after trial, and learn what an operator can "
    "keep alive.\n\n"
    "Exit codes: 0 done, 1 a trial was lost, 2 wrong use, 3 the harness failed, 4 the operator "
    "cannot be reached (resume later), 130 stopped by Ctrl-C (resume, too).",
)


@app.callback()
def _everywhere(profiles_dir: ProfilesDirOption = None) -> None:
    """What stands before any command; what it starts finds the same."""
    log_to_terminal()
    if profiles_dir is not None:
        os.environ[_PROFILES_VARIABLE] = str(profiles_dir)


def main() -> NoReturn:
    """Run the command; an error that was foreseen is one clear message, not a traceback."""
    sys.exit(_run())


def _run() -> int:
    try:
        # The code of a `typer.Exit`, or what the command returned: nothing.
        return app(standalone_mode=False, obj=sys.argv[1:]) or 0
    except RatchetError as error:
        _complain(str(error), hint=error.hint)
        return error.exit_code
    except PortError as error:
        _complain(str(error), hint="see `ratchet doctor`")
        return EXIT_HARNESS
    except typer.Abort:
        return EXIT_STOPPED
    except Exception as error:  # noqa: BLE001 - the last place where it can be shown
        if _is_wrong_use(error):
            return EXIT_USAGE
        traceback.print_exc()
        _complain("this is a defect of ratchet's own", hint="please report it with the lines above")
        return EXIT_HARNESS


def _is_wrong_use(error: Exception) -> bool:
    """Typer's own complaints; it keeps their class to itself. Without a message: help was shown."""
    tell = getattr(error, "format_message", None)
    if tell is None:
        return False
    context = getattr(error, "ctx", None)
    command = "ratchet" if context is None else context.command_path
    if message := tell():
        _complain(message, hint=f"see `{command} --help`")
    return True


def _complain(message: str, *, hint: str) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text.assemble(("ratchet: ", "bold red"), message))
    if hint:
        console.print(Text.assemble(("  → ", "dim"), hint))
