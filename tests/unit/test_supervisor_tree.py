import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from campaign.supervisor.tree import UnhashableTreeError, revision_hash, tree_hash


def make(root: Path) -> Path:
    (root / "package").mkdir(parents=True)
    (root / "main.py").write_text("print()\n")
    (root / "run.sh").write_text("true\n")
    (root / "run.sh").chmod(0o755)
    (root / "package" / "größe.py").write_text("SIZE = 1\n")
    (root / "link").symlink_to("main.py")
    return root


def test_the_formula_is_the_documented_one(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"two")
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "a").chmod(0o700)
    one, two = (hashlib.sha256(content).hexdigest() for content in (b"one", b"two"))
    lines = f"a\0x\0{one}\nb\0-\0{two}\n"
    assert tree_hash(tmp_path) == hashlib.sha256(lines.encode()).hexdigest()


def test_a_folder_and_the_commit_of_it_have_the_same_hash(tmp_path: Path) -> None:
    root = make(tmp_path / "repository")
    identity = ("-c", "user.name=x", "-c", "user.email=x@y")
    for words in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-qm", "all")):
        subprocess.run(["git", *words], cwd=root, check=True, capture_output=True)
    assert revision_hash(root, "HEAD") == tree_hash(root)


def test_names_contents_links_and_execute_bits_count_but_folders_and_times_do_not(
    tmp_path: Path,
) -> None:
    root = make(tmp_path / "tree")
    seen = {tree_hash(root)}
    os.utime(root / "main.py", (1, 1))
    (root / "empty").mkdir()
    (root / ".git").write_text("gitdir: elsewhere")
    assert tree_hash(root) in seen
    (root / "run.sh").chmod(0o644)
    seen.add(tree_hash(root))
    (root / "main.py").rename(root / "other.py")
    seen.add(tree_hash(root))
    (root / "link").unlink()
    (root / "link").symlink_to("other.py")
    seen.add(tree_hash(root))
    (root / "package" / ".git").write_text("counts here")
    seen.add(tree_hash(root))
    assert len(seen) == 5


def test_a_pipe_in_the_source_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnhashableTreeError, match="neither a file nor a link"):
        tree_hash(tmp_path)


def test_a_missing_folder_is_an_error_not_an_empty_tree(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        tree_hash(tmp_path / "nowhere")
