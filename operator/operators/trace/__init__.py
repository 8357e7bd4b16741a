"""Traces: what a session did, as it does it and afterwards."""

from operators.trace.classify import tool_class
from operators.trace.cost import Cost, Pricing
from operators.trace.document import ToolClass, Trace, as_document, trace_schema_text
from operators.trace.lines import TraceError, read_trace
from operators.trace.recorder import Recorder, TurnUsage
from operators.trace.writer import TraceLostError, TraceWriter

__all__ = [
    "Cost",
    "Pricing",
    "Recorder",
    "ToolClass",
    "Trace",
    "TraceError",
    "TraceLostError",
    "TraceWriter",
    "TurnUsage",
    "as_document",
    "read_trace",
    "tool_class",
    "trace_schema_text",
]
