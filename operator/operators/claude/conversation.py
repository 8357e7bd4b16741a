"""What has been said in a session: a history that only grows. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from operators.claude.assembly import Turn, whole

Block: TypeAlias = Mapping[str, Any]

#: the API takes no empty message
_NOTHING = "(no answer)"
_SAID_CHARS, _ARGUMENT_CHARS, _RESULT_CHARS = 1_500, 400, 400
_DIGEST_CHARS = 24_000


def text_block(text: str) -> Block:
    return {"type": "text", "text": whole(text)}


class Conversation:
    """Messages as the API takes them; none is changed or taken away once it is there.

    A model's thinking is bound to what came before it, and so is the prompt's cache.
    """

    def __init__(self) -> None:
        self._messages: list[Mapping[str, Any]] = []

    @property
    def messages(self) -> list[Mapping[str, Any]]:
        return list(self._messages)

    @property
    def begun(self) -> bool:
        """The model has answered."""
        return any(message["role"] == "assistant" for message in self._messages)

    def told(self, blocks: Sequence[Block]) -> None:
        """One message to the model: results of its calls first, then texts."""
        self._messages.append({"role": "user", "content": list(blocks)})

    def answered(self, turn: Turn) -> None:
        blocks = list(turn.blocks) or [text_block(_NOTHING)]
        self._messages.append({"role": "assistant", "content": blocks})

    def digest(self) -> str:
        """What was done, short, from the record alone: for a conversation that begins anew.

        The oldest lines are left out first. Nothing is asked of the model for it: at this point it
        could not read its own history any more.
        """
        lines = list(self._lines())
        kept: list[str] = []
        size = 0
        for line in reversed(lines):
            size += len(line)
            if size > _DIGEST_CHARS:
                break
            kept.append(line)
        left_out = len(lines) - len(kept)
        head = [f"({left_out} earlier steps are left out)"] if left_out else []
        return "\n".join([*head, *reversed(kept)])

    def _lines(self) -> Iterator[str]:
        # The first message is the briefing; it is given again anyway.
        for message in self._messages[1:]:
            for block in message["content"]:
                match block["type"]:
                    case "text":
                        who = "You said" if message["role"] == "assistant" else "You were told"
                        yield f"{who}: {_cut(block['text'], _SAID_CHARS)}"
                    case "tool_use":
                        arguments = _cut(json.dumps(block["input"]), _ARGUMENT_CHARS)
                        yield f"You called {block['name']} {arguments}"
                    case "tool_result":
                        which = "which failed" if block.get("is_error") else "which gave"
                        yield f"  {which}: {_cut(str(block['content']), _RESULT_CHARS)}"
                    case _:
                        pass


def _cut(text: str, size: int) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= size else f"{plain[:size]} …"
