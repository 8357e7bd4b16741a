"""The one toolbox that every operator works through."""

from operators.toolbox.answer import Answer
from operators.toolbox.approvals import Approvals, Decision
from operators.toolbox.equipment import Deployer, Desk, Equipment, Sandbox, Workspace
from operators.toolbox.errors import ToolError
from operators.toolbox.instruments import Instruments, Shell
from operators.toolbox.toolbox import Toolbox

__all__ = [
    "Answer",
    "Approvals",
    "Decision",
    "Deployer",
    "Desk",
    "Equipment",
    "Instruments",
    "Sandbox",
    "Shell",
    "ToolError",
    "Toolbox",
    "Workspace",
]
