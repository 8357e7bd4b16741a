from __future__ import annotations

import socket
from contextlib import closing

import pytest

from campaign.stack.errors import PortInUseError
from campaign.stack.network import LOOPBACK, Ports, choose_ports, is_port_clash


def test_free_ports_are_all_different_and_can_be_bound() -> None:
    chosen = choose_ports(Ports())
    ports = {chosen.prometheus, chosen.loadgen, chosen.app}
    assert len(ports) == 3
    for port in ports:
        with closing(socket.create_server((LOOPBACK, port))):
            pass


def test_a_port_asked_for_by_number_is_kept() -> None:
    free = choose_ports(Ports()).loadgen
    assert choose_ports(Ports(loadgen=free)).loadgen == free


def test_a_taken_port_is_wrong_use_and_named_with_who_wanted_it() -> None:
    with closing(socket.create_server((LOOPBACK, 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"port {port} for Prometheus") as caught:
            choose_ports(Ports(prometheus=port))
    assert caught.value.exit_code == 2
    assert "choose another" in caught.value.hint


def test_only_a_choice_with_freedom_in_it_can_be_made_again() -> None:
    assert Ports(prometheus=9090, loadgen=8089).any_free
    assert not Ports(prometheus=9090, loadgen=8089, app=8000).any_free


@pytest.mark.parametrize(
    "line",
    [
        "listen tcp 127.0.0.1:9090: bind: address already in use",
        "OSError: [Errno 98] Address already in use: ('127.0.0.1', 8089)",
    ],
)
def test_a_lost_race_for_a_port_is_told_by_the_last_words(line: str) -> None:
    assert is_port_clash(("starting", line))
    assert not is_port_clash(("starting", "no space left on device"))
