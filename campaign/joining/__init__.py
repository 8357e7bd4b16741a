"""How people and programs outside join a campaign: clients of its HTTP API."""

from campaign.joining.door import Door, GoneError
from campaign.joining.member import Member, Ticket, Told, Tool, Waited, read_ticket

__all__ = ["Door", "GoneError", "Member", "Ticket", "Told", "Tool", "Waited", "read_ticket"]
