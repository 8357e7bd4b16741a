"""What the pages print: files, command lines, tables and links."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
_FILE = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\]\(([^)]+)\)")
_CELLS = re.compile(r"(?<!\\)\|")
_PLACEHOLDER = re.compile(r"<(\w+)>")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
#: what ends a command in a line of a shell
_ENDS = frozenset({";", "|", "<", ">", "&&", "||", "&"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """A command of ratchet's as a page has it."""

    #: as it is printed
    text: str
    #: after `ratchet`
    words: tuple[str, ...]
    #: in running text, where a command may be spoken of without its arguments
    is_mention: bool = False

    def __str__(self) -> str:
        return self.text


def write_own_app(folder: Path) -> Path:
    """The files that docs/your-own-app.md prints below `folder`, then one for --profiles-dir."""
    for name, text in _FILE.findall((DOCS / "your-own-app.md").read_text()):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def command_lines(page: Path) -> Sequence[CommandLine]:
    """Every command of ratchet's in blocks of shell and in running text, as far as it is whole.

    Running text has templates, too: brackets around what can be left out are taken away.
    """
    found = [*_in_blocks(page.read_text()), *_in_text(page.read_text())]
    return tuple({line.words: line for line in found}.values())


def blocks(page: Path, language: str) -> Sequence[str]:
    """What stands between fences that name this language."""
    return tuple(text for named, text in _BLOCK.findall(page.read_text()) if named == language)


def rows(page: Path, heading: str) -> Sequence[Sequence[str]]:
    """The cells of the table that begins with this line."""
    _, found, after = page.read_text().partition(f"\n{heading}\n")
    assert found, f"{page.name} has no table {heading}"
    lines = after.partition("\n\n")[0].splitlines()[1:]
    return tuple(_CELLS.split(line)[1:-1] for line in lines)


def first_column(page: Path, heading: str) -> Sequence[str]:
    """The code in the first column of the table that begins with this line."""
    return tuple(name for cells in rows(page, heading) for name in _INLINE.findall(cells[0]))


def broken_links(page: Path) -> Sequence[str]:
    """Links to files or headings of ours that are not there."""
    text = _BLOCK.sub("", page.read_text())
    return tuple(link for link in _LINK.findall(text) if not _leads_somewhere(page, link))


def _leads_somewhere(page: Path, link: str) -> bool:
    if link.startswith(("http://", "https://")):
        return True
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    return target.exists() and (not anchor or anchor in _anchors(target))


def _anchors(page: Path) -> frozenset[str]:
    """As GitHub makes them of headings."""
    kept = (
        re.sub(r"[^\w\s-]", "", heading.lower()) for heading in _HEADING.findall(page.read_text())
    )
    return frozenset(heading.strip().replace(" ", "-") for heading in kept)


def _in_blocks(text: str) -> Iterator[CommandLine]:
    for language, block in _BLOCK.findall(text):
        if language not in {"sh", "console"}:
            continue
        for line in block.replace("\\\n", " ").splitlines():
            yield from _commands(line, _words(line), is_mention=False)


def _in_text(text: str) -> Iterator[CommandLine]:
    for code in _INLINE.findall(_BLOCK.sub("", text)):
        plain = _PLACEHOLDER.sub(r"\1", code.replace("[", " ").replace("]", " "))
        plain = " ".join(plain.split())
        if plain.startswith("ratchet ") and "…" not in plain and "{" not in plain:
            yield from _commands(code, _words(plain), is_mention=True)


def _words(line: str) -> Sequence[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    return tuple(lexer)


def _commands(text: str, words: Sequence[str], *, is_mention: bool) -> Iterator[CommandLine]:
    """Each `ratchet` of a line, up to what ends it."""
    for place, word in enumerate(words):
        is_first = place == 0 or words[place - 1] in {"$", "while", "--", *_ENDS}
        if word != "ratchet" or not is_first:
            continue
        rest = words[place + 1 :]
        length = next((n for n, each in enumerate(rest) if each in _ENDS), len(rest))
        yield CommandLine(text=text.strip(), words=tuple(rest[:length]), is_mention=is_mention)
