"""Campaign: where it stands, what load it puts on, how the trials ended, what it has cost."""

from __future__ import annotations

from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.grafana.generator.clients import CLIENTS
from deploy.grafana.generator.harness import HARNESS
from deploy.grafana.generator.looks import (
    BAD,
    PHASE_COLORS,
    STATUS_COLORS,
    VERDICT_COLORS,
    WARNING,
    Step,
    Word,
    coded,
    numbered,
    thresholds,
)
from deploy.grafana.generator.page import Page, Section
from deploy.grafana.generator.panels import Panel, graph, number, timeline
from deploy.grafana.generator.queries import Query
from deploy.grafana.generator.tables import Column, table
from deploy.grafana.generator.variables import Variable

_NOW = Section(
    title="Where it stands",
    panels=(
        number(
            Panel(
                title="Trial",
                description="The number of the trial at hand. The daemon's page names its profile.",
                unit=units.Short,
                queries=(Query(promql="max(ratchet_trial_number) > 0", newest=True),),
                width=6,
                height=4,
            ),
        ),
        number(
            Panel(
                title="Phase",
                description="What the controller is doing. docs/architecture.md tells the phases.",
                unit=units.String,
                queries=(
                    Query(
                        promql=coded("ratchet_campaign_phase", "phase", tuple(PHASE_COLORS)),
                        legend="phase",
                        newest=True,
                    ),
                ),
                width=4,
                height=4,
            ),
            meanings=numbered(PHASE_COLORS),
        ),
        number(
            Panel(
                title="Verdicts",
                description="Trials that ended, by verdict. They survive a restart of the daemon.",
                unit=units.Short,
                queries=(
                    Query(
                        promql="max by (verdict) (ratchet_campaign_trials)",
                        legend="{{verdict}}",
                        newest=True,
                    ),
                    Query(
                        promql="max(ratchet_campaign_planned_trials)",
                        legend="planned",
                        newest=True,
                    ),
                ),
                width=8,
                height=4,
                colors=VERDICT_COLORS,
            ),
        ),
        number(
            Panel(
                title="Invariants",
                description="How many invariants the controller last judged to be what.",
                unit=units.Short,
                queries=(
                    Query(
                        promql="sum by (status) (ratchet_invariant_status)",
                        legend="{{status}}",
                        newest=True,
                    ),
                ),
                width=6,
                height=4,
                colors=STATUS_COLORS,
                more="ratchet-slos",
            ),
        ),
        number(
            Panel(
                title="Tickets",
                description="Opened so far. A ticket is opened by the first violation of a trial.",
                unit=units.Short,
                queries=(Query(promql="max(ratchet_campaign_tickets)", newest=True),),
                width=4,
                height=4,
                more="ratchet-operator",
            ),
        ),
        number(
            Panel(
                title="Deployments",
                description="Asked for by operators so far, by how they ended.",
                unit=units.Short,
                queries=(
                    Query(
                        promql="max by (outcome) (ratchet_campaign_deployments)",
                        legend="{{outcome}}",
                        newest=True,
                    ),
                ),
                width=6,
                height=4,
                colors={"ok": "green", "failed": BAD, "pending": WARNING},
                more="ratchet-operator",
            ),
        ),
        number(
            Panel(
                title="Cost",
                description=(
                    "What all sessions are known to have cost; blank while nothing is known, as "
                    "of a scripted operator."
                ),
                unit=units.Dollars,
                queries=(Query(promql="max(ratchet_campaign_spent_dollars)", newest=True),),
                width=4,
                height=4,
                more="ratchet-operator",
            ),
            decimals=2,
        ),
        number(
            Panel(
                title="Tokens",
                description="Used by all sessions, as far as is known; blank while nothing is.",
                unit=units.Short,
                queries=(Query(promql="max(ratchet_campaign_spent_tokens)", newest=True),),
                width=4,
                height=4,
            ),
        ),
        number(
            Panel(
                title="Faults of the harness",
                description=(
                    "On record of the trials so far. A fault makes a trial inconclusive; it is "
                    "never the operator's."
                ),
                unit=units.Short,
                queries=(Query(promql="max(ratchet_campaign_faults)", newest=True),),
                width=6,
                height=4,
            ),
            limits=thresholds(Step(value=1, color=BAD)),
        ),
    ),
)

_COURSE = Section(
    title="Its course",
    panels=(
        timeline(
            Panel(
                title="Phase",
                description="The phases of the trials, one after the other.",
                unit=units.String,
                queries=(
                    Query(
                        promql=coded("ratchet_campaign_phase", "phase", tuple(PHASE_COLORS)),
                        legend="phase",
                    ),
                ),
                width=24,
                height=4,
            ),
            meanings=numbered(PHASE_COLORS),
        ),
        timeline(
            Panel(
                title="Trials and tickets",
                description="When each trial was under way, and when its ticket was open.",
                unit=units.String,
                queries=(
                    Query(
                        promql='count_values("trial", max(ratchet_trial_number) > 0)',
                        legend="trial {{trial}}",
                    ),
                    Query(promql="2 * (max(ratchet_ticket_open) > 0)", legend="ticket"),
                ),
                width=24,
                height=7,
            ),
            meanings={
                1: Word(text="under way", color="blue"),
                2: Word(text="open", color=WARNING),
            },
        ),
        table(
            Panel(
                title="Trials",
                description=(
                    "Every trial so far: its verdict, the time from full load to its violation, "
                    "and from there to the start of the clean period."
                ),
                unit=units.DurationSeconds,
                queries=(
                    Query(
                        promql="max by (trial) (ratchet_trial_started_timestamp_seconds)",
                        newest=True,
                        format=PromQueryFormat.TABLE,
                    ),
                    Query(
                        promql=("max by (trial, verdict) (ratchet_trial_ended_timestamp_seconds)"),
                        newest=True,
                        format=PromQueryFormat.TABLE,
                    ),
                    Query(
                        promql="max by (trial) (ratchet_trial_time_to_detect_seconds)",
                        newest=True,
                        format=PromQueryFormat.TABLE,
                    ),
                    Query(
                        promql="max by (trial) (ratchet_trial_time_to_repair_seconds)",
                        newest=True,
                        format=PromQueryFormat.TABLE,
                    ),
                ),
                width=24,
            ),
            joined_by="trial",
            columns=(
                Column(source="trial", title="trial"),
                Column(source="verdict", title="verdict", colors=VERDICT_COLORS),
                Column(source="Value #C", title="time to detect", unit=units.Seconds),
                Column(source="Value #D", title="time to repair", unit=units.Seconds),
            ),
        ),
    ),
)

_SPENT = Section(
    title="What it adds up to",
    panels=(
        graph(
            Panel(
                title="Verdicts",
                description="Trials that ended, by verdict, as they came.",
                unit=units.Short,
                queries=(
                    Query(
                        promql="max by (verdict) (ratchet_campaign_trials)", legend="{{verdict}}"
                    ),
                ),
                colors=VERDICT_COLORS,
            ),
            stacked=True,
            steps=True,
        ),
        graph(
            Panel(
                title="Cost",
                description="What all sessions are known to have cost; blank: nothing is known.",
                unit=units.Dollars,
                queries=(
                    Query(promql="max(ratchet_campaign_spent_dollars)", legend="all sessions"),
                ),
                more="ratchet-operator",
            ),
            steps=True,
        ),
        graph(
            Panel(
                title="Tokens",
                description="Used by all sessions, as far as is known; blank: nothing is known.",
                unit=units.Short,
                queries=(
                    Query(promql="max(ratchet_campaign_spent_tokens)", legend="all sessions"),
                ),
                more="ratchet-operator",
            ),
            steps=True,
        ),
    ),
)

CAMPAIGN = Page(
    uid="ratchet-campaign",
    title="Campaign",
    description="Where is the campaign, how did its trials end, and what did it cost?",
    sections=(_NOW, _COURSE, CLIENTS, _SPENT, HARNESS),
    variables=(
        Variable(
            name="behaviour",
            title="Behaviour",
            description="What the users whose requests are shown do.",
            series='loadgen_requests_offered_total{job="loadgen"}',
            label="behaviour",
        ),
    ),
)
