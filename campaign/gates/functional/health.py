"""Vital: see `campaign.gates.discovery`."""

from __future__ import annotations

from campaign.gates.app import LiveApp
from campaign.gates.finding import Finding, holds


async def is_healthy(app: LiveApp) -> Finding:
    """`/healthz` is part of every target's contract."""
    answer = await app.request("GET", "/healthz")
    answer.expect_status(200)
    return holds("the app says that it is healthy")
