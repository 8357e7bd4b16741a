"""Which revision of a campaign made its app immune to a profile, found by probing earlier ones."""

from campaign.immunity.evidence import Evidence
from campaign.immunity.findings import Found
from campaign.immunity.inquiry import Inquiry
from campaign.immunity.ladder import Rung, immune_trials, rungs
from campaign.immunity.prober import InterruptedProbeError, Prober
from campaign.immunity.search import Conclusion, Outcome, Probe, Search

__all__ = [
    "Conclusion",
    "Evidence",
    "Found",
    "Inquiry",
    "InterruptedProbeError",
    "Outcome",
    "Probe",
    "Prober",
    "Rung",
    "Search",
    "immune_trials",
    "rungs",
]
