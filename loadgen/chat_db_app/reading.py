"""Behaviours of chat-db-app's users that read: conversations, messages, figures."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from loadgen.calls import Call, get, has_values, holds
from loadgen.chat_db_app.params import (
    ConversationParams,
    ListerParams,
    SearcherParams,
    UserParams,
)
from loadgen.chat_db_app.whom import WHICH_TERM, OfConversation, OfUser

if TYPE_CHECKING:
    from loadgen.backlog import Arrival


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
        term = quote_plus(terms[arrival.roll.below(len(terms), part=WHICH_TERM)])
        return Call(
            method="GET",
            wire=get(f"/api/search?q={term}", user_id=self.user_id(arrival)),
            accept=holds("results", list),
        )


class Lister(OfUser[ListerParams]):
    """Looks at the list of its conversations."""

    name = "lister"
    params_model = ListerParams
    operations = ("list_conversations",)

    def call(self, arrival: Arrival) -> Call:
        wire = get("/api/conversations", user_id=self.user_id(arrival))
        accept = holds("conversations", list, at_least=self.params.at_least)
        return Call(method="GET", wire=wire, accept=accept)


class Herd(OfUser[UserParams]):
    """Many at once, each with the cheapest request there is: itself."""

    name = "herd"
    params_model = UserParams
    operations = ("get_user",)

    def call(self, arrival: Arrival) -> Call:
        user_id = self.user_id(arrival)
        wire = get(f"/api/users/{user_id}", user_id=user_id)
        return Call(method="GET", wire=wire, accept=has_values(id=user_id))


class StatsReader(OfUser[UserParams]):
    """Has the status page open: figures of the whole service, of which there are always some."""

    name = "stats_reader"
    params_model = UserParams
    operations = ("conversation_stats",)

    def call(self, arrival: Arrival) -> Call:
        wire = get("/api/stats", user_id=self.user_id(arrival))
        return Call(method="GET", wire=wire, accept=holds("days", list, at_least=1))
