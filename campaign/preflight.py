"""What can be known before anything is started: looked at first, so that nothing is left behind."""

from __future__ import annotations

from campaign.doctor import Check, run_checks
from campaign.errors import UsageError
from campaign.runs import RunFolder, require_reachable, require_unused

_SANDBOX = "bubblewrap"


def require_ready(run: RunFolder) -> str:
    """Why the app cannot be confined on this machine; empty when it can. Takes half a second.

    Raises:
        BusyError: another process plays the campaign.
        UsageError: something that a campaign needs is missing, or too old, or the disk is full.
    """
    require_unused(run)
    require_reachable(run)
    checks = run_checks(runs_dir=run.path.parent)
    if lacking := [check for check in checks if check.status == "missing"]:
        raise UsageError(
            "; ".join(f"{check.name}: {check.found}" for check in lacking),
            hint="; ".join(dict.fromkeys(check.advice for check in lacking)),
        )
    return next((check.found for check in checks if _is_no_sandbox(check)), "")


def _is_no_sandbox(check: Check) -> bool:
    return check.name == _SANDBOX and check.status != "ok"
