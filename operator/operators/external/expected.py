"""The tools that a session will have, for whoever asks before there is one."""

from __future__ import annotations

from collections.abc import Sequence

from campaign.model import OperatorOptions
from operators.session import ToolSpec
from operators.toolbox.catalogue import offered, spec


def expected_tools(options: OperatorOptions) -> Sequence[ToolSpec]:
    """Of a session with all instruments, as every campaign's has."""
    return tuple(spec(tool) for tool in offered(options))
