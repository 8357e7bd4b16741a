"""The correct gate: what it stores, and what it tells, is right."""
