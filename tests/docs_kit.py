"""The files that docs/your-own-app.md prints, as files."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
_FILE = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def write_own_app(folder: Path) -> Path:
    """Everything below `folder`, which is then one for --profiles-dir."""
    for name, text in _FILE.findall((DOCS / "your-own-app.md").read_text()):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder
