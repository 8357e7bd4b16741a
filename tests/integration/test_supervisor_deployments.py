import asyncio
from collections import Counter
from functools import partial
from pathlib import Path

from campaign.supervisor import ConflictError, tree_hash
from tests.integration.supervisor_kit import Stage, healthy, session, supervised, until

#: The app comes up once there is such a file beside it.
WAITS = """
while not os.path.exists("go-on"):
    time.sleep(0.02)
"""


async def test_a_healthy_app_is_deployed_and_answers_at_the_public_socket() -> None:
    async with supervised() as stage:
        source = stage.source("one", healthy("one"))
        result = await stage.deploy(source)
        assert (result.ok, result.reason, result.drained_first) == (True, None, False)
        assert result.source_hash == tree_hash(source)
        assert await stage.version() == "one"
        status = await stage.client.status()
        assert (status.state, status.deployment, status.revision) == ("running", "d1", "one")
        assert status.source_hash == tree_hash(source)
        assert status.healthy


async def test_the_same_id_gives_the_recorded_result_without_deploying_again() -> None:
    async with supervised() as stage:
        source = stage.source("one", healthy("one"))
        first, second = await asyncio.gather(
            stage.deploy(source, name="same"), stage.deploy(source, name="same")
        )
        pid = await stage.pid()
        again = await stage.deploy(source, name="same")
        assert (first, second) == (again, again)
        assert await stage.pid() == pid
        assert await stage.client.deployments() == (again,)


async def test_another_deployment_meanwhile_is_refused() -> None:
    async with supervised() as stage:
        slow = stage.source("slow", healthy("slow", extra=WAITS))
        other = stage.source("other", healthy("other"))
        under_way = asyncio.create_task(stage.deploy(slow))
        await until(lambda: _rollout(stage), what="the first deployment is under way")
        try:
            await stage.deploy(other)
        except ConflictError as error:
            assert "d1 is under way" in str(error)  # noqa: PT017 - one of two outcomes
        else:
            raise AssertionError("the second deployment was taken on")
        (slow / "go-on").touch()
        assert (await under_way).ok


async def _rollout(stage: Stage) -> bool:
    return (await stage.client.status()).rollout is not None


async def test_a_slow_start_is_waited_for_while_the_old_app_serves() -> None:
    async with supervised() as stage:
        await stage.deploy_app("one", healthy("one"))
        deploying = asyncio.create_task(
            stage.deploy_app("two", healthy("two", extra="time.sleep(1.5)"))
        )
        while not deploying.done():
            assert await stage.version() in {"one", "two"}
            await asyncio.sleep(0.05)
        assert (await deploying).ok
        assert await stage.version() == "two"


async def _load(path: Path, stop: asyncio.Event, *, fresh: bool, answers: Counter[str]) -> None:
    """Ask as fast as fits, on one kept connection or on a new one each time."""
    while not stop.is_set():
        async with session(path) as http:
            while not stop.is_set():
                try:
                    async with http.get("http://app/healthz") as response:
                        answers[f"{response.status}"] += 1
                except Exception as error:  # noqa: BLE001 - whatever it is, it is a failure
                    answers[repr(error)] += 1
                await asyncio.sleep(0.05)
                if fresh:
                    break


async def _slow(path: Path, stop: asyncio.Event, *, answers: Counter[str]) -> None:
    async with session(path) as http:
        while not stop.is_set():
            try:
                async with http.get("http://app/slow?seconds=1.5") as response:
                    answers[f"slow {response.status}"] += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, it is a failure
                answers[f"slow {error!r}"] += 1


async def test_a_redeployment_under_load_fails_no_request() -> None:
    async with supervised() as stage:
        await stage.deploy_app("v0", healthy("v0"))
        stop, answers = asyncio.Event(), Counter[str]()
        path = stage.app_socket
        clients = [
            *(_load(path, stop, fresh=True, answers=answers) for _ in range(12)),
            *(_load(path, stop, fresh=False, answers=answers) for _ in range(12)),
            *(_slow(path, stop, answers=answers) for _ in range(4)),
        ]
        tasks = [asyncio.create_task(client) for client in clients]
        for number in range(1, 4):
            before = answers.copy()
            result = await stage.deploy_app(f"v{number}", healthy(f"v{number}"))
            assert result.ok, result
            await until(partial(_many_more, answers, before), what="the load goes on")
        stop.set()
        await asyncio.gather(*tasks)
        assert set(answers) == {"200", "slow 200"}, answers


async def _many_more(answers: Counter[str], before: Counter[str]) -> bool:
    """Enough of both kinds to say that somebody asked all the time."""
    since = answers - before
    return since["200"] >= 500 and since["slow 200"] >= 4
