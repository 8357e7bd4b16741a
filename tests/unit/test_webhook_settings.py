"""Where notices go, as it is given, checked and kept; and how far they were acknowledged."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from campaign.cli.webhook_options import WebhookArguments, webhook_of
from campaign.errors import UsageError
from campaign.model import Webhook
from campaign.orders import Order, specify
from campaign.webhook import kept, require_usable
from campaign.webhook.cursor import CursorFile
from campaign.webhook.notice import BEGINNING, Place
from campaign.webhook.settings import host_of, keep, keys_of
from tests.webhook_kit import SECRET, TOKEN

URL = f"https://pager.example:8443/{TOKEN}?key={TOKEN}"


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    file = tmp_path / "webhook.secret"
    file.write_text(f"{SECRET}\n")
    return file


def test_an_address_and_a_secret_are_usable(secret_file: Path) -> None:
    webhook = Webhook(url=URL, secret_file=str(secret_file))
    require_usable(webhook)
    assert keys_of(webhook) == (b"0123456789abcdef" * 2,)


def test_of_the_address_only_the_host_is_shown() -> None:
    webhook = Webhook(url=URL)
    assert host_of(webhook) == "https://pager.example:8443"
    assert TOKEN not in repr(webhook)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "pager.example",
        f"ftp://pager.example/{TOKEN}",
        f"https:///{TOKEN}",
        f"https://pager.example:0/{TOKEN}",
        f"https://pager.example:x/{TOKEN}",
        f"https://me:{TOKEN}@pager.example/",
        f"https://pager.example/#{TOKEN}",
        f"https://pager.example/{TOKEN}\r\nx: y",
        f"https://pager.example/{TOKEN} x",
        f"https://[::1/{TOKEN}",
        f"https://pager.example/{TOKEN}{'x' * 2000}",
    ],
)
def test_what_is_no_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match="--webhook") as caught:
        require_usable(Webhook(url=url))
    assert TOKEN not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("content", [b"", b"hunter2", b"\xff\xfe", b"whsec_aHVudGVyMg=="])
def test_what_is_no_secret_is_refused_and_not_repeated(secret_file: Path, content: bytes) -> None:
    secret_file.write_bytes(content)
    with pytest.raises(UsageError, match="secret") as caught:
        require_usable(Webhook(url=URL, secret_file=str(secret_file)))
    assert "hunter2" not in str(caught.value)
    assert "aHVudGVyMg" not in str(caught.value)


def test_a_secret_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be read.*gone\.secret"):
        require_usable(Webhook(url=URL, secret_file=str(tmp_path / "gone.secret")))


def test_the_advice_makes_a_secret_that_is_one(secret_file: Path) -> None:
    secret_file.write_text("")
    with pytest.raises(UsageError) as caught:
        require_usable(Webhook(url=URL, secret_file=str(secret_file)))
    _, _, command = caught.value.hint.partition("make one: ")
    subprocess.run(["sh", "-c", command], cwd=secret_file.parent, check=True)
    assert len(keys_of(Webhook(url=URL, secret_file=str(secret_file)))[0]) == 32


def test_what_is_kept_is_for_our_own_user_and_comes_back(tmp_path: Path) -> None:
    file, webhook = tmp_path / "webhook.json", Webhook(url=URL, secret_file="/a/secret")  # noqa: S106
    keep(file, Webhook(url="https://other.example"))
    keep(file, webhook)
    assert kept(file) == webhook
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_nothing_kept_is_nothing() -> None:
    assert kept(Path("/nowhere/webhook.json")) is None


@pytest.mark.parametrize("content", ["{", "[]", '{"address": 1}'])
def test_what_was_kept_and_means_nothing_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "webhook.json"
    file.write_text(content)
    with pytest.raises(UsageError, match=r"webhook\.json cannot be read"):
        kept(file)


# -- as it is given ---------------------------------------------------------------------------


def test_the_command_lines_are_an_address_and_a_file(secret_file: Path) -> None:
    asked = WebhookArguments(webhook=URL, webhook_secret_file=secret_file).asked
    assert asked == Webhook(url=URL, secret_file=str(secret_file))
    assert WebhookArguments().asked is None


def test_a_secret_without_an_address_is_a_mistake(secret_file: Path) -> None:
    with pytest.raises(UsageError, match="where to"):
        _ = WebhookArguments(webhook_secret_file=secret_file).asked


def test_the_environment_may_say_it_too() -> None:
    said = {"RATCHET_WEBHOOK": URL, "RATCHET_WEBHOOK_SECRET_FILE": "/run/secrets/webhook"}
    assert webhook_of(said) == Webhook(url=URL, secret_file="/run/secrets/webhook")  # noqa: S106
    assert webhook_of({"RATCHET_WEBHOOK": URL}) == Webhook(url=URL)
    assert webhook_of({"RATCHET_WEBHOOK": ""}) is None


CAMPAIGN = """\
target: chat_db_app
operator: none
profiles: [missing_index]
webhook:
  url: https://pager.example/x
  secret_file: secrets/webhook
"""


def test_a_campaign_file_names_its_secret_from_where_it_lies(tmp_path: Path) -> None:
    file = tmp_path / "campaign.yaml"
    file.write_text(CAMPAIGN)
    spec = specify(Order(file=file))
    expected = Webhook(url="https://pager.example/x", secret_file=f"{tmp_path}/secrets/webhook")
    assert spec.webhook == expected


def test_the_plan_which_everybody_can_read_knows_nothing_of_it(tmp_path: Path) -> None:
    file = tmp_path / "campaign.yaml"
    file.write_text(CAMPAIGN)
    assert "pager.example" not in repr(specify(Order(file=file)).plan("one"))


def test_a_campaign_file_with_another_kind_of_address_is_refused_with_its_line(
    tmp_path: Path,
) -> None:
    file = tmp_path / "campaign.yaml"
    file.write_text(CAMPAIGN.replace("https://", "gopher://"))
    with pytest.raises(UsageError, match=r"campaign\.yaml:5.*webhook\.url"):
        specify(Order(file=file))


# -- the cursor -------------------------------------------------------------------------------


async def test_a_cursor_is_what_was_written_last(tmp_path: Path) -> None:
    cursor = CursorFile(tmp_path / "webhook.cursor.json")
    assert cursor.read() == BEGINNING
    await cursor.write(Place(3, 1))
    await cursor.write(Place(12, 2))
    assert CursorFile(tmp_path / "webhook.cursor.json").read() == Place(12, 2)
    assert _names_in(tmp_path) == ["webhook.cursor.json"]


def _names_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"format": 2, "sequence": 1, "number": 1}',
        '{"format": 1, "sequence": -1, "number": 1}',
        '{"format": 1, "sequence": "1", "number": 1}',
        '{"format": 1, "sequence": true, "number": 1}',
        '{"format": 1, "sequence": 1}',
    ],
)
def test_a_cursor_that_means_nothing_is_the_beginning(tmp_path: Path, content: str) -> None:
    file = tmp_path / "webhook.cursor.json"
    file.write_text(content)
    assert CursorFile(file).read() == BEGINNING


async def test_a_cursor_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    cursor = CursorFile(tmp_path / "webhook.cursor.json")
    await cursor.write(Place(3, 1))
    (tmp_path / ".webhook.cursor.json.new").mkdir()
    with pytest.raises(OSError, match="directory"):
        await cursor.write(Place(4, 1))
    assert cursor.read() == Place(3, 1)
