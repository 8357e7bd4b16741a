"""Runs the target app in its sandbox, and redeploys it without failing a request.

A process of its own (``python -m campaign.supervisor --config FILE``), spoken to through
`SupervisorClient`. `machine` decides, `effects` acts, `supervisor` joins the two.
"""

from campaign.supervisor.client import ConflictError, SupervisorClient, SupervisorError
from campaign.supervisor.config import ConfigError, SupervisorConfig, load_config
from campaign.supervisor.environments import (
    EnvironmentRefusedError,
    Environments,
    find_interpreter,
    prepare_wheels,
)
from campaign.supervisor.tree import UnhashableTreeError, revision_hash, tree_hash
from campaign.supervisor.wire import (
    DeploymentRequest,
    DeploymentResult,
    ExitRecord,
    Status,
)

__all__ = [
    "ConfigError",
    "ConflictError",
    "DeploymentRequest",
    "DeploymentResult",
    "EnvironmentRefusedError",
    "Environments",
    "ExitRecord",
    "Status",
    "SupervisorClient",
    "SupervisorConfig",
    "SupervisorError",
    "UnhashableTreeError",
    "find_interpreter",
    "load_config",
    "prepare_wheels",
    "revision_hash",
    "tree_hash",
]
