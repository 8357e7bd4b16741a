"""A campaign's notices go out for as long as a block runs, beside whatever else it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from prometheus_client import CollectorRegistry

from campaign.adapters.journal import JournalInUseError, open_reader, run_lock
from campaign.errors import UsageError
from campaign.model import Webhook
from campaign.runs import RunFolder
from campaign.shell import Observer
from campaign.webhook.courier import Courier, GoneError, Left
from campaign.webhook.cursor import CursorFile
from campaign.webhook.metrics import webhook_metrics
from campaign.webhook.post import Poster
from campaign.webhook.settings import host_of, keep, kept, keys_of

log = structlog.get_logger(__name__)

#: for what is left when the campaign is over or stopped
LAST_S = 10.0
#: for what was left then, when nothing else is to be done
LEFT_S = 60.0

#: called with what is left at the end, if anything is
OnLeft = Callable[[Left], None]


@asynccontextmanager
async def dispatched(
    run: RunFolder,
    webhook: Webhook | None,
    *,
    registry: CollectorRegistry,
    on_left: OnLeft = lambda _: None,
    last_s: float = LAST_S,
) -> AsyncIterator[tuple[Observer, ...]]:
    """Deliver what the run's journal gives to tell; gives the observers that ring for it.

    `webhook` is kept for whoever resumes the campaign; None: what was kept, if anything was. When
    the block ends, what is left is tried for `last_s`; when it breaks off, no more.

    Raises:
        UsageError: it cannot be sent there, or not be signed.
        PortError: the journal cannot be read.
    """
    webhook = webhook or kept(run.webhook)
    if webhook is None:
        yield ()
        return
    host, keys = host_of(webhook), keys_of(webhook)
    keep(run.webhook, webhook)
    async with AsyncExitStack() as stack:
        courier = Courier(
            pages=await stack.enter_async_context(open_reader(run.journal)),
            cursor=CursorFile(run.webhook_cursor),
            post=await stack.enter_async_context(Poster(webhook, keys)),
            metrics=stack.enter_context(webhook_metrics(registry)),
        )
        await courier.catch_up()
        log.info("webhook", to=host, signed=bool(keys), left=courier.left.count)
        stack.callback(_say_left, courier, on_left)
        work = asyncio.create_task(_run(courier), name="webhook")
        try:
            yield (courier.observe,)
            courier.end()
            await asyncio.wait({work}, timeout=last_s)
        finally:
            work.cancel()
            await asyncio.wait({work})


async def _run(courier: Courier) -> None:
    """Whatever happens to it happens to nothing else."""
    try:
        await courier.run()
    except GoneError:
        log.warning("webhook_gone", left=courier.left.count)
    except Exception:
        log.exception("webhook_crashed", left=courier.left.count)


def _say_left(courier: Courier, on_left: OnLeft) -> None:
    if courier.left.count:
        log.warning("webhook_left", left=courier.left.count, problem=courier.left.words)
        on_left(courier.left)


async def deliver_left(
    run: RunFolder, webhook: Webhook | None, *, on_left: OnLeft, last_s: float = LEFT_S
) -> None:
    """Of a campaign that nobody plays any more.

    Raises:
        UsageError: somebody does, or it cannot be sent there.
        PortError: the journal cannot be read.
    """
    if webhook is None and kept(run.webhook) is None:
        return
    registry = CollectorRegistry()
    try:
        async with (
            run_lock(run.path),
            dispatched(run, webhook, registry=registry, on_left=on_left, last_s=last_s),
        ):
            pass
    except JournalInUseError as error:
        raise UsageError(error.reason) from error


def told(left: Left, *, resume: str) -> tuple[str, ...]:
    """For people, in lines; `resume` is the command that delivers what is left."""
    notices = "1 notice is" if left.count == 1 else f"{left.count} notices are"
    why = f" ({left.words})" if left.words else ""
    return (f"webhook: {notices} not delivered{why}; none is lost: {resume}",)
