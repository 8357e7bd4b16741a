"""Statements and how the database would run them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.fake_messages.oncall.evidence import NotEnoughError

_TABLE = re.compile(
    r"\b(?:FROM|JOIN|UPDATE)\s+(\w+)(?:\s+(?:AS\s+)?(?!WHERE|SET|ORDER|GROUP)(\w+))?", re.IGNORECASE
)
_PARAMETER = re.compile(
    r"(?:(?P<alias>\w+)\.)?(?P<column>\w+)\s+(?P<how>=|<|>|<=|>=|I?LIKE)\s+\$\d+\b"
    r"|(?P<word>LIMIT|OFFSET|ZONE)\s+\$\d+\b",
    re.IGNORECASE,
)
_SCAN = re.compile(r"Seq Scan on (?:\w+\.)?(\w+)(?: (\w+))?")
_EQUAL = re.compile(r"\((?:(?P<alias>\w+)\.)?(?P<column>\w+) = ")
_PATTERN = re.compile(r"\(*(?:(?P<alias>\w+)\.)?(?P<column>\w+)\)?(?:::text)? ~~\*? ")
_WORDS = {"LIMIT": "LIMIT 50", "OFFSET": "OFFSET 0", "ZONE": "ZONE 'UTC'"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A table read from end to end to find some of its rows."""

    table: str
    #: columns compared with a value
    equal: tuple[str, ...]
    #: columns compared with a pattern that may begin anywhere
    like: tuple[str, ...]


def explainable(statement: str) -> str:
    """The statement with values of the right kinds for its parameters.

    Raises:
        NotEnoughError: it has parameters of which it does not say what they are.
    """
    tables = _tables(statement)

    def value(match: re.Match[str]) -> str:
        if match["word"]:
            return _WORDS[match["word"].upper()]
        if match["how"].upper().endswith("LIKE"):
            example = "'%example%'"
        else:
            table = tables.get((match["alias"] or "").lower()) or next(iter(tables.values()), "")
            example = f"(SELECT {match['column']} FROM {table} LIMIT 1)"  # noqa: S608 - only explained
        before = f"{match['alias']}." if match["alias"] else ""
        return f"{before}{match['column']} {match['how']} {example}"

    filled = _PARAMETER.sub(value, statement)
    if re.search(r"\$\d", filled) or not tables:
        raise NotEnoughError("the statement's parameters are not all plain comparisons")
    return filled


def scans(plan: str) -> list[Scan]:
    """What the plan reads as a whole although a filter keeps only a part."""
    found: list[Scan] = []
    table, alias = "", ""
    for line in plan.splitlines():
        scan = _SCAN.search(line)
        if scan:
            table, alias = scan[1], scan[2] or scan[1]
        elif "->" in line:
            table = ""
        elif table and "Filter: " in line:
            condition = line.split("Filter: ", 1)[1]
            found.append(
                Scan(
                    table=table,
                    equal=_columns(_EQUAL, condition, alias),
                    like=_columns(_PATTERN, condition, alias),
                )
            )
            table = ""
    return [scan for scan in found if scan.equal or scan.like]


def is_plan(text: str) -> bool:
    return re.search(r"\(cost=[\d.]+ rows=\d+ width=\d+\)", text) is not None


def _tables(statement: str) -> dict[str, str]:
    """Tables by what the statement calls them."""
    found: dict[str, str] = {}
    for match in _TABLE.finditer(statement):
        found.setdefault((match[2] or match[1]).lower(), match[1])
    return found


def _columns(pattern: re.Pattern[str], condition: str, alias: str) -> tuple[str, ...]:
    matches = pattern.finditer(condition)
    found = [match["column"] for match in matches if match["alias"] in {None, alias}]
    return tuple(dict.fromkeys(found))
