"""What an operator needs besides a sandbox, looked at before anything is started."""

from __future__ import annotations

from dataclasses import dataclass

from operators.prices import Prices
from operators.trace.recorder import TurnUsage

from campaign.errors import UsageError
from campaign.model import OperatorOptions, Plan
from campaign.price_files import read_prices
from campaign.rig import RigOptions

_OWN_PRICES = (
    "name its price in a table of yours (`ratchet operator price --update-from FILE`), or give "
    "--budget-tokens or --budget-turns instead"
)
_TURNS_ONLY = "bound it by --budget-wall and --budget-turns instead"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Uncounted:
    """Why nobody can say what is spent, and what to do."""

    why: str
    hint: str
    #: tokens cannot be counted either
    tokens_too: bool = False


def require_operator_needs(plan: Plan, options: RigOptions) -> None:
    """Key, model, agent and price table are there, and the budgets can be kept.

    Raises:
        UsageError: they are not; it says which, and what to do.
    """
    prices = read_prices()
    match plan.operator:
        case "claude":
            uncounted = _of_claude(plan.operator_options, options, prices)
        case "command":
            uncounted = _of_agent(plan.operator_options, options, prices)
        case "external":
            why = "an external operator tells nobody what it spends"
            uncounted = _Uncounted(why=why, hint=_TURNS_ONLY, tokens_too=True)
        case _:
            uncounted = None
    if uncounted is not None:
        _require_nothing_to_keep(plan, uncounted)


def _of_claude(chosen: OperatorOptions, options: RigOptions, prices: Prices) -> _Uncounted | None:
    from campaign import drivers  # noqa: PLC0415 - see there

    drivers.claude(chosen, options, prices)
    return _unpriced(chosen.model or drivers.DEFAULT_MODEL, prices)


def _of_agent(chosen: OperatorOptions, options: RigOptions, prices: Prices) -> _Uncounted | None:
    from campaign import drivers  # noqa: PLC0415 - see there

    adapter, model = drivers.require_agent(chosen, options), chosen.model
    if adapter.model_api is None or adapter.model_api.counts == "nothing":
        why = f"what {adapter.title} spends is not known while it works"
        return _Uncounted(why=why, hint=_TURNS_ONLY, tokens_too=True)
    # Without a number it is the agent's short name for a model, or its own choice: which one that
    # is, the answers of the model's API will say.
    if model is None or not any(map(str.isdigit, model)):
        return None
    return _unpriced(model, prices)


def _unpriced(model: str, prices: Prices) -> _Uncounted | None:
    some = TurnUsage(model=model, input_tokens=1, output_tokens=1)
    if prices.cost_usd(some) is not None:
        return None
    return _Uncounted(why=f"no price table names the model {model}", hint=_OWN_PRICES)


def _require_nothing_to_keep(plan: Plan, uncounted: _Uncounted) -> None:
    """A budget that cannot be kept is none."""
    wanted = {
        "--budget-usd": plan.budget.usd,
        "--campaign-budget-usd": plan.campaign_budget.usd,
    }
    if uncounted.tokens_too:
        wanted |= {
            "--budget-tokens": plan.budget.tokens,
            "--campaign-budget-tokens": plan.campaign_budget.tokens,
        }
    for option, amount in wanted.items():
        if amount is not None:
            raise UsageError(
                f"{option} {amount:g} cannot be kept: {uncounted.why}", hint=uncounted.hint
            )
