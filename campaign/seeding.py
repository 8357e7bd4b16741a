"""How a fresh database comes about: the app's own schema, then the target's seed by COPY."""

from __future__ import annotations

import hashlib
from pathlib import Path

from campaign.adapters.app_schema import create_schema
from campaign.adapters.database import TargetDatabase
from campaign.doctor import WHEELS_DIR
from campaign.identity import app_identity
from campaign.stack import TemplateRecipe, cache_place, shell_places
from campaign.supervisor.environments import Environments, find_interpreter
from chaos_profiles import Target, load_target_data


def app_environments() -> Environments:
    """The Python environments of app revisions: those that shells, here or elsewhere, see too."""
    places = shell_places()
    return Environments(
        cache_place() / "environments" if places is None else places.tool_environments,
        wheel_cache=WHEELS_DIR,
        interpreter=find_interpreter(app_identity()),
    )


def recipe(target: Target, *, source: Path, revision: str) -> TemplateRecipe:
    """A template of the database that `revision` of the app (its files in `source`) makes, seeded.

    Another revision or another seed is another template.
    """

    async def populate(dsn: str) -> None:
        await create_schema(
            source,
            environment=await app_environments().ensure(source),
            command=target.command,
            health_path=target.health_path,
            dsn=dsn,
        )
        await TargetDatabase(dsn, data=load_target_data(target.folder)).seed()

    digest = hashlib.sha256((target.folder / "data.py").read_bytes()).hexdigest()
    return TemplateRecipe(key=f"{target.name} {revision} {digest}", populate=populate)
