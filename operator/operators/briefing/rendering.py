"""The prompts, which are text files in `templates`."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

_BLANK_LINES = re.compile(r"\n{3,}")


def render(template: str, **values: Any) -> str:
    """The text, without blank lines at its ends or more than one in a row."""
    text = _environment().get_template(template).render(**values)
    return _BLANK_LINES.sub("\n\n", text).strip()


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("operators.briefing", "templates"),
        autoescape=False,  # noqa: S701 - plain text for a model, no markup
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
