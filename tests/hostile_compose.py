"""The places in the compose stack where attacks are tried, each with a way to run code in it.

`app` is an app that the supervisor has deployed, `neighbour` another of the app's users in the same
container, `shell` and `lookout` the operator's shells, and `open` a container without any control.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any, Literal, TypeAlias

from tests.compose_kit import ROOT, Project, project
from tests.compose_shell_kit import attack as in_prelude
from tests.compose_shell_kit import bridge_address
from tests.hostile_attacks import AMOUNTS, PRELUDE, Attack
from tests.hostile_hands import PYTHON, Hands, hands
from tests.hostile_places import a_service, an_abstract_socket, own_address, shared_memory
from tests.integration.supervisor_kit import healthy

Name: TypeAlias = Literal["app", "neighbour", "shell", "lookout", "open"]
NAMES: tuple[Name, ...] = ("app", "neighbour", "shell", "lookout", "open")

#: any of the app's users but the first, which is the app's own here
NEIGHBOUR = "app-4"

_OPEN = ROOT / "tests" / "fixtures" / "open_container.yml"
_RELEASES = "/var/lib/ratchet/releases/hostile"
_CONTROL = "/run/ratchet/control/supervisor.sock"
_APP = "/run/ratchet/app/app.sock"
_SHELL = "/run/ratchet/shell/shell.sock"
#: whoever finds one of them can write to it
_FORGEABLE = {
    "app": "/var/lib/ratchet/app/runs/forgeable.db",
    "shell": "/run/ratchet/shell/forgeable.db",
}

#: what lies about on volumes, open to whoever can get there
_FILES = tuple(
    f"{folder}/canary"
    for folder in (
        "/exchange",
        "/prometheus",
        "/run/ratchet/control",
        "/run/ratchet/database",
        "/run/ratchet/loadgen",
        "/run/ratchet/prometheus",
        "/run/ratchet/secrets",
        "/run/ratchet/shell",
        "/run/ratchet/spool",
        "/srv/campaign",
        "/var/cache/ratchet",
        "/var/lib/postgresql/data",
        "/var/lib/ratchet/app/runs",
        "/var/lib/ratchet/runs",
        "/var/log/postgresql",
    )
)

#: what is too much there
_AMOUNTS = {
    **AMOUNTS,
    "processes": 300,
    "large_bytes": 272 << 20,
    "tree_files": 80,
    "eaters": 20,
    "hogs": 200,
}
_PATIENT_S = 60.0
_HELD_BYTES = 1 << 20
_LOGGED_BYTES = 6 << 20
_SUPERVISOR = {
    "wheel_cache": "/opt/ratchet/code/.cache/wheels",
    "log_bytes": 1 << 20,
    "drain_timeout_s": 3,
    "health_timeout_s": 60,
    "probe_interval_s": 0.2,
}

#: in the setup's container, which has every volume: all that it does itself, and what is told
_PLANT = """
import json, os, sys
from pathlib import Path
from campaign.identity import own_identity
from campaign.stack.compose import setup
from campaign.stack.compose.parts import write_json
from campaign.stack.compose.places import ComposePlaces
from campaign.supervisor.environments import Environments, find_interpreter
told = json.load(sys.stdin)
setup.main()
config = ComposePlaces().supervisor_config
write_json(config, json.loads(config.read_text()) | told["supervisor"])
for path, (text, mode) in told["files"].items():
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    place.chmod(mode)
os.chmod("/srv/campaign", 0o700)
os.chown("/srv/campaign", 10001, 10001)
python = find_interpreter(own_identity(), wanted=Path("/usr/local/bin/python3"))
wheels = Path(told["supervisor"]["wheel_cache"])
tools = Environments(ComposePlaces().tool_environments, wheel_cache=wheels, interpreter=python)
tools.ensure_blocking(Path(told["source"]))
"""

#: in the shells' container: one of the operator's, by the service that runs them
_SHELLS = """
import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from operators import ToolError
from campaign.shell_service.client import RemoteShells
loop, held = asyncio.new_event_loop(), {}
def opened(looks):
    if looks not in held:
        (python,) = glob.glob("/var/lib/ratchet/environments/*/bin/python")
        place = Path(python).parents[1]
        shells = RemoteShells(socket=Path(SHELL), python_environment=place)
        stack = AsyncExitStack()
        opening = shells.open_to_look() if looks else shells.open()
        held[looks] = stack, loop.run_until_complete(stack.enter_async_context(opening))
    return held[looks][1]
def in_shell(looks, command):
    try:
        ran = opened(looks).run(command, timeout_s=60.0)
        return loop.run_until_complete(ran).output
    except ToolError as refused:
        return f"ended: {refused}"
def close(looks):
    stack, _ = held.pop(looks)
    loop.run_until_complete(stack.aclose())
"""

_UNTIL_KILLED = """
until = time.monotonic() + patience_s
while victim.poll() is None and time.monotonic() < until: time.sleep(0.05)
result = victim.poll() is not None
"""

#: of files that become each other at any time
_SIZE = """
result = 0
for path in PATHS:
    try:
        result += os.stat(path).st_size
    except FileNotFoundError:
        pass
"""

#: with a TCP socket that it inherits
_IN_THE_OPEN = """
import os, socket
with socket.create_server(("127.0.0.1", 0)) as listener:
    os.dup2(listener.fileno(), 100)
"""


@dataclass(frozen=True, kw_only=True)
class Outside:
    """What is on this machine, for whoever gets out of a container."""

    service: int
    abstract: str
    memory: int


@dataclass(kw_only=True)
class Camp:
    """The stack, with hands in its containers. `secret` is what no attack may get."""

    stack: Project
    secret: str
    outside: Outside
    bridge: str
    app: Hands
    shell: Hands
    open: Hands
    #: of another user of the app's; in an environment of the app's
    neighbour: Hands | None = None
    #: in the command line of a process that is left behind
    word: str = field(default_factory=lambda: f"9{secrets.randbelow(10**8):08}")
    deployments: int = 0

    # -- the app --------------------------------------------------------------------------------

    @property
    def release(self) -> str:
        """The folder of what is deployed; both have the same code."""
        return f"{_RELEASES}/{self.deployments % 2}"

    def deploy(self) -> None:
        """Raises AssertionError: it does not serve."""
        self.deployments += 1
        body = {"id": f"d{self.deployments}", "revision": "r", "source": self.release}
        code = "result = ask(CONTROL, 'POST', '/deployments', body)"
        done = json.loads(self.app.do(code, CONTROL=_CONTROL, body=body))
        assert done["ok"], done

    def status(self) -> dict[str, Any]:
        """What the supervisor says of the app."""
        said = self.app.do("result = ask(CONTROL, 'GET', '/status')", CONTROL=_CONTROL)
        return dict(json.loads(said))

    def in_app(self, code: str) -> str:
        """What the app answers, as text.

        Raises:
            AssertionError: it does not.
        """
        body = {"code": code}
        said = self.app.do("result = ask(APP, 'POST', '/run', body)", APP=_APP, body=body)
        return str(json.loads(said))

    def supervisor(self) -> int:
        """Its process id in its container, which is another one once it was started again."""
        (pid,) = self.app.do("result = with_word('campaign.supervisor')[-1:]")
        return int(pid)

    # -- attacks --------------------------------------------------------------------------------

    def victim(self, place: Name) -> int:
        """A process of the harness's beside that place; another one if it was killed.

        The harness never names its key among arguments, but for the open place.
        """
        asked = "result = a_victim(secret, careless)"
        careless = place == "open"
        return int(self._near(place).do(asked, secret=self.secret, careless=careless))

    def run(self, place: Name, code: str) -> str:
        """The code there; what it leaves in `result`, and what it prints where that comes along."""
        printing = f"{code}\nprint(result)"
        match place:
            case "app":
                return self.in_app(code)
            case "shell" | "lookout":
                script = f"python3 - <<'END_OF_ATTACK'\n{printing}\nEND_OF_ATTACK"
                looks = place == "lookout"
                asked = "result = in_shell(looks, command)"
                return str(self.shell.do(asked, looks=looks, command=script))
            case "open":
                printing = f"{_IN_THE_OPEN}\n{printing}"
                return str(self.open.do("result = run(code)", code=printing))
            case "neighbour":
                assert self.neighbour is not None
                return str(self.neighbour.do("result = run(code)", code=printing))

    def attack(self, place: Name, attack: Attack) -> str:
        """What it got.

        Raises:
            AssertionError: it broke off, so that it was not tried.
        """
        names = {name: repr(value) for name, value in self._names(place).items()}
        code = f"# {attack.name}\n{PRELUDE}{Template(attack.code).substitute(names)}"
        said = self.run(place, f"{code}\nresult = repr(result)")
        assert "Traceback" not in said, said[-2000:]
        assert said.strip(), "it said nothing"
        return said

    def restore(self) -> None:
        """Make good what an attack did to the work tree; what its shells were ended for is over."""
        tidy = "import glob, os\nfor path in glob.glob('/srv/app/f*'): os.unlink(path)\nresult = ''"
        for place in ("shell", "lookout"):
            self.run(place, tidy if place == "shell" else "result = ''")

    def forbidden(self, place: Name, code: str) -> str:
        """GOT, or why not."""
        here = code.replace("BRIDGE", self.bridge).replace("RELEASE", self.release)
        words = f"['sh', '-c', {in_prelude(here)!r}]"
        ran = f"subprocess.run({words}, capture_output=True, text=True, timeout=50)"
        said = self.run(
            place, f"import subprocess\ndone = {ran}\nresult = done.stdout or done.stderr"
        )
        return said.strip()

    def succeeded(self, place: Name, attack: Attack, said: str) -> bool:
        """Whether it got what it wanted; ends the session, or deploys anew, if that must show."""
        match attack.sign:
            case "secret":
                return self.secret in said
            case "got":
                return "GOT" in said
            case "killed":
                # What was sent arrives, but not at once.
                patience_s = _PATIENT_S if "sent" in said else 0.0
                return bool(self._near(place).do(_UNTIL_KILLED, patience_s=patience_s))
            case "written":
                path = _FORGEABLE[_kind(place)]
                return bool(self._near(place).do(f"result = os.stat({path!r}).st_size > 0"))
            case "held":
                return len(said) > _HELD_BYTES
            case "log":
                logs = "glob.glob('/var/lib/ratchet/app/runs/idle/app.log*')"
                return int(self.app.do(_SIZE.replace("PATHS", logs))) > _LOGGED_BYTES
            case "left":
                return self._left_behind(place)
            case "folder":
                raise NotImplementedError(attack.sign)

    def _left_behind(self, place: Name) -> bool:
        near = self._near(place)
        assert near.do("result = with_word(word)", word=self.word), "it left nothing"
        if place == "app":
            self.deploy()
            former = "until = time.monotonic() + patience_s\n"
            waiting = "while with_word(word) and time.monotonic() < until: time.sleep(0.05)\n"
            near.do(former + waiting, word=self.word, patience_s=_PATIENT_S)
        elif place != "open":
            near.do("close(looks)", looks=place == "lookout")
        left = near.do("result = with_word(word)", word=self.word)
        near.do("for pid in with_word(word): os.kill(pid, 9)", word=self.word)
        return bool(left)

    def _near(self, place: Name) -> Hands:
        return self.shell if _kind(place) == "shell" else self.app

    def _names(self, place: Name) -> Mapping[str, Any]:
        is_shell = _kind(place) == "shell"
        return {
            **_AMOUNTS,
            "files": list(_FILES),
            "key_file": "/run/ratchet/secrets/anthropic_api_key",
            "journal": _FORGEABLE[_kind(place)],
            "supervisor": _SHELL if is_shell else _CONTROL,
            "victim": self.victim(place),
            "word": self.word,
            "service": self.outside.service,
            "prometheus": self.outside.service,
            "address": own_address(),
            "abstract": self.outside.abstract,
            "memory": self.outside.memory,
            "writable": "/srv/app" if place == "shell" else "/tmp",  # noqa: S108 - theirs
        }


@contextmanager
def camp() -> Iterator[Camp]:
    """The stack without a campaign and without load, and an app that does what it is told."""
    secret = f"sk-canary-{secrets.token_hex(8)}"
    with ExitStack() as opened:
        outside = opened.enter_context(_outside(secret))
        stack = opened.enter_context(project(added=(_OPEN,), ANTHROPIC_API_KEY=secret))
        stack.run("build", "setup", "app", "shell", "edge", timeout_s=1500)
        _plant(stack, secret)
        stack.run("up", "--detach", "--wait", "app", "edge", "shell", "open")
        made = Camp(
            stack=stack,
            secret=secret,
            outside=outside,
            bridge=bridge_address(),
            app=opened.enter_context(hands(stack, "app")),
            shell=opened.enter_context(hands(stack, "shell")),
            open=opened.enter_context(hands(stack, "open")),
        )
        made.shell.do(_SHELLS, SHELL=_SHELL)
        made.deploy()
        python = made.in_app("result = sys.executable")
        made.neighbour = opened.enter_context(hands(stack, "app", python=python, user=NEIGHBOUR))
        environment = "os.environ.update(VIRTUAL_ENV=place, PATH=f'{place}/bin:/usr/bin:/bin')"
        made.neighbour.do(environment, place=str(Path(python).parents[1]))
        yield made


def _kind(place: Name) -> str:
    """Which container's harness is beside it."""
    return "shell" if place in {"shell", "lookout"} else "app"


def _plant(stack: Project, secret: str) -> None:
    requirements = (ROOT / "target_apps" / "chat_db_app" / "requirements.txt").read_text()
    sources = {
        f"{_RELEASES}/{number}/{name}": (text, 0o644)
        for number in (0, 1)
        for name, text in {"main.py": healthy("1"), "requirements.txt": requirements}.items()
    }
    canaries = dict.fromkeys(_FILES, (f"{secret}\n", 0o644))
    forgeable = dict.fromkeys(_FORGEABLE.values(), ("", 0o666))
    told = {
        "supervisor": _SUPERVISOR,
        "files": sources | canaries | forgeable,
        "source": f"{_RELEASES}/0",
    }
    words = ("run", "--rm", "--no-deps", "--no-TTY", "--entrypoint", PYTHON, "setup", "-c", _PLANT)
    stack.run(*words, stdin=json.dumps(told))


@contextmanager
def _outside(secret: str) -> Iterator[Outside]:
    """Services and memory of this machine, served while the block lasts."""
    loop, ready, over = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    found: dict[str, Any] = {}

    async def serve() -> None:
        async with a_service(secret) as port, an_abstract_socket(secret) as name:
            found.update(service=port, abstract=name)
            ready.set()
            await over.wait()

    serving = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    with shared_memory(secret) as memory:
        serving.start()
        try:
            assert ready.wait(timeout=30)
            yield Outside(memory=memory, **found)
        finally:
            loop.call_soon_threadsafe(over.set)
            serving.join()
            loop.close()
