"""Seeded databases, kept as physical copies on the cache volume, as on the local stack."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaign.stack.copies import PGDATA
from campaign.stack.snapshots import SnapshotStore
from campaign.stack.template import populate

if TYPE_CHECKING:
    from pathlib import Path

    from campaign.stack.compose.database import ServedDatabase
    from campaign.stack.template import TemplateRecipe

#: raise it when clusters are laid out differently, so that older templates are not taken
_LAYOUT = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposeTemplates:
    """The first time a recipe is asked for, it is cooked in the one server that there is."""

    database: ServedDatabase
    cache: Path

    async def install(self, campaign: str, recipe: TemplateRecipe) -> None:
        """Serve a fresh copy of what the recipe makes.

        Raises:
            StackError: it cannot be made, kept or served.
        """
        store = SnapshotStore(self.cache / "templates.db")
        name = self._name(recipe, version=await self.database.version())
        if await asyncio.to_thread(store.find, name) is None:
            await self.database.serve(campaign, "fresh")
            await populate(self.database.addresses, recipe)
            async with self.database.copy() as copy:
                await asyncio.to_thread(store.add, name, {PGDATA: copy}, facts="")
        # What was just made is served as a copy too: every trial starts alike.
        await self.database.install(campaign, store, name)

    def _name(self, recipe: TemplateRecipe, *, version: str) -> str:
        """A copy opens with the password that the server had then."""
        parts = (recipe.key, version, _LAYOUT, self.database.addresses.superuser_dsn)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
