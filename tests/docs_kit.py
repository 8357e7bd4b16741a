"""What the pages print: files, command lines, tables and links."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
_FILE = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`]+)`")
_CELLS = re.compile(r"(?<!\\)\|")
_PLACEHOLDER = re.compile(r"<(\w+)>")
#: whose pages people read
_FOLDERS = ("docs", "deploy", "target_apps", "chaos_profiles", "operator")
_PATH = re.compile(
    r"(?:campaign|loadgen|chaos_profiles|reports|operator|target_apps|tests|deploy|docs|scripts)"
    r"/[\w./*-]+"
)
_MAKE = re.compile(r"\bmake ([a-z]+)(?=$|[ ,;`])", re.MULTILINE)
_MARKDOWN = MarkdownIt().enable("table")
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


def pages() -> Sequence[Path]:
    """Every page that people read of the repository, README first."""
    below = (page for folder in _FOLDERS for page in (ROOT / folder).rglob("*.md"))
    return (ROOT / "README.md", *sorted({*ROOT.glob("*.md"), *below} - {ROOT / "README.md"}))


def links(page: Path) -> Sequence[str]:
    """Where links and pictures of a page lead, but for addresses of other sites."""
    found = (
        str(each.attrs["href" if each.type == "link_open" else "src"])
        for each in _inline(page)
        if each.type in {"link_open", "image"}
    )
    return tuple(link for link in found if not link.startswith(("http://", "https://")))


def broken_links(page: Path) -> Sequence[str]:
    """Links to files or headings of ours that are not there."""
    return tuple(link for link in links(page) if not _leads_somewhere(page, link))


def linked(page: Path, link: str) -> Path:
    """The file or folder that a link of this page leads to."""
    name = unquote(link.partition("#")[0])
    return (page.parent / name).resolve() if name else page


def named_paths(page: Path) -> Sequence[str]:
    """What running text names, as code, that is in one of our folders; `*` stands for anything."""
    codes = (each.content for each in _inline(page) if each.type == "code_inline")
    return tuple(dict.fromkeys(code for code in codes if _PATH.fullmatch(code)))


def make_targets(page: Path) -> Sequence[str]:
    """What follows `make` in blocks and in running text."""
    codes = [each.content for each in _inline(page) if each.type == "code_inline"]
    codes += [each.content for each in _MARKDOWN.parse(page.read_text()) if each.type == "fence"]
    return tuple(dict.fromkeys(found for code in codes for found in _MAKE.findall(code)))


def anchors(page: Path) -> frozenset[str]:
    """As GitHub makes them of headings; what is there twice is numbered."""
    tokens = _MARKDOWN.parse(page.read_text())
    headings = (
        text.children or () for opening, text in pairwise(tokens) if opening.type == "heading_open"
    )
    made: Counter[str] = Counter()
    found = set()
    for heading in headings:
        words = "".join(part.content for part in heading if part.type in {"text", "code_inline"})
        kept = (letter for letter in words.lower() if letter.isalnum() or letter in " -_")
        anchor = "".join(kept).strip().replace(" ", "-")
        found.add(f"{anchor}-{made[anchor]}" if made[anchor] else anchor)
        made[anchor] += 1
    return frozenset(found)


def _leads_somewhere(page: Path, link: str) -> bool:
    target, anchor = linked(page, link), link.partition("#")[2]
    if not target.exists():
        return False
    return not anchor or (target.suffix == ".md" and anchor in anchors(target))


def _inline(page: Path) -> Iterator[Token]:
    for block in _MARKDOWN.parse(page.read_text()):
        yield from block.children or ()


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
