"""The simulator: the real core, or the real shell, against a simulated world and clock."""

from campaign.testing.fakes import (
    FakeStack,
    Faults,
    MemoryJournal,
    ScriptedOperator,
    Tools,
    Work,
    fake_ports,
    mend,
)
from campaign.testing.gates import ALL_WELL, ScriptedAudit, erring, failing, finding
from campaign.testing.scripts import (
    Happening,
    Planned,
    Scene,
    idler,
    mender,
    nobody,
    sleeper,
)
from campaign.testing.simulation import Crashed, Script, Simulation, simulate
from campaign.testing.virtual import Deadlock, VirtualClock, VirtualLoop, play
from campaign.testing.world import (
    CALIBRATION,
    HEALTHY,
    World,
    make_invariant,
    make_plan,
    make_profile,
)

__all__ = [
    "ALL_WELL",
    "CALIBRATION",
    "HEALTHY",
    "Crashed",
    "Deadlock",
    "FakeStack",
    "Faults",
    "Happening",
    "MemoryJournal",
    "Planned",
    "Scene",
    "Script",
    "ScriptedAudit",
    "ScriptedOperator",
    "Simulation",
    "Tools",
    "VirtualClock",
    "VirtualLoop",
    "Work",
    "World",
    "erring",
    "failing",
    "fake_ports",
    "finding",
    "idler",
    "make_invariant",
    "make_plan",
    "make_profile",
    "mend",
    "mender",
    "nobody",
    "play",
    "simulate",
    "sleeper",
]
