"""Real processes to test with: a fake chat app that can misbehave, and a running load generator."""

from loadgen.testing.processes import FakeApp, Generator, held_port
from loadgen.testing.samples import Samples, wait_until
from loadgen.testing.several import Master, Worker

__all__ = ["FakeApp", "Generator", "Master", "Samples", "Worker", "held_port", "wait_until"]
