"""The functional gate: it is healthy, and answers by its document."""
