"""Command-line agents as confined processes (`operators.command.AgentRunner`)."""

from campaign.adapters.agents.processes import AgentProcesses

__all__ = ["AgentProcesses"]
