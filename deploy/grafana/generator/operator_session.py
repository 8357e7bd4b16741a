"""Operator session: the work on a ticket, tool call by tool call, and what it costs."""

from __future__ import annotations

from grafana_foundation_sdk.models import units

from deploy.grafana.generator.looks import BAD, WARNING, Step, Word, thresholds
from deploy.grafana.generator.page import Page, Section
from deploy.grafana.generator.panels import Panel, bars, graph, number, timeline
from deploy.grafana.generator.queries import Query
from deploy.grafana.generator.variables import Variable

_TOOLS = 'tool=~"$tool"'
#: what people say to a session, and what it says or is refused
_SPOKEN = (
    "access_refused|approval_answered|approval_asked|message_sent|note_written|plan_filed"
    "|ticket_acknowledged|ticket_resolved"
)

_NOW = Section(
    title="The ticket at hand",
    panels=(
        timeline(
            Panel(
                title="Ticket",
                description="Whether a ticket is open: from the violation to the verdict.",
                unit=units.String,
                queries=(Query(promql="max(ratchet_ticket_open)", legend="ticket"),),
                width=12,
                height=4,
            ),
            meanings={0: Word(text="none", color="text"), 1: Word(text="open", color=WARNING)},
        ),
        number(
            Panel(
                title="Open for",
                description="Since the newest ticket was opened, while it is open.",
                unit=units.DurationSeconds,
                queries=(
                    Query(
                        promql=(
                            "(time() - max(ratchet_ticket_opened_timestamp_seconds)) "
                            "and max(ratchet_ticket_open) > 0"
                        ),
                        newest=True,
                    ),
                ),
                width=4,
                height=4,
            ),
        ),
        number(
            Panel(
                title="Turns",
                description="That the newest session of the trial at hand has taken.",
                unit=units.Short,
                queries=(Query(promql="max(ratchet_session_spent_turns)", newest=True),),
                width=4,
                height=4,
            ),
        ),
        number(
            Panel(
                title="Cost",
                description="Of the newest session of the trial at hand; blank: unknown.",
                unit=units.Dollars,
                queries=(Query(promql="max(ratchet_session_spent_dollars)", newest=True),),
                width=4,
                height=4,
            ),
            decimals=2,
        ),
    ),
)

_WORK = Section(
    title="What it does",
    panels=(
        graph(
            Panel(
                title="Tool calls",
                description="Of operators, by tool. Each call is journaled before it is answered.",
                unit=units.CountsPerSecond,
                queries=(
                    Query(
                        promql=(
                            "sum by (tool) (rate(ratchet_operator_tool_calls_total"
                            f"{{{_TOOLS}}}[$__rate_interval])) > 0"
                        ),
                        legend="{{tool}}",
                    ),
                ),
                width=16,
            ),
            stacked=True,
        ),
        bars(
            Panel(
                title="Calls in the time shown",
                description="By tool; tools that were not called are left out.",
                unit=units.Short,
                queries=(
                    Query(
                        promql=(
                            "sort_desc(round(sum by (tool) (increase("
                            f"ratchet_operator_tool_calls_total{{{_TOOLS}}}[$__range]))) > 0)"
                        ),
                        legend="{{tool}}",
                        newest=True,
                    ),
                ),
            ),
        ),
        graph(
            Panel(
                title="Calls that ended with an error",
                description="Refused, failed, or wrongly asked for; of the calls of each tool.",
                unit=units.PercentUnit,
                queries=(
                    Query(
                        promql=(
                            "sum by (tool) (increase(ratchet_operator_tool_calls_total"
                            f'{{{_TOOLS},result="error"}}[$__range])) '
                            "/ (sum by (tool) (increase(ratchet_operator_tool_calls_total"
                            f"{{{_TOOLS}}}[$__range])) > 0)"
                        ),
                        legend="{{tool}}",
                    ),
                ),
            ),
            highest=1.0,
        ),
        graph(
            Panel(
                title="Duration of calls, p95",
                description="By tool, of the calls in the time shown; rough, from few calls.",
                unit=units.Seconds,
                queries=(
                    Query(
                        promql=(
                            "histogram_quantile(0.95, sum by (le, tool) (increase("
                            f"ratchet_operator_tool_duration_seconds_bucket{{{_TOOLS}}}"
                            "[$__range]))) > 0"
                        ),
                        legend="{{tool}}",
                    ),
                ),
            ),
        ),
        graph(
            Panel(
                title="Said and refused",
                description=(
                    "Notes, plans, messages of people, approvals; and what the boundary refused."
                ),
                unit=units.Short,
                queries=(
                    Query(
                        promql=(
                            "round(sum by (kind) (increase("
                            f'ratchet_events_total{{kind=~"{_SPOKEN}"}}[$__range])))'
                        ),
                        legend="{{kind}}",
                    ),
                ),
                colors={"access_refused": BAD},
            ),
            steps=True,
        ),
        graph(
            Panel(
                title="Edits",
                description="Calls that changed the workspace, in the time shown.",
                unit=units.Short,
                queries=(
                    Query(
                        promql="round(sum(increase(ratchet_operator_edits_total[$__range])))",
                        legend="edits",
                    ),
                ),
                width=12,
            ),
            steps=True,
        ),
        graph(
            Panel(
                title="Deployments",
                description="Asked for in the campaign, by how they ended.",
                unit=units.Short,
                queries=(
                    Query(
                        promql="max by (outcome) (ratchet_campaign_deployments)",
                        legend="{{outcome}}",
                    ),
                ),
                width=12,
                colors={"ok": "green", "failed": BAD, "pending": WARNING},
                more="ratchet-app",
            ),
            stacked=True,
            steps=True,
        ),
    ),
)

_SPENT = Section(
    title="What it costs",
    panels=(
        graph(
            Panel(
                title="Tokens of the session",
                description="As last put on record; blank: unknown, or nobody counts.",
                unit=units.Short,
                queries=(Query(promql="max(ratchet_session_spent_tokens)", legend="tokens"),),
            ),
            steps=True,
        ),
        graph(
            Panel(
                title="Cost of the session",
                description="As last put on record; blank: unknown, or nobody counts.",
                unit=units.Dollars,
                queries=(Query(promql="max(ratchet_session_spent_dollars)", legend="cost"),),
            ),
            steps=True,
        ),
        graph(
            Panel(
                title="Turns",
                description="Of the session, and of all sessions of the campaign.",
                unit=units.Short,
                queries=(
                    Query(promql="max(ratchet_session_spent_turns)", legend="this session"),
                    Query(promql="max(ratchet_campaign_spent_turns)", legend="all sessions"),
                ),
            ),
            steps=True,
        ),
    ),
)

_ENDS = Section(
    title="How sessions end",
    panels=(
        number(
            Panel(
                title="Sessions",
                description="That the campaign has begun; a crash begins another on its ticket.",
                unit=units.Short,
                queries=(Query(promql="max(ratchet_campaign_sessions)", newest=True),),
                width=6,
                height=5,
            ),
        ),
        bars(
            Panel(
                title="Ended, by how",
                description="Since the daemon was started. Budget spent and gave up are lost time.",
                unit=units.Short,
                queries=(
                    Query(
                        promql="sum by (outcome) (ratchet_operator_sessions_total)",
                        legend="{{outcome}}",
                        newest=True,
                    ),
                ),
                width=9,
                height=5,
            ),
        ),
        bars(
            Panel(
                title="Time to repair",
                description="Of each trial, from its violation to the start of the clean period.",
                unit=units.Seconds,
                queries=(
                    Query(
                        promql="max by (trial) (ratchet_trial_time_to_repair_seconds)",
                        legend="trial {{trial}}",
                        newest=True,
                    ),
                ),
                width=9,
                height=5,
                more="ratchet-campaign",
            ),
            limits=thresholds(Step(value=300, color=WARNING), Step(value=1800, color=BAD)),
        ),
    ),
)

OPERATOR_SESSION = Page(
    uid="ratchet-operator",
    title="Operator session",
    description="What does the operator do on its ticket, what comes of it, what does it cost?",
    sections=(_NOW, _WORK, _SPENT, _ENDS),
    variables=(
        Variable(
            name="tool",
            title="Tool",
            description="The tools of the operator's toolbox; other: any other name.",
            series="ratchet_operator_tool_calls_total",
            label="tool",
        ),
    ),
)
