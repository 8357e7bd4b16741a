"""What models cost: dated tables, and never a price for a model that no table names.

The table beside this file is shipped. `campaign.price_files` puts a user's own in front of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from functools import cache
from importlib import resources
from typing import Annotated, ClassVar, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from ruamel.yaml import YAML

from operators.trace.cost import AGENT_REPORTED, UNKNOWN, Cost
from operators.trace.recorder import TurnUsage

Dollars: TypeAlias = Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)]

_MILLION = 1_000_000
#: how one model is called in more than one place
_SAME_MODEL = re.compile(
    r"^(?:global\.anthropic\.)?(?P<name>.+?)(?:[-@]20\d{6})?(?:-v\d+(?::\d+)?)?$"
)


class _Strict(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, frozen=True)


class TokenPrices(_Strict):
    """US dollars for a million tokens of each kind."""

    input: Dollars = Field(description="neither read from the cache nor written to it")
    output: Dollars = Field(description="what the model wrote, with its thinking")
    cache_read: Dollars = Field(description="read from the cache")
    cache_write_5m: Dollars = Field(description="written to the cache for five minutes")
    cache_write_1h: Dollars = Field(description="written to the cache for an hour")


class PriceEntry(_Strict):
    """What some models cost."""

    models: list[Annotated[str, Field(min_length=1)]] = Field(
        min_length=1, description="their names, without a date"
    )
    tokens: TokenPrices = Field(description="dollars for a million tokens")
    above_prompt_tokens: Annotated[int, Field(gt=0)] | None = Field(
        default=None, description="a request with a longer prompt costs `long_prompt`"
    )
    long_prompt: TokenPrices | None = Field(
        default=None, description="dollars for a million tokens of such a request"
    )

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.above_prompt_tokens is None) != (self.long_prompt is None):
            raise ValueError("above_prompt_tokens and long_prompt belong together: give both")
        return self

    def rates(self, prompt_tokens: int) -> TokenPrices:
        """Those of a request with so long a prompt, what came from the cache included."""
        limit = self.above_prompt_tokens
        if limit is not None and self.long_prompt is not None and prompt_tokens > limit:
            return self.long_prompt
        return self.tokens


class PriceTable(_Strict):
    """Prices as they were on one day, and who says so."""

    form: Literal[1] = Field(alias="schema", description="the form of this file: 1")
    date: str = Field(description='the day that they were looked up, in quotes: "2026-11-12"')
    source: Annotated[str, Field(min_length=1)] = Field(description="where they come from")
    prices: list[PriceEntry] = Field(description="the first entry that names a model counts")

    @field_validator("date")
    @classmethod
    def _is_a_day(cls, day: str) -> str:
        try:
            date.fromisoformat(day)
        except ValueError:
            raise ValueError(f'{day!r} is no day: write it like "2026-11-12"') from None
        return day

    def entry(self, model: str) -> PriceEntry | None:
        """None: this table does not name it."""
        match = _SAME_MODEL.match(model)
        names = {model} if match is None else {model, match["name"]}
        return next((entry for entry in self.prices if names & set(entry.models)), None)

    def cost_usd(self, usage: TurnUsage) -> float | None:
        """None: the model is not in this table, or its tokens are not known.

        Cache counts that are missing count as none: a provider leaves them out when it has not
        cached.
        """
        entry = self.entry(usage.model)
        if entry is None or usage.input_tokens is None or usage.output_tokens is None:
            return None
        read = usage.cache_read_tokens or 0
        written_5m = usage.cache_creation_5m_tokens or 0
        written_1h = usage.cache_creation_1h_tokens or 0
        rates = entry.rates(usage.input_tokens + read + written_5m + written_1h)
        return (
            usage.input_tokens * rates.input
            + usage.output_tokens * rates.output
            + read * rates.cache_read
            + written_5m * rates.cache_write_5m
            + written_1h * rates.cache_write_1h
        ) / _MILLION


class Prices:
    """Tables in their order: the first that names a model says what it costs."""

    def __init__(self, tables: Sequence[PriceTable]) -> None:
        self.tables = tuple(tables)

    def cost(self, usage: TurnUsage) -> Cost:
        """What was reported, else what a table says, else unknown."""
        if usage.reported_usd is not None:
            return Cost(usd=usage.reported_usd, source=AGENT_REPORTED)
        for table in self.tables:
            if table.entry(usage.model) is None:
                continue
            usd = table.cost_usd(usage)
            source = UNKNOWN if usd is None else f"price-table:{table.date}"
            return Cost(usd=usd, source=source)
        return Cost(usd=None, source=UNKNOWN)

    def cost_usd(self, usage: TurnUsage) -> float | None:
        """None: unknown."""
        return self.cost(usage).usd


@cache
def shipped_table() -> PriceTable:
    """The table of this release."""
    text = resources.files("operators").joinpath("prices.yaml").read_text(encoding="utf-8")
    return PriceTable.model_validate(YAML(typ="safe").load(text))


def shipped_prices() -> Prices:
    return Prices((shipped_table(),))
