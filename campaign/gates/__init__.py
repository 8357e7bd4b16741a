"""What an app must still do before a trial may be called resolved, asked from outside."""

from campaign.gates.app import AcknowledgedWrite, AppDatabase, LiveApp
from campaign.gates.document import prepare_gates
from campaign.gates.finding import AppFailedError, Finding, Skip
from campaign.gates.runner import GateRunner

__all__ = [
    "AcknowledgedWrite",
    "AppDatabase",
    "AppFailedError",
    "Finding",
    "GateRunner",
    "LiveApp",
    "Skip",
    "prepare_gates",
]
