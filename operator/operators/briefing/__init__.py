"""What an operator is told at the beginning of a session."""

from operators.briefing.briefing import make_briefing
from operators.briefing.memory import PRIOR_CHARS
from operators.briefing.standing import Standing, standing_text
from operators.briefing.ticket import symptom_line, ticket_text

__all__ = [
    "PRIOR_CHARS",
    "Standing",
    "make_briefing",
    "standing_text",
    "symptom_line",
    "ticket_text",
]
