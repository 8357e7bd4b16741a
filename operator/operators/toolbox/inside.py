"""Reads and changes files of the folder it runs in; by itself, with Python's own library only.

It is one text, for it is run as `python3 -I -c <this text>` in the workspace. It takes one JSON
object on standard input and prints one on its last line: {"text", "diff", "diff_cut"}, {"error"}
for what can be told to whoever asked, or {"outside"} for a path that leads out. Links are followed
only where they stay inside; what is opened is opened below the folder with no link on the way, so
that a link that is put there meanwhile leads nowhere.
"""

# Paths are texts here, and files are opened by the descriptors of their folders.
# ruff: noqa: PTH110, PTH112, PTH114, PTH116, PTH118, PTH119, PTH120, PTH208

from __future__ import annotations

import difflib
import fnmatch
import json
import os
import re
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

#: what the folder is called by those who ask
ROOT = "/srv/app"
MAX_FILE_BYTES = 4 << 20
#: of what is printed: less than 64 KiB together, whatever the characters
TEXT_BYTES = 40_000
DIFF_BYTES = 12_000
#: longer lines are shown cut
LINE_CHARS = 2_000
MATCH_CHARS = 300
MAX_ENTRIES = 500
#: above this a line-by-line comparison takes too long
MAX_COMPARED_LINES = 1_500
MAX_SECONDS = 25
CONTEXT = 3
AROUND = 4
NOT_SHOWN = ("node_modules", "__pycache__")


class RefusedError(Exception):
    """The message is for whoever asked."""


class OutsideError(Exception):
    """The path leads out of the folder."""


# -- paths ---------------------------------------------------------------------------------------


def locate(path: str) -> str:
    """The real path below the folder; "." for the folder itself."""
    below = path
    if path.startswith("/"):
        whole = "/" + path.lstrip("/")
        if whole != ROOT and not whole.startswith(ROOT + "/"):
            raise OutsideError(path)
        below = whole[len(ROOT) :].lstrip("/")
    root = os.path.realpath(".")
    real = os.path.realpath(os.path.join(root, below))
    if real != root and not real.startswith(root.rstrip("/") + "/"):
        raise OutsideError(path)
    return os.path.relpath(real, root)


def shown(relative: str) -> str:
    return ROOT if relative == "." else f"{ROOT}/{relative}"


def open_folder(relative: str, *, make: bool = False) -> int:
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    for part in [] if relative in {"", "."} else relative.split("/"):
        try:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=folder)
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
        finally:
            os.close(folder)
        folder = inner
    return folder


def open_to_read(relative: str) -> int:
    """A pipe or a device does not make it wait."""
    folder = open_folder(os.path.dirname(relative))
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
        return os.open(os.path.basename(relative) or ".", flags, dir_fd=folder)
    finally:
        os.close(folder)


# -- contents ------------------------------------------------------------------------------------


def read_bytes(relative: str) -> bytes:
    descriptor = open_to_read(relative)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise RefusedError(f"{shown(relative)} is a folder; only view works on folders")
        if not stat.S_ISREG(mode):
            raise RefusedError(f"{shown(relative)} is no regular file")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_FILE_BYTES:
        raise RefusedError(
            f"{shown(relative)} has more than {MAX_FILE_BYTES} bytes, too many for this tool; "
            "use bash (head, sed -n, grep)"
        )
    return content


def read(relative: str) -> str:
    """Bytes that are no UTF-8 are kept, and written back as they were."""
    content = read_bytes(relative)
    if b"\0" in content:
        raise RefusedError(
            f"{shown(relative)} is a binary file of {len(content)} bytes; use bash (file, xxd)"
        )
    return content.decode("utf-8", "surrogateescape")


def read_or_none(relative: str) -> str | None:
    try:
        return read(relative)
    except FileNotFoundError:
        return None
    except RefusedError:
        if stat.S_ISREG(os.stat(relative, follow_symlinks=False).st_mode):
            return ""  # binary or huge: it may be replaced, and is not shown
        raise


def write(relative: str, text: str) -> None:
    """Whole or not at all; an existing file keeps its mode."""
    content = text.encode("utf-8", "surrogateescape")
    if len(content) > MAX_FILE_BYTES:
        raise RefusedError(f"{shown(relative)} would have more than {MAX_FILE_BYTES} bytes")
    name = os.path.basename(relative)
    folder = open_folder(os.path.dirname(relative), make=True)
    new = f".new-{os.getpid()}"
    try:
        mode = mode_of(name, folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(new, flags, 0o600, dir_fd=folder), "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
        os.replace(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        with suppress(OSError):
            os.unlink(new, dir_fd=folder)
        os.close(folder)


def mode_of(name: str, folder: int) -> int:
    try:
        return stat.S_IMODE(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode) & 0o777
    except FileNotFoundError:
        return 0o644


def lines_of(text: str) -> list[str]:
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return lines


# -- what is printed -----------------------------------------------------------------------------


def cost(line: str) -> int:
    return len(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace")) + 1


def fitting(lines: list[str], budget: int) -> list[str]:
    """The first so many that can be printed."""
    for number, line in enumerate(lines):
        budget -= cost(line)
        if budget < 0:
            return lines[:number]
    return lines


def short(line: str, limit: int) -> str:
    return line if len(line) <= limit else f"{line[:limit]}… [{len(line)} characters]"


def numbered(lines: list[str], first: int, last: int) -> str:
    """Lines `first` to `last`, counted from 1, as `cat -n` prints them."""
    wanted = [
        f"{number:6d}\t{short(line, LINE_CHARS)}"
        for number, line in enumerate(lines[first - 1 : last], start=first)
    ]
    kept = fitting(wanted, TEXT_BYTES)
    if len(kept) < len(wanted):
        after = first + len(kept)
        rest = f"[cut before line {after} of {len(lines)}: go on with view_range [{after}, {last}]]"
        kept = [*kept, rest]
    return "\n".join(kept)


def compared(relative: str, before: str | None, after: str) -> dict[str, str]:
    """A unified diff, cut at a line when it is long, and then saying so."""
    old, new = ([] if text is None else split_keeping(text) for text in (before, after))
    old_name = "/dev/null" if before is None else f"a/{relative}"
    if max(len(old), len(new)) <= MAX_COMPARED_LINES:
        found = list(difflib.unified_diff(old, new, old_name, f"b/{relative}", n=CONTEXT))
    else:
        found = one_hunk(old, new, old_name, f"b/{relative}")
    told: list[str] = []
    for line in found:
        told.append(line.rstrip("\n"))
        if not line.endswith("\n"):
            told.append("\\ No newline at end of file")
    kept = fitting(told, DIFF_BYTES)
    cut: dict[str, str] = {}
    if len(kept) < len(told):
        kept = [*kept, f"[cut: {len(told) - len(kept)} more lines of the diff]"]
        cut = {"diff_cut": "yes"}
    return {"diff": "".join(f"{line}\n" for line in kept)} | cut


def one_hunk(old: list[str], new: list[str], old_name: str, new_name: str) -> list[str]:
    """From the first line that differs to the last."""
    same = min(len(old), len(new))
    begin = next((at for at in range(same) if old[at] != new[at]), same)
    end = next((at for at in range(same - begin) if old[-1 - at] != new[-1 - at]), same - begin)
    if begin == len(old) == len(new):
        return []
    lead = old[max(0, begin - CONTEXT) : begin]
    out, into = old[begin : len(old) - end], new[begin : len(new) - end]
    trail = old[len(old) - end :][:CONTEXT]
    around = len(lead) + len(trail)
    at = begin - len(lead) + 1
    return [
        f"--- {old_name}\n",
        f"+++ {new_name}\n",
        f"@@ -{at},{len(out) + around} +{at},{len(into) + around} @@\n",
        *(f" {line}" for line in lead),
        *(f"-{line}" for line in out),
        *(f"+{line}" for line in into),
        *(f" {line}" for line in trail),
    ]


# -- the commands --------------------------------------------------------------------------------


def view(asked: dict[str, Any]) -> dict[str, str]:
    relative = locate(asked["path"])
    span = asked.get("view_range")
    if os.path.isdir(relative):
        if span is not None:
            raise RefusedError(f"{shown(relative)} is a folder: view_range is for files only")
        return {"text": listing(relative)}
    lines = lines_of(read(relative))
    if span is None:
        first, last = 1, len(lines)
    else:
        first, last = ranged(relative, span, len(lines))
    if not lines:
        return {"text": f"{shown(relative)} is empty"}
    return {"text": numbered(lines, first, last)}


def ranged(relative: str, span: list[int], total: int) -> tuple[int, int]:
    first, last = span[0], total if span[1] == -1 else min(span[1], total)
    if not 1 <= first <= max(total, 1) or (span[1] != -1 and span[1] < first):
        raise RefusedError(
            f"view_range {span} is wrong: {shown(relative)} has {total} lines; the first must be "
            f"in 1..{max(total, 1)}, the last not before it (-1: to the end)"
        )
    return first, last


def listing(relative: str) -> str:
    entries = list(below(relative, levels=2))
    kept = fitting(entries[:MAX_ENTRIES], TEXT_BYTES)
    if len(kept) < len(entries):
        kept = [*kept, f"[cut: {len(entries) - len(kept)} more; view one of the folders]"]
    return "\n".join((f"{shown(relative)}/, two levels deep, hidden ones left out:", *kept))


def below(relative: str, *, levels: int) -> Iterator[str]:
    for name in sorted(os.listdir(relative)):
        if name.startswith(".") or name in NOT_SHOWN:
            continue
        inner = os.path.normpath(os.path.join(relative, name))
        is_folder = os.path.isdir(inner) and not os.path.islink(inner)
        yield f"{shown(inner)}{'/' if is_folder else ''}"
        if is_folder and levels > 1:
            with suppress(OSError):
                yield from below(inner, levels=levels - 1)


def create(asked: dict[str, Any]) -> dict[str, str]:
    relative, text = locate(asked["path"]), asked["file_text"]
    if os.path.isdir(relative):
        raise RefusedError(f"{shown(relative)} is a folder; name a file in it")
    before = read_or_none(relative)
    write(relative, text)
    did = "created" if before is None else "overwritten"
    told = f"{shown(relative)} was {did}: {len(lines_of(text))} lines"
    return {"text": told, **compared(relative, before, text)}


def str_replace(asked: dict[str, Any]) -> dict[str, str]:
    relative, old, new = locate(asked["path"]), asked["old_str"], asked["new_str"]
    before = read(relative)
    found = before.count(old)
    if found != 1:
        raise RefusedError(miscounted(relative, before, old, found))
    at = before.index(old)
    after = before[:at] + new + before[at + len(old) :]
    write(relative, after)
    first = before.count("\n", 0, at) + 1
    return edited(relative, before, after, first=first, last=first + new.count("\n"))


def miscounted(relative: str, text: str, old: str, found: int) -> str:
    if found:
        starts = [match.start() for match in re.finditer(re.escape(old), text)][:10]
        where = ", ".join(str(text.count("\n", 0, start) + 1) for start in starts)
        return (
            f"old_str occurs {found} times in {shown(relative)} (at lines {where}), it must occur "
            "once: add lines around it; nothing was changed"
        )
    return f"old_str does not occur in {shown(relative)}; nothing was changed. {near(text, old)}"


def near(text: str, old: str) -> str:
    """What may be wrong with a text that was not found."""
    if "\r\n" in text and "\r" not in old:
        return "Its lines end with \\r\\n: one line at a time can be replaced, or use bash."
    first = next((line.strip() for line in old.split("\n") if line.strip()), "")
    lines = lines_of(text)
    alike = [at for at, line in enumerate(lines, start=1) if first and line.strip() == first][:5]
    if alike:
        where = ", ".join(map(str, alike))
        return f"Its first line is there but for white space, or the rest differs: line {where}."
    return "View the file and copy the text exactly, with its white space, without line numbers."


def insert(asked: dict[str, Any]) -> dict[str, str]:
    relative, after_line = locate(asked["path"]), asked["insert_line"]
    before = read(relative)
    lines = split_keeping(before)
    if after_line > len(lines):
        raise RefusedError(
            f"insert_line {after_line} is wrong: {shown(relative)} has {len(lines)} lines; "
            f"it must be in 0..{len(lines)}"
        )
    text = asked["insert_text"]
    if not text.endswith("\n"):
        text += "\n"
    lead = "".join(lines[:after_line])
    if lead and not lead.endswith("\n"):
        lead += "\n"
    after = lead + text + "".join(lines[after_line:])
    write(relative, after)
    last = after_line + text.count("\n")
    return edited(relative, before, after, first=after_line + 1, last=last)


def edited(relative: str, before: str, after: str, *, first: int, last: int) -> dict[str, str]:
    lines = lines_of(after)
    begin, end = max(1, first - AROUND), min(len(lines), last + AROUND)
    snippet = numbered(lines, begin, end) if lines else "(it is empty now)"
    text = f"{shown(relative)} was edited. Lines {begin} to {end} now:\n{snippet}"
    return {"text": text, **compared(relative, before, after)}


def search(asked: dict[str, Any]) -> dict[str, str]:
    relative, limit = locate(asked["path"]), asked["max_results"]
    try:
        pattern = re.compile(asked["pattern"])
    except (re.error, OverflowError, RecursionError) as wrong:
        raise RefusedError(f"the pattern is no regular expression of Python's: {wrong}") from None
    if not os.path.exists(relative):
        raise FileNotFoundError
    found: list[str] = []
    skipped = 0
    for file in files(relative, asked.get("glob")):
        try:
            content = read_bytes(file)
        except (OSError, RefusedError):
            skipped += 1
            continue
        if b"\0" in content:
            continue
        found += matches(file, content.decode("utf-8", "replace"), pattern, limit - len(found))
        if len(found) >= limit:
            break
    return {"text": results(found, limit, skipped)}


def files(relative: str, glob: str | None) -> Iterator[str]:
    """Without following links to folders; a glob is of the name, or of the path below."""
    if not os.path.isdir(relative):
        yield relative
        return
    for folder, folders, names in os.walk(relative):
        folders[:] = sorted(name for name in folders if name not in {*NOT_SHOWN, ".git"})
        for name in sorted(names):
            file = os.path.normpath(os.path.join(folder, name))
            if os.path.islink(file):
                continue
            path = os.path.relpath(file, relative)
            if glob is None or fnmatch.fnmatch(name, glob) or fnmatch.fnmatch(path, glob):
                yield file


def matches(file: str, text: str, pattern: re.Pattern[str], limit: int) -> list[str]:
    found: list[str] = []
    for number, line in enumerate(lines_of(text), start=1):
        if pattern.search(line):
            found.append(f"{shown(file)}:{number}: {short(line.rstrip(), MATCH_CHARS)}")
            if len(found) >= limit:
                break
    return found


def results(found: list[str], limit: int, skipped: int) -> str:
    kept = fitting(found, TEXT_BYTES)
    if len(kept) < len(found) or len(found) >= limit:
        rest = f"[cut after {len(kept)} matches: narrow it with path, glob or the pattern]"
        kept = [*kept, rest]
    if not kept:
        kept = ["no match"]
    if skipped:
        kept.append(f"[{skipped} files could not be read, or are too large]")
    return "\n".join(kept)


def split_keeping(text: str) -> list[str]:
    """At newlines only: a carriage return belongs to its line."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


COMMANDS = {
    "view": view,
    "create": create,
    "str_replace": str_replace,
    "insert": insert,
    "search": search,
}


def too_long(*_: object) -> None:
    raise RefusedError(f"it took more than {MAX_SECONDS} s and was ended: ask for less")


def answer(asked: dict[str, Any]) -> dict[str, str]:
    name = asked["path"]
    try:
        return COMMANDS[asked["command"]](asked)
    except RefusedError as refused:
        return {"error": str(refused)}
    except OutsideError:
        return {"outside": name}
    except FileNotFoundError:
        return {"error": f"{name} does not exist; view {ROOT} lists what is there"}
    except OSError as failed:
        return {"error": f"{name}: {failed.strerror or failed}"}
    except ValueError as wrong:
        return {"error": f"{name}: {wrong}"}


def main() -> None:
    signal.signal(signal.SIGALRM, too_long)
    try:
        signal.alarm(MAX_SECONDS)
        answered = answer(json.load(sys.stdin.buffer))
        signal.alarm(0)
    except RefusedError as late:  # the time is over on the way in or out
        answered = {"error": str(late)}
    printed = json.dumps(answered, ensure_ascii=False).encode("utf-8", "replace")
    sys.stdout.buffer.write(b"\n" + printed + b"\n")


if __name__ == "__main__":
    main()
