"""An adapter file: how a command-line agent is started, and how its output is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from campaign.model import is_adapter_file
from chaos_profiles.document import read_document
from chaos_profiles.problems import ProfileError, did_you_mean
from chaos_profiles.validation import validate
from operators.command.streams import Format
from operators.command.template import names_in

PRESETS = Path(__file__).resolve().parent / "presets"

#: what a template may name; docs/operators.md says what each is
PLACEHOLDERS = frozenset(
    {
        "prompt",
        "role",
        "ticket",
        "model",
        "effort",
        "max_usd",
        "max_turns",
        "tools_url",
        "model_url",
        "home",
    }
)

_TELLS_TICKET = frozenset({"prompt", "ticket"})


class AdapterError(Exception):
    """An agent's adapter file was refused: file, line and field of all that is wrong with it."""


def _template(text: str) -> str:
    for name in names_in(text):
        if name not in PLACEHOLDERS:
            raise ValueError(f"${{{name}}} means nothing; {did_you_mean(name, PLACEHOLDERS)}")
    return text


def _inside(path: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise ValueError(f"{path!r} must be a path below the agent's home, such as config/mcp.json")
    return path


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"{path!r} must be an absolute path")
    return path


def _route(text: str) -> str:
    method, _, path = text.partition(" ")
    if method not in {"GET", "POST"} or not path.startswith("/") or ".." in path:
        raise ValueError(f"{text!r} must be a method and a path, such as POST /v1/messages")
    return text


Template = Annotated[str, AfterValidator(_template)]
HomePath = Annotated[str, AfterValidator(_inside)]
HostPath = Annotated[str, AfterValidator(_absolute)]
Route = Annotated[str, AfterValidator(_route)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class ModelApi(_Part):
    """The one thing outside that the agent reaches, through a relay that adds the key."""

    base_url: str = Field(
        pattern=r"^https?://[^\s/]+[^\s]*$", description="such as https://api.anthropic.com"
    )
    key: Name = Field(description="which variable of ours holds the key; never handed to the agent")
    header: str = Field(
        default="authorization", description="which header the key goes into", min_length=1
    )
    prefix: str = Field(default="", description="what comes before the key, such as 'Bearer '")
    allow: tuple[Route, ...] = Field(
        min_length=1, description="the calls that are let through, such as POST /v1/messages"
    )
    counts: Literal["anthropic", "nothing"] = Field(
        default="nothing", description="whose protocol the tokens are read from on the way"
    )


class AgentAdapter(_Part):
    """A whole adapter file."""

    title: str = Field(description="what people call it", min_length=1)
    executable: str = Field(description="a program on PATH, or an absolute path", min_length=1)
    bundled: str | None = Field(
        default=None, description="where a Python package brings it: package/path/in/it"
    )
    arguments: tuple[Template | tuple[Template, ...], ...] = Field(
        default=(), description="words, or groups of words that go together"
    )
    stdin: Template = Field(default="", description="what is written to its standard input")
    output: Format = Field(description="what it writes, a line at a time")
    tool_prefix: str = Field(default="", description="what it puts before the names of our tools")
    environment: Mapping[Name, Template] = Field(
        default={}, description="its variables; nothing of ours is handed on besides"
    )
    needs: tuple[Name, ...] = Field(
        default=(), description="variables of ours that it gets as they are, and must be set"
    )
    files: Mapping[HomePath, Template] = Field(
        default={}, description="what lies in its home when it starts"
    )
    mounts: tuple[HostPath, ...] = Field(
        default=(), description="files and folders of this machine that it must see, read-only"
    )
    model_api: ModelApi | None = Field(
        default=None, description="None: it reaches nothing but the tools"
    )

    @model_validator(mode="after")
    def _complete(self) -> AgentAdapter:
        texts = [self.stdin, *_words(self.arguments), *self.files.values()]
        named = {name for text in texts for name in names_in(text)}
        if not named & _TELLS_TICKET:
            raise ValueError(
                "the agent is never told of its ticket: put ${prompt} into arguments or stdin"
            )
        named |= {name for text in self.environment.values() for name in names_in(text)}
        if "tools_url" not in named:
            raise ValueError("the agent never learns where its tools are: use ${tools_url}")
        if self.model_api is not None and self.model_api.key in self.needs:
            raise ValueError(
                f"needs: {self.model_api.key} is the key of model_api, which adds it outside the "
                "sandbox; take it out of needs"
            )
        return self

    @property
    def in_arguments(self) -> bool:
        """The prompt is an argument: the system bounds how long it may be."""
        words = _words(self.arguments)
        return any(_TELLS_TICKET & set(names_in(word)) for word in words)


def preset_names() -> tuple[str, ...]:
    return tuple(sorted(file.stem for file in PRESETS.glob("*.yaml")))


def load_adapter(agent: str) -> AgentAdapter:
    """A preset by its name, or an adapter file by its path (with a `/` in it, or ending in .yaml).

    Raises:
        AdapterError: there is none, or what is wrong with it.
    """
    if is_adapter_file(agent):
        return read_adapter(Path(agent))
    if agent not in preset_names():
        raise AdapterError(
            f"unknown agent {agent!r}; {did_you_mean(agent, preset_names())}; "
            "for one of your own, give the path of its adapter file"
        )
    return read_adapter(PRESETS / f"{agent}.yaml")


def read_adapter(file: Path) -> AgentAdapter:
    """Raises AdapterError with file, line and field of everything that is wrong."""
    try:
        return validate(read_document(file), AgentAdapter)
    except ProfileError as error:
        raise AdapterError(str(error)) from error


def _words(arguments: Any) -> Iterator[str]:
    for argument in arguments:
        if isinstance(argument, str):
            yield argument
        else:
            yield from argument
