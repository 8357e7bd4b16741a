"""What operators' tools reach the world through: shell, app, database, metrics and logs."""

from campaign.adapters.instruments.app import AppOverSocket
from campaign.adapters.instruments.database import AppDatabase
from campaign.adapters.instruments.logs import LogFiles
from campaign.adapters.instruments.metrics import SeenMetrics
from campaign.adapters.instruments.opening import Places, open_instruments
from campaign.adapters.instruments.shell import WorkspaceShells
from campaign.adapters.instruments.surroundings import Surroundings
from campaign.adapters.instruments.watch import Allowance

__all__ = [
    "Allowance",
    "AppDatabase",
    "AppOverSocket",
    "LogFiles",
    "Places",
    "SeenMetrics",
    "Surroundings",
    "WorkspaceShells",
    "open_instruments",
]
