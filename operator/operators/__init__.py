"""Operators, and the toolbox that all of them work through."""

from operators.history import Deed, HistoryBook, HistoryOperator
from operators.nobody import NoOperator
from operators.reference import ReferenceOperator, Repair, RepairBook
from operators.toolbox.toolbox import (
    Deployer,
    Desk,
    Equipment,
    Sandbox,
    Toolbox,
    ToolError,
    Workspace,
)

__all__ = [
    "Deed",
    "Deployer",
    "Desk",
    "Equipment",
    "HistoryBook",
    "HistoryOperator",
    "NoOperator",
    "ReferenceOperator",
    "Repair",
    "RepairBook",
    "Sandbox",
    "ToolError",
    "Toolbox",
    "Workspace",
]
