"""How the processes of a campaign are started: `local` as children of ours, `compose` as services.

Both implement `ProcessStack`; `make_stack` gives the one that this process is part of.
"""

from campaign.stack.choice import lay_out, make_stack, shell_places
from campaign.stack.components import WORKER_PREFIX, LoadgenSettings, SupervisorSettings
from campaign.stack.compose.asking import own_address
from campaign.stack.compose.places import ComposePlaces, is_compose
from campaign.stack.compose.stack import ComposeStack
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
from campaign.stack.load_division import LoadDivision
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
    "WORKER_PREFIX",
    "BadRulesError",
    "ComponentDown",
    "ComponentEvent",
    "ComponentFailedError",
    "ComponentName",
    "ComponentUp",
    "ComposePlaces",
    "ComposeStack",
    "DatabaseSource",
    "Kept",
    "Leftovers",
    "LoadDivision",
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
    "is_compose",
    "lay_out",
    "make_stack",
    "own_address",
    "shell_places",
    "snapshot",
]
