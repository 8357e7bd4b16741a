"""What is tried in the containers of the compose stack besides `hostile_attacks`, as data.

And what of both cannot be tried in which place, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.hostile_attacks import Attack

#: what is tried to be had, and how (with the names of `compose_shell_kit`); each must raise what
#: the system says. BRIDGE is docker's bridge.
FORBIDDEN: Mapping[str, str] = {
    # the network
    "an address of the internet": "socket.create_connection(('1.1.1.1', 443), 2)",
    "names": "socket.getaddrinfo('prometheus', 9090)",
    "Prometheus, the daemon, Locust or the relay on the loopback": """\
failed = []
for port in (9090, 8390, 8089, 8000, 5432):
    try:
        socket.create_connection(("127.0.0.1", port), 2)
    except OSError as error:
        failed.append(error)
if len(failed) == 5:
    raise failed[0]""",
    "the docker bridge, where the model's API is": "socket.create_connection(('BRIDGE', 80), 2)",
    "raw packets": "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "another interface": """\
if os.listdir("/sys/class/net") == ["lo"]:
    raise OSError("lo alone")""",
    # sockets
    "the supervisor's socket": "unix('/run/ratchet/control/supervisor.sock')",
    "the app's socket": "unix('/run/ratchet/app/app.sock')",
    "the socket of its own service": "unix('/run/ratchet/shell/shell.sock')",
    "the folder of that socket": "os.listdir('/run/ratchet/shell')",
    "docker's socket": "unix('/var/run/docker.sock')",
    "a socket in the place of the database's": """\
socket.socket(socket.AF_UNIX).bind("/run/postgresql/.s.PGSQL.5433")""",
    # the harness
    "the harness's code": "os.listdir('/opt/ratchet/code')",
    "the campaigns and their journals": "os.listdir('/var/lib/ratchet/runs')",
    "the keys": "open('/run/ratchet/secrets/anthropic_api_key').read()",
    "the database's password": "open('/run/ratchet/database/password').read()",
    "what the campaign keeps beside the work tree": "os.listdir('/srv/campaign')",
    "the folder of the work tree": "os.listdir('/srv')",
    "another folder there": "os.mkdir('/srv/other')",
    "the work tree's own rights": "os.chmod('/srv/app', 0)",
    "an environment": """\
place = os.environ["VIRTUAL_ENV"]
open(place + "/pyvenv.cfg", "a")""",
    "another environment": "os.mkdir('/var/lib/ratchet/environments/mine')",
    "the root": "open('/etc/passwd', 'a')",
    # the database
    "the superuser, without a password": "sql('SELECT 1', user='ratchet', database='postgres')",
    "the superuser, in the app's database": "sql('SELECT 1', user='ratchet')",
    "another database as the app's role": "sql('SELECT 1', database='postgres')",
    "replication": "sql('SELECT 1', user='ratchet', database='replication')",
    "the superuser's rights": "sql('ALTER ROLE chat SUPERUSER')",
    "a role": "sql('SET ROLE ratchet')",
    "the server's files": "sql(\"SELECT pg_read_file('/run/ratchet/database/password')\")",
    "programs on the server": "sql(\"COPY (SELECT 1) TO PROGRAM 'true'\")",
    # processes and rights
    "the end of another user's process": "[os.kill(pid, signal.SIGKILL) for pid in of_others()]",
    "the environment of one": "[open(f'/proc/{p}/environ').read() for p in of_others()]",
    "the memory of one": "[open(f'/proc/{p}/mem', 'rb') for p in of_others()]",
    "what one has open": "[os.listdir(f'/proc/{p}/fd') for p in of_others()]",
    "the root of one": "[os.listdir(f'/proc/{p}/root/') for p in of_others()]",
    "to trace one": "[called(libc.ptrace(16, pid, 0, 0)) for pid in of_others()]",
    "to be root": "os.setuid(0)",
    "to be the other one": "os.setresuid(10021, 10021, 10021)",
    "the campaign's group": "os.setgroups([10001])",
    "a capability": """\
status = open("/proc/self/status").read()
held = [line for line in status.splitlines() if line.startswith(("CapEff", "CapPrm", "CapAmb"))]
if len(held) == 3 and all(int(line.split()[1], 16) == 0 for line in held):
    raise OSError("none")""",
    "new privileges": """\
if "NoNewPrivs:\\t1" in open("/proc/self/status").read():
    raise OSError("never")""",
    "a namespace of its own": "called(libc.unshare(0x10000000))",
    "a mount": "called(libc.mount(b'none', b'/tmp', b'tmpfs', 0, None))",
    "a device": "os.mknod('/tmp/disk', 0o60600, os.makedev(254, 0))",
    "another root": "os.chroot('/tmp')",
    "a control group": "open('/sys/fs/cgroup/cgroup.procs', 'w').write(str(os.getpid()))",
    "a priority": "os.setpriority(os.PRIO_PROCESS, 0, -5)",
    "a setting of the kernel": "open('/proc/sys/kernel/core_pattern', 'w')",
}

#: the same for the app's users alone; RELEASE is the folder of what was deployed
FORBIDDEN_TO_THE_APP: Mapping[str, str] = {
    "the supervisor's configuration": "open('/run/ratchet/control/supervisor.json')",
    "the folder of its socket": "os.listdir('/run/ratchet/control')",
    "the supervisor's state": "open('/var/lib/ratchet/app/runs/idle/supervisor/deployments.jsonl')",
    "the records of a campaign": "os.listdir('/var/lib/ratchet/app/runs')",
    "its own log": "open('/var/lib/ratchet/app/runs/idle/app.log', 'a')",
    "the names of campaigns": "os.listdir('/var/lib/ratchet/releases')",
    "a release": "open('RELEASE/main.py', 'a')",
    "another file in a release": "open('RELEASE/other.py', 'w')",
    "the wheels that are installed": "os.listdir('/opt/ratchet/code/.cache/wheels')",
    "another environment of the app's": "os.mkdir('/var/lib/ratchet/app/environments/mine')",
    "a module in its environment": "open(os.environ['VIRTUAL_ENV'] + '/mine.py', 'w')",
    "the public socket, to be removed": "os.unlink('/run/ratchet/app/app.sock')",
    "the public socket's name": "os.rename('/run/ratchet/app/app.sock', '/run/ratchet/app/old')",
    "the public socket's place": """\
path = f"/tmp/mine-{os.getpid()}.sock"
socket.socket(socket.AF_UNIX).bind(path)
try:
    os.replace(path, "/run/ratchet/app/app.sock")
finally:
    os.unlink(path)""",
    "a link in the public socket's place": "os.symlink('/tmp', '/run/ratchet/app/app.sock')",
    "a socket beside the public one": """\
socket.socket(socket.AF_UNIX).bind("/run/ratchet/app/app-9999999.sock")""",
    "the public socket for itself": "os.chmod('/run/ratchet/app/app.sock', 0o600)",
    "to be another user of the app's": """\
import pwd
others = [e.pw_uid for e in pwd.getpwall() if e.pw_name.startswith("app-")]
for uid in others:
    if uid != os.getuid():
        os.setresuid(uid, uid, uid)""",
}

IN_CONTAINERS: tuple[Attack, ...] = (
    Attack(
        name="reads a key from the arguments of all processes",
        control="no secret is an argument",
        code="""\
result = [read(path) for path in glob.glob("/proc/[0-9]*/cmdline")]
""",
    ),
    Attack(
        name="finds a place to write that is not bounded",
        control="volumes are others'",
        sign="got",
        code="""\
bounded, found = ("/proc", "/sys", "/dev", "/tmp", "/srv/app"), []
for folder, below, files in os.walk("/"):
    below[:] = [each for each in below if os.path.join(folder, each) not in bounded]
    for path in (folder, *(os.path.join(folder, each) for each in files)):
        is_place = os.path.isfile(path) or os.path.isdir(path)
        if is_place and not os.path.islink(path) and os.access(path, os.W_OK):
            found.append(path)
result = f"GOT {found[:20]}" if found else "none"
""",
    ),
    Attack(
        name="fills the machine's memory by files in /dev/shm",
        control="shared memory of its own",
        sign="got",
        code="""\
path = f"/dev/shm/large-{os.getpid()}"
try:
    with open(path, "wb", buffering=0) as file:
        for _ in range(96):
            if file.write(bytes(1 << 20)) < 1 << 20:
                raise OSError("short")
    result = "GOT"
except OSError as error:
    result = str(error)
os.unlink(path)
""",
    ),
)

_DISK = "nothing on a disk is its own; what it can write to is tried by itself"
_ONE_SHARE = "a container has one share of the processors, whatever its scheduling groups are"
_NO_LOG = "what it prints is no log there, but an answer: see the other flood"
#: everywhere
_NO_BWRAP = "no bubblewrap is there, so none of its options"
_ARGUMENTS = "arguments of others can be seen there: that no key is among them is tried by itself"
_EXEC = "it came by `docker exec`, not by the supervisor: limits are those of the app's own place"

#: by attack and place: why it is not tried there
NOT_TRIED: Mapping[str, Mapping[str, str]] = {
    "learns the campaign's folder from bubblewrap's command line": dict.fromkeys(
        ("app", "neighbour", "shell", "lookout", "open"), _NO_BWRAP
    ),
    "reads a key from the arguments of the harness's processes": dict.fromkeys(
        ("app", "neighbour", "shell", "lookout", "open"), _ARGUMENTS
    ),
    "leaves a process behind when its session, or its deployment, is over": {"neighbour": _EXEC},
    "takes a scheduling group of its own, to slow the harness (setsid)": {
        "app": _ONE_SHARE,
        "neighbour": _ONE_SHARE,
    },
    "raises its scheduling group's share, to slow the harness": dict.fromkeys(
        ("app", "neighbour", "shell", "lookout"), _ONE_SHARE
    ),
    "starts processes without end": {"neighbour": _EXEC},
    "writes a file without end": {"neighbour": _EXEC},
    "fills the disk by many files in the workspace": {
        "app": _DISK,
        "neighbour": _DISK,
        "lookout": _DISK,
    },
    "eats memory by many processes": {
        "app": "its container bounds it: that the supervisor outlives it is tried by itself",
        "neighbour": _EXEC,
    },
    "floods the harness with output": {
        "app": "what it prints goes to its log: see the other flood",
        "neighbour": _EXEC,
    },
    "floods the app's log": {
        "neighbour": _NO_LOG,
        "shell": _NO_LOG,
        "lookout": _NO_LOG,
        "open": _NO_LOG,
    },
}
