"""A right fix resolves, however it is written; a deployment that mends nothing does not.

RATCHET_LONG=1 tries every profile's other fix; otherwise one.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.acceptance_kit import Wish, disagreements, kinds, play, reachable_folder

LONG = bool(os.environ.get("RATCHET_LONG"))
FIXES = Path(__file__).parents[1] / "fixtures" / "alternative_fixes"
LADDER = ("missing_index", "pool_exhaustion", "streaming_txn", "fulltext_search")
TRIED = LADDER if LONG else ("streaming_txn",)

COMMENT_ONLY = (
    "--- a/pool.py\n"
    "+++ b/pool.py\n"
    "@@ -1,3 +1,4 @@\n"
    ' """The connection pool."""\n'
    "+# Looked at, and found well.\n"
    " \n"
    " from __future__ import annotations\n"
)


@pytest.mark.timeout(600 if LONG else 300)
async def test_another_right_fix_resolves() -> None:
    wish = Wish(profiles=TRIED, fixes={name: next(FIXES.glob(f"*{name}.patch")) for name in TRIED})
    with reachable_folder() as root:
        campaign = await play(wish, root, name="controls")
        assert await disagreements(root / "controls") == []
    assert kinds(campaign) == ["resolved"] * len(TRIED)


@pytest.mark.skipif(not LONG, reason="RATCHET_LONG=1 plays it")
@pytest.mark.timeout(600)
async def test_a_comment_resolves_no_profile(tmp_path: Path) -> None:
    comment = tmp_path / "comment.patch"
    comment.write_text(COMMENT_ONLY)
    wish = Wish(profiles=LADDER, fixes=dict.fromkeys(LADDER, comment))
    with reachable_folder() as root:
        campaign = await play(wish, root, name="comments")
    assert kinds(campaign) == ["unresolved"] * len(LADDER)
    assert all(trial.last_deployed_at is not None for trial in campaign.done)
