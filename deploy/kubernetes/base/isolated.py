"""``isolated ADDRESS:PORT...``: exit 0 when none of these can be reached from here, else 1.

A cluster whose network does not enforce policies takes them without a word. So the app's pod does
not start before this has tried those that always listen: the API server, and its node's kubelet. A
policy may come into force a little after the pod, so it is tried for a while.
"""

import ipaddress
import socket
import sys
import time

_PATIENCE_S = 60.0
_TIMEOUT_S = 2.0
_PAUSE_S = 1.0
#: one failure to connect may be a chance
_ROUNDS = 2
_WRONG_USE = 2


def main() -> int:
    try:
        targets = [_target(word) for word in sys.argv[1:]]
    except ValueError as error:
        sys.stderr.write(f"isolated: {error}\n")
        return _WRONG_USE
    if not targets:
        sys.stderr.write("isolated: what is to be tried? ADDRESS:PORT, once or more\n")
        return _WRONG_USE
    deadline, blocked, reached = time.monotonic() + _PATIENCE_S, 0, ""
    while blocked < _ROUNDS:
        reached = next((f"{host}:{port}" for host, port in targets if _reaches(host, port)), "")
        blocked = 0 if reached else blocked + 1
        if reached and time.monotonic() > deadline:
            sys.stderr.write(
                f"isolated: {reached} can be reached, so the app could reach it too. This cluster's"
                " network does not enforce NetworkPolicy; nothing is played here.\n"
            )
            return 1
        time.sleep(_PAUSE_S)
    return 0


def _target(word: str) -> tuple[str, int]:
    """A name is refused: that it cannot be resolved says nothing of what can be reached."""
    host, _, port = word.rpartition(":")
    ipaddress.ip_address(host)
    return host, int(port)


def _reaches(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), _TIMEOUT_S).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
