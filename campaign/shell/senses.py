"""What happens in the world by itself, as events: evaluations, and parts that come and go."""

from __future__ import annotations

import structlog

from campaign.model import ComponentDown, ComponentUp, Evaluated, Preparing
from campaign.ports import ComponentChange, PortError, Ports
from campaign.shell.crew import Crew
from campaign.shell.hub import Hub
from campaign.shell.inbox import CampaignOverError

log = structlog.get_logger(__name__)

#: before there is a plan that says otherwise, seconds
_PERIOD_S = 1.0


class Senses:
    """Two tasks that never end by themselves."""

    def __init__(self, ports: Ports, hub: Hub) -> None:
        self._ports = ports
        self._hub = hub

    def start(self, crew: Crew) -> None:
        crew.start(self._evaluate_forever(), name="evaluate")
        crew.start(self._watch_forever(), name="components")

    async def _pause(self) -> None:
        campaign = self._hub.campaign
        await self._ports.clock.sleep(
            _PERIOD_S if campaign is None else campaign.plan.timings.evaluation_s
        )

    async def _evaluate_forever(self) -> None:
        """One evaluation each period; also the campaign's clock, so it never stops."""
        while True:
            await self._pause()
            campaign = self._hub.campaign
            if campaign is None or campaign.restoring or isinstance(campaign.phase, Preparing):
                continue
            await self._hub.record(await self._evaluate(campaign.trial.index))

    async def _evaluate(self, trial: int) -> Evaluated:
        try:
            seen = await self._ports.metrics.observe()
        except PortError as error:
            return Evaluated(at=self._hub.now(), trial=trial, missing=str(error))
        except Exception as error:
            log.exception("observe_crashed")
            return Evaluated(at=self._hub.now(), trial=trial, missing=repr(error))
        return Evaluated(
            at=self._hub.now(), trial=trial, samples=seen.samples, generator=seen.generator
        )

    async def _watch_forever(self) -> None:
        """A watch that fails is itself a fault, and is set up again."""
        while True:
            try:
                async for change in self._ports.stack.changes():
                    await self._report(change)
            except CampaignOverError:
                raise
            except PortError as error:
                await self._report_lost(error.component, error.reason)
            except Exception as error:
                log.exception("watch_crashed")
                await self._report_lost("ratchet", repr(error))
            await self._pause()

    async def _report_lost(self, component: str, reason: str) -> None:
        await self._report(ComponentChange(component=component, up=False, reason=reason))

    async def _report(self, change: ComponentChange) -> None:
        at = self._hub.now()
        trial = 0 if self._hub.campaign is None else self._hub.campaign.trial.index
        if change.up:
            await self._hub.record(ComponentUp(at=at, trial=trial, component=change.component))
            return
        await self._hub.record(
            ComponentDown(
                at=at,
                trial=trial,
                component=change.component,
                reason=change.reason,
                covered=change.covered,
            )
        )
