"""The unmodified app makes its own schema in an empty database, as nobody special."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from campaign.adapters.app_schema import create_schema
from campaign.doctor import WHEELS_DIR
from campaign.identity import DATABASE_USER, app_identity, identity_for
from campaign.orders import read_catalogue
from campaign.ports import PortError
from campaign.stack import TemplateRecipe, cache_place
from campaign.stack.programs import find_postgres
from campaign.stack.template import TemplateStore
from campaign.supervisor.environments import Environments, find_interpreter


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ratchet-schema-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


async def environment(source: Path) -> Path:
    environments = Environments(
        cache_place() / "environments",
        wheel_cache=WHEELS_DIR,
        interpreter=find_interpreter(app_identity()),
    )
    return await environments.ensure(source)


async def test_its_tables_belong_to_its_own_role(folder: Path) -> None:
    target = read_catalogue().target
    source = folder / "app"
    shutil.copytree(target.app_dir, source)
    owners: set[str] = set()

    async def populate(dsn: str) -> None:
        await create_schema(
            source,
            environment=await environment(source),
            command=target.command,
            health_path=target.health_path,
            dsn=dsn,
        )
        connection = await asyncpg.connect(dsn)
        owners.update(
            await connection.fetchval(
                "SELECT array_agg(tableowner::text) FROM pg_tables WHERE schemaname = 'public'"
            )
        )
        await connection.close()

    store = TemplateStore(
        cache_dir=folder / "cache",
        programs=find_postgres(),
        identity=identity_for(DATABASE_USER),
    )
    await store.fresh(TemplateRecipe(key="schema only", populate=populate), folder / "pgdata")
    assert owners == {"chat"}


async def test_an_app_that_ends_by_itself_is_told_with_its_last_words(folder: Path) -> None:
    with pytest.raises(PortError, match="ended by itself:\nno database here") as caught:
        await create_schema(
            folder,
            environment=folder,
            command=("sh", "-c", "echo no database here; exit 1"),
            health_path="/healthz",
            dsn="postgresql:///none",
        )
    assert caught.value.component == "app"


async def test_an_app_that_never_answers_is_ended(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("campaign.adapters.app_schema._PATIENCE_S", 0.3)
    monkeypatch.setattr("campaign.adapters.app_schema._GOODBYE_S", 0.3)
    with pytest.raises(PortError, match=r"did not answer http://127\.0\.0\.1:\d+/healthz"):
        await create_schema(
            folder,
            environment=folder,
            command=("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"),
            health_path="/healthz",
            dsn="postgresql:///none",
        )
