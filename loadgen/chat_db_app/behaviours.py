"""Behaviours of chat-db-app's users that ask one question and read one answer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote_plus

from loadgen.calls import (
    Behaviour,
    Call,
    InvalidAnswerError,
    get,
    has_values,
    holds,
    is_object,
    parsed,
    post,
)
from loadgen.chat_db_app.params import (
    BroadcasterParams,
    ConversationParams,
    JanitorParams,
    ListerParams,
    NotificationReaderParams,
    Pick,
    PickParams,
    PollerParams,
    ReturnerParams,
    SearcherParams,
    UserParams,
)
from loadgen.chat_db_app.texts import text

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgen.backlog import Arrival
    from loadgen.ledger import Write

UserParamsT_co = TypeVar("UserParamsT_co", bound=UserParams, covariant=True)
ConversationParamsT_co = TypeVar("ConversationParamsT_co", bound=ConversationParams, covariant=True)

# Which part of an arrival's roll pays for which choice.
_WHICH_ID, _WHICH_TERM, _WHICH_TEXT = 0, 1, 2

#: A poll that ends without news before this part of its time has hardly waited.
_EARLY = 0.5


def _offset(params: PickParams, arrival: Arrival, *, count: int) -> int:
    if params.pick is Pick.OWN:
        return arrival.user % count
    return arrival.roll.below(count, part=_WHICH_ID)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A conversation and the user it belongs to."""

    conversation_id: int
    user_id: int


class OfUser(Behaviour[UserParamsT_co]):
    """Concerns one user of a range."""

    def user_id(self, arrival: Arrival) -> int:
        users = self.params.users
        return users.at(_offset(self.params, arrival, count=users.count))


class OfConversation(Behaviour[ConversationParamsT_co]):
    """Concerns one conversation of a range, on behalf of its user."""

    def place(self, arrival: Arrival) -> Place:
        conversations, users = self.params.conversations, self.params.users
        offset = _offset(self.params, arrival, count=conversations.count)
        conversation_id = conversations.at(offset)
        user_id = conversation_id if users is None else users.at(offset)
        return Place(conversation_id=conversation_id, user_id=user_id)


class Reader(OfConversation[ConversationParams]):
    """Opens a conversation and reads its messages."""

    name = "reader"
    params_model = ConversationParams
    operations = ("list_messages",)

    def call(self, arrival: Arrival) -> Call:
        place = self.place(arrival)
        path = f"/api/conversations/{place.conversation_id}/messages"
        return Call(
            method="GET",
            wire=get(path, user_id=place.user_id),
            accept=holds("messages", list),
        )


class Canary(OfConversation[ConversationParams]):
    """A healthy client with the plainest request: one conversation by its primary key."""

    name = "canary"
    params_model = ConversationParams
    operations = ("get_conversation",)

    def call(self, arrival: Arrival) -> Call:
        place = self.place(arrival)
        return Call(
            method="GET",
            wire=get(f"/api/conversations/{place.conversation_id}", user_id=place.user_id),
            accept=has_values(id=place.conversation_id),
        )


class Searcher(OfUser[SearcherParams]):
    """Looks for a word in its own messages."""

    name = "searcher"
    params_model = SearcherParams
    operations = ("search_messages",)

    def call(self, arrival: Arrival) -> Call:
        terms = self.params.terms
        term = quote_plus(terms[arrival.roll.below(len(terms), part=_WHICH_TERM)])
        return Call(
            method="GET",
            wire=get(f"/api/search?q={term}", user_id=self.user_id(arrival)),
            accept=holds("results", list),
        )


class Poller(OfUser[PollerParams]):
    """Waits for news: long polls, each from the last notification its user has seen.

    Who is sent away too soon, or hears nothing where there must be news, bears it once: a service
    that is being replaced lets its clients go, and load that ends takes its news with it. Twice
    running is a wrong answer.
    """

    name = "poller"
    params_model = PollerParams
    operations = ("poll_notifications",)

    def __init__(self, *, params: PollerParams, remember: Callable[[str, Write], None]) -> None:
        super().__init__(params=params, remember=remember)
        self._seen: dict[int, int] = {}
        #: who was disappointed by the last answer
        self._let_down: set[int] = set()

    def call(self, arrival: Arrival) -> Call:
        user_id = self.user_id(arrival)
        since = self._seen.get(user_id, self.params.since)
        path = f"/api/notifications/poll?since={since}&timeout={self.params.timeout_s:g}"
        asked_s = time.monotonic()
        return Call(
            method="GET",
            wire=get(path, user_id=user_id),
            accept=lambda body: self._accept(user_id, asked_s, body),
            allowance_s=self.params.timeout_s,
        )

    def _accept(self, user_id: int, asked_s: float, body: bytes) -> None:
        holds("notifications", list)(body)
        ids = [item["id"] for item in parsed(body)["notifications"]]
        if ids:
            self._seen[user_id] = max(self._seen.get(user_id, 0), *ids)
        waited_s = time.monotonic() - asked_s
        early = waited_s < _EARLY * self.params.timeout_s
        if ids or not (early or self.params.expects_news):
            self._let_down.discard(user_id)
        elif user_id in self._let_down:
            raise InvalidAnswerError(f"no news again, after {waited_s:.1f} s")
        else:
            self._let_down.add(user_id)


class Returner(OfUser[ReturnerParams]):
    """Was away and asks what it has missed: a poll that has something to tell at once."""

    name = "returner"
    params_model = ReturnerParams
    operations = ("poll_notifications",)

    def call(self, arrival: Arrival) -> Call:
        since, timeout_s = self.params.since, self.params.timeout_s
        path = f"/api/notifications/poll?since={since}&timeout={timeout_s:g}"
        wire = get(path, user_id=self.user_id(arrival))
        return Call(method="GET", wire=wire, accept=holds("notifications", list, at_least=1))


class NotificationReader(OfUser[NotificationReaderParams]):
    """Opens its notifications, or only looks at the number on the bell."""

    name = "notification_reader"
    params_model = NotificationReaderParams

    @property
    def operations(self) -> tuple[str, ...]:
        match self.params.unread_count:
            case "only":
                return ("unread_count",)
            case True:
                return ("list_notifications", "unread_count")
            case _:
                return ("list_notifications",)

    def call(self, arrival: Arrival) -> Call:
        user_id = self.user_id(arrival)
        if self.operation(arrival) == "unread_count":
            wire = get("/api/notifications/unread_count", user_id=user_id)
            return Call(method="GET", wire=wire, accept=holds("unread", int))
        wire = get("/api/notifications", user_id=user_id)
        return Call(method="GET", wire=wire, accept=holds("notifications", list))


class Broadcaster(OfUser[BroadcasterParams]):
    """Tells everybody, or one segment, something."""

    name = "broadcaster"
    params_model = BroadcasterParams
    operations = ("broadcast",)

    def call(self, arrival: Arrival) -> Call:
        body = text(arrival.roll, chars=self.params.body_chars, part=_WHICH_TEXT)
        document = {"title": "Announcement", "body": body}
        if self.params.segment is not None:
            document["segment"] = self.params.segment
        user_id = self.user_id(arrival)
        wire = post("/api/notifications/broadcast", user_id=user_id, document=document)
        return Call(method="POST", wire=wire, accept=holds("sent", int))


class Janitor(OfUser[JanitorParams]):
    """Throws old notifications away."""

    name = "janitor"
    params_model = JanitorParams
    operations = ("cleanup_notifications",)

    def call(self, arrival: Arrival) -> Call:
        document = {"older_than_days": self.params.older_than_days}
        if self.params.limit is not None:
            document["limit"] = self.params.limit
        user_id = self.user_id(arrival)
        wire = post("/api/notifications/cleanup", user_id=user_id, document=document)
        return Call(method="POST", wire=wire, accept=is_object)


class Herd(OfUser[UserParams]):
    """Many at once, each with the cheapest request there is: itself."""

    name = "herd"
    params_model = UserParams
    operations = ("get_user",)

    def call(self, arrival: Arrival) -> Call:
        user_id = self.user_id(arrival)
        wire = get(f"/api/users/{user_id}", user_id=user_id)
        return Call(method="GET", wire=wire, accept=has_values(id=user_id))


class MarkReader(OfUser[UserParams]):
    """Marks everything as read."""

    name = "mark_reader"
    params_model = UserParams
    operations = ("mark_read",)

    def call(self, arrival: Arrival) -> Call:
        user_id = self.user_id(arrival)
        wire = post("/api/notifications/mark_read", user_id=user_id, document={})
        return Call(method="POST", wire=wire, accept=is_object)


class Lister(OfUser[ListerParams]):
    """Looks at the list of its conversations."""

    name = "lister"
    params_model = ListerParams
    operations = ("list_conversations",)

    def call(self, arrival: Arrival) -> Call:
        wire = get("/api/conversations", user_id=self.user_id(arrival))
        accept = holds("conversations", list, at_least=self.params.at_least)
        return Call(method="GET", wire=wire, accept=accept)


class StatsReader(OfUser[UserParams]):
    """Has the status page open: figures of the whole service, of which there are always some."""

    name = "stats_reader"
    params_model = UserParams
    operations = ("conversation_stats",)

    def call(self, arrival: Arrival) -> Call:
        wire = get("/api/stats", user_id=self.user_id(arrival))
        return Call(method="GET", wire=wire, accept=holds("days", list, at_least=1))
