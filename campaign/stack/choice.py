"""Which of the two stacks this process is part of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaign.stack.compose import layout
from campaign.stack.compose.places import ComposePlaces, is_compose
from campaign.stack.compose.stack import ComposeStack
from campaign.stack.local import LocalStack

if TYPE_CHECKING:
    from pathlib import Path

    from campaign.stack.interface import ProcessStack
    from campaign.stack.local import LocalStackConfig


def make_stack(config: LocalStackConfig) -> ProcessStack:
    """Nothing is started yet."""
    return ComposeStack(config) if is_compose() else LocalStack(config)


def shell_places() -> ComposePlaces | None:
    """Where the operator's shells have a container of their own; None: they are ours to start."""
    return ComposePlaces() if is_compose() else None


def lay_out(run_dir: Path) -> None:
    """Before anything of a run is written: where the parts of the stack will find it."""
    if is_compose():
        layout.lay_out(run_dir, ComposePlaces())
