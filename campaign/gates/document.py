"""The OpenAPI document of a campaign's first revision: what its clients rely on, whatever comes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from campaign.gates.client import connected
from campaign.gates.conformance import cases
from campaign.gates.finding import AppFailedError

_PATH = "/openapi.json"


async def prepare_gates(app_socket: Path, *, document: Path, cache_dir: Path) -> None:
    """Keep in the file `document` what the app that serves now documents, unless it is there.

    To be called while the first, unmodified revision serves: a resumed campaign, which may begin
    with another one, finds the file. The first time on a machine it takes a few seconds: the
    requests that are made from the document are kept in `cache_dir` for all campaigns.

    Raises:
        AppFailedError: the app gives no OpenAPI document.
    """
    if await asyncio.to_thread(document.exists):
        return
    found = await _fetched(app_socket)
    await asyncio.to_thread(cases, found, cache_dir=cache_dir)
    await asyncio.to_thread(_write, document, json.dumps(found, indent=1))


async def _fetched(app_socket: Path) -> dict[str, Any]:
    async with connected(app_socket) as client:
        answer = await client.request("GET", _PATH)
    answer.expect_status(200)
    found = answer.json()
    if not isinstance(found, dict) or not found.get("paths"):
        raise AppFailedError(f"{_PATH} is no OpenAPI document", actual=answer.body)
    return found


def _write(file: Path, text: str) -> None:
    """Complete or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_suffix(".part")
    half.write_text(text)
    half.replace(file)
