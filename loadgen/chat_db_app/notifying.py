"""Behaviours of chat-db-app's users that concern notifications."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from loadgen.calls import Call, InvalidAnswerError, get, holds, is_object, parsed, post
from loadgen.chat_db_app.params import (
    BroadcasterParams,
    JanitorParams,
    NotificationReaderParams,
    PollerParams,
    ReturnerParams,
    UserParams,
)
from loadgen.chat_db_app.texts import text
from loadgen.chat_db_app.whom import WHICH_TEXT, OfUser

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgen.backlog import Arrival
    from loadgen.ledger import Write

#: A poll that ends without news before this part of its time has hardly waited.
_EARLY = 0.5


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


class MarkReader(OfUser[UserParams]):
    """Marks everything as read."""

    name = "mark_reader"
    params_model = UserParams
    operations = ("mark_read",)

    def call(self, arrival: Arrival) -> Call:
        user_id = self.user_id(arrival)
        wire = post("/api/notifications/mark_read", user_id=user_id, document={})
        return Call(method="POST", wire=wire, accept=is_object)


class Broadcaster(OfUser[BroadcasterParams]):
    """Tells everybody, or one segment, something."""

    name = "broadcaster"
    params_model = BroadcasterParams
    operations = ("broadcast",)

    def call(self, arrival: Arrival) -> Call:
        body = text(arrival.roll, chars=self.params.body_chars, part=WHICH_TEXT)
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
