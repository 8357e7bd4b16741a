"""A new profile's folder: everything that is needed, with the places to fill in."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from chaos_profiles.catalogue import place, short_name
from chaos_profiles.checks import CALIBRATED, RESERVED_IDS
from chaos_profiles.json_schema import write_schemas
from chaos_profiles.problems import Problem
from chaos_profiles.reading import TargetFiles, read_target

_TEMPLATES = Path(__file__).with_name("templates")
_NAME = re.compile(r"^[a-z][a-z0-9_]{0,56}$")
_LAST_PLACE = 99
_WIDTH = 96


class ScaffoldError(ValueError):
    """No profile of that name can be made there; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaffold:
    """A profile's folder to be."""

    name: str
    #: the target's own folder, then those with further profiles of it
    target: Sequence[Path]
    #: the folder of targets that it is made in
    root: Path

    def write(self) -> Path:
        """The new folder, with profile.yaml, hacks/ and, above it, the schemas for editors.

        Raises:
            ScaffoldError: the name is unfit or taken, or the ladder is full.
        """
        ignored: list[Problem] = []  # other profiles may be under construction too
        files = read_target(self.target[0], more=self.target[1:], problems=ignored)
        folder = self.root / self.target[0].name / self._folder_name(files.folders)
        (folder / "hacks").mkdir(parents=True)
        (folder / "profile.yaml").write_text(self._profile_yaml(files, folder), encoding="utf-8")
        (folder / "hacks" / "README.md").write_text(_template("hacks.md"), encoding="utf-8")
        write_schemas(self.root / ".schema")
        return folder

    def _folder_name(self, taken: Iterable[str]) -> str:
        if not _NAME.match(self.name):
            raise ScaffoldError(f"{self.name!r} is no name: small letters, digits and _")
        for other in taken:
            if short_name(other) == self.name:
                raise ScaffoldError(f"there is a profile {other} already")
        number = max((place(other) for other in taken), default=0) + 1
        if number > _LAST_PLACE:
            raise ScaffoldError(f"the ladder has no place after {_LAST_PLACE}: remove a profile")
        return f"{number:02}_{self.name}"

    def _profile_yaml(self, files: TargetFiles, folder: Path) -> str:
        target = None if files.target is None else files.target.content
        behaviours = [] if target is None else sorted(target.behaviours)
        invariants = [] if files.invariants is None else files.invariants.content.invariants
        app = self.target[0] / ("" if target is None else target.app)
        return Template(_template("profile.yaml")).substitute(
            name=self.name,
            root=shlex.quote(str(self.root)),
            folder=shlex.quote(str(folder)),
            target=self.target[0].name,
            app=shlex.quote(str(app.resolve())),
            data=self.target[0] / "data.py",
            first_id=f"{place(folder.name) * RESERVED_IDS:_}",
            behaviours=_listed(behaviours),
            behaviour=CALIBRATED,
            invariants=_listed(entry.id for entry in invariants),
        )


def _listed(names: Iterable[str]) -> str:
    """Names as the lines of a comment."""
    return textwrap.fill(", ".join(names), _WIDTH, subsequent_indent="#   ")


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")
