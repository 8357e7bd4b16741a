"""What an operator is told at the beginning of a session."""

from operators.briefing.briefing import make_briefing
from operators.briefing.memory import PRIOR_CHARS
from operators.briefing.ticket import symptom_line, ticket_text

__all__ = ["PRIOR_CHARS", "make_briefing", "symptom_line", "ticket_text"]
