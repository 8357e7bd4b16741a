"""A right fix resolves, however it is written; a deployment that mends nothing does not.

Played by RATCHET_LONG=1 alone; one of the other fixes is in the campaign of test_replay.py.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.acceptance_kit import Wish, disagreements, kinds, other_fix, play, reachable_folder

LONG = bool(os.environ.get("RATCHET_LONG"))
LADDER = ("missing_index", "pool_exhaustion", "streaming_txn", "fulltext_search")

pytestmark = [
    pytest.mark.skipif(not LONG, reason="RATCHET_LONG=1 plays it"),
    pytest.mark.timeout(600),
]

COMMENT_ONLY = (
    "--- a/pool.py\n"
    "+++ b/pool.py\n"
    "@@ -1,3 +1,4 @@\n"
    ' """The connection pool."""\n'
    "+# Looked at, and found well.\n"
    " \n"
    " from __future__ import annotations\n"
)


async def test_another_right_fix_resolves() -> None:
    wish = Wish(profiles=LADDER, fixes={name: other_fix(name) for name in LADDER})
    with reachable_folder() as root:
        campaign = await play(wish, root, name="controls")
        assert await disagreements(root / "controls") == []
    assert kinds(campaign) == ["resolved"] * len(LADDER)


async def test_a_comment_resolves_no_profile(tmp_path: Path) -> None:
    comment = tmp_path / "comment.patch"
    comment.write_text(COMMENT_ONLY)
    wish = Wish(profiles=LADDER, fixes=dict.fromkeys(LADDER, comment))
    with reachable_folder() as root:
        campaign = await play(wish, root, name="comments")
    assert kinds(campaign) == ["unresolved"] * len(LADDER)
    assert all(trial.last_deployed_at is not None for trial in campaign.done)
