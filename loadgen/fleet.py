"""All simulated users of this process, kept equal to the load vector that was asked for."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from gevent.lock import BoundedSemaphore

from loadgen.dice import Dice
from loadgen.lane import Lane, Report, Team
from loadgen.load import LoadVector, change
from loadgen.schedule import Schedule
from loadgen.shares import WHOLE, Share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from locust.env import Environment

    from loadgen.calls import Behaviour
    from loadgen.http_client import HttpClient
    from loadgen.ledger import Write
    from loadgen.load import Dimension, Params
    from loadgen.metrics import Instruments, Series
    from loadgen.users import ScheduledUser

#: From the moment its users exist to the first arrival of a dimension: they all get ready first.
_LEAD_S = 0.02


class Recorder(Protocol):
    """Where acknowledged writes go (`Ledger`)."""

    def record(self, write: Write, /) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A dimension with the lanes that serve it."""

    dimension: Dimension
    team: Team
    #: by the number of their user; with a share of the load, not those of all users
    lanes: dict[int, Lane]


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """A worker's part of a load that others play as well."""

    share: Share
    #: these two are the same for all workers, whatever each was started with
    seed: int
    timeout_s: float
    #: when this process was told of it, on its monotonic clock
    told_at_s: float
    #: for each dimension, seconds from then to the first arrival of its user 0; negative: it runs
    starts_in_s: Mapping[str, float]

    def start_s(self, key: str) -> float:
        return self.told_at_s + self.starts_in_s[key]


class Fleet:
    """Replaces the load while it runs. Dimensions that stay are not touched at all."""

    def __init__(
        self,
        *,
        environment: Environment,
        users: Sequence[type[ScheduledUser]],
        instruments: Instruments,
        ledger: Recorder,
        client: HttpClient,
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

    @property
    def processes(self) -> int:
        """See `loadgen.control.Offering`."""
        return 1

    def collect(self) -> None:
        """Every write is in the ledger as soon as it is acknowledged."""

    def status(self) -> dict[str, Any]:
        return {}

    def apply(self, load: LoadVector, assigned: Assignment | None = None) -> None:
        """Make `load` the offered load; on return its users exist and no others offer anything.

        With `assigned`, only this process's users of it; those it has already are left alone.
        """
        with self._one_at_a_time:
            wanted = load.by_identity()
            todo = change(running=self._running, wanted=wanted)
            for key in todo.removed:
                self._retire(self._running.pop(key).lanes.values())
            if assigned is not None:
                for key, running in self._running.items():
                    self._reassign(key, running, assigned)
            delays_s = load.delays_s()
            for key, dimension in todo.added.items():
                self._running[key] = self._start(key, dimension, assigned, delays_s[key])
            self._load = load
            self._publish()
            share = WHOLE if assigned is None else assigned.share
            self._instruments.load_parts.set(share.parts)

    def withdraw(self) -> None:
        """Offer nothing and have no part in any load."""
        with self._one_at_a_time:
            for running in self._running.values():
                self._retire(running.lanes.values())
            self._running.clear()
            self._load = None
            self._publish()
            self._instruments.load_parts.set(0)

    def expire(self) -> None:
        """Bring the counts of missed slots up to date, for a scrape."""
        for running in list(self._running.values()):
            for lane in list(running.lanes.values()):
                lane.expire()

    def _retire(self, lanes: Iterable[Lane]) -> None:
        for lane in lanes:
            lane.retire()

    def _start(
        self, key: str, dimension: Dimension, assigned: Assignment | None, delay_s: float
    ) -> Running:
        numbers: Sequence[int] = range(dimension.users)
        if assigned is not None:
            numbers = assigned.share.numbers(key=key, users=dimension.users)
        user_class = self._users[dimension.behaviour]
        behaviour = _behaviour(user_class, dimension, remember=self._remember(dimension.behaviour))
        users = self._spawn(user_class, len(numbers))
        team = self._team(key, dimension, behaviour, assigned, delay_s)
        running = Running(dimension=dimension, team=team, lanes={})
        self._staff(running, users, numbers, assigned)
        return running

    def _reassign(self, key: str, running: Running, assigned: Assignment) -> None:
        """Give up the users that are others' now, and take on those that were others' before."""
        wanted = assigned.share.numbers(key=key, users=running.dimension.users)
        for number in running.lanes.keys() - set(wanted):
            running.lanes.pop(number).retire()
        new = [number for number in wanted if number not in running.lanes]
        users = self._spawn(self._users[running.dimension.behaviour], len(new))
        self._staff(running, users, new, assigned)

    def _spawn(self, user_class: type[ScheduledUser], count: int) -> list[ScheduledUser]:
        spawned: list[ScheduledUser] = self._environment.runner.spawn_users(
            {user_class.__name__: count}
        )
        return spawned

    def _staff(
        self,
        running: Running,
        users: Sequence[ScheduledUser],
        numbers: Sequence[int],
        assigned: Assignment | None,
    ) -> None:
        """Who takes over a user that runs already begins with what is due next."""
        schedule = running.team.schedule
        for user, number in zip(users, numbers, strict=True):
            first = 0
            if assigned is not None:
                first = schedule.next_index(user=number, at_s=assigned.told_at_s)
            lane = running.lanes[number] = Lane(running.team, user=number, first=first)
            user.take(lane)

    def _team(
        self,
        key: str,
        dimension: Dimension,
        behaviour: Behaviour[Any],
        assigned: Assignment | None,
        delay_s: float,
    ) -> Team:
        seed, timeout_s = self._seed, self._timeout_s
        if assigned is None:
            start_s = time.monotonic() + _LEAD_S + delay_s
        else:
            seed, timeout_s = assigned.seed, assigned.timeout_s
            start_s = assigned.start_s(key)
        return Team(
            behaviour=behaviour,
            schedule=Schedule(
                rate_hz=dimension.rate_hz,
                users=dimension.users,
                arrival=dimension.arrival,
                start_s=start_s,
            ),
            dice=Dice(seed=seed, dimension=key),
            series=self._series(behaviour),
            client=self._client,
            timeout_s=timeout_s,
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
            users[dimension.behaviour] += len(running.lanes)
            for series in team.series.values():
                rates[series] += len(running.lanes) * dimension.rate_hz / len(team.series)
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
