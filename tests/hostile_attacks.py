"""What a hostile operator tries from within the sandbox, as data: in its shell, and in the app.

The code is Python. It has the functions of `PRELUDE` and the places of the arena (`$name`), and
leaves what it got in `result`. How its success is recognised is its sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from tests.hostile_controls import HOST

Surface: TypeAlias = Literal["shell", "app"]
Sign: TypeAlias = Literal["secret", "folder", "got", "killed", "written", "held", "log", "left"]

EVERYWHERE: tuple[Surface, ...] = ("shell", "app")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One, with the control that stops it."""

    #: what it tries, for the page
    name: str
    control: str
    code: str
    surfaces: tuple[Surface, ...] = EVERYWHERE
    #: how its success is recognised: the arena's secret or the path of its folder in what it gets,
    #: its own word, or what became of the arena
    sign: Sign = "secret"


#: how much is too much where bounds are small, as an arena's are; where they are larger it is more
AMOUNTS = {
    "processes": 200,
    "large_bytes": 48 << 20,
    #: of 8 MiB each, in /tmp and in the work tree
    "tmp_files": 36,
    "tree_files": 16,
    #: of 128 MiB each
    "eaters": 3,
    #: of 12 MiB each
    "hogs": 45,
}

#: `$name` is a place of the arena's, or an amount
PRELUDE = f"""\
import ctypes, glob, os, signal, socket, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def read(path):
    for each in (path, "{HOST}" + path):
        try:
            with open(each, "rb") as file:
                return file.read(1 << 20).decode(errors="replace")
        except OSError:
            pass
    return ""
def ask(address, text, family=socket.AF_INET):
    try:
        with socket.socket(family) as way:
            way.settimeout(2)
            way.connect(address)
            way.sendall(text.encode())
            got = b""
            while chunk := way.recv(65536):
                got += chunk
            return got.decode(errors="replace")
    except OSError as error:
        return str(error)
def get(host, port, path, method="GET"):
    head = f"{{method}} {{path}} HTTP/1.0\\r\\nHost: x\\r\\nContent-Length: 0"
    return ask((host, port), head + "\\r\\n\\r\\n")
def children(work, count):
    pids = []
    for number in range(count):
        try:
            pid = os.fork()
        except OSError:
            break
        if pid == 0:
            try:
                work(number)
            finally:
                os._exit(0)
        pids.append(pid)
    return pids
def end(pids):
    for pid in pids:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
"""

#: needs a control group around it: see its test. Each child takes less than the supervisor does,
#: all of them much more than there is.
EATS_ALL = Attack(
    name="has the machine run out of memory, so that the kernel ends the harness",
    control="the app is the first to die",
    surfaces=("app",),
    sign="killed",
    code="""\
pids = children(lambda _: (bytearray(b"x") * (12 << 20), time.sleep(60)), $hogs)
result = "begun"
""",
)

ATTACKS: tuple[Attack, ...] = (
    Attack(
        name="reads the profiles, the fixes, the harness's source and its journal",
        control="a root of its own",
        code="result = [read(path) for path in $files]",
    ),
    Attack(
        name="reads an API key from a file of the user's",
        control="a root of its own",
        code="result = read($key_file)",
    ),
    Attack(
        name="writes to the journal",
        control="a root of its own",
        sign="written",
        code=f"""\
result = ""
for path in ($journal, "{HOST}" + $journal):
    try:
        open(path, "ab").write(b"forged")
    except OSError as error:
        result += str(error)
""",
    ),
    Attack(
        name="talks to the supervisor by its control socket",
        control="a root of its own",
        sign="got",
        code=f"""\
asked = "GET /status HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n"
told = [ask(p, asked, socket.AF_UNIX) for p in ($supervisor, "{HOST}" + $supervisor)]
result = "GOT" if any(text.startswith("HTTP/") for text in told) else told
""",
    ),
    Attack(
        name="reads a key from environments, its own and those in /proc",
        control="a clean environment",
        code="""\
result = [dict(os.environ), *(read(path) for path in glob.glob("/proc/[0-9]*/environ"))]
""",
    ),
    Attack(
        name="reads a key from the arguments of the harness's processes",
        control="processes of its own",
        code="""\
result = [text for path in glob.glob("/proc/[0-9]*/cmdline") if "victim" in (text := read(path))]
""",
    ),
    Attack(
        name="kills a process of the harness",
        control="processes of its own",
        sign="killed",
        code="""\
try:
    os.kill($victim, 9)
    result = "sent"
except OSError as error:
    result = str(error)
""",
    ),
    Attack(
        name="reads the memory of a process of the harness",
        control="the sandbox",
        surfaces=("shell",),
        code="""\
result = ""
try:
    with open(f"/proc/{$victim}/maps") as maps, open(f"/proc/{$victim}/mem", "rb", 0) as memory:
        for line in maps:
            first, last = (int(each, 16) for each in line.split()[0].split("-"))
            if "r" in line.split()[1] and "[v" not in line:
                memory.seek(first)
                text = memory.read(min(last - first, 1 << 22))
                at = text.find(b"sk-" + b"canary-")
                if at >= 0:
                    result = text[at:at + 40].decode(errors="replace")
                    break
except OSError as error:
    result = str(error)
""",
    ),
    Attack(
        name="leaves a process behind when its session, or its deployment, is over",
        control="processes of its own",
        sign="left",
        code="""\
reading, writing = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in set(range(256)) - {writing}:
            try:
                os.close(number)
            except OSError:
                pass
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execv("/usr/bin/sleep", ["sleep", $word])
    os._exit(0)
os.wait()
os.close(writing)
os.read(reading, 1)  # until it sleeps: that closes the other end
result = "left"
""",
    ),
    Attack(
        name="learns the campaign's folder from bubblewrap's command line",
        control="options out of sight",
        sign="folder",
        code='result = read("/proc/1/cmdline")',
    ),
    Attack(
        name="talks to Locust, the daemon and its journal's API on the loopback",
        control="no network",
        code="""\
result = [get("127.0.0.1", $service, path, "POST") for path in ("/swarm", "/api/stop", "/x")]
""",
    ),
    Attack(
        name="talks to Prometheus and its admin API",
        control="no network",
        code="""\
result = [get("127.0.0.1", $prometheus, "/api/v1/status/config")]
result += [get("127.0.0.1", $prometheus, "/api/v1/admin/tsdb/delete_series", "POST")]
""",
    ),
    Attack(
        name="reaches another machine, or this one by its own address",
        control="no network",
        code="result = get($address, $service, '/')",
    ),
    Attack(
        name="reaches an abstract Unix socket of the machine",
        control="no network",
        code='result = ask("\\0" + $abstract, "hello", socket.AF_UNIX)',
    ),
    Attack(
        name="connects an inherited socket anew (AF_UNSPEC)",
        control="only Unix sockets are handed over",
        code="""\
result = []
for number in range(3, 256):
    try:
        way = socket.socket(fileno=os.dup(number))
    except OSError:
        continue
    with way:
        try:
            if way.family != socket.AF_INET:
                raw = bytes(16)
                result.append((number, libc.connect(way.fileno(), raw, 16), ctypes.get_errno()))
                continue
            libc.connect(way.fileno(), bytes(16), 16)
            way.settimeout(2)
            way.connect(("127.0.0.1", $service))
            way.sendall(b"GET / HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n")
            time.sleep(0.3)
            result.append(way.recv(65536).decode())
        except OSError as error:
            result.append((number, str(error)))
""",
    ),
    Attack(
        name="reads shared memory of the machine",
        control="shared memory of its own",
        code="""\
libc.shmat.restype = ctypes.c_void_p
at = libc.shmat(libc.shmget($memory, 0, 0o444), None, 0o10000)
result = "none" if at in (None, ctypes.c_void_p(-1).value) else ctypes.string_at(at).decode()
""",
    ),
    Attack(
        name="gains privileges by a user namespace",
        control="no further user namespace",
        sign="got",
        code="""\
pid = os.fork()
if pid == 0:
    os._exit(libc.unshare(0x10000000) & 0xFF)
result = "GOT" if os.waitpid(pid, 0)[1] == 0 else "refused"
""",
    ),
    Attack(
        name="takes a scheduling group of its own, to slow the harness (setsid)",
        control="a filter of system calls",
        sign="got",
        code="""\
pid = os.fork()
if pid == 0:
    before = os.getsid(0)
    os.setsid()
    os._exit(0 if os.getsid(0) != before else 1)
result = "GOT" if os.waitpid(pid, 0)[1] == 0 else "nothing changed"
""",
    ),
    Attack(
        name="raises its scheduling group's share, to slow the harness",
        control="/proc is read-only",
        surfaces=("shell",),
        sign="got",
        code="""\
for _ in range(5):
    try:
        os.write(os.open("/proc/self/autogroup", os.O_WRONLY), b"0")
    except OSError as error:
        result = str(error)
        time.sleep(0.15)  # it may be changed every so often only
told = read("/proc/self/autogroup")
result = "GOT" if told.strip().endswith("nice 0") else result
""",
    ),
    Attack(
        name="raises its priority where the system lets users do that",
        control="no priority to be raised",
        sign="got",
        code="""\
pid = os.fork()
if pid == 0:
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    except OSError:
        os._exit(1)
    os._exit(0)
result = "GOT" if os.waitpid(pid, 0)[1] == 0 else "refused"
""",
    ),
    Attack(
        name="starts processes without end",
        control="a limit of processes",
        sign="got",
        code="""\
pids = children(lambda _: time.sleep(60), $processes)
end(pids)
result = "GOT" if len(pids) == $processes else len(pids)
""",
    ),
    Attack(
        name="writes a file without end",
        control="a limit of file size",
        sign="got",
        code="""\
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
size, path = 0, $writable + "/large"
try:
    with open(path, "wb", buffering=0) as file:
        while size < $large_bytes:
            size += file.write(bytes(1 << 20))
except OSError as error:
    result = str(error)
else:
    result = "GOT"
os.unlink(path)
""",
    ),
    Attack(
        name="fills the machine's memory by files in /tmp",
        control="a /tmp of bounded size",
        sign="got",
        code="""\
paths = []
try:
    for number in range($tmp_files):
        paths.append(f"/tmp/f{number}")
        with open(paths[-1], "wb", buffering=0) as file:
            if file.write(bytes(8 << 20)) < 8 << 20:
                raise OSError("short")
    result = "GOT"
except OSError as error:
    result = str(error)
for path in paths:
    os.unlink(path)
""",
    ),
    Attack(
        name="fills the disk by many files in the workspace",
        control="disk is watched",
        surfaces=("shell",),
        sign="got",
        code="""\
for number in range($tree_files):
    with open(f"/srv/app/f{number}", "wb", buffering=0) as file:
        file.write(bytes(8 << 20))
time.sleep(1.5)
for number in range($tree_files):
    os.unlink(f"/srv/app/f{number}")
result = "GOT"
""",
    ),
    Attack(
        name="eats memory by many processes",
        control="memory is watched",
        surfaces=("shell",),
        sign="got",
        code="""\
reading, writing = os.pipe()
def eat(_):
    taken = bytearray(os.urandom(1)) * (128 << 20)
    os.write(writing, b"x")
    time.sleep(60)
pids = children(eat, $eaters)
os.close(writing)
held = 0
while held < $eaters and (chunk := os.read(reading, 64)):
    held += len(chunk)
time.sleep(3)
end(pids)
result = "GOT"
""",
    ),
    Attack(
        name="floods the harness with output",
        control="output is bounded",
        surfaces=("shell",),
        sign="held",
        code="""\
for _ in range(512):
    os.write(1, b"x" * 16383 + b"\\n")
result = "printed"
""",
    ),
    Attack(
        name="floods the app's log",
        control="the app's log is bounded",
        surfaces=("app",),
        sign="log",
        code="""\
for _ in range(768):
    os.write(1, b"x" * 16383 + b"\\n")
result = "printed"
""",
    ),
)
