"""A private Postgres with chat-db-app's schema and seed, for the tests of what works on it."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from campaign.adapters.database import TargetDatabase
from campaign.identity import DATABASE_USER, identity_for
from campaign.stack.folders import private_folder
from campaign.stack.places import make_socket_folder
from campaign.stack.postgres import Cluster, PostgresAddresses
from campaign.stack.programs import find_postgres
from campaign.stack.service import Service
from campaign.stack.template import TemplateRecipe, TemplateStore
from chaos_profiles import PROFILES_ROOT, Catalogue, TargetData, load_catalogue, load_target_data

FOLDER = PROFILES_ROOT / "chat_db_app"


def catalogue() -> Catalogue:
    return load_catalogue(FOLDER)


def data() -> TargetData:
    return load_target_data(FOLDER)


@dataclass(kw_only=True)
class Server:
    """A running server that can be stopped, started and given a fresh database."""

    store: TemplateStore
    cluster: Cluster
    service: Service
    addresses: PostgresAddresses

    @property
    def superuser_dsn(self) -> str:
        return self.addresses.superuser_dsn

    async def stop(self) -> None:
        await self.service.stop()

    async def start(self) -> None:
        await self.service.start()

    async def renew(self) -> None:
        """Another database at the same address, as an isolated trial gets it."""
        await self.stop()
        await self.store.fresh(_RECIPE, self.cluster.pgdata)
        await self.start()

    async def fetchval(self, query: str, *arguments: object) -> Any:
        connection = await asyncpg.connect(self.superuser_dsn)
        try:
            return await connection.fetchval(query, *arguments)
        finally:
            await connection.close()

    async def execute(self, *statements: str) -> None:
        """As the app's role."""
        connection = await asyncpg.connect(self.addresses.app_dsn)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


async def _populate(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in _schema():
            await connection.execute(statement)
    finally:
        await connection.close()
    await TargetDatabase(dsn, data=data()).seed()


def _schema() -> list[str]:
    file = catalogue().target.app_dir / "schema.py"
    spec = importlib.util.spec_from_file_location("chat_db_app_schema", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    statements: list[str] = module.statements()
    return statements


_RECIPE = TemplateRecipe(key="chat_db_app for tests", populate=_populate)


@asynccontextmanager
async def running_server() -> AsyncIterator[Server]:
    """Everything is gone at the end."""
    folder: Path = make_socket_folder()
    try:
        store = TemplateStore(
            cache_dir=folder / "cache",
            programs=find_postgres(),
            identity=identity_for(DATABASE_USER),
        )
        cluster = await store.fresh(_RECIPE, folder / "pgdata")
        sockets = private_folder(folder / "pg", cluster.identity, mode=0o711)
        service = Service(cluster.service(socket_dir=sockets, log_file=folder / "postgres.log"))
        await service.start()
        try:
            yield Server(
                store=store,
                cluster=cluster,
                service=service,
                addresses=cluster.addresses(sockets),
            )
        finally:
            await service.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
