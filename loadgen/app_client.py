"""The way to the app that a process was told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.tcp_http import TcpHttpClient
from loadgen.unix_http import UnixHttpClient

if TYPE_CHECKING:
    from loadgen.config import Config
    from loadgen.http_client import HttpClient


def client_of(config: Config) -> HttpClient:
    """Over the app's Unix socket, or over TCP."""
    if config.app_socket is not None:
        return UnixHttpClient(str(config.app_socket))
    assert config.app_address is not None  # noqa: S101 - Config has one of the two
    host, _, port = config.app_address.rpartition(":")
    return TcpHttpClient(host.strip("[]"), int(port))
