"""Real processes to test with: a fake chat app that can misbehave, and a running load generator."""

from loadgen.testing.processes import FakeApp, Generator
from loadgen.testing.samples import Samples, wait_until

__all__ = ["FakeApp", "Generator", "Samples", "wait_until"]
