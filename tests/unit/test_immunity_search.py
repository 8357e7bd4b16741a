"""Which revision is probed next, and what is concluded from the outcomes."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from campaign.immunity import Conclusion, Outcome, Probe, Search

#: one letter a revision: v violated, i immune, ? never clear
LETTERS = {"v": Outcome.VIOLATED, "i": Outcome.IMMUNE, "?": Outcome.UNCLEAR}


@dataclass(frozen=True, kw_only=True)
class Told:
    """How a whole search went."""

    conclusion: Conclusion
    probed: list[str] = field(default_factory=list)


def search(outcomes: str, *, probes: tuple[Probe, ...] = ()) -> Told:
    """Ask the search until it is done; the truth is `outcomes`, by revision r0, r1, …"""
    truth = {f"r{number}": LETTERS[letter] for number, letter in enumerate(outcomes)}
    at_work = Search(profile="p", revisions=tuple(truth), probes=probes)
    probed: list[str] = []
    while (revision := at_work.next()) is not None:
        probed.append(revision)
        at_work = at_work.after(
            Probe(profile="p", revision=revision, outcome=truth[revision], detail="why")
        )
    return Told(conclusion=at_work.conclusion(), probed=probed)


@pytest.mark.parametrize("first_immune", range(1, 18))
def test_the_earliest_immune_revision_is_named_wherever_it_is(first_immune: int) -> None:
    outcomes = "v" * first_immune + "i" * (18 - first_immune)
    told = search(outcomes)
    assert told.conclusion == Conclusion(kind="conferred", revision=f"r{first_immune}")
    assert {f"r{first_immune - 1}", f"r{first_immune}"} <= set(told.probed)


@pytest.mark.parametrize("count", range(2, 40))
def test_a_search_is_bounded(count: int) -> None:
    for first_immune in range(1, count):
        outcomes = "v" * first_immune + "i" * (count - first_immune)
        most = Search(profile="p", revisions=tuple(f"r{n}" for n in range(count))).most_probes
        assert len(search(outcomes).probed) <= most <= count


def test_both_ends_come_first() -> None:
    assert search("vvvvii").probed[:2] == ["r5", "r0"]


def test_an_app_that_is_not_immune_alone_owes_it_to_the_campaign() -> None:
    told = search("vvvv")
    assert told.conclusion == Conclusion(kind="not immune alone", detail="why")
    assert told.probed == ["r3"]


def test_an_app_that_was_immune_as_delivered_owes_it_to_nobody() -> None:
    assert search("iiii").conclusion.kind == "immune as delivered"
    assert search("i").conclusion.kind == "immune as delivered"
    assert search("iiii").probed == ["r3", "r0"]


def test_two_revisions_need_two_probes() -> None:
    assert search("vi") == Told(
        conclusion=Conclusion(kind="conferred", revision="r1"), probed=["r1", "r0"]
    )


def test_a_probe_that_says_nothing_is_made_once_more() -> None:
    told = search("v?i")
    assert told.probed == ["r2", "r0", "r1", "r1"]
    assert told.conclusion == Conclusion(kind="unclear", revision="r1", detail="why")


def test_an_end_that_says_nothing_ends_the_search() -> None:
    assert search("vv?").conclusion == Conclusion(kind="unclear", revision="r2", detail="why")
    assert search("?vi").conclusion == Conclusion(kind="unclear", revision="r0", detail="why")


def test_a_clear_outcome_after_an_unclear_one_counts() -> None:
    unclear = Probe(profile="p", revision="r1", outcome=Outcome.UNCLEAR)
    assert search("vi", probes=(unclear,)).conclusion.kind == "conferred"


def test_an_immunity_that_was_lost_and_won_again_is_told() -> None:
    told = search("vvivii")
    assert told.conclusion.kind == "not monotone"
    assert told.conclusion.revision == "r4"
    assert "r2" in told.conclusion.detail


def test_what_is_known_is_not_probed_again() -> None:
    known = tuple(
        Probe(profile="p", revision=f"r{number}", outcome=LETTERS[letter])
        for number, letter in enumerate("vvii")
    )
    assert search("vvii", probes=known).probed == []


def test_probes_of_another_profile_say_nothing() -> None:
    other = Probe(profile="q", revision="r1", outcome=Outcome.IMMUNE)
    assert search("vi", probes=(other,)).probed == ["r1", "r0"]
