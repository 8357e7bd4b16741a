"""Which of the app's operations an invariant judges, from its label matchers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

#: one label matcher of PromQL: name, operator, quoted value
_MATCHER = re.compile(r"""(\w+)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')""")
_LABEL = "operation"
#: an alternative of a pattern that is a plain name
_PLAIN = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Matcher:
    sign: str
    value: str

    def fits(self, operation: str) -> bool:
        if self.sign in ("=", "!="):
            return (operation == self.value) is (self.sign == "=")
        try:
            found = re.fullmatch(self.value, operation) is not None
        except re.error:  # RE2 knows what Python does not
            return False
        return found is (self.sign == "=~")

    @property
    def names(self) -> tuple[str, ...]:
        """The operations that it names outright."""
        if self.sign == "=":
            return (self.value,) if self.value else ()
        if self.sign == "=~":
            return tuple(part for part in self.value.split("|") if _PLAIN.fullmatch(part))
        return ()


def judged(select: str | None, *, known: Iterable[str] = ()) -> tuple[str, ...]:
    """The operations that `select` narrows it to; empty: it is not about one in particular.

    A pattern (`list_.*`) means those of the `known` operations that it fits.
    """
    matchers = _matchers(select)
    if not any(matcher.sign in ("=", "=~") and matcher.value for matcher in matchers):
        return ()
    candidates = dict.fromkeys((*_names(matchers), *known))
    return tuple(name for name in candidates if all(each.fits(name) for each in matchers))


def named(selects: Iterable[str | None]) -> tuple[str, ...]:
    """Every operation that one of them names outright."""
    return tuple(dict.fromkeys(name for select in selects for name in _names(_matchers(select))))


def _matchers(select: str | None) -> tuple[_Matcher, ...]:
    return tuple(
        _Matcher(sign=sign, value=double or single)
        for label, sign, double, single in _MATCHER.findall(select or "")
        if label == _LABEL
    )


def _names(matchers: Iterable[_Matcher]) -> tuple[str, ...]:
    return tuple(name for matcher in matchers for name in matcher.names)
