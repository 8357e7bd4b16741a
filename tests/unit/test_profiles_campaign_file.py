from __future__ import annotations

from pathlib import Path

import pytest

from campaign.model import Budget, LoadDimension, Timings
from chaos_profiles import ProfileError, load_campaign


def written(folder: Path, text: str) -> Path:
    file = folder / "campaign.yaml"
    file.write_text(text)
    return file


def test_a_short_file_plays_the_whole_ladder(tmp_path: Path) -> None:
    spec = load_campaign(written(tmp_path, "target: chat_db_app\noperator: reference\n"))
    plan = spec.plan("c-1")
    assert plan.campaign == "c-1"
    assert plan.mode == "continuous"
    assert plan.profiles == spec.catalogue.profiles
    assert plan.base_load == spec.catalogue.target.base_load
    assert plan.invariants == spec.catalogue.invariants
    assert plan.timings == Timings()
    assert plan.budget == Budget()


def test_a_file_may_choose_everything(tmp_path: Path) -> None:
    spec = load_campaign(
        written(
            tmp_path,
            """\
target: chat_db_app
operator: claude
mode: isolated
seed: 7
profiles: [streaming_txn, 01_missing_index]
base_load:
  - {behaviour: canary, users: 4, rate_hz: 2}
timings: {recovery_patience_s: 90}
budget: {wall_s: 600, usd: 2.5}
""",
        )
    )
    assert [profile.id for profile in spec.profiles] == ["streaming_txn", "missing_index"]
    assert spec.base_load == (LoadDimension(behaviour="canary", users=4, rate_hz=2),)
    assert spec.timings == Timings(recovery_patience_s=90)
    assert spec.budget == Budget(wall_s=600, usd=2.5)
    assert (spec.mode, spec.seed, spec.operator) == ("isolated", 7, "claude")


@pytest.mark.parametrize(
    ("text", "line", "field", "message"),
    [
        (
            "target: chat_db_ap\noperator: x\n",
            1,
            "target",
            "no such target; did you mean chat_db_app?",
        ),
        ("target: chat_db_app\n", 1, "operator", "is missing; who works on the tickets"),
        (
            "target: chat_db_app\noperator: x\nprofiles:\n- mising_index\n",
            4,
            "profiles.0",
            "no profile 'mising_index'; did you mean missing_index?",
        ),
        (
            "target: chat_db_app\noperator: x\nbudget: {turn: 3}\n",
            3,
            "budget.turn",
            "unknown key; did you mean turns?",
        ),
        (
            "target: chat_db_app\noperator: x\nbudget: {usd: nothing}\n",
            3,
            "budget.usd",
            "should be a valid number, not 'nothing'",
        ),
        (
            """\
target: chat_db_app
operator: x
base_load:
- {behaviour: reeder, users: 1, rate_hz: 1}
""",
            4,
            "base_load.0.behaviour",
            "no such behaviour; did you mean reader?",
        ),
        (
            "target: chat_db_app\noperator: x\ntimings: {range_s: 60}\n",
            None,
            "window_s",
            "must be longer than the rules' range and the warm-up together (62 s)",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, text: str, line: int | None, field: str, message: str
) -> None:
    with pytest.raises(ProfileError) as caught:
        load_campaign(written(tmp_path, text))
    problem = caught.value.problems[0]
    assert problem.field == field
    assert problem.message.startswith(message)
    assert line is None or problem.line == line
