"""What the exit codes of a command mean."""

from __future__ import annotations

EXIT_DONE = 0
EXIT_LOST = 1
EXIT_USAGE = 2
EXIT_HARNESS = 3
#: the operator cannot be reached: nothing is lost, resume when it can be
EXIT_AWAY = 4
#: as shells say of a process that SIGINT ended
EXIT_STOPPED = 130
