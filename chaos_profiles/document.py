"""YAML as a person wrote it: plain data, and the line that each value stands on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from chaos_profiles.problems import Problem, ProfileError

#: Keys and indices from the top of a document to one of its values.
KeyPath: TypeAlias = Sequence[str | int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One YAML file whose top is a mapping."""

    file: Path
    #: str, int, float, bool, None, lists and mappings with text keys; nothing else
    data: dict[str, Any]
    _tree: CommentedMap = field(repr=False)

    def problem(self, path: KeyPath, message: str) -> Problem:
        """A problem with the value at `path`; one that is absent is shown where it belongs."""
        return Problem(
            file=self.file,
            line=self.line(path),
            field=".".join(str(step) for step in path),
            message=message,
        )

    def line(self, path: KeyPath) -> int:
        """The line, from 1, of the key or item at `path`, or of its nearest ancestor."""
        node: Any = self._tree
        line = 0
        for step in path:
            try:
                place = node.lc.item(step) if isinstance(node, CommentedSeq) else node.lc.key(step)
                node = node[step]
            except (AttributeError, IndexError, KeyError, TypeError):
                break
            line = place[0]
        return int(line) + 1


def read_document(file: Path) -> Document:
    """Parse `file`.

    Raises:
        ProfileError: it is missing, not YAML, or holds something that is not plain data.
    """
    tree = _parse(file)
    if not isinstance(tree, CommentedMap):
        raise ProfileError([_whole(file, "must be a mapping of keys to values", line=1)])
    document = Document(file=file, data={}, _tree=tree)
    problems: list[Problem] = []
    document.data.update(_plain(document, tree, (), problems))
    if problems:
        raise ProfileError(problems)
    return document


def _parse(file: Path) -> Any:
    try:
        return YAML(typ="rt").load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ProfileError([_whole(file, "does not exist: create it")]) from None
    except (OSError, UnicodeDecodeError) as exc:
        raise ProfileError([_whole(file, f"cannot be read as UTF-8 text: {exc}")]) from exc
    except MarkedYAMLError as exc:
        line = None if exc.problem_mark is None else exc.problem_mark.line + 1
        context = f" ({exc.context})" if exc.context else ""
        raise ProfileError([_whole(file, f"not YAML: {exc.problem}{context}", line=line)]) from exc
    except YAMLError as exc:
        raise ProfileError([_whole(file, f"not YAML: {exc}")]) from exc


def _whole(file: Path, message: str, *, line: int | None = None) -> Problem:
    return Problem(file=file, line=line, field="", message=message)


def _plain(document: Document, node: Any, path: tuple[str | int, ...], found: list[Problem]) -> Any:
    """`node` without ruamel's types; what is not plain is added to `found`."""
    match node:
        case CommentedMap():
            found += (
                document.problem(path, f"the key {key!r} must be text: quote it")
                for key in node
                if not isinstance(key, str)
            )
            return {
                str(key): _plain(document, value, (*path, key), found)
                for key, value in node.items()
            }
        case CommentedSeq():
            return [
                _plain(document, value, (*path, index), found) for index, value in enumerate(node)
            ]
        case bool() | None:
            return node
        case int() | float() | str():
            return _basic(node)
        case _:
            kind = type(node).__name__
            found.append(document.problem(path, f"a {kind} is not allowed here: quote it"))
            return None


def _basic(scalar: float | str) -> int | float | str:
    """Ruamel's numbers and strings remember how they were written; we do not need that."""
    for basic in (int, float, str):
        if isinstance(scalar, basic):
            return basic(scalar)
    raise TypeError(scalar)
