"""Where a client of a campaign may send its secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaign.cli.operator_common import checked_url, find_member
from campaign.errors import UsageError


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8390",
        "http://127.9.9.9:8390/",
        "http://[::1]:8390",
        "http://localhost:8390",
        "https://oncall.example.org",
    ],
)
def test_tokens_go_to_this_machine_or_encrypted(url: str) -> None:
    assert checked_url(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.7:8390",
        "http://oncall.example.org:8390",
        "http://127.0.0.1.example.org",
        "http://localhost.example.org",
        "http://2130706433.example.org:80",
        "http://127.0.0.1@example.org",
    ],
)
def test_tokens_do_not_cross_a_network_for_everybody_to_read(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATCHET_SEAT_TOKEN", "seat.secret")
    with pytest.raises(UsageError) as caught:
        find_member(tmp_path, url, None)
    assert "seat.secret" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8390", "ftp://127.0.0.1", "http://", "http://127.0.0.1:x", "http://[::"]
)
def test_what_is_no_address_is_told_with_an_example(url: str) -> None:
    with pytest.raises(UsageError, match="is no URL") as caught:
        checked_url(url)
    assert "127.0.0.1:8390" in caught.value.hint


@pytest.mark.parametrize("url", ["http://u:secret@127.0.0.1", "http://127.0.0.1/?token=secret"])
def test_a_secret_in_an_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match="a host and a port") as caught:
        checked_url(url)
    assert "secret" not in str(caught.value)
