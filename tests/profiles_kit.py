"""A small target in which everything fits together, written to a folder."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

DATA = """
from dataclasses import dataclass

AFTER_SEED = ()

@dataclass(frozen=True)
class Range:
    first: int
    count: int

@dataclass(frozen=True)
class Growth:
    users: Range
    messages: int = 0

def seed():
    return []

def tables(growth):
    return []
"""
TARGET = """\
app: ../../app
command: [python, main.py]
health_path: /healthz
requirements: requirements.txt
database: {name: chat, role: chat}
clients: clients.py
behaviours:
  reader: [list_messages]
  canary: [get_user]
base_load:
  - {behaviour: reader, users: 3, rate_hz: 0.4}
ledger: {messages: SELECT 1, usage: SELECT 2}
"""
INVARIANTS = """\
shared:
  rate: sum(rate_hz{job="loadgen",$SELECT})
invariants:
  - id: history_latency
    title: Slower than $L
    kind: performance
    unit: ratio
    select: behaviour="reader"
    latency: {floor_s: 0.3, times_calibrated: 20}
    value: slow{job="loadgen",$SELECT,le="$L"} / $rate
    limit: 0.05
    samples: increase(seen{job="loadgen"}[$RANGE])
    offered: $RANGE_S * $rate
    min_offered: 4
    sources: [loadgen]
"""
PROFILE = """\
title: Conversations without an index
category: query
symptom: Slow
anti_patterns: [models.py:list_messages]
growth:
  users: {first: 1_000_000_000, count: 10}
load:
  - behaviour: reader
    users: 20
    rate_hz: 1.0
    params: {users: [1_000_000_000, 10]}
breaks: [history_latency]
window_s: 20
"""


class ReaderParams(BaseModel):
    """What a load generator would check the params of readers by."""

    model_config = ConfigDict(extra="forbid")

    users: list[int]


MODELS: dict[str, type[BaseModel]] = {"reader": ReaderParams, "canary": BaseModel}
#: relative to the target's folder
PROFILE_FILE = "01_missing_index/profile.yaml"


def write_target(root: Path) -> Path:
    """The target's folder below `root`; its app would be in `root / "app"`, and is not there."""
    target = root / "profiles" / "small_app"
    (target / "01_missing_index").mkdir(parents=True)
    (target / "target.yaml").write_text(TARGET)
    (target / "invariants.yaml").write_text(INVARIANTS)
    (target / "data.py").write_text(DATA)
    (target / PROFILE_FILE).write_text(PROFILE)
    return target
