"""Chaos profiles: the load and the data that expose one anti-pattern."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from campaign.model.load import LoadVector

Category: TypeAlias = Literal["query", "connection", "write", "notification"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One profile, as the campaign plays it. Patches and ground truth stay in its folder."""

    id: str
    title: str
    category: Category
    #: one line for people reading a report; never shown to an operator
    symptom: str
    #: file:function of the unmodified app
    anti_patterns: tuple[str, ...]
    load: LoadVector
    #: what the target's data generator adds before the load, in its own terms; empty: nothing
    growth: dict[str, Any]
    #: the invariants the unmodified app must break
    breaks: tuple[str, ...]
    #: how long to watch for a violation at full load, seconds
    window_s: float
    #: added to the base load once survived
    ratchet: LoadVector = field(default=())
    #: the profiles whose fixes, when they are in, keep this one from breaking its invariants
    masked_by: tuple[str, ...] = ()
    #: what was added so that it breaks on a fast machine too, and why; for people
    note: str = ""
    #: "throughput": the rates are multiplied by the calibrated throughput of this machine
    scale: Literal["none", "throughput"] = "none"
