"""What the services are told is what they understand."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from campaign.errors import UsageError
from campaign.identity import own_identity
from campaign.runs import new_run
from campaign.stack.components import LoadgenSettings, SupervisorSettings
from campaign.stack.compose.parts import loadgen_config, supervisor_config, write_json
from campaign.stack.compose.places import ComposePlaces, is_compose
from campaign.stack.compose.setup import folders, set_up
from campaign.stack.errors import StackError
from campaign.stack.programs import PrometheusPrograms
from campaign.stack.prometheus import (
    MOST_KEPT,
    SCRAPE_INTERVAL,
    SCRAPE_TIMEOUT,
    PrometheusServer,
    ScrapeJob,
    configuration,
)
from campaign.supervisor import load_config
from loadgen.config import Config

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy/prometheus/prometheus.yml"


def places_in(root: Path) -> ComposePlaces:
    return ComposePlaces(root=root)


@pytest.fixture
def owners(monkeypatch: pytest.MonkeyPatch) -> dict[Path, tuple[int, int]]:
    """Who was given what; nobody but root can do it."""
    given: dict[Path, tuple[int, int]] = {}
    monkeypatch.setattr(
        os, "chown", lambda path, user, group: given.update({Path(path): (user, group)})
    )
    return given


def test_the_supervisor_understands_its_configuration(tmp_path: Path) -> None:
    settings = SupervisorSettings(wheels_dir=Path("/opt/wheels"))
    file = tmp_path / "supervisor.json"
    write_json(file, supervisor_config(settings, ComposePlaces(), run="a-campaign"))
    config = load_config(file)
    assert config.sandbox == "container"
    assert config.control_socket_mode == 0o660
    assert config.relay_port is None
    assert len(set(config.users)) > 2
    assert config.state_dir == Path("/var/lib/ratchet/app/runs/a-campaign/supervisor")


def test_no_campaign_shares_the_folder_of_the_supervisor_that_has_none(
    tmp_path: Path, owners: dict[Path, tuple[int, int]]
) -> None:
    places = places_in(tmp_path)
    set_up(places)
    assert owners
    folder = Path(json.loads(places.supervisor_config.read_text())["state_dir"]).parent
    assert folder.parent == places.app_runs
    with pytest.raises(UsageError, match="cannot be a campaign's name"):
        new_run(tmp_path / "runs", folder.name)


def test_the_load_generator_understands_its_configuration() -> None:
    settings = LoadgenSettings(clients="loadgen.chat_db_app", seed=7)
    told = loadgen_config(settings, ComposePlaces(), token="t")  # noqa: S106 - opens nothing
    config = Config.model_validate_json(json.dumps(told))
    assert config.seed == 7
    assert config.app_socket == Path("/run/ratchet/app/app.sock")


def test_prometheus_scrapes_as_often_as_on_the_local_stack() -> None:
    config = YAML(typ="safe").load(PROMETHEUS.read_text())
    assert config["global"]["scrape_interval"] == SCRAPE_INTERVAL
    assert config["global"]["evaluation_interval"] == SCRAPE_INTERVAL
    assert config["global"]["scrape_timeout"] == SCRAPE_TIMEOUT
    jobs = {job["job_name"] for job in config["scrape_configs"]}
    assert jobs >= {"prometheus", "loadgen", "loadgen-master", "app", "ratchet"}


def test_prometheus_takes_no_more_from_the_app_than_on_the_local_stack() -> None:
    told: Any = configuration([ScrapeJob(name="app", port=8000, is_judged=True)], ())
    (local,) = told["scrape_configs"]
    config = YAML(typ="safe").load(PROMETHEUS.read_text())
    (app,) = (job for job in config["scrape_configs"] if job["job_name"] == "app")
    for bound in ("sample_limit", "body_size_limit", "metric_relabel_configs"):
        assert app[bound] == local[bound]


def test_a_file_is_never_seen_half_written(tmp_path: Path) -> None:
    file = tmp_path / "told.json"
    write_json(file, {"a": 1})
    before = file.open()
    write_json(file, {"a": 2})
    assert json.load(before) == {"a": 1}
    assert json.loads(file.read_text()) == {"a": 2}
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [file]


def test_secrets_are_made_once_and_differ(
    tmp_path: Path, owners: dict[Path, tuple[int, int]]
) -> None:
    places = places_in(tmp_path)
    set_up(places)
    made = {
        path: path.read_text()
        for path in (places.database_password, places.loadgen_token, places.daemon_token)
    }
    assert len(set(made.values())) == 3
    assert all(len(text.strip()) >= 24 for text in made.values())
    set_up(places)
    assert made == {path: path.read_text() for path in made}
    assert owners[places.app_runs] == (0, 10001)


def test_a_secret_can_be_read_by_its_owner_and_no_stranger(
    tmp_path: Path, owners: dict[Path, tuple[int, int]]
) -> None:
    places = places_in(tmp_path)
    set_up(places, given_key="sk-test")
    for path in (
        places.database_password,
        places.loadgen_token,
        places.daemon_token,
        places.api_key,
    ):
        assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0
    assert places.api_key.read_text().strip() == "sk-test"
    assert owners[places.control] == (0, 10001)


def test_a_key_that_is_no_longer_given_is_forgotten(
    tmp_path: Path, owners: dict[Path, tuple[int, int]]
) -> None:
    assert owners == {}
    places = places_in(tmp_path)
    set_up(places, given_key="sk-test")
    set_up(places)
    assert places.api_key.read_text() == ""


def test_the_webhooks_secret_is_the_campaigns_alone_and_forgotten_when_it_is_not_given(
    tmp_path: Path, owners: dict[Path, tuple[int, int]]
) -> None:
    """Both of its lines, while it is changed."""
    places = places_in(tmp_path)
    set_up(places, given_webhook_secret="whsec_bmV3\nwhsec_b2xk")  # noqa: S106 - the test's
    assert places.webhook_secret.read_text() == "whsec_bmV3\nwhsec_b2xk\n"
    assert stat.S_IMODE(places.webhook_secret.stat().st_mode) == 0o400
    assert owners
    set_up(places)
    assert places.webhook_secret.read_text() == ""


def test_the_campaign_is_told_where_the_secret_is_when_one_is_given() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    inside = str(ComposePlaces().webhook_secret)
    assert f"RATCHET_WEBHOOK_SECRET_FILE: ${{RATCHET_WEBHOOK_SECRET_FILE:+{inside}}}" in text
    assert "secrets: [anthropic_api_key, webhook_secret]" in text


def test_prometheus_keeps_no_more_than_on_the_local_stack() -> None:
    """An app that invents series fills the disk on neither."""
    command = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())["services"]
    assert f"--storage.tsdb.retention.size={MOST_KEPT}" in command["prometheus"]["command"]
    server = PrometheusServer(
        programs=PrometheusPrograms(prometheus=Path("/p"), promtool=Path("/t"), version="3.5.0"),
        folder=Path("/data"),
        port=1,
        identity=own_identity(),
        jobs=(),
    )
    spec = server.service(log_file=Path("/log"))
    assert f"--storage.tsdb.retention.size={MOST_KEPT}" in spec.process.argv


def test_what_a_campaign_told_the_services_survives_the_next_start(
    tmp_path: Path, owners: dict[Path, tuple[int, int]]
) -> None:
    assert owners == {}
    places = places_in(tmp_path)
    set_up(places)
    write_json(places.loadgen_config, {"seed": 9})
    set_up(places)
    assert json.loads(places.loadgen_config.read_text()) == {"seed": 9}


def test_neither_the_app_nor_a_stranger_may_enter_what_is_not_theirs() -> None:
    open_to_all = {str(folder.path) for folder in folders(ComposePlaces()) if folder.mode & 0o001}
    assert open_to_all == {
        "/run/postgresql",
        "/run/ratchet/app",
        # These two, and what is in the second, are for the shells.
        "/srv",
        "/srv/app",
        "/var/lib/ratchet/app",
        "/var/lib/ratchet/environments",
        "/var/lib/ratchet/releases",
    }


def test_an_unknown_stack_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATCHET_STACK", "kubernetes")
    with pytest.raises(StackError, match="there are local and compose"):
        is_compose()
