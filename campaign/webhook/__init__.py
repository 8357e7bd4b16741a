"""Tickets and verdicts to people beside the campaign, by an HTTP POST each.

async with dispatched(run, webhook, registry=registry) as observers:    # in a task of its own
    await Shell(ports, observers=observers).run(plan)
"""

from campaign.webhook.courier import Left
from campaign.webhook.dispatch import OnLeft, deliver_left, dispatched, told
from campaign.webhook.payload import webhook_schema, webhook_schema_text
from campaign.webhook.settings import kept, require_usable

__all__ = [
    "Left",
    "OnLeft",
    "deliver_left",
    "dispatched",
    "kept",
    "require_usable",
    "told",
    "webhook_schema",
    "webhook_schema_text",
]
