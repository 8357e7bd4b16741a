"""`--stack compose`: the same command, in a container of the compose stack."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from campaign.cli.webhook_options import SECRET_VARIABLE, VARIABLE
from campaign.errors import UsageError
from campaign.model import is_adapter_file
from campaign.stack import is_compose

_LOCAL, _COMPOSE = "local", "compose"
_OPTION = "--stack"
#: what a container cannot be told from here, and what does instead
_OURS = {
    "--runs": "see docs/compose.md",
    "--profiles-dir": "see docs/compose.md",
    "--api-key-file": "give it as ANTHROPIC_API_KEY_FILE in .env",
    "--webhook-secret-file": f"give it as {SECRET_VARIABLE} in .env, the address as {VARIABLE}",
}
_PROJECT = Path(__file__).parents[2] / "docker-compose.yml"
#: where files that a command line names are put for it
_MOUNTED = "/run/ratchet/given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirected:
    """A command line for `docker compose`."""

    argv: tuple[str, ...]
    #: of the container that it makes
    name: str


def redirect(
    words: Sequence[str],
    *,
    project: Path = _PROJECT,
    is_terminal: bool = False,
    name: str = "ratchet-campaign",
) -> Redirected:
    """What `ratchet <words>` is as a command of the container `campaign`.

    Campaign files are mounted for it, and nothing that is beside them.

    Raises:
        UsageError: it, or the campaign file, names what a container does not have.
    """
    mounts: list[str] = []
    told: list[str] = []
    for word in _without_stack(words):
        option = word.split("=", 1)[0]
        if option in _OURS:
            raise UsageError(
                f"{option} is of no use with {_OPTION} {_COMPOSE}: the containers have folders "
                "and secrets of their own",
                hint=_OURS[option],
            )
        file = Path(word)
        if file.suffix in {".yaml", ".yml"} and file.is_file():
            _require_alone(file)
            inside = f"{_MOUNTED}/{file.name}"
            mounts += ["--volume", f"{file.absolute()}:{inside}:ro"]
            told.append(inside)
        else:
            told.append(word)
    terminal = () if is_terminal else ("--no-TTY",)
    base = ("docker", "compose", "--file", str(project), "run", "--rm", "--name", name)
    return Redirected(argv=(*base, *terminal, *mounts, "campaign", *told), name=name)


def _require_alone(file: Path) -> None:
    """Raises UsageError when the campaign file names another, which would be missing there."""
    try:
        content = YAML(typ="safe").load(file)
    except (OSError, YAMLError, UnicodeDecodeError):
        return  # whoever reads it there says what is wrong
    webhook, options = (_section(content, name) for name in ("webhook", "operator_options"))
    if webhook.get("secret_file"):
        raise UsageError(
            f"{file}: webhook.secret_file is not in the container",
            hint=f"leave the webhook out of the file: {VARIABLE} and {SECRET_VARIABLE} in .env",
        )
    if is_adapter_file(str(options.get("agent") or "")):
        raise UsageError(
            f"{file}: operator_options.agent is a file, which is not in the container",
            hint="in containers an agent joins from outside: operator: external (docs/compose.md)",
        )


def _section(content: object, name: str) -> Mapping[str, object]:
    """Empty when there is none, or what is there is none."""
    found = content.get(name) if isinstance(content, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _without_stack(words: Sequence[str]) -> list[str]:
    left: list[str] = []
    is_value = False
    for word in words:
        if is_value:
            is_value = False
        elif word == _OPTION:
            is_value = True
        elif not word.startswith(f"{_OPTION}="):
            left.append(word)
    return left


def _chosen(context: typer.Context, stack: str) -> str:
    """Before anything else is looked at: what is checked here is not what is there."""
    if stack not in {_LOCAL, _COMPOSE}:
        raise UsageError(f"unknown stack: {stack}", hint=f"there are: {_LOCAL}, {_COMPOSE}")
    if stack == _COMPOSE and not is_compose() and not context.resilient_parsing:
        words = context.find_root().obj
        if words is None:
            raise UsageError(f"{_OPTION} {_COMPOSE} is for the command line")
        _become(words)
    return stack


def _become(words: Sequence[str]) -> NoReturn:
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    name = f"ratchet-campaign-{secrets.token_hex(4)}"
    command = redirect(words, is_terminal=is_terminal, name=name)
    if shutil.which("docker") is None:
        raise UsageError(
            "docker is not on PATH", hint="install it with its compose plugin, or leave --stack out"
        )
    if not _PROJECT.is_file():
        raise UsageError(f"there is no {_PROJECT}", hint="run it from a clone of the repository")
    if is_terminal:
        os.execvp(command.argv[0], command.argv)  # noqa: S606 - no shell is meant
    sys.exit(accompany(command))


def accompany(command: Redirected) -> int:
    """Its exit code; what ends us ends what is played in the container.

    Without a terminal `docker compose run` leaves when it is interrupted, and the campaign goes on.
    """
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(number: int, _frame: FrameType | None = None) -> None:
        if child is None:
            early.append(number)
            return
        told = ("docker", "kill", "--signal", signal.Signals(number).name, command.name)
        if subprocess.run(told, capture_output=True, check=False).returncode != 0:
            child.send_signal(number)  # there is no container yet

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        child = subprocess.Popen(command.argv, start_new_session=True)
        for number in early:
            pass_on(number)
        return child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


StackOption = Annotated[
    str,
    typer.Option(
        _OPTION,
        help="local: child processes. compose: the services of docker-compose.yml.",
        callback=_chosen,
        is_eager=True,
    ),
]
