"""What can be known before anything is started: looked at first, so that nothing is left behind."""

from __future__ import annotations

from campaign.doctor import Check, check_sandbox, run_checks
from campaign.errors import BusyError, UsageError
from campaign.model import Plan
from campaign.operator_needs import require_operator_needs
from campaign.orders import SCRIPTED
from campaign.rig import RigOptions
from campaign.runs import RunFolder, list_runs, require_reachable, require_unused
from campaign.stack import ComposePlaces, is_compose
from campaign.stack.compose.layout import alone
from campaign.stack.errors import StackInUseError
from campaign.states import read_campaign

_SANDBOX = "bubblewrap"
_TELLING_CHARS = 5


def require_ready(run: RunFolder) -> str:
    """Why the app cannot be confined on this machine; empty when it can. Takes half a second.

    Raises:
        BusyError: another process plays the campaign, or any other one on the compose stack.
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
    if is_compose():
        _require_free_stack()
        return why_no_sandbox()
    return next((_why_none(check) for check in checks if check.name == _SANDBOX), "")


def _require_free_stack() -> None:
    """Raises BusyError when another container plays a campaign: before it leaves a ruin behind."""
    try:
        with alone(ComposePlaces().stack_lock):
            pass
    except StackInUseError as error:
        raise BusyError(str(error), hint=error.hint) from error


def why_no_sandbox() -> str:
    """Why the app cannot be confined on this machine; empty when it can. Starts a sandbox."""
    return "" if is_compose() else _why_none(check_sandbox())


def _why_none(check: Check) -> str:
    return "" if check.status == "ok" else check.found


async def require_operator_ready(
    run: RunFolder, plan: Plan | None, options: RigOptions, *, no_sandbox: str
) -> None:
    """Whether the operator of `plan` (None: of the campaign that `run` holds) may work here.

    `no_sandbox` is why this machine has none, if so.

    Raises:
        UsageError: it may not, or what it needs is not there.
    """
    if plan is None:
        played = await read_campaign(run)
        plan = None if played is None else played.plan
    if plan is None:
        return
    require_boundary(
        plan.operator,
        confined=options.sandbox,
        allowed=options.allow_unsandboxed_operator,
        why=no_sandbox or "--no-sandbox was given",
    )
    _require_no_hint(run, plan)
    _require_recording(run, plan)
    if is_compose() and plan.operator == "command":
        raise UsageError(
            "operator command cannot work in the compose stack yet: its program would run beside "
            "the harness",
            hint="use --stack local, or let the agent join from outside: --operator external",
        )
    if plan.operator not in SCRIPTED:
        require_operator_needs(plan, options)


def require_boundary(operator: str, *, confined: bool, allowed: bool, why: str) -> None:
    """Without a sandbox only those may work whose every act is written down beforehand.

    Raises:
        UsageError: `operator` is none of them, and nobody insisted.
    """
    if confined or allowed or operator in SCRIPTED:
        return
    raise UsageError(
        f"operator {operator} may not work without a sandbox ({why}): "
        "its shell could read and change all that you can",
        hint="get one: apt-get install bubblewrap, then see `ratchet doctor`; or insist with "
        "--allow-unsandboxed-operator. "
        f"Without one, these may work: {', '.join(SCRIPTED)}",
    )


def _require_no_hint(run: RunFolder, plan: Plan) -> None:
    """In a sandbox the kernel tells (/proc/self/mountinfo) which folder is bound into it."""
    if plan.operator in SCRIPTED:
        return
    place = run.path.resolve()
    if named := next((each.id for each in plan.profiles if _says(str(place), each.id)), None):
        raise UsageError(
            f"{place} says the name of the profile {named}, and operators can see that path",
            hint="choose another --name or --runs",
        )


def _says(place: str, profile: str) -> bool:
    """However it is spelt; a very short name is in many a path by chance."""
    name = _letters(profile)
    return len(name) >= _TELLING_CHARS and name in _letters(place)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _require_recording(run: RunFolder, plan: Plan) -> None:
    recording = plan.operator_options.recording
    if plan.operator != "replay" or recording is None:
        return
    if not _is_beside(run, recording):
        raise UsageError(
            f"there is no campaign {recording} in {run.path.parent} to play again",
            hint="a recording lies in the same --runs; `ratchet status` says what there is",
        )


def _is_beside(run: RunFolder, name: str) -> bool:
    """A campaign of the same folder: a name, never a way to anywhere else."""
    return name in {each.name for each in list_runs(run.path.parent)}
