"""The options of each behaviour in a load vector."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from loadgen.load import Params, Range

#: What the app's seed contains: conversation c belongs to user c.
SEED_USERS = Range(first=1, count=2_000)
SEED_CONVERSATIONS = Range(first=1, count=1_000)


class Pick(StrEnum):
    """Which element of a range an arrival uses."""

    #: any element, drawn anew for each arrival
    RANDOM = "random"
    #: simulated user number i always uses element i (wrapping round)
    OWN = "own"


class PickParams(Params):
    """Options of whatever works on ranges of ids."""

    pick: Pick = Pick.RANDOM


class UserParams(PickParams):
    """Requests that concern a user."""

    users: Range = SEED_USERS


class ConversationParams(PickParams):
    """Requests that concern a conversation, made by the user it belongs to.

    Without `users`, conversation c belongs to user c (the seed); with it, conversation first+k
    belongs to user first+(k mod count).
    """

    users: Range | None = None
    conversations: Range = SEED_CONVERSATIONS

    @model_validator(mode="after")
    def _users_need_their_conversations(self) -> Self:
        if self.users is not None and "conversations" not in self.model_fields_set:
            raise ValueError("users without conversations: say which conversations are theirs")
        return self


class WriterParams(ConversationParams):
    """Messages of a known number of tokens (of 4 characters each)."""

    tokens: int = Field(default=12, ge=1, le=8_000)


class StreamerParams(ConversationParams):
    """Streams of `tokens` tokens, in answer to a message of `content_tokens`."""

    tokens: int = Field(default=40, ge=1, le=400)
    content_tokens: int = Field(default=12, ge=1, le=8_000)
    #: seconds after which a stream that has begun is given up as timed out
    limit_s: float = Field(default=60.0, gt=0, le=600)


class SearcherParams(UserParams):
    """Searches; each arrival draws one of the terms."""

    terms: tuple[str, ...] = Field(
        default=("deploy", "invoice", "latency", "meeting"), min_length=1
    )


class ListerParams(UserParams):
    """Lists of conversations; each of the users is known to have at least so many."""

    at_least: int = Field(default=0, ge=0, le=50)


class PollerParams(UserParams):
    """Long polls, each asking the app to wait up to `timeout_s`.

    Who waits for news is always the same person, so each simulated user polls for its own. The
    first poll of each asks for what came after notification `since`: 0 is answered at once by an
    app that has any, a number above all ids begins to wait straight away.
    """

    pick: Pick = Pick.OWN
    since: int = Field(default=0, ge=0, lt=2**63)
    timeout_s: float = Field(default=8.0, gt=0, le=30)
    #: somebody keeps sending them something, more often than every `timeout_s`
    expects_news: bool = False


class ReturnerParams(UserParams):
    """Polls of users for whom there is something after notification `since`.

    The answer is due at once; `timeout_s` is what an app that finds nothing may wait.
    """

    since: int = Field(default=0, ge=0, lt=2**63)
    timeout_s: float = Field(default=8.0, gt=0, le=30)


class NotificationReaderParams(UserParams):
    """true: list and unread count in turn; "only": the unread count alone."""

    unread_count: bool | Literal["only"] = False


class BroadcasterParams(UserParams):
    """Broadcasts to a segment, or to everybody; the users are the senders."""

    segment: str | None = None
    body_chars: int = Field(default=200, ge=1, le=20_000)


class JanitorParams(UserParams):
    """Cleanups; without a limit the app decides how much one call removes."""

    older_than_days: int = Field(default=30, ge=0)
    limit: int | None = Field(default=None, ge=1)
