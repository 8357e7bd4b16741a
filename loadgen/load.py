"""The load vector: what is offered, by dimension, and how a new one replaces the old."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from loadgen.schedule import ArrivalKind, delay_s

#: One Locust process is one core: more than this for each is a mistake in the load vector.
MAX_USERS = 5_000
#: more processes than this are none of a campaign's
MAX_WORKERS = 100


_PROCESSES = "processes"


class Range(BaseModel):
    """A run of consecutive ids, written `[first, count]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    first: int = Field(ge=1)
    count: int = Field(ge=1)

    @model_validator(mode="before")
    @classmethod
    def _from_pair(cls, value: Any) -> Any:
        match value:
            case [int(first), int(count)]:
                return {"first": first, "count": count}
            case list():
                raise ValueError("a range is [first, count]")
        return value

    def at(self, offset: int) -> int:
        """The id at `offset`, wrapping round."""
        return self.first + offset % self.count


class Params(BaseModel):
    """Options that every behaviour has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_in_flight: int = Field(default=4, ge=1, le=100)


class Dimension(BaseModel):
    """`users` simulated users of one behaviour, each arriving `rate_hz` times per second."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    behaviour: str
    users: int = Field(ge=0, le=MAX_USERS * MAX_WORKERS)
    rate_hz: Annotated[float, Field(gt=0, le=1_000, allow_inf_nan=False)]
    arrival: ArrivalKind = ArrivalKind.STAGGERED
    params: dict[str, Any] = Field(default_factory=dict)

    @property
    def key(self) -> str:
        """The same text for the same dimension, whatever the order of its options."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)


class LoadVector(BaseModel):
    """The whole offered load; an empty one is silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1, max_length=200)
    dimensions: tuple[Dimension, ...]

    @model_validator(mode="after")
    def _not_too_many(self, info: ValidationInfo) -> Self:
        total = sum(dimension.users for dimension in self.dimensions)
        most = MAX_USERS * (info.context or {}).get(_PROCESSES, 1)
        if total > most:
            raise ValueError(f"{total} users in all: at most {most} are possible")
        return self

    @classmethod
    def checked(cls, raw: object, *, processes: int) -> Self:
        """For so many processes; raises pydantic's ValidationError."""
        return cls.model_validate(raw, context={_PROCESSES: processes})

    def by_identity(self) -> dict[str, Dimension]:
        """The dimensions by an id made of their content; twins are told apart by a number."""
        seen: Counter[str] = Counter()
        named = {}
        for dimension in self.dimensions:
            seen[dimension.key] += 1
            named[f"{dimension.key}#{seen[dimension.key]}"] = dimension
        return named

    def delays_s(self) -> dict[str, float]:
        """By the same ids, when each begins if it does not run yet."""
        return {
            key: delay_s(number, rate_hz=dimension.rate_hz)
            for number, (key, dimension) in enumerate(self.by_identity().items())
        }


class LoadError(Exception):
    """The load vector was refused; nothing was changed."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What must happen to the running dimensions so that they become the wanted ones."""

    added: dict[str, Dimension]
    removed: tuple[str, ...]


def change(*, running: Mapping[str, Any], wanted: Mapping[str, Dimension]) -> Change:
    """Both are keyed by identity; what is in both is left alone."""
    return Change(
        added={key: value for key, value in wanted.items() if key not in running},
        removed=tuple(key for key in running if key not in wanted),
    )


def parse_load(
    raw: object, *, params_models: Mapping[str, type[Params]], processes: int = 1
) -> LoadVector:
    """Check a load vector from outside against the behaviours that exist.

    `processes` is how many share it.

    Raises LoadError with every problem there is, each with the place it is in.
    """
    problems = []
    load = None
    try:
        load = LoadVector.checked(raw, processes=processes)
    except ValidationError as error:
        problems += _told(error)
    problems += _params_problems(raw, params_models)
    if load is None or problems:
        raise LoadError(tuple(problems))
    return load


def _params_problems(raw: object, params_models: Mapping[str, type[Params]]) -> list[str]:
    """Problems of each dimension's behaviour and options, even if other fields are wrong too."""
    match raw:
        case {"dimensions": list(dimensions)}:
            pass
        case _:
            return []
    problems = []
    for number, dimension in enumerate(dimensions):
        match dimension:
            case {"behaviour": str(behaviour)} if behaviour not in params_models:
                known = ", ".join(sorted(params_models))
                problems.append(
                    f"dimensions.{number}.behaviour: {behaviour!r} is none of {known}",
                )
            case {"behaviour": str(behaviour), "params": dict(params)}:
                try:
                    params_models[behaviour].model_validate(params)
                except ValidationError as error:
                    problems += _told(error, prefix=f"dimensions.{number}.params")
    return problems


def _told(error: ValidationError, *, prefix: str = "") -> list[str]:
    told = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        place = ".".join(str(part) for part in ([prefix] if prefix else []) + list(problem["loc"]))
        told.append(f"{place or 'load'}: {problem['msg']}")
    return told
