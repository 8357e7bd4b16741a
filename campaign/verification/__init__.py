"""Proof that a profile does what it says: red on the unmodified app, green with its fix.

And more: red with everybody else's fixes, whole with all of them, and no trick is ever taken for
a repair. Limits come from the invariants' file and the calibration, never from what is judged.
"""

from campaign.verification.evidence import EVIDENCE_FILE, Setting, evidence, told, write
from campaign.verification.experiment import Experiment, Purpose, Scope, experiments
from campaign.verification.finding import (
    REQUIRED_MARGIN,
    Catch,
    Finding,
    Played,
    failed,
    judge,
)
from campaign.verification.measured import Measured, Watcher, measure, tightest, worst_values
from campaign.verification.proof import Proof, Proofs
from campaign.verification.rounds import Ended, Player, Stage, play_all

__all__ = [
    "EVIDENCE_FILE",
    "REQUIRED_MARGIN",
    "Catch",
    "Ended",
    "Experiment",
    "Finding",
    "Measured",
    "Played",
    "Player",
    "Proof",
    "Proofs",
    "Purpose",
    "Scope",
    "Setting",
    "Stage",
    "Watcher",
    "evidence",
    "experiments",
    "failed",
    "judge",
    "measure",
    "play_all",
    "tightest",
    "told",
    "worst_values",
    "write",
]
