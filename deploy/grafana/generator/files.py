"""The JSON files that Grafana provisions its dashboards from."""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.generator.page import Page
from deploy.grafana.generator.pages import PAGES

FOLDER = Path(__file__).parents[1] / "dashboards"


def rendered(page: Page) -> str:
    """The contents of a page's file."""
    text = json.dumps(page.build(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False)
    return text + "\n"


def write(folder: Path = FOLDER) -> None:
    """Write every page, and remove files of pages that are no more."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {folder / f"{page.uid}.json": rendered(page) for page in PAGES}
    for stale in set(folder.glob("*.json")) - files.keys():
        stale.unlink()
    for file, text in files.items():
        file.write_text(text, encoding="utf-8")
