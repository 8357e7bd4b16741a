"""What docker itself makes of the compose file."""

from __future__ import annotations

import json

import pytest

from tests.compose_kit import Project, why_no_engine

NO_ENGINE = why_no_engine()

pytestmark = pytest.mark.skipif(bool(NO_ENGINE), reason=f"NOT CHECKED with docker: {NO_ENGINE}")


def test_it_is_accepted_without_a_word_and_without_anything_to_edit() -> None:
    done = Project().run("config", "--quiet")
    assert (done.stdout, done.stderr) == ("", "")


def test_what_is_said_in_the_environment_gets_there() -> None:
    said = {"APP_CPUSET": "1", "RATCHET_LADDER": "missing_index", "PAGE_PORT": "18390"}
    told = Project(variables=said).run("config", "--format", "json")
    services = json.loads(told.stdout)["services"]
    assert services["app"]["cpuset"] == "1"
    assert services["campaign"]["environment"]["RATCHET_LADDER"] == "missing_index"
    (port,) = services["campaign"]["ports"]
    assert (port["host_ip"], port["published"]) == ("127.0.0.1", "18390")
