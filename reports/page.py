"""The report as one self-contained HTML page: works from `file://`, fetches nothing."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reports import loads, spending, words
from reports.charts import chart_data
from reports.series import History
from reports.summary import verdicts, win_rate
from reports.trial import TrialPage, trial_page
from reports.view import away, failure, started_at, state


@dataclass(frozen=True, slots=True, kw_only=True)
class _Assets:
    """What is written into the page; ours to trust, so not escaped."""

    styles: Markup
    scripts: tuple[Markup, ...]
    #: uPlot's licence, which goes where a copy of it goes
    licence: Markup

    @property
    def policy(self) -> str:
        """Content-Security-Policy: only our own scripts run, nothing is fetched or sent."""
        hashes = " ".join(f"'sha256-{_digest(script)}'" for script in self.scripts)
        return (
            f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
            "img-src data:; base-uri 'none'; form-action 'none'"
        )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@cache
def _assets() -> _Assets:
    folder = resources.files("reports") / "assets"

    def read(name: str) -> Markup:
        return Markup((folder / name).read_text(encoding="utf-8").strip())  # noqa: S704 - our file

    return _Assets(
        styles=read("uPlot.min.css") + read("report.css"),
        scripts=(read("uPlot.iife.min.js"), read("report.js")),
        licence=read("uPlot.LICENSE"),
    )


@cache
def _environment() -> Environment:
    """Escapes everything; a misspelt name is an error, not a hole in the page."""
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        duration=words.duration,
        clock=words.clock,
        moment=words.moment,
        percent=words.percent,
        quantity=words.quantity,
        rate=words.rate,
        revision=words.revision,
        plural=words.plural,
        spent=spending.spent,
    )
    return environment


def render(history: History) -> str:
    """The whole page."""
    template = _environment().get_template("page.html.j2")
    return template.render(_context(history))


def _context(history: History) -> dict[str, Any]:
    campaign = history.campaign
    pages = [trial_page(trial, campaign.invariants) for trial in history.trials]
    records = tuple(trial.record for trial in history.trials)
    return {
        "assets": _assets(),
        "plan": campaign.plan,
        "calibration": campaign.calibration,
        "state": state(campaign),
        "failure": failure(campaign),
        "away": away(campaign),
        "spends": spending.of_all(records),
        "started_at": started_at(campaign),
        "duration_s": campaign.at - started_at(campaign),
        "counts": verdicts(records),
        "win_rate": win_rate(records),
        "trials": pages,
        "unplayed": campaign.plan.profiles[len(records) :],
        "open_all": len(pages) <= _OPEN_ALL,
        "heatmap": _heatmap(history, pages),
        "series": [
            chart_data(trial, campaign.invariants, campaign.plan.timings)
            for trial in history.trials
        ],
    }


#: with more trials than this only those that were lost are unfolded at first
_OPEN_ALL = 4


def _heatmap(history: History, pages: list[TrialPage]) -> dict[str, Any]:
    rows = loads.heatmap(history.trials)
    hottest = max((rate or 0.0 for row in rows for rate in row.rates_hz), default=0.0)
    return {
        "columns": pages,
        "rows": [
            {
                "behaviour": row.behaviour,
                "cells": [
                    {"rate_hz": rate, "heat": loads.heat(rate, hottest)} for rate in row.rates_hz
                ],
            }
            for row in rows
        ],
    }
