"""The target app's database as the harness uses it: its data, and what can be seen from inside."""

from campaign.adapters.database.contents import Contents, differences, standstill
from campaign.adapters.database.probes import Probes
from campaign.adapters.database.target import TargetDatabase

__all__ = ["Contents", "Probes", "TargetDatabase", "differences", "standstill"]
