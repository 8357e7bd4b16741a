"""``health URL [SOCKET]``: exit 0 when a GET is answered with 200, by TCP or on a Unix socket.

It runs every few seconds in each container, so it imports next to nothing.
"""

import socket
import sys

_TIMEOUT_S = 4.0


def main() -> int:
    url, *unix = sys.argv[1:]
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    with _connected(unix[0] if unix else (name, int(port or "80"))) as connection:
        connection.sendall(f"GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        first = connection.recv(64).split()
    return 0 if first[1:2] == [b"200"] else 1


def _connected(address: str | tuple[str, int]) -> socket.socket:
    if isinstance(address, tuple):
        return socket.create_connection(address, _TIMEOUT_S)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_TIMEOUT_S)
    connection.connect(address)
    return connection


if __name__ == "__main__":
    sys.exit(main())
