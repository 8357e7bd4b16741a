"""People of the gates' own, and requests in their name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote_plus, urlencode

from pydantic import BaseModel

from campaign.gates.app import LiveApp
from campaign.gates.chat_db_app import words
from campaign.gates.chat_db_app.answers import (
    Conversation,
    Conversations,
    Found,
    Marked,
    Message,
    MessageCreated,
    Messages,
    Notification,
    Notifications,
    Polled,
    SearchResults,
    Sent,
    Transcript,
    Unread,
    Usage,
    User,
)
from campaign.gates.finding import AppFailedError, expect

ShapeT = TypeVar("ShapeT", bound=BaseModel)
PageT = TypeVar("PageT", Conversations, Notifications)

#: entries of a list that are looked at; a list may go on for longer
MAX_ENTRIES = 1000

#: The first with the newest id, the second next to the users of a profile that came before, and so
#: on: an app that treats some ids in another way than others treats some of these in that way.
#: `$1`: the segment, `$2`: a name for each.
_PLANT_PEOPLE = """
WITH neighbours AS (
    SELECT max(id) AS top FROM public.users
    WHERE id < (SELECT last_value FROM public.users_id_seq) / 1000000000 * 1000000000
), planted AS (
    INSERT INTO public.users (id, name, segment)
    SELECT CASE WHEN number % 2 = 0 AND top IS NOT NULL THEN top + number
                ELSE nextval('public.users_id_seq') END, name, $1
    FROM unnest($2::text[]) WITH ORDINALITY AS names (name, number), neighbours
    RETURNING id
)
SELECT id FROM planted ORDER BY id DESC
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A user, whose requests are expected to succeed: anything else is the app's failure."""

    app: LiveApp
    id: int

    async def get(self, path: str, shape: type[ShapeT]) -> ShapeT:
        return (await self.app.request("GET", path, user=self.id)).read(shape)

    async def post(
        self, path: str, document: object, shape: type[ShapeT], *, status: int = 200
    ) -> ShapeT:
        answer = await self.app.request("POST", path, user=self.id, json=document)
        return answer.read(shape, status=status)

    # -- conversations ---------------------------------------------------------------------------

    async def start_conversation(self) -> Conversation:
        document = {"title": words.title(self.app.draw)}
        path = "/api/conversations"
        started = await self.post(path, document, Conversation, status=201)
        told = {"user_id": started.user_id, "title": started.title}
        expect("a new conversation", expected={"user_id": self.id, **document}, actual=told)
        return started

    async def conversation(self, conversation_id: int) -> Conversation:
        return await self.get(f"/api/conversations/{conversation_id}", Conversation)

    async def conversations(self, *, limit: int | None = None) -> tuple[Conversation, ...]:
        """The list page by page, to its end or to `MAX_ENTRIES`."""
        pages = await self._pages("/api/conversations", Conversations, limit)
        return tuple(item for page in pages for item in page.conversations)[:MAX_ENTRIES]

    async def write(self, conversation_id: int, content: str) -> MessageCreated:
        path = f"/api/conversations/{conversation_id}/messages"
        return await self.post(path, {"content": content}, MessageCreated, status=201)

    async def messages(self, conversation_id: int) -> tuple[Message, ...]:
        path = f"/api/conversations/{conversation_id}/messages"
        return (await self.get(path, Messages)).messages

    async def transcript(self, conversation_id: int) -> str:
        path = f"/api/conversations/{conversation_id}/transcript"
        return (await self.get(path, Transcript)).transcript

    async def search(self, text: str) -> tuple[Found, ...]:
        return (await self.get(f"/api/search?q={quote_plus(text)}", SearchResults)).results

    async def usage(self) -> Usage:
        return await self.get(f"/api/users/{self.id}/usage", Usage)

    async def account(self) -> User:
        return await self.get(f"/api/users/{self.id}", User)

    # -- notifications ---------------------------------------------------------------------------

    async def broadcast(self, segment: str, *, title: str, body: str) -> int:
        """How many were sent."""
        document = {"title": title, "body": body, "segment": segment}
        return (await self.post("/api/notifications/broadcast", document, Sent)).sent

    async def notifications(self, *, limit: int | None = None) -> tuple[Notification, ...]:
        """The list page by page, to its end or to `MAX_ENTRIES`."""
        pages = await self._pages("/api/notifications", Notifications, limit)
        return tuple(item for page in pages for item in page.notifications)[:MAX_ENTRIES]

    async def notification(self, notification_id: int) -> Notification:
        return await self.get(f"/api/notifications/{notification_id}", Notification)

    async def unread(self) -> int:
        return (await self.get("/api/notifications/unread_count", Unread)).unread

    async def poll(self, *, since: int, timeout_s: float) -> Polled:
        return await self.get(
            f"/api/notifications/poll?since={since}&timeout={timeout_s:g}", Polled
        )

    async def mark_read(self, ids: Sequence[int] | None = None) -> Marked:
        """`ids` None: all."""
        document = {} if ids is None else {"ids": list(ids)}
        return await self.post("/api/notifications/mark_read", document, Marked)

    async def _pages(self, path: str, shape: type[PageT], limit: int | None) -> list[PageT]:
        pages: list[PageT] = []
        offset: int | None = 0
        while offset is not None and offset < MAX_ENTRIES:
            asked = {"limit": limit, "offset": offset or None}
            query = urlencode({name: value for name, value in asked.items() if value is not None})
            page = await self.get(f"{path}?{query}" if query else path, shape)
            pages.append(page)
            if page.next_offset is not None and page.next_offset <= offset:
                raise AppFailedError(
                    f"{path}: its pages do not go on",
                    expected=f"a next_offset above {offset}",
                    actual=page.next_offset,
                )
            offset = page.next_offset
        return pages


async def sign_up(app: LiveApp) -> Person:
    """Somebody new, through the app's own front door."""
    document = {"name": words.title(app.draw), "segment": app.draw.choice(("free", "pro", "team"))}
    answer = await app.request("POST", "/api/users", json=document)
    user = answer.read(User, status=201)
    told = {"name": user.name, "segment": user.segment, "token_usage": user.token_usage}
    expect("a new account", expected={**document, "token_usage": 0}, actual=told)
    return Person(app=app, id=user.id)


async def settle(app: LiveApp, count: int, *, segment: str) -> tuple[Person, ...]:
    """`count` new people in a segment that clients cannot sign up for: planted, not signed up."""
    names = [words.title(app.draw) for _ in range(count)]
    rows = await app.database.plant(_PLANT_PEOPLE, segment, names)
    return tuple(Person(app=app, id=row["id"]) for row in rows)
