"""Locust's view of our users: one Locust user is one lane of a dimension."""

from __future__ import annotations

from types import new_class
from typing import TYPE_CHECKING, Any, ClassVar, cast

from gevent.event import AsyncResult
from locust import User, task
from locust.exception import StopUser

if TYPE_CHECKING:
    from loadgen.calls import Behaviour
    from loadgen.lane import Lane


class ScheduledUser(User):  # type: ignore[misc]
    """Runs the lane it is given, once; a subclass says which behaviour it stands for."""

    abstract = True
    behaviour: ClassVar[type[Behaviour[Any]]]

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self._lane: AsyncResult = AsyncResult()

    def take(self, lane: Lane) -> None:
        """Hand over the lane; the user does nothing before that."""
        self._lane.set(lane)

    @task  # type: ignore[untyped-decorator]
    def live(self) -> None:
        self._lane.get().run()
        raise StopUser

    def on_stop(self) -> None:
        """Also reached when Locust kills the user, with requests in flight."""
        if self._lane.ready():
            self._lane.get().abandon()


def user_class(behaviour: type[Behaviour[Any]]) -> type[ScheduledUser]:
    """The Locust class of this behaviour's users; Locust tells classes apart by their names."""
    fields = {"behaviour": behaviour, "abstract": False, "__doc__": behaviour.__doc__}
    made = new_class(
        behaviour.__name__, (ScheduledUser,), exec_body=lambda space: space.update(fields)
    )
    return cast("type[ScheduledUser]", made)
