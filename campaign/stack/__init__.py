"""How the processes of a campaign are started; `local` as children of ours.

Compose implements the same `ProcessStack`.
"""

from campaign.stack.components import LoadgenSettings, SupervisorSettings
from campaign.stack.copies import PGDATA, StoredSnapshot, clone, snapshot
from campaign.stack.errors import (
    BadRulesError,
    ComponentFailedError,
    MissingProgramError,
    NotEnoughSpaceError,
    PortInUseError,
    StackError,
    StackInUseError,
    UnreachableFolderError,
)
from campaign.stack.interface import (
    ComponentDown,
    ComponentEvent,
    ComponentName,
    ComponentUp,
    DatabaseSource,
    ProcessStack,
    StackAddresses,
)
from campaign.stack.local import LocalStack, LocalStackConfig
from campaign.stack.network import Ports
from campaign.stack.places import cache_place
from campaign.stack.postgres import APP_ROLE, PostgresAddresses
from campaign.stack.record import Leftovers, cleanup_leftovers, discard_data
from campaign.stack.snapshots import Kept, NoSnapshotError, SnapshotStore
from campaign.stack.template import TemplateRecipe

__all__ = [
    "APP_ROLE",
    "PGDATA",
    "BadRulesError",
    "ComponentDown",
    "ComponentEvent",
    "ComponentFailedError",
    "ComponentName",
    "ComponentUp",
    "DatabaseSource",
    "Kept",
    "Leftovers",
    "LoadgenSettings",
    "LocalStack",
    "LocalStackConfig",
    "MissingProgramError",
    "NoSnapshotError",
    "NotEnoughSpaceError",
    "PortInUseError",
    "Ports",
    "PostgresAddresses",
    "ProcessStack",
    "SnapshotStore",
    "StackAddresses",
    "StackError",
    "StackInUseError",
    "StoredSnapshot",
    "SupervisorSettings",
    "TemplateRecipe",
    "UnreachableFolderError",
    "cache_place",
    "cleanup_leftovers",
    "clone",
    "discard_data",
    "snapshot",
]
