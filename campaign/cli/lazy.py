"""A group whose commands are imported when they are asked for: each needs much, and none all.

app = typer.Typer(cls=lazy_group({"campaign.cli.watch": ("watch", "report")}))

A module has `register(app)`, which adds the commands that are named beside it. The help of the
group asks for all of them, in this order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group


def lazy_group(modules: Mapping[str, Sequence[str]]) -> type[TyperGroup]:
    """For `typer.Typer(cls=…)`: a group of the commands named, by the module that has them."""

    class LazyGroup(TyperGroup):
        def __init__(self, **given: Any) -> None:
            super().__init__(**given | {"commands": _Commands(modules)})

        def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - typer's signature
            # Not `get`, which would take a KeyError of the module's own for an unknown command.
            if cmd_name in self.commands:
                return self.commands[cmd_name]
            return None

    return LazyGroup


def registered(module: str) -> Mapping[str, Any]:
    """The commands that a module has, by name. Imports it."""
    app = typer.Typer()
    import_module(module).register(app)
    return get_group(app).commands


class _Commands(Mapping[str, Any]):
    """Commands by name. They are `Any`, because typer keeps their class to itself."""

    def __init__(self, modules: Mapping[str, Sequence[str]]) -> None:
        self._modules = {name: module for module, names in modules.items() for name in names}
        self._imported: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._imported:
            self._imported |= registered(self._modules[name])
        return self._imported[name]

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)
