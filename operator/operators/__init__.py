"""Operators, and the toolbox that all of them work through."""

from operators.history import Deed, HistoryBook, HistoryOperator
from operators.nobody import NoOperator
from operators.reference import ReferenceOperator, Repair, RepairBook
from operators.session import Briefing, Driver, Session, Tools, ToolSpec
from operators.toolbox.answer import Answer
from operators.toolbox.approvals import Approvals, Decision
from operators.toolbox.equipment import Deployer, Desk, Equipment, Sandbox, Workspace
from operators.toolbox.errors import ToolError
from operators.toolbox.toolbox import Toolbox

__all__ = [
    "Answer",
    "Approvals",
    "Briefing",
    "Decision",
    "Deed",
    "Deployer",
    "Desk",
    "Driver",
    "Equipment",
    "HistoryBook",
    "HistoryOperator",
    "NoOperator",
    "ReferenceOperator",
    "Repair",
    "RepairBook",
    "Sandbox",
    "Session",
    "ToolError",
    "ToolSpec",
    "Toolbox",
    "Tools",
    "Workspace",
]
