"""scripts/test-containers and the end of .ci/run, with stubs for docker, its engine and pytest."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
SAID = "CONTAINERS ARE NOT TESTED: "
NO_ENGINE = 75

#: each lists its calls; the engine answers while there is a file `answers`, an image is a file
DOCKER = """\
case "$1 $2" in
    "info "*) test -e "$STUBS/answers" ;;
    "compose version") test -e "$STUBS/compose" ;;
    "image inspect") test -e "$STUBS/images/${3%%/*}" ;;
    "pull --quiet") echo "no route to $3"; exit 1 ;;
    *) echo "$*" >>"$STUBS/asked" ;;
esac
"""
PIDOF = 'cat "$STUBS"/*.pid 2>/dev/null | xargs'
PYTEST = """\
echo "RATCHET_COMPOSE=$RATCHET_COMPOSE $*" >"$STUBS/played"
exit "$(cat "$STUBS/status" 2>/dev/null || echo 0)"
"""
ENGINE = ["sleep", "300"]
START_ENGINE = """\
# debootstrap
setsid sleep 300 >/dev/null 2>&1 </dev/null & echo $! >"$STUBS/new.pid"
"""
BUILDER = (
    START_ENGINE
    + """\
mkdir -p "$STUBS/images"
for image in "$@"; do touch "$STUBS/images/${image%%/*}"; done
touch "$STUBS/answers" "$STUBS/compose"
"""
)
FAILING_BUILDER = START_ENGINE + "echo the mirror is away; exit 3"


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """The scripts, in a folder whose parent is theirs too."""

    path: Path

    @property
    def stubs(self) -> Path:
        return self.path.parent / "stubs"

    def program(self, path: Path, text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}")
        path.chmod(0o755)
        return path

    def run(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.stubs / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [self.path / script],
            env={"PATH": path, "STUBS": str(self.stubs), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
        )

    def played(self) -> str:
        file = self.stubs / "played"
        return file.read_text().strip() if file.exists() else ""

    def engine(self, name: str) -> bool:
        """Whether it runs: one that has ended may be there still, without its program."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(int((self.stubs / f"{name}.pid").read_text()))
            return process.cmdline() == ENGINE
        return False


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    made = Checkout(path=tmp_path / "checkout")
    for name in ("scripts/test-containers", ".ci/run", "docker-compose.yml"):
        (made.path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, made.path / name)
    for file in ROOT.glob("deploy/images/*/Dockerfile"):
        copy = made.path / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True)
        shutil.copy(file, copy)
    made.program(made.stubs / "bin/docker", DOCKER)
    made.program(made.stubs / "bin/pidof", PIDOF)
    made.program(made.path / ".venv/bin/pytest", PYTEST)
    yield made
    for file in made.stubs.glob("*.pid"):
        if made.engine(file.stem):
            psutil.Process(int(file.read_text())).kill()


def test_without_an_engine_or_a_builder_it_says_loudly_that_nothing_was_tested(
    checkout: Checkout,
) -> None:
    done = checkout.run("scripts/test-containers")
    assert done.returncode == NO_ENGINE
    assert f"{SAID}no docker engine answers" in done.stdout
    assert checkout.played() == ""


def test_a_builder_makes_what_is_missing_and_its_engine_is_ended(checkout: Checkout) -> None:
    builder = checkout.program(checkout.stubs / "make-images", BUILDER)
    done = checkout.run("scripts/test-containers", RATCHET_IMAGES_BUILDER=str(builder))
    assert done.returncode == 0, done.stdout
    assert SAID not in done.stdout
    images = {file.name for file in (checkout.stubs / "images").iterdir()}
    assert images == {"postgres:17", "python:3.13-slim", "prom", "grafana"}
    assert checkout.played().startswith("RATCHET_COMPOSE=1 tests/acceptance/test_compose.py -k ")
    assert not checkout.engine("new")
    assert "ratchet-test-" in (checkout.stubs / "asked").read_text()


def test_an_engine_that_ran_before_stays(checkout: Checkout) -> None:
    with subprocess.Popen(ENGINE) as before:
        (checkout.stubs / "old.pid").write_text(f"{before.pid}\n")
        builder = checkout.program(checkout.stubs / "make-images", BUILDER)
        done = checkout.run("scripts/test-containers", RATCHET_IMAGES_BUILDER=str(builder))
        assert done.returncode == 0, done.stdout
        assert checkout.engine("old")
        assert not checkout.engine("new")
        before.kill()


def test_nothing_is_built_where_all_is_there(checkout: Checkout) -> None:
    for name in ("answers", "compose", "images/postgres:17", "images/python:3.13-slim"):
        (checkout.stubs / name).parent.mkdir(exist_ok=True)
        (checkout.stubs / name).touch()
    for name in ("prom", "grafana"):
        (checkout.stubs / "images" / name).touch()
    builder = checkout.program(checkout.stubs / "make-images", FAILING_BUILDER)
    done = checkout.run("scripts/test-containers", RATCHET_IMAGES_BUILDER=str(builder))
    assert done.returncode == 0, done.stdout
    assert checkout.played()


def test_a_builder_that_fails_means_that_nothing_was_tested(checkout: Checkout) -> None:
    builder = checkout.program(checkout.stubs / "make-images", FAILING_BUILDER)
    done = checkout.run("scripts/test-containers", RATCHET_IMAGES_BUILDER=str(builder))
    assert done.returncode == NO_ENGINE
    assert "the mirror is away" in done.stdout
    assert f"{SAID}{builder} ended with status 3" in done.stdout
    assert checkout.played() == ""
    assert not checkout.engine("new")


def test_an_image_that_cannot_be_pulled_means_that_nothing_was_tested(checkout: Checkout) -> None:
    (checkout.stubs / "answers").touch()
    done = checkout.run("scripts/test-containers")
    assert done.returncode == NO_ENGINE
    assert "no route to grafana/grafana:" in done.stdout
    assert SAID in done.stdout


def test_a_test_that_fails_is_a_failure(checkout: Checkout) -> None:
    (checkout.stubs / "status").write_text("1")
    builder = checkout.program(checkout.stubs / "make-images", BUILDER)
    done = checkout.run("scripts/test-containers", RATCHET_IMAGES_BUILDER=str(builder))
    assert done.returncode == 1
    assert SAID not in done.stdout
    assert not checkout.engine("new")


def test_what_lies_beside_the_checkout_is_run_in_ci_alone(checkout: Checkout) -> None:
    checkout.program(checkout.path.parent / "a/b/c/build", BUILDER)
    checkout.program(checkout.path.parent / "a/a/a/build", "touch $STUBS/another-project-was-built")
    done = checkout.run("scripts/test-containers")
    assert done.returncode == NO_ENGINE
    done = checkout.run("scripts/test-containers", CI="true")
    assert done.returncode == 0, done.stdout
    assert checkout.played()
    assert not (checkout.stubs / "another-project-was-built").exists()


def ci(checkout: Checkout, **variables: str) -> subprocess.CompletedProcess[str]:
    """All of it, of which everything else succeeds."""
    for name in ("make", "chromium", "apt-get"):
        checkout.program(checkout.stubs / "bin" / name, "exit 0")
    checkout.program(checkout.path / ".venv/bin/ratchet", "exit 0")
    return checkout.run(".ci/run", **variables)


def test_ci_ends_with_what_it_has_not_tested_and_does_not_fail_for_it(checkout: Checkout) -> None:
    done = ci(checkout)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(SAID) == 2
    assert SAID in "".join(done.stdout.splitlines()[-3:])


def test_ci_fails_when_the_containers_fail(checkout: Checkout) -> None:
    (checkout.stubs / "status").write_text("1")
    builder = checkout.program(checkout.stubs / "make-images", BUILDER)
    done = ci(checkout, RATCHET_IMAGES_BUILDER=str(builder))
    assert done.returncode == 1
    assert SAID not in done.stdout
