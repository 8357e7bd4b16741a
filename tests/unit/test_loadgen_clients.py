"""Behaviours of ours by their module, of a user's own target by their file."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadgen import chat_db_app
from loadgen.clients import ClientsError, load_clients

CLIENTS = '''\
from __future__ import annotations

from dataclasses import dataclass

from loadgen.calls import Behaviour, Call, get, is_object
from loadgen.load import Params, Range


class CanaryParams(Params):
    """Whom it asks for."""

    users: Range = Range(first=1, count=10)


@dataclass(frozen=True)
class Place:
    user: int


class Canary(Behaviour[CanaryParams]):
    """Looks itself up."""

    name = "canary"
    params_model = CanaryParams
    operations = ("get_user",)

    def call(self, arrival):
        place = Place(self.params.users.at(arrival.user))
        return Call(method="GET", wire=get("/me", user_id=place.user), accept=is_object)


BEHAVIOURS = (Canary,)
'''


def test_a_module_is_named() -> None:
    assert load_clients("loadgen.chat_db_app") == chat_db_app.BEHAVIOURS


def test_a_file_is_named_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "clients.py"
    file.write_text(CLIENTS)
    (canary,) = load_clients(str(file))
    assert canary.name == "canary"
    params = canary.params_model.model_validate({"users": [5, 2]})
    assert params.model_dump()["users"] == {"first": 5, "count": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"clients\.py cannot be loaded: FileNotFoundError"),
        ("def", r"clients\.py cannot be loaded: SyntaxError"),
        ("import no_such_module", "cannot be loaded: ModuleNotFoundError"),
        ("1 / 0", "cannot be loaded: ZeroDivisionError"),
        ("", "has no BEHAVIOURS: a tuple of subclasses of Behaviour"),
        ("BEHAVIOURS = (int,)", "<class 'int'> in BEHAVIOURS is no subclass of Behaviour"),
        (CLIENTS.replace('    name = "canary"\n', ""), "Canary has no name"),
        (CLIENTS.replace("    params_model = CanaryParams\n", ""), "Canary has no params_model"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path: Path, text: str | None, message: str) -> None:
    file = tmp_path / "clients.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ClientsError, match=message):
        load_clients(str(file))


def test_a_module_that_is_not_there_is_told() -> None:
    with pytest.raises(ClientsError, match=r"loadgen\.no_such cannot be loaded"):
        load_clients("loadgen.no_such")
