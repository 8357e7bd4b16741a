"""The files that people write, as JSON Schemas: for editors, and for whoever makes them by program.

They are generated from `chaos_profiles.schema`, so they say what the loader's first look says. What
only shows once files are put beside each other (an invariant that is not there, a patch that does
not apply) is left to the loader.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from chaos_profiles.schema import CampaignFile, InvariantsFile, ProfileFile, TargetFile

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

#: what each schema is of, by its name
SCHEMAS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {
        "campaign": CampaignFile,
        "invariants": InvariantsFile,
        "profile": ProfileFile,
        "target": TargetFile,
    }
)


def json_schema(name: str) -> dict[str, Any]:
    """The schema of that name in `SCHEMAS`."""
    return {"$schema": _DIALECT, **SCHEMAS[name].model_json_schema()}


def schema_text(name: str) -> str:
    """The same as the text of its file."""
    return json.dumps(json_schema(name), indent=2) + "\n"


def write_schemas(folder: Path) -> tuple[Path, ...]:
    """All of them, as `<name>.schema.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    files = tuple(folder / f"{name}.schema.json" for name in SCHEMAS)
    for name, file in zip(SCHEMAS, files, strict=True):
        file.write_text(schema_text(name), encoding="utf-8")
    return files
