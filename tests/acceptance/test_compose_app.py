"""The hostile suite in the compose stack: in the app's container, and in the shells'.

RATCHET_COMPOSE=1; needs docker and images. Nothing is played, no load is offered. Each attack is
tried in every place, and succeeds in a container that has none of the controls.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import product

import pytest

from tests.compose_kit import why_no_engine
from tests.hostile_attacks import ATTACKS, EATS_ALL, Attack
from tests.hostile_compose import NAMES, Camp, Name, camp
from tests.hostile_containers import (
    FORBIDDEN,
    FORBIDDEN_TO_THE_APP,
    IN_CONTAINERS,
    NOT_TRIED,
)

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("RATCHET_COMPOSE") != "1", reason="RATCHET_COMPOSE=1 builds and starts it"
    ),
    pytest.mark.timeout(1800),
]

CONFINED: tuple[Name, ...] = tuple(name for name in NAMES if name != "open")
ALL = (*ATTACKS, *IN_CONTAINERS)
#: where test_compose_shell.py does not try it
FORBIDDEN_HERE: Mapping[Name, Mapping[str, str]] = {
    "app": {**FORBIDDEN, **FORBIDDEN_TO_THE_APP},
    "neighbour": {**FORBIDDEN, **FORBIDDEN_TO_THE_APP},
    "lookout": FORBIDDEN,
}
#: what some may have after all: their own socket, and a folder that is empty there
ALLOWED = set(product(("app", "neighbour"), ("the app's socket", "the folder of the work tree")))

LEAVES = """
import ctypes
os.makedirs("/tmp/left/shut")
for path in ("/tmp/left/shut/file", "/tmp/two\\nlines", "/tmp/-rf", "/dev/shm/left"):
    with open(path, "w") as file:
        file.write("left")
os.chmod("/tmp/left/shut", 0)
os.close(os.open("/dev/mqueue/left", os.O_CREAT | os.O_RDWR, 0o600))
libc = ctypes.CDLL(None, use_errno=True)
made = [libc.shmget(0, 4096, 0o1600), libc.semget(0, 1, 0o1600), libc.msgget(0, 0o1600)]
result = os.getuid() if min(made) >= 0 else "refused"
"""
#: as root sees it who may not read what is another's
WHAT_IS_LEFT = """
places = ["/tmp", "/dev/shm", "/dev/mqueue"]
found = subprocess.run(
    ["find", *places, "-mindepth", "1", "-uid", str(uid), "-print0"], capture_output=True, text=True
)
result = [path for path in found.stdout.split("\\0") if path]
for kind, column in (("shm", 7), ("sem", 4), ("msg", 7)):
    for line in open(f"/proc/sysvipc/{kind}").readlines()[1:]:
        if int(line.split()[column]) == uid:
            result.append(kind)
"""
OUT_OF_MEMORY = """
text = "".join(
    open(path).read() for path in glob.glob("/sys/fs/cgroup/memory/memory.oom_control")
    + glob.glob("/sys/fs/cgroup/memory.events")
)
result = int(re.search(r"oom_kill (\\d+)", text)[1])
"""


@pytest.fixture(scope="module")
def place() -> Iterator[Camp]:
    if problem := why_no_engine():
        pytest.fail(f"RATCHET_COMPOSE=1, but {problem}")
    with camp() as made:
        yield made


def until(place: Camp, condition: str, **given: object) -> None:
    """Within a minute it holds, in the app's container."""
    waiting = (
        "until = time.monotonic() + 60\n"
        f"while not ({condition}) and time.monotonic() < until: time.sleep(0.05)\n"
        f"result = bool({condition})"
    )
    assert place.app.do(waiting, **given), condition


# -- what is allowed works ----------------------------------------------------------------------


@pytest.mark.parametrize("where", CONFINED)
def test_what_is_allowed_works(place: Camp, where: Name) -> None:
    told = place.run(where, "import os\nresult = os.getuid(), open('/etc/hostname').read()")
    assert int(told.strip(" ([").split(",")[0]) > 10_000
    keeps = f"open('/tmp/of-{where}', 'w').close()\nresult = 'kept'"
    assert place.run(where, keeps).strip() == "kept"
    database = "import socket\nway = socket.socket(socket.AF_UNIX)\nway.connect(%r)\nresult = 'in'"
    if where != "lookout":
        path = "/run/postgresql/.s.PGSQL.5432"
        assert place.run(where, database % path).strip() == "in"


def test_there_is_no_work_tree_beside_the_app(place: Camp) -> None:
    assert place.in_app("result = os.listdir('/srv')") == "[]"


@pytest.mark.parametrize("where", ["app", "neighbour"])
def test_the_apps_role_reaches_its_own_database(place: Camp, where: Name) -> None:
    said = place.forbidden(where, "sql('SELECT 1', user='ratchet', database='postgres')")
    assert said.startswith("refused: ")
    assert "password" in said


# -- what is not --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "attack"),
    list(product(CONFINED, ALL)),
    ids=lambda each: each.name if isinstance(each, Attack) else str(each),
)
def test_it_fails(place: Camp, where: Name, attack: Attack) -> None:
    _skip_untried(where, attack)
    said = place.attack(where, attack)
    succeeded = place.succeeded(where, attack, said)
    place.restore()
    assert not succeeded, said[-2000:]


@pytest.mark.parametrize("attack", ALL, ids=lambda attack: attack.name)
def test_it_succeeds_where_nothing_is_controlled(place: Camp, attack: Attack) -> None:
    _skip_untried("open", attack)
    said = place.attack("open", attack)
    succeeded = place.succeeded("open", attack, said)
    place.restore()
    assert succeeded, said[-2000:]


@pytest.mark.parametrize(
    ("where", "what"),
    [(where, what) for where, table in FORBIDDEN_HERE.items() for what in table],
)
def test_nobody_gets(place: Camp, where: Name, what: str) -> None:
    said = place.forbidden(where, FORBIDDEN_HERE[where][what])
    if (where, what) in ALLOWED:
        assert said == "GOT", said
    else:
        assert said.startswith("refused:"), f"{where} got {what}: {said}"


def test_another_user_of_the_apps_cannot_touch_the_one_that_serves(place: Camp) -> None:
    pid = place.status()["pid"]
    tried = f"""
for attempt in (
    lambda: os.kill({pid}, signal.SIGSTOP),
    lambda: open("/proc/{pid}/environ").read(),
    lambda: open("/proc/{pid}/mem", "rb"),
    lambda: os.listdir("/proc/{pid}/fd"),
    lambda: called(libc.ptrace(16, {pid}, 0, 0)),
    lambda: os.setpriority(os.PRIO_PROCESS, {pid}, 19),
    lambda: os.unlink("/tmp/of-the-app"),
):
    try:
        attempt()
    except OSError as error:
        failed = error
    else:
        break
else:
    raise failed"""
    place.in_app("open('/tmp/of-the-app', 'w').close()\nresult = 'its own'")
    assert place.forbidden("neighbour", tried).startswith("refused:")
    assert place.in_app("result = 'it serves'") == "it serves"


# -- what must not outlive a deployment -----------------------------------------------------------


@pytest.mark.parametrize("sent", [9, 19])
def test_a_process_that_signals_all_it_can_without_end_is_ended(place: Camp, sent: int) -> None:
    supervisor, before = place.supervisor(), place.status()["pid"]
    uid = int(place.in_app("result = os.getuid()"))
    loop = f"""
if os.fork() == 0:
    os.setsid()
    while not os.path.exists("/tmp/answered"):
        time.sleep(0.05)
    while True:
        try:
            os.kill(-1, {sent})
        except OSError:
            pass
result = "begun"
"""
    place.app.do("if os.path.exists('/tmp/answered'): os.unlink('/tmp/answered')")
    assert place.in_app(loop) == "begun"
    place.app.do("open('/tmp/answered', 'w').close()")
    if sent == 9:
        until(place, "not os.path.exists(f'/proc/{before}')", before=before)
    else:
        state = "open(f'/proc/{before}/stat').read().rpartition(')')[2].split()[0] == 'T'"
        until(place, state, before=before)
    place.deploy()
    until(place, "of_user(uid) == []", uid=uid)
    assert place.supervisor() == supervisor
    assert place.in_app("result = 'it serves'") == "it serves"


def test_files_and_memory_of_a_user_are_gone_with_its_deployment(place: Camp) -> None:
    uid = int(place.in_app(LEAVES))
    left = place.app.do(WHAT_IS_LEFT, uid=uid)
    assert {"/tmp/left/shut", "/tmp/two\nlines", "/dev/shm/left", "/dev/mqueue/left"} < set(left)  # noqa: S108
    assert {"shm", "sem", "msg"} < set(left)
    place.deploy()
    until(place, "of_user(uid) == []", uid=uid)
    gone = "\n".join(f"    {line}" for line in WHAT_IS_LEFT.splitlines())
    place.app.do(f"def what_is_left(uid):\n{gone}\n    return result")
    until(place, "what_is_left(uid) == []", uid=uid)


def test_a_fork_bomb_leaves_the_supervisor_answering(place: Camp) -> None:
    supervisor = place.supervisor()
    uid = int(place.in_app("result = os.getuid()"))
    bomb = """
count = 0
try:
    while count < 2000:
        if os.fork() == 0:
            os.setsid()
            time.sleep(600)
            os._exit(0)
        count += 1
except OSError as error:
    result = [count, str(error)]
"""
    said = place.in_app(bomb)
    assert "Resource temporarily unavailable" in said, said
    assert len(place.app.do("result = of_user(uid)", uid=uid)) > 200
    assert place.status()["state"] == "running"
    place.deploy()
    until(place, "of_user(uid) == []", uid=uid)
    assert place.supervisor() == supervisor


def test_who_eats_all_memory_is_ended_before_the_supervisor(place: Camp) -> None:
    supervisor, before = place.supervisor(), int(place.app.do(OUT_OF_MEMORY))
    place.attack("app", EATS_ALL)
    counted = "\n".join(f"    {line}" for line in OUT_OF_MEMORY.splitlines())
    place.app.do(f"def out_of_memory():\n{counted}\n    return result")
    until(place, "out_of_memory() > before", before=before)
    assert place.supervisor() == supervisor
    place.deploy()
    assert place.in_app("result = 'it serves'") == "it serves"
    assert place.supervisor() == supervisor


def test_what_is_not_tried_is_an_attack() -> None:
    assert set(NOT_TRIED) <= {attack.name for attack in ALL}


def test_who_takes_back_that_it_dies_first_harms_no_other_container(place: Camp) -> None:
    """The last one: its own container may be started again with that, and is back at once."""
    stack = place.stack
    others = {name: stack.pid_of(name) for name in ("postgres", "shell", "edge")}
    undone = "open('/proc/self/oom_score_adj', 'w').write('0')\n"
    # It answers, or ends with all that is in there.
    with suppress(AssertionError):
        place.attack("app", replace(EATS_ALL, code=undone + EATS_ALL.code))
    health = ("python3", "-IS", "/usr/local/lib/health.py", "http://supervisor/status")
    deadline = time.monotonic() + 120
    while stack.inside("app", *health, "/run/ratchet/control/supervisor.sock").returncode != 0:
        assert time.monotonic() < deadline, "the supervisor does not come back"
    assert {name: stack.pid_of(name) for name in others} == others


def _skip_untried(where: Name, attack: Attack) -> None:
    if reason := NOT_TRIED.get(attack.name, {}).get(where):
        pytest.skip(reason)
