"""Requests made from an OpenAPI document, and answers judged by it: schemathesis does both.

It neither sends nor sees the network: the gates' own client does, like any other client.
"""

from campaign.gates.conformance.cases import Case, cases
from campaign.gates.conformance.judge import Judge

__all__ = ["Case", "Judge", "cases"]
