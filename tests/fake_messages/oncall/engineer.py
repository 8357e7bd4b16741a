"""An on-call engineer by rules: a scripted model that decides from what tools told it alone."""

from __future__ import annotations

from typing import Any

from tests.fake_messages.model import Reply, Text
from tests.fake_messages.oncall.conversation import Conversation, Step
from tests.fake_messages.oncall.duty import work
from tests.fake_messages.oncall.evidence import NotEnoughError

#: without these nothing can be found out, changed or closed
_NEEDED = frozenset({"read_ticket", "sql", "search_files", "deploy", "resolve"})


class OnCall:
    """A pure function of the request: it works its way through the conversation each time anew.

    What it once asked is found again among the messages, with what came back; the first step that
    is not there is its answer. Nothing is known but what tools said: when that is missing or makes
    no sense, it says so and ends its turn without resolving anything.
    """

    def answer(self, request: dict[str, Any]) -> Reply:
        conversation = Conversation(request)
        if not conversation.tools >= _NEEDED:
            return Reply(content=(Text(text="Someone on call looks into a ticket."),))
        return conversation.reply(_next_step(conversation))


def _next_step(conversation: Conversation) -> Step:
    duty = work(conversation.tools)
    try:
        step = next(duty)
        while (results := conversation.results_of(step)) is not None:
            step = duty.send(results)
    except StopIteration as end:
        return Step(say=str(end.value))
    except NotEnoughError as missing:
        return Step(
            say=f"I stop here and leave the ticket open: {missing}. Somebody should take over."
        )
    return step
