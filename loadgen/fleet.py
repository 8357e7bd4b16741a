"""All simulated users of this process, kept equal to the load vector that was asked for."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gevent.lock import BoundedSemaphore

from loadgen.dice import Dice
from loadgen.lane import Lane, Report, Team
from loadgen.load import LoadVector, change
from loadgen.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from locust.env import Environment

    from loadgen.calls import Behaviour
    from loadgen.ledger import Ledger, Write
    from loadgen.load import Dimension, Params
    from loadgen.metrics import Instruments, Series
    from loadgen.unix_http import UnixHttpClient
    from loadgen.users import ScheduledUser

#: From the moment its users exist to the first arrival of a dimension: they all get ready first.
_LEAD_S = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A dimension with the lanes that serve it."""

    dimension: Dimension
    team: Team
    lanes: tuple[Lane, ...]


class Fleet:
    """Replaces the load while it runs. Dimensions that stay are not touched at all."""

    def __init__(
        self,
        *,
        environment: Environment,
        users: Sequence[type[ScheduledUser]],
        instruments: Instruments,
        ledger: Ledger,
        client: UnixHttpClient,
        timeout_s: float,
        seed: int,
    ) -> None:
        self._environment = environment
        self._users = {user.behaviour.name: user for user in users}
        self._instruments = instruments
        self._ledger = ledger
        self._client = client
        self._timeout_s = timeout_s
        self._seed = seed
        self._running: dict[str, Running] = {}
        self._load: LoadVector | None = None
        self._one_at_a_time = BoundedSemaphore()

    @property
    def load(self) -> LoadVector | None:
        """The load vector in force; None until the first one."""
        return self._load

    @property
    def params_models(self) -> Mapping[str, type[Params]]:
        """The option model of each behaviour that can be asked for."""
        return {name: user.behaviour.params_model for name, user in self._users.items()}

    def apply(self, load: LoadVector) -> None:
        """Make `load` the offered load; on return its users exist and no others offer anything."""
        with self._one_at_a_time:
            wanted = load.by_identity()
            todo = change(running=self._running, wanted=wanted)
            for key in todo.removed:
                self._retire(self._running.pop(key))
            for key, dimension in todo.added.items():
                self._running[key] = self._start(key, dimension)
            self._load = load
            self._publish()

    def expire(self) -> None:
        """Bring the counts of missed slots up to date, for a scrape."""
        for running in list(self._running.values()):
            for lane in running.lanes:
                lane.expire()

    def _retire(self, running: Running) -> None:
        for lane in running.lanes:
            lane.retire()

    def _start(self, key: str, dimension: Dimension) -> Running:
        user_class = self._users[dimension.behaviour]
        behaviour = _behaviour(user_class, dimension, remember=self._remember(dimension.behaviour))
        users = self._environment.runner.spawn_users({user_class.__name__: dimension.users})
        team = self._team(key, dimension, behaviour)
        lanes = tuple(Lane(team, user=number) for number in range(dimension.users))
        for user, lane in zip(users, lanes, strict=True):
            user.take(lane)
        return Running(dimension=dimension, team=team, lanes=lanes)

    def _team(self, key: str, dimension: Dimension, behaviour: Behaviour[Any]) -> Team:
        return Team(
            behaviour=behaviour,
            schedule=Schedule(
                rate_hz=dimension.rate_hz,
                users=dimension.users,
                arrival=dimension.arrival,
                start_s=time.monotonic() + _LEAD_S,
            ),
            dice=Dice(seed=self._seed, dimension=key),
            series=self._series(behaviour),
            client=self._client,
            timeout_s=self._timeout_s,
            lag=self._instruments.lag,
            report=self._tell_locust,
        )

    def _series(self, behaviour: Behaviour[Any]) -> dict[str, Series]:
        return {
            operation: self._instruments.series(behaviour=behaviour.name, operation=operation)
            for operation in behaviour.operations
        }

    def _remember(self, behaviour: str) -> Callable[[str, Write], None]:
        def remember(operation: str, write: Write) -> None:
            self._ledger.record(write)
            self._instruments.series(behaviour=behaviour, operation=operation).acknowledged.inc()

        return remember

    def _publish(self) -> None:
        """Say what is configured now: in our gauges, and to Locust's own page."""
        rates: defaultdict[Series, float] = defaultdict(float)
        users: Counter[str] = Counter(dict.fromkeys(self._published_behaviours(), 0))
        for running in self._running.values():
            dimension, team = running.dimension, running.team
            users[dimension.behaviour] += dimension.users
            for series in team.series.values():
                rates[series] += dimension.users * dimension.rate_hz / len(team.series)
        for series in self._instruments.all_series.values():
            series.offered_rate.set(rates[series])
        for behaviour, count in users.items():
            self._instruments.users.labels(behaviour).set(count)
        self._environment.runner.target_user_count = users.total()
        self._environment.events.spawning_complete.fire(user_count=users.total())

    def _published_behaviours(self) -> set[str]:
        """Those that ever had a series: their gauges go to zero instead of away."""
        return {series.behaviour for series in self._instruments.all_series.values()}

    def _tell_locust(self, report: Report) -> None:
        error = report.outcome.error
        self._environment.events.request.fire(
            request_type=report.method,
            name=report.operation,
            response_time=report.age_s * 1000,
            response_length=report.outcome.size_bytes,
            exception=None if error is None else str(error),
            context={},
        )


def _behaviour(
    user_class: type[ScheduledUser],
    dimension: Dimension,
    *,
    remember: Callable[[str, Write], None],
) -> Behaviour[Any]:
    kind = user_class.behaviour
    return kind(params=kind.params_model.model_validate(dimension.params), remember=remember)
