"""Whom a request concerns: a user, or a conversation and its user, of the ranges of a load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from loadgen.calls import Behaviour
from loadgen.chat_db_app.params import ConversationParams, Pick, PickParams, UserParams

if TYPE_CHECKING:
    from loadgen.backlog import Arrival

UserParamsT_co = TypeVar("UserParamsT_co", bound=UserParams, covariant=True)
ConversationParamsT_co = TypeVar("ConversationParamsT_co", bound=ConversationParams, covariant=True)

#: Which part of an arrival's roll pays for which choice.
WHICH_ID, WHICH_TERM, WHICH_TEXT = 0, 1, 2


def _offset(params: PickParams, arrival: Arrival, *, count: int) -> int:
    if params.pick is Pick.OWN:
        return arrival.user % count
    return arrival.roll.below(count, part=WHICH_ID)


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
