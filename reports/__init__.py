"""From a journal to a report: a page for people, a JSON object for programs."""

from reports.series import History, TrialHistory, history
from reports.summary import summarise
from reports.view import CampaignView, StepFunction
from reports.write import Written, write_report

__all__ = [
    "CampaignView",
    "History",
    "StepFunction",
    "TrialHistory",
    "Written",
    "history",
    "summarise",
    "write_report",
]
