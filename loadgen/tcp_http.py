"""HTTP over TCP: the way to an app on another host, through an edge that relays to its socket."""

from __future__ import annotations

import socket as os_socket

from loadgen.http_client import POOL_SIZE, Connection, HttpClient, KeptPool


class TcpConnectionPool(KeptPool):
    """Keep-alive connections to a host and port.

    A reset on a new connection is believed to be the app's answer: between us and the app there
    is a relay, which had read the request. On a used one it is sent again, as over a Unix socket.
    """

    reset_is_unread = False

    def __init__(self, host: str, port: int) -> None:
        # How long a client waits is its own matter, not that of its connection.
        super().__init__(
            host, port, host, port, size=POOL_SIZE, connection_timeout=None, network_timeout=None
        )

    def _create_tcp_socket(self, family: int, socktype: int, protocol: int) -> Connection:
        return Connection(family, socktype, protocol)

    def after_connect(self, sock: Connection) -> None:
        sock.setsockopt(os_socket.IPPROTO_TCP, os_socket.TCP_NODELAY, 1)


class TcpHttpClient(HttpClient):
    """Sends requests to whatever listens at `host` and `port`."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(TcpConnectionPool(host, port))
