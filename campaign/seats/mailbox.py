"""What people say to one session, until it is heard."""

from __future__ import annotations

from collections.abc import Sequence

from operators.trace.recorder import Recorder


class Mailbox:
    """Each message is heard once, by whoever is at work."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        #: so many of the first came back: the trace knows of them
        self._known = 0

    def put(self, text: str) -> None:
        self._waiting.append(text)

    def take(self) -> Sequence[str]:
        """All that wait."""
        taken, self._waiting, self._known = self._waiting, [], 0
        return taken

    def take_for(self, trace: Recorder) -> Sequence[str]:
        """The same for somebody outside, whose trace is told of each once."""
        known, taken = self._known, self.take()
        for text in taken[known:]:
            trace.user_message(text)
        return taken

    def put_back(self, texts: Sequence[str]) -> None:
        """Nobody has heard them: they come first the next time."""
        self._waiting = [*texts, *self._waiting]
        self._known += len(texts)
