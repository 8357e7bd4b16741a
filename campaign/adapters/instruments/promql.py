"""PromQL, rewritten so that it can read no other series than those it may.

This is no parser: a query is taken apart into words, and put together again from nothing but words
that are known. What makes that safe whatever the grammar does with it:

- Every vector selector is written out as `{…}` and has, between its own braces, either
  `job="app"`, or a name that may be seen, or `__name__=~"<all names that may be seen>"`.
- A word that stands alone is a keyword, the name of a function before its `(`, or a label in the
  parentheses after `by`, `on` and the like; no series of the harness has such a name.
- Texts are written anew with plain quotes, so where one ends is never in doubt.

Whatever is not understood is refused. Prometheus then parses the result like any other query.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from campaign.adapters.instruments.metric_names import (
    APP_JOB,
    JOB,
    SEEN_PATTERN,
    is_of_the_harness,
    is_seen,
)

LONGEST_QUERY = 4000
#: steps of all subqueries in each other
_MOST_STEPS = 11_000
_DEFAULT_STEP_S = 1.0

_NAME = "__name__"
#: with `(`, `by` or `without` after them
_AGGREGATING = """
sum min max avg count group stddev stdvar topk bottomk quantile count_values
"""
#: with labels in parentheses after them
_GROUPING = "by without on ignoring group_left group_right"
_OTHER = "and or unless atan2 offset bool start end inf nan"
_CALLED = """
abs absent absent_over_time acos acosh asin asinh atan atanh avg_over_time ceil changes clamp
clamp_max clamp_min cos cosh count_over_time day_of_month day_of_week day_of_year days_in_month deg
delta deriv double_exponential_smoothing exp floor histogram_avg histogram_count histogram_fraction
histogram_quantile histogram_stddev histogram_stdvar histogram_sum holt_winters hour idelta increase
irate label_join label_replace last_over_time ln log10 log2 max_over_time min_over_time minute month
pi predict_linear present_over_time quantile_over_time rad rate resets round scalar sgn sin sinh
sort sort_desc sqrt stddev_over_time stdvar_over_time sum_over_time tan tanh time timestamp vector
year
"""
_AGGREGATIONS = frozenset(_AGGREGATING.split())
_GROUPINGS = frozenset(_GROUPING.split())
_OTHERS = frozenset(_OTHER.split())
_FUNCTIONS = frozenset(_CALLED.split())
_AFTER_AGGREGATION = frozenset({"(", "by", "without"})

_DURATION = r"(?:\d+(?:ms|[smhdwy]))+"
_WORDS = re.compile(
    rf"""
    (?P<space>\s+|\#[^\n]*)
    |(?P<range>\[\s*(?P<over>{_DURATION})\s*(?P<sub>:\s*(?P<step>{_DURATION})?\s*)?\])
    |(?P<duration>{_DURATION})(?![0-9A-Za-z_:.])
    |(?P<number>0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![0-9A-Za-z_:.])
    |(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
    |(?P<sign>==|!=|>=|<=|=~|!~|[-+*/%^<>=,(){{}}@])
    """,
    re.VERBOSE,
)
_PART_S = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "y": 31536000.0,
}
_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
}
#: names of series that every server and client library has
_NO_LABEL = re.compile(r":|^(up$|go_|net_|process_|prom|python_|scrape_)")
_MATCHES = frozenset({"=", "!=", "=~", "!~"})


class QueryError(ValueError):
    """The query is not understood, or asks for too much: the message says what to do."""


class HiddenError(ValueError):
    """The query names a series that is not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    kind: str
    text: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Matcher:
    label: str
    operator: str
    value: str

    def __str__(self) -> str:
        return f"{self.label}{self.operator}{_quoted(self.value)}"


def restricted(query: str) -> str:
    """The same query, of the series that may be read.

    Raises:
        QueryError: it is not understood.
        HiddenError: it names a series that is not shown.
    """
    if len(query) > LONGEST_QUERY:
        raise QueryError(f"a query of more than {LONGEST_QUERY} characters")
    try:
        query.encode()
    except UnicodeEncodeError as error:
        raise QueryError("the query has characters that no text can hold") from error
    words = tuple(_words(query))
    _require_few_steps(words)
    return " ".join(_Rewriting(words).all())


class _Rewriting:
    """Goes through the words once, from left to right."""

    def __init__(self, words: tuple[_Word, ...]) -> None:
        self._words = words
        self._place = 0

    def all(self) -> Iterator[str]:
        while (word := self._peek()) is not None:
            self._place += 1
            match word.kind:
                case "name":
                    yield from self._name(word)
                case "sign" if word.text == "{":
                    yield _selector(None, self._matchers())
                case "sign" if word.text in {"}", "=", "=~", "!~"}:
                    raise _stray(word)
                case "text":
                    yield _quoted(_value(word))
                case _:
                    yield word.text

    def _name(self, word: _Word) -> Iterator[str]:
        lower = word.text.lower()
        follows = self._peek()
        after = "" if follows is None or follows.kind == "text" else follows.text
        if lower in _GROUPINGS:
            yield lower
            yield from self._labels()
        elif lower in _OTHERS or (lower in _AGGREGATIONS and after.lower() in _AFTER_AGGREGATION):
            yield lower
        elif after == "(":
            if word.text not in _FUNCTIONS:
                raise QueryError(f"{word.text} at character {word.at} is no function known here")
            yield word.text
        elif after == "{":
            self._place += 1
            yield _selector(word.text, self._matchers())
        else:
            yield _selector(word.text, [])

    def _labels(self) -> Iterator[str]:
        """What is in the parentheses after `by` and the like: nothing but names of labels."""
        if not self._is_next("("):
            return
        yield self._take().text
        while not self._is_next(")"):
            word = self._take()
            if word.kind == "name" and not _may_be_a_label(word.text):
                raise QueryError(f"{word.text} at character {word.at} is no label")
            if word.kind != "name" and word.text != ",":
                raise _stray(word)
            yield word.text
        yield self._take().text

    def _matchers(self) -> list[_Matcher]:
        """Up to the closing brace, which is taken too."""
        found: list[_Matcher] = []
        while not self._is_next("}"):
            label, operator, value = self._take(), self._take(), self._take()
            if label.kind != "name" or ":" in label.text:
                raise QueryError(
                    f'{label.text!r} at character {label.at}: a matcher is label="value" here, '
                    "without quotes around the label"
                )
            if operator.text not in _MATCHES or operator.kind != "sign":
                raise _stray(operator)
            if value.kind != "text":
                raise _stray(value)
            found.append(_Matcher(label=label.text, operator=operator.text, value=_value(value)))
            if not self._is_next("}") and self._take().text != ",":
                raise QueryError(f"a comma is missing after character {value.at}")
        self._take()
        return found

    def _peek(self) -> _Word | None:
        return self._words[self._place] if self._place < len(self._words) else None

    def _is_next(self, sign: str) -> bool:
        word = self._peek()
        return word is not None and word.kind == "sign" and word.text == sign

    def _take(self) -> _Word:
        word = self._peek()
        if word is None:
            raise QueryError("the query ends too early: a parenthesis or brace is not closed")
        self._place += 1
        return word


def _selector(name: str | None, matchers: list[_Matcher]) -> str:
    """All of it between braces: its safety depends on nothing around it."""
    named = [each for each in matchers if each.label == _NAME and each.operator == "="]
    if name is not None and any(each.label == _NAME for each in matchers):
        raise QueryError(f"{name} has a second name in its braces")
    if name is not None:
        named = [_Matcher(label=_NAME, operator="=", value=name)]
        matchers = [*named, *matchers]
    names = {each.value for each in named}
    for each in names:
        if is_of_the_harness(each):
            raise HiddenError(f"{each} is not shown here: list_metrics says what is")
    of_app = _Matcher(label=JOB, operator="=", value=APP_JOB)
    if not (of_app in matchers or any(is_seen(each) for each in names)):
        seen = _Matcher(label=_NAME, operator="=~", value=SEEN_PATTERN)
        matchers = [*matchers, of_app if names else seen]
    return "{" + ",".join(map(str, matchers)) + "}"


def _words(query: str) -> Iterator[_Word]:
    place = 0
    while place < len(query):
        found = _WORDS.match(query, place)
        if found is None or found.lastgroup is None:
            raise QueryError(
                f"{query[place : place + 20]!r} at character {place} is not understood"
            )
        kind = next(
            kind
            for kind in ("space", "range", "duration", "number", "name", "text", "sign")
            if found.group(kind) is not None
        )
        if kind != "space":
            yield _Word(kind=kind, text=found.group(), at=place)
        place = found.end()


def _value(word: _Word) -> str:
    """What a text says, as Go reads it."""
    quote, inside = word.text[0], word.text[1:-1]
    if quote == "`":
        return inside.replace("\r", "")
    return re.sub(
        r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", lambda found: _escape(found, word), inside
    )


def _escape(found: re.Match[str], word: _Word) -> str:
    text = found.group(1)
    if text in _ESCAPES:
        return _ESCAPES[text]
    if len(text) > 1 and (code := int(text[1:], 16)) and (text[0] == "u" or code < 0x80):  # noqa: PLR2004
        return chr(code)
    raise QueryError(f"the text at character {word.at} has an escape that is not understood")


def _quoted(text: str) -> str:
    """JSON's escapes of what is in ASCII are Go's too; the rest is written as it is."""
    return json.dumps(text, ensure_ascii=False)


def _may_be_a_label(name: str) -> bool:
    return not (is_seen(name) or is_of_the_harness(name) or _NO_LABEL.search(name))


def _require_few_steps(words: tuple[_Word, ...]) -> None:
    """Subqueries in each other multiply; a query must not keep Prometheus from its rules."""
    steps = 1.0
    for word in words:
        if word.kind != "range":
            continue
        found = _WORDS.match(word.text)
        assert found is not None  # noqa: S101 - it was found like this
        if found.group("sub") is None:
            continue
        step_s = _seconds(found.group("step")) if found.group("step") else _DEFAULT_STEP_S
        steps *= max(1.0, _seconds(found.group("over")) / max(step_s, 0.001))
    if steps > _MOST_STEPS:
        raise QueryError("the subqueries have too many steps: take a longer step or less time")


def _seconds(duration: str) -> float:
    parts = re.findall(r"(\d+)(ms|[smhdwy])", duration)
    return sum(int(count) * _PART_S[unit] for count, unit in parts)


def _stray(word: _Word) -> QueryError:
    return QueryError(f"{word.text!r} at character {word.at} is not understood there")
