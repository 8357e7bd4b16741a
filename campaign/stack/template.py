"""Seeded clusters, kept as physical copies, so that a fresh database takes a second.

A template is keyed by what its caller says went into it, by Postgres' version and by how we lay
clusters out. It is built under another name and renamed when it is whole, under a lock that ends
with its process: a half-built one is never seen, and two commands build it once.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
from filelock import AsyncFileLock, Timeout

from campaign.stack.copies import clone
from campaign.stack.folders import private_folder
from campaign.stack.places import make_socket_folder, passable_folder, require_free_space
from campaign.stack.postgres import Cluster, PostgresAddresses, prepare_roles
from campaign.stack.service import Service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from campaign.identity import Identity
    from campaign.stack.programs import PostgresPrograms

#: raise it when clusters are laid out differently, so that older templates are not taken
_LAYOUT = "1"
_KEPT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateRecipe:
    """A database worth keeping: how to tell it from others, and how to fill it."""

    #: a digest of all that `populate` depends on: schema, seed, sizes
    key: str
    #: called with the DSN of role `chat`, the owner of the empty database `chat`
    populate: Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateStore:
    """The templates in a cache folder that the user `identity` can reach."""

    cache_dir: Path
    programs: PostgresPrograms
    identity: Identity

    async def fresh(self, recipe: TemplateRecipe, pgdata: Path) -> Cluster:
        """A new cluster at `pgdata` as `recipe` describes it; the first time builds the template.

        Raises:
            ComponentFailedError: initdb or the server failed.
            UnreachableFolderError: the cache folder cannot be entered by the server's user.
        """
        require_free_space(pgdata)
        folder = self._prepare_folder()
        name = self._name(recipe)
        async with AsyncFileLock(folder / f"{name}.lock"):
            template = self._cluster(folder / name)
            if not template.exists:
                await self._build(recipe, template)
            copy = await clone(template, pgdata)
            (folder / f"{name}.lock").touch()
        await self._prune(folder)
        return copy

    def _prepare_folder(self) -> Path:
        require_free_space(self.cache_dir)
        return passable_folder(self.cache_dir / "templates")

    def _name(self, recipe: TemplateRecipe) -> str:
        parts = f"{recipe.key}\n{self.programs.version}\n{_LAYOUT}\n{self.identity.user}"
        return hashlib.sha256(parts.encode()).hexdigest()[:16]

    def _cluster(self, pgdata: Path) -> Cluster:
        return Cluster(programs=self.programs, pgdata=pgdata, identity=self.identity)

    async def _build(self, recipe: TemplateRecipe, template: Cluster) -> None:
        pgdata = template.pgdata.with_name(f"{template.pgdata.name}.building")
        await asyncio.to_thread(shutil.rmtree, pgdata, ignore_errors=True)
        draft = template.at(pgdata)
        await draft.initialise()
        await self._fill(draft, recipe)
        pgdata.rename(template.pgdata)

    async def _fill(self, draft: Cluster, recipe: TemplateRecipe) -> None:
        folder = make_socket_folder()
        log_file = draft.pgdata.with_name(f"{draft.pgdata.name}.log")
        try:
            sockets = private_folder(folder / "pg", self.identity, mode=0o711)
            server = Service(draft.service(socket_dir=sockets, log_file=log_file))
            await server.start()
            try:
                await populate(draft.addresses(sockets), recipe)
            finally:
                await asyncio.shield(server.stop())
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def _prune(self, folder: Path) -> None:
        """Drop all but the few templates used last; one that is in use is left alone."""
        for lock in _oldest(folder):
            try:
                async with AsyncFileLock(lock, timeout=0):
                    await asyncio.to_thread(shutil.rmtree, lock.with_suffix(""), ignore_errors=True)
                    lock.unlink(missing_ok=True)
            except Timeout:
                continue


def _oldest(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.lock"), key=_used_at)[:-_KEPT]


def _used_at(lock: Path) -> float:
    """Another process may just have dropped it."""
    try:
        return lock.stat().st_mtime
    except FileNotFoundError:
        return 0.0


async def populate(addresses: PostgresAddresses, recipe: TemplateRecipe) -> None:
    """Fill and tidy: every clone starts with the same statistics and nothing left to vacuum."""
    await prepare_roles(addresses)
    await recipe.populate(addresses.app_dsn)
    connection = await asyncpg.connect(addresses.superuser_dsn)
    try:
        await connection.execute("VACUUM (FREEZE, ANALYZE)", timeout=300)
        await connection.execute("SELECT pg_stat_statements_reset()")
    finally:
        await connection.close()
