"""What handlers find in the application: typed keys."""

from __future__ import annotations

import asyncio

import asyncpg
from aiohttp import web

from metrics import Metrics
from settings import Settings

SETTINGS = web.AppKey("settings", Settings)
POOL = web.AppKey("pool", asyncpg.Pool)
METRICS = web.AppKey("metrics", Metrics)
#: Set once the service is being stopped.
STOPPING = web.AppKey("stopping", asyncio.Event)
