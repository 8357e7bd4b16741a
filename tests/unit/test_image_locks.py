"""The images install what everything else is tested with."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
IMAGES = sorted(lock.parent for lock in ROOT.glob("deploy/images/*/requirements.lock"))
MENDED_BY = "`make locks` mends it"
#: what the images run; a pin for another platform is none
IN_AN_IMAGE = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.13.0",
    "python_version": "3.13",
    "sys_platform": "linux",
}


def requirements(text: str) -> list[Requirement]:
    """Of a file of pip's, without hashes; only what an image installs."""
    lines = (line.split("--hash=")[0].strip() for line in text.replace("\\\n", " ").splitlines())
    every = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return [one for one in every if one.marker is None or one.marker.evaluate(IN_AN_IMAGE)]


def pins(text: str) -> dict[str, str]:
    """Name to version."""
    found: dict[str, str] = {}
    for one in requirements(text):
        (pin,) = one.specifier
        assert pin.operator == "=="
        assert canonicalize_name(one.name) not in found
        found[canonicalize_name(one.name)] = pin.version
    return found


def differences(image: Mapping[str, str], root: Mapping[str, str]) -> list[str]:
    """What an image has otherwise than the root's lock says, a line each."""
    return [
        f"{name} {version}: requirements.lock has {root.get(name, 'none')}; {MENDED_BY}"
        for name, version in image.items()
        if root.get(name) != version
    ]


def asked_for(image: Path) -> list[Requirement]:
    """What its lock was made from; the campaign is the project itself."""
    if (file := image / "requirements.in").exists():
        return requirements(file.read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return requirements("\n".join(project["dependencies"]))


def unmet(wanted: list[Requirement], pinned: Mapping[str, str]) -> list[str]:
    """Which requirements no pin satisfies, a line each."""
    found = {one: pinned.get(canonicalize_name(one.name)) for one in wanted}
    return [
        f"{one}: pinned is {version}; {MENDED_BY}"
        for one, version in found.items()
        if version is None or not one.specifier.contains(version, prereleases=True)
    ]


def test_there_are_images() -> None:
    assert {image.name for image in IMAGES} >= {"app", "campaign", "loadgen"}


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_an_image_has_the_versions_of_the_project_s_lock(image: Path) -> None:
    installed = pins((image / "requirements.lock").read_text())
    assert installed
    assert differences(installed, pins((ROOT / "requirements.lock").read_text())) == []


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_an_image_has_all_that_is_asked_for(image: Path) -> None:
    wanted = asked_for(image)
    assert wanted
    assert unmet(wanted, pins((image / "requirements.lock").read_text())) == []


def test_a_pin_that_differs_or_is_unknown_is_named_with_what_mends_it() -> None:
    root = pins("one==1 \\\n    --hash=sha256:0\nTwo==2 ; sys_platform == 'linux'\n")
    image = pins("one==1\ntwo==2.1\nthree==3\nfour==4 ; sys_platform == 'win32'\n")
    assert differences(image, root) == [
        "two 2.1: requirements.lock has 2; `make locks` mends it",
        "three 3: requirements.lock has none; `make locks` mends it",
    ]


def test_what_is_asked_for_and_not_pinned_is_named() -> None:
    wanted = requirements("# a remark\none>=2\ntwo[extra]>=1\nthree\n")
    assert unmet(wanted, {"one": "1", "two": "1"}) == [
        "one>=2: pinned is 1; `make locks` mends it",
        "three: pinned is None; `make locks` mends it",
    ]
