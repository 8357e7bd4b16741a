"""Why a process did not come up, in words, from how it ended and what it wrote. Pure."""

import re
from collections.abc import Sequence

#: What asyncpg, psycopg and Postgres itself say when every connection slot is taken.
_STARVED = re.compile(
    r"remaining connection slots are reserved"
    r"|too many clients"
    r"|too many connections"
    r"|TooManyConnections",
    re.IGNORECASE,
)

#: The last line of a Python traceback, such as ``ModuleNotFoundError: No module named 'x'``.
_RAISED = re.compile(r"^(?P<error>[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt))(: .*)?$")

#: The line of a traceback that names the place.
_PLACE = re.compile(r'^\s+File "(?P<file>[^"]+)", line (?P<line>\d+)')

#: How many last log lines are looked at, and how many are quoted when there is no traceback.
_LOOK_BACK = 200
_QUOTED = 3


def starved_of_connections(lines: Sequence[str]) -> bool:
    """Tell whether the process complained that the database has no connection left for it."""
    return any(_STARVED.search(line) for line in lines[-_LOOK_BACK:])


def why(ending: str, lines: Sequence[str]) -> str:
    """Return ``ending`` with the error that the log ends with, or else its last lines."""
    error = _last_error(lines[-_LOOK_BACK:])
    if error is not None:
        return f"{ending}: {error}"
    quoted = [line.strip() for line in lines if line.strip()][-_QUOTED:]
    return f"{ending}; last log lines: {' | '.join(quoted)}" if quoted else f"{ending}; no output"


def _last_error(lines: Sequence[str]) -> str | None:
    for index in range(len(lines) - 1, -1, -1):
        if _RAISED.match(lines[index]):
            return lines[index] + _place(lines[:index])
    return None


def _place(lines: Sequence[str]) -> str:
    for line in reversed(lines):
        if found := _PLACE.match(line):
            return f" ({found['file'].rsplit('/', 1)[-1]}, line {found['line']})"
    return ""
