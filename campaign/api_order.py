"""The body of `POST /api/campaigns`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from campaign.choices import Choices
from campaign.errors import UsageError
from campaign.model import LadderMode
from campaign.orders import Order, Scale
from chaos_profiles.schema import BudgetEntry, CampaignBudgetEntry, OperatorOptionsEntry

_CHOICES = ("operator_options", "budget", "campaign_budget")


class ApiOrder(BaseModel):
    """As a campaign file says it, but for what only a file can name.

    Where a key is, and whether a sandbox is needed, is said to the daemon itself when it starts.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str | None = None
    target: str | None = None
    operator: str | None = None
    mode: LadderMode | None = None
    seed: int | None = None
    profiles: tuple[str, ...] | None = None
    first: int | None = None
    scale: Scale | None = None
    snapshots: bool | None = None
    operator_options: OperatorOptionsEntry | None = None
    budget: BudgetEntry | None = None
    campaign_budget: CampaignBudgetEntry | None = None

    @property
    def order(self) -> Order:
        """Only what was said counts: what was left out is left to the defaults."""
        said = self.model_dump(exclude_unset=True)
        return Order(
            **self.model_dump(exclude={"name", *_CHOICES}),
            choices=Choices.of({part: said.get(part) for part in _CHOICES}),
        )


def read_order(body: Mapping[str, Any]) -> ApiOrder:
    """Raises UsageError with all that is wrong."""
    try:
        return ApiOrder.model_validate(body)
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UsageError("; ".join(problems), hint="see Order in /openapi.json") from error
