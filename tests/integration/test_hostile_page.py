"""docs/boundary.md says which control stops what; its tables are the suite's own."""

from __future__ import annotations

from pathlib import Path

from tests.hostile_attacks import ATTACKS, EATS_ALL
from tests.hostile_controls import CONTROLS
from tests.hostile_tricks import TRICKS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "boundary.md"


def tables() -> dict[str, list[str]]:
    """The rows of each, by the name in the page's marks."""
    attacks = [
        f"| {attack.name} | {', '.join(attack.surfaces)} | {attack.control} |"
        for attack in (*ATTACKS, EATS_ALL)
    ]
    tricks = [f"| {trick.name} | tools | {trick.control} |" for trick in TRICKS]
    controls = [
        f"| {name} | {', '.join(f'`{place}`' for place in control.place.split(', '))} |"
        for name, control in CONTROLS.items()
    ]
    return {"attacks": [*attacks, *tricks], "controls": controls}


def test_the_page_has_the_tables_of_the_suite() -> None:
    page = PAGE.read_text()
    for name, rows in tables().items():
        _, _, rest = page.partition(f"<!-- {name} -->\n")
        table, end, _ = rest.partition(f"<!-- end of {name} -->")
        assert end, f"no table {name} in {PAGE}"
        assert table.splitlines()[2:] == rows


def test_each_control_stops_an_attack_and_each_attack_has_one() -> None:
    used = {attack.control for attack in (*ATTACKS, EATS_ALL)} | {t.control for t in TRICKS}
    assert used == set(CONTROLS)


def test_the_places_of_the_controls_are_there() -> None:
    for control in CONTROLS.values():
        for place in control.place.split(", "):
            assert (ROOT / place).exists(), place
