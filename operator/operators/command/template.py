"""Texts with `${names}` in them, and argument lists of which parts go when a name has no value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

_NAME = re.compile(r"\$\{([a-z_]+)\}")


def names_in(text: str) -> tuple[str, ...]:
    return tuple(_NAME.findall(text))


def fill(text: str, values: Mapping[str, str | None]) -> str:
    """`text` with each `${name}` replaced; what has no value becomes nothing."""
    return _NAME.sub(lambda match: values[match[1]] or "", text)


def fill_arguments(
    arguments: Sequence[str | Sequence[str]], values: Mapping[str, str | None]
) -> tuple[str, ...]:
    """Each filled in; a group (an option with its value) is left out when a name has no value."""
    return tuple(_filled(arguments, values))


def _filled(
    arguments: Sequence[str | Sequence[str]], values: Mapping[str, str | None]
) -> Iterator[str]:
    for argument in arguments:
        if isinstance(argument, str):
            yield fill(argument, values)
            continue
        if all(values[name] is not None for word in argument for name in names_in(word)):
            yield from (fill(word, values) for word in argument)
