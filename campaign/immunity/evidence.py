"""`immunity.json`: every probe that was made of a campaign's revisions; none is made twice."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from campaign.errors import HarnessError
from campaign.immunity.search import Outcome, Probe

_PROBES = TypeAdapter(tuple[Probe, ...])


class Evidence:
    """The file of one campaign; what was probed is on record at once."""

    def __init__(self, path: Path) -> None:
        """Reads what is there.

        Raises:
            HarnessError: it is damaged.
        """
        self._path = path
        try:
            self._probes = _PROBES.validate_json(path.read_bytes()) if path.exists() else ()
        except ValidationError as error:
            hint = "delete it: everything is then probed anew"
            raise HarnessError(f"{path} is damaged: {error}", hint=hint) from error

    def of(self, profile: str) -> tuple[Probe, ...]:
        """What is known of a profile; what could not be told is asked again."""
        return tuple(
            probe
            for probe in self._probes
            if probe.profile == profile and probe.outcome is not Outcome.UNCLEAR
        )

    def find(self, profile: str, revision: str) -> Probe | None:
        return next((probe for probe in self.of(profile) if probe.revision == revision), None)

    def add(self, probe: Probe) -> None:
        self._probes = (*self._probes, probe)
        scratch = self._path.with_suffix(".tmp")
        scratch.write_bytes(_PROBES.dump_json(self._probes, indent=2) + b"\n")
        scratch.replace(self._path)
