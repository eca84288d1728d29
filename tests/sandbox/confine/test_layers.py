"""The layers by themselves: a zygote confined by `confinement`, one child, and what a program in it can still do.

The signals sent here harm nobody when a layer fails: 0 only asks whether one may, and SIGWINCH is ignored by default.
"""

import errno
import functools
import json
import os
import platform
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sandbox.confine import kernel, layers, limits, seccomp

SANDBOX = Path(layers.__file__).parents[1]
LIMITS = {
    "program_cpu_seconds": 10.0,
    "memory_bytes": 256 << 20,
    "output_bytes": 1 << 16,
    "threads": 6,
    "open_files": 20,
}
STRANGER = 61234  # an ordinary user that owns nothing
SECONDS = 60  # what no test comes near unless something hangs

# All ways in which the kernel says no.
REFUSED = ("EPERM", "EACCES", "EROFS", "ENOENT", "EXDEV", "ENETUNREACH", "ECONNREFUSED", "ESRCH")

# Runs as zygote and child. `attempt` gives a call's value, or the name of the error that it raised.
DRIVER = """
import contextlib, ctypes, errno, fcntl, json, math, mmap, os, random, resource, signal, socket, sys, threading
import time, traceback, types

package = types.ModuleType("sandbox")
package.__path__ = [sys.argv[1]]
sys.modules["sandbox"] = package
from sandbox.confine import confinement, kernel, namespaces, seccomp

settings = json.loads(sys.argv[2])
libc = ctypes.CDLL(None, use_errno=True)
zygote = os.getpid()
packages = [
    path + "/" + name
    for path in namespaces.package_paths()
    for name in sorted(os.listdir(path))
    if os.path.isfile(path + "/" + name)
]

def attempt(action, *arguments):
    try:
        value = action(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    except (ValueError, MemoryError, RuntimeError) as error:
        return type(error).__name__
    return value if isinstance(value, (int, str, list, type(None))) else "done"

def syscall(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(value) for value in arguments))
    return result if result != -1 else errno.errorcode[ctypes.get_errno()]

def say(**values):
    os.write(1, json.dumps(values).encode())

woken = []
signal.signal(signal.SIGWINCH, lambda *_: woken.append(1))
exec(settings["before"])
if settings["user"]:
    os.setgroups([])
    os.setresgid(*3 * [settings["user"]])
    os.setresuid(*3 * [settings["user"]])
    libc.prctl(4, 1, 0, 0, 0)  # as after a login, not after a change of user: others of this user may look into us
state = confinement.confine_zygote(settings["limits"], frozenset(settings["without"]))
output = os.memfd_create("output") if settings["to_file"] else None
answers, tell = os.pipe()
state.before_fork()
pid = os.fork()
if pid == 0:
    try:
        seconds = math.ceil(settings["limits"]["program_cpu_seconds"])
        confinement.confine_child(state, {0: 0, 1: output or tell, 2: 2, 100: tell}, seconds)
        exec(settings["program"])
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(99)
os.close(tell)
code = os.waitstatus_to_exitcode(os.wait4(pid, 0)[1])
confinement.clear_strays(state)
said = b""
while part := os.read(answers, 1 << 16):  # until all that could write are dead
    said += part
written = os.fstat(output).st_size if output else None
result = {"status": state.status, "code": code, "said": said.decode(), "written": written, "woken": len(woken)}
print(json.dumps(result))
sys.stdout.flush()
os._exit(settings["exit"])
"""


@functools.cache
def python_for(user: int | None) -> str:
    """A Python that the user can read; a test without one is skipped."""
    if user is None:
        return sys.executable
    test = "import os; os.setresuid(*3 * [int(__import__('sys').argv[1])]); os.listdir(os.path.dirname(os.__file__))"
    new_enough = "import sys; assert sys.version_info >= (3, 11);"
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        if (
            shutil.which(python)
            and not subprocess.run(
                [python, "-c", new_enough + test, str(user)], stderr=subprocess.DEVNULL, check=False
            ).returncode
        ):
            return python
    pytest.skip("every Python here lies where only its owner can read it")


def command(program: str, *, user: int | None = None, without=(), before="", to_file=False, exit=0, **limits_):
    """Command line of a driver. `user`: as that ordinary user, else as who runs the tests."""
    if user is not None and os.geteuid() != 0:
        pytest.skip("only root can become another user")
    settings = {
        "program": program,
        "user": user,
        "without": list(without),
        "before": before,
        "to_file": to_file,
        "exit": exit,
        "limits": LIMITS | limits_,
    }
    flags = ["-s", "-S", "-P", "-B", "-X", "utf8"]
    return [python_for(user), *flags, "-c", DRIVER, str(SANDBOX), json.dumps(settings)]


def run(program: str, **options) -> dict:
    """Run a program in a confined child: status of the layers, its exit code, what it said."""
    done = subprocess.run(
        command(program, **options),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == options.get("exit", 0), done.stderr
    result = json.loads(done.stdout)
    assert result["code"] != 99, done.stderr
    return result


def ask(program: str, *, needs=(), **options) -> dict:
    """The same for a program that ends well: what it said. Skips when a layer in `needs` is not to be had."""
    result = run(program, **options)
    for name in needs:
        if result["status"][name] != "on":
            pytest.skip(f"no {name} here: {result['status'][name]}")
    assert result["code"] == 0
    return json.loads(result["said"])


# Who runs it, and what is missing: with all layers, and as in a container that allows no namespaces.
VARIANTS = {
    "caller": {"user": None, "without": ()},
    "stranger": {"user": STRANGER, "without": ()},
    "caller, no namespaces": {"user": None, "without": ("namespaces",)},
    "stranger, no namespaces": {"user": STRANGER, "without": ("namespaces",)},
}
every_variant = pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)


def but(variant: dict, *names: str) -> dict:
    """A variant without these layers too, so that the others have to hold alone."""
    return variant | {"without": (*variant["without"], *names)}


def alone(variant: dict) -> dict:
    """A variant in which the namespaces, or without them Landlock, have to hold alone."""
    return but(variant, "seccomp") if variant["without"] else but(variant, "seccomp", "landlock")


def file_layer(variant: dict) -> str:
    return "landlock" if variant["without"] else "mount namespace"


@pytest.fixture
def open_directory():
    """A directory in which anybody may do anything, with a file that anybody may read and write."""
    directory = Path(tempfile.mkdtemp(prefix="layers-"))
    directory.chmod(0o777)
    (directory / "file").write_text("secret")
    (directory / "file").chmod(0o666)
    yield directory
    shutil.rmtree(directory)


@every_variant
@pytest.mark.parametrize("by_itself", [False, True], ids=["all", "by itself"])
def test_files_cannot_be_written(variant, by_itself, open_directory):
    """Bug: a program leaves something for the next one, or changes files of the caller, even where anybody may."""
    program = f"""
place = {str(open_directory)!r}
say(
    write=attempt(open, place + "/file", "w"), create=attempt(open, place + "/new", "w"),
    append=attempt(open, place + "/file", "a"), mkdir=attempt(os.mkdir, place + "/dir"),
    truncate=attempt(os.truncate, place + "/file", 0), unlink=attempt(os.unlink, place + "/file"),
    rename=attempt(os.rename, place + "/file", place + "/moved"), link=attempt(os.link, place + "/file", place + "/l"),
    symlink=attempt(os.symlink, "file", place + "/s"), fifo=attempt(os.mkfifo, place + "/fifo"),
    here=attempt(open, "new", "w"), tmp=attempt(open, "/tmp/layers-new", "w"), box=attempt(open, "/box/new", "w"),
    shm=attempt(open, "/dev/shm/layers-new", "w"), stdlib=attempt(open, os.__file__, "r+"),
    unnamed=attempt(os.open, place, os.O_TMPFILE | os.O_RDWR),
)
"""
    said = ask(program, needs=[file_layer(variant)], **(alone(variant) if by_itself else variant))
    assert {name: value for name, value in said.items() if value not in REFUSED} == {}
    assert [path.name for path in open_directory.iterdir()] == ["file"]
    assert (open_directory / "file").read_text() == "secret"
    assert not Path("/tmp/layers-new").exists()


@every_variant
@pytest.mark.parametrize("by_itself", [False, True], ids=["all", "by itself"])
def test_files_cannot_be_read(variant, by_itself, open_directory):
    """Bug: a program reads the caller's files, environment or memory, or solutions in an installed package."""
    program = f"""
def read(path):
    with open(path, "rb") as file:
        return len(file.read(8))
say(
    secret=attempt(read, {str(open_directory / "file")!r}), directory=attempt(os.listdir, {str(open_directory)!r}),
    users=attempt(read, "/etc/passwd"), home=attempt(os.listdir, "/home"), tmp=attempt(os.listdir, "/tmp"),
    processes=attempt(os.listdir, "/proc"), environment=attempt(read, "/proc/self/environ"),
    zygote_memory=attempt(read, f"/proc/{{zygote}}/mem"), zygote_environment=attempt(read, f"/proc/{{zygote}}/environ"),
    parent_memory=attempt(read, f"/proc/{{os.getppid()}}/mem"), system=attempt(os.listdir, "/sys"),
    descriptors=attempt(os.listdir, "/proc/self/fd"), project=attempt(read, {str(Path(layers.__file__))!r}),
    disk=attempt(read, "/dev/vda"), terminal=attempt(read, "/dev/tty"),
)
"""
    said = ask(program, needs=[file_layer(variant)], **(alone(variant) if by_itself else variant))
    assert {name: value for name, value in said.items() if value not in REFUSED} == {}


@every_variant
def test_installed_packages_are_out_of_sight(variant):
    """Bug: the answers to a data set's problems lie beside the standard library, in an installed package."""
    said = ask("say(**{path: attempt(open, path) for path in packages})", needs=[file_layer(variant)], **variant)
    if not said:
        pytest.skip("no package is installed beside the standard library")
    assert set(said.values()) <= set(REFUSED)


@every_variant
@pytest.mark.parametrize("by_itself", [False, True], ids=["all", "by itself"])
def test_signals_do_not_leave(variant, by_itself):
    """Bug: a program ends the zygote, the caller, or everything."""
    layer = "landlock signal scope" if variant["without"] else "pid namespace"
    program = """
attempt(os.kill, -1, signal.SIGWINCH)  # the kernel does not say whether it was refused
say(zygote=attempt(os.kill, zygote, 0), group=attempt(os.killpg, zygote, 0))
"""
    result = run(program, **(alone(variant) if by_itself else variant))
    if result["status"][layer] != "on":
        pytest.skip(f"no {layer} here: {result['status'][layer]}")
    assert result["woken"] == 0
    said = json.loads(result["said"])
    assert {name: value for name, value in said.items() if value not in REFUSED} == {}


def test_the_zygote_cannot_be_read_by_its_own_user():
    """Bug: an ordinary user's program, without namespaces and Landlock, opens the zygote's memory or traces it."""
    said = ask(
        "say(memory=attempt(open, f'/proc/{zygote}/mem'), environment=attempt(open, f'/proc/{zygote}/environ'))",
        user=STRANGER,
        without=("namespaces", "landlock", "seccomp"),
    )
    assert said == {"memory": "EACCES", "environment": "EACCES"}


def test_own_user_alone_keeps_signals_in():
    """Bug: as root, without namespaces, Landlock and seccomp, the program runs as root."""
    program = "say(zygote=attempt(os.kill, zygote, 0), trace=syscall(101, 16, zygote), id=os.getuid())"
    without = ("namespaces", "landlock", "seccomp")
    if platform.machine() != "x86_64":
        pytest.skip("ptrace has another number here")
    said = ask(program, needs=["own user"], without=without)
    assert said["id"] not in (0, os.getuid())
    assert (said["zygote"], said["trace"]) == ("EPERM", "EPERM")


@every_variant
@pytest.mark.parametrize("by_itself", [False, True], ids=["all", "by itself"])
def test_no_network(variant, by_itself):
    """Bug: a program talks to a server, if only on this machine, or to a process that listens on an abstract socket."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind("\0layers-" + os.urandom(8).hex())
        local.listen()
        program = f"""
def connect(family, address):
    with socket.socket(family) as caller:
        caller.settimeout(5)
        caller.connect(address)
say(
    internet=attempt(connect, socket.AF_INET, ("127.0.0.1", {server.getsockname()[1]})),
    abstract=attempt(connect, socket.AF_UNIX, {local.getsockname()!r}),
)
"""
        layer = "seccomp" if not by_itself else "landlock signal scope" if variant["without"] else "network namespace"
        said = ask(program, needs=[layer], **(alone(variant) if by_itself else variant))
    assert {name: value for name, value in said.items() if value not in REFUSED} == {}


@every_variant
def test_no_processes_but_threads(variant):
    """Bug: a program forks or executes another, whatever the call; or cannot start the threads it is granted."""
    program = """
wait, started = threading.Event(), 1
def start():
    global started
    while started < 100:
        threading.Thread(target=wait.wait).start()
        started += 1
new_threads = attempt(start)
wait.set()
say(
    fork=attempt(os.fork), spawn=attempt(os.posix_spawn, "/bin/true", ["true"], {}), new_threads=new_threads,
    exec=attempt(os.execve, sys.executable, ["python"], {}), vfork=libc.vfork(), started=started,
)
"""
    if variant["user"] and variant["without"]:
        program = program.replace("started < 100", "started < 6")  # bounded by memory alone
    said = ask(program, needs=["seccomp"], **variant)
    assert (said["fork"], said["spawn"], said["exec"], said["vfork"]) == ("EPERM", "EPERM", "EPERM", -1)
    if not (variant["user"] and variant["without"]) and os.geteuid() == 0:
        assert (said["new_threads"], said["started"]) == ("RuntimeError", LIMITS["threads"])
    else:
        assert said["started"] >= LIMITS["threads"]


def test_memory_does_not_limit_threads():
    """Bug: each thread reserves 64 MiB for its own allocator, so that 256 MiB are full after three."""
    program = """
def grow(barrier):
    bytearray(1000)
    barrier.wait()
barrier = threading.Barrier(6)
for _ in range(5):
    threading.Thread(target=grow, args=(barrier,)).start()
barrier.wait()
say(done=True)
"""
    assert ask(program)["done"]


only_x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86_64")

# Numbers from the kernel's table for x86_64, not from ours.
FORBIDDEN = {
    "ptrace": 101,
    "unshare": 272,
    "setns": 308,
    "mount": 165,
    "pivot_root": 155,
    "chroot": 161,
    "keyctl": 250,
    "add_key": 248,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "memfd_create": 319,
    "flock": 73,
    "bpf": 321,
    "perf_event_open": 298,
    "userfaultfd": 323,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "process_madvise": 440,
    "pidfd_open": 434,
    "pidfd_getfd": 438,
    "pidfd_send_signal": 424,
    "rt_sigqueueinfo": 129,
    "rt_tgsigqueueinfo": 297,
    "personality": 135,
    "socket": 41,
    "connect": 42,
    "bind": 49,
    "sendmsg": 46,
    "sendmmsg": 307,
    "setsockopt": 54,
    "shmget": 29,
    "semget": 64,
    "msgget": 68,
    "mq_open": 240,
    "capset": 126,
    "setuid": 105,
    "setsid": 112,
    "setpgid": 109,
    "setrlimit": 160,
    "sched_setaffinity": 203,
    "sched_setscheduler": 144,
    "setpriority": 141,
    "seccomp": 317,
    "landlock_restrict_self": 446,
    "execve": 59,
    "execveat": 322,
    "fork": 57,
    "chmod": 90,
    "fchmod": 91,
    "chown": 92,
    "utimensat": 280,
    "setxattr": 188,
    "ftruncate": 77,
    "fallocate": 285,
    "open_by_handle_at": 304,
    "name_to_handle_at": 303,
    "kcmp": 312,
    "modify_ldt": 154,
    "iopl": 172,
    "kexec_load": 246,
    "init_module": 175,
    "reboot": 169,
    "swapon": 167,
    "acct": 163,
    "quotactl": 179,
    "syslog": 103,
    "sethostname": 170,
    "settimeofday": 164,
    "clock_settime": 227,
    "adjtimex": 159,
    "vmsplice": 278,
    "mbind": 237,
    "move_pages": 279,
    "mlockall": 151,
    "inotify_init1": 294,
    "fanotify_init": 300,
    "timerfd_create": 283,
    "signalfd4": 289,
    "pkey_alloc": 330,
    "unassigned": 500,
    "far beyond": 0x3FFFFFFF,
}


@only_x86_64
def test_system_calls_that_are_refused():
    """Bug: a call that reaches other processes, or a rarely tested corner of the kernel, is let through."""
    program = f"say(**{{name: syscall(number, 0, 0, 0, 0, 0) for name, number in {FORBIDDEN!r}.items()}})"
    said = ask(program, needs=["seccomp"])
    assert {name: value for name, value in said.items() if value != "EPERM"} == {}


@only_x86_64
def test_system_calls_that_are_refused_for_their_arguments():
    """Bug: a harmless call with harmful arguments gets through: a process by clone, a reset of the death signal,
    a wider limit, a lock, a character pushed into a terminal, a message to another's socket."""
    program = """
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
room = ctypes.create_string_buffer(64)
here = ctypes.addressof(room)
F_SETLK, F_SETOWN, F_SETLEASE, TIOCSTI = 6, 8, 1024, 0x5412
CLONE_VM, CLONE_VFORK, CLONE_THREAD, CLONE_NEWUSER = 0x100, 0x4000, 0x10000, 1 << 28
say(
    clone=syscall(56, signal.SIGCHLD, 0, 0, 0, 0),
    vfork=syscall(56, CLONE_VM | CLONE_VFORK | signal.SIGCHLD, 0, 0, 0, 0),
    thread_in_namespace=syscall(56, CLONE_THREAD | CLONE_NEWUSER, 0, 0, 0, 0), clone3=syscall(435, here, 64),
    death=syscall(157, 1, 0), dump=syscall(157, 4, 1), user_filter=syscall(157, 22, 2, here),
    limit=syscall(302, 0, 7, here, 0), high_pointer=syscall(302, 0, 7, 1 << 40, 0),
    own_limit=syscall(302, 0, 7, 0, here),
    lock=attempt(fcntl.fcntl, 1, F_SETLK, bytes(32)), owner=attempt(fcntl.fcntl, 1, F_SETOWN, 1),
    lease=attempt(fcntl.fcntl, 1, F_SETLEASE, 1), push=attempt(fcntl.ioctl, 1, TIOCSTI, b"x"),
    send_to=syscall(44, ours.fileno(), here, 1, 0, here, 16), send=syscall(44, ours.fileno(), here, 1, 0, 0, 0),
    pair=syscall(53, socket.AF_INET, socket.SOCK_STREAM, 0, here),
)
"""
    said = ask(program, needs=["seccomp"])
    allowed = {"clone3": "ENOSYS", "own_limit": 0, "send": 1}
    assert {name: value for name, value in said.items() if value != allowed.get(name, "EPERM")} == {}


@only_x86_64
@pytest.mark.parametrize("variant", [VARIANTS["caller"], VARIANTS["caller, no namespaces"]], ids=["all", "fallback"])
@pytest.mark.parametrize(
    "program",
    [
        "libc.syscall(ctypes.c_long(0x40000000 + 39))",
        """
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(bytes.fromhex("53 b8 14 00 00 00 cd 80 5b c3"))  # push rbx; mov eax, 20 (getpid); int 0x80; pop rbx; ret
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
""",
    ],
    ids=["x32", "int 0x80"],
)
def test_foreign_tables_of_system_calls_kill(variant, program):
    """Bug: the same number means another call in the kernel's 32-bit and x32 tables, and passes the filter."""
    result = run(program, **variant)
    if result["status"]["seccomp"] != "on":
        pytest.skip(result["status"]["seccomp"])
    assert result["code"] == -signal.SIGSYS


def interpret(program, machine: int, number: int, arguments) -> int:
    """A second BPF machine, as the kernel's documentation describes it, for the operations in use."""
    data = struct.pack("=iIQ6Q", number if number < 1 << 31 else number - (1 << 32), machine, 0, *arguments)
    place, accumulator = 0, 0
    while True:
        code, if_true, if_false, constant = program[place]
        place += 1
        if code == 0x06:
            return constant
        if code == 0x20:
            accumulator = struct.unpack_from("=I", data, constant)[0]
            continue
        truth = {0x15: accumulator == constant, 0x35: accumulator >= constant, 0x45: bool(accumulator & constant)}[code]
        place += if_true if truth else if_false


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("signals", [True, False])
def test_the_tree_says_what_the_list_says(machine, signals):
    """Bug: the search tree is off by one somewhere, and lets a neighbour of an allowed call through."""
    column = ["x86_64", "aarch64"].index(machine)
    architecture = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine]
    other = {"x86_64": 0x40000003, "aarch64": 0x40000028}[machine]
    always = {numbers[column] for numbers in (seccomp.ALWAYS | (seccomp.SIGNALS if signals else {})).values()}
    conditional = {numbers[column] for numbers, _ in seccomp.CHECKED.values()}
    program = seccomp.program(machine, signals)
    assert len(program) < 4096  # the kernel's limit
    allow, refuse, kill = 0x7FFF0000, 0x00050001, 0x80000000
    for number in range(1025):
        for arguments in ((0,) * 6, (0xFFFFFFFFFFFFFFFF,) * 6):
            verdict = interpret(program, architecture, number, arguments)
            if number not in conditional:
                assert verdict == (allow if number in always else refuse), number
            assert interpret(program, other, number, arguments) == kill
    beyond = kill if machine == "x86_64" else refuse
    for number in (0x40000000, 0x40000000 + 39, 0x80000000, 0xFFFFFFFF):
        assert interpret(program, architecture, number, (0,) * 6) == beyond


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_arguments_by_the_second_machine(machine):
    """Bug: a check of arguments looks at the wrong half, or jumps one operation too far."""
    program = seccomp.program(machine, signals=True)
    architecture = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine]

    def verdict(name, *arguments):
        number = seccomp.CHECKED[name][0][["x86_64", "aarch64"].index(machine)]
        code = interpret(program, architecture, number, (*arguments, *[0] * (6 - len(arguments))))
        return {0x7FFF0000: "allow", 0x00050001: "refuse", 0x00050026: "no such call"}[code]

    for flags in (0x3D0F00, 0x7D0F00, 0x50F00):  # threads of two C libraries, and a bare one
        assert verdict("clone", flags) == "allow"
        for bit in (1 << 17, 1 << 25, 1 << 26, 1 << 27, 1 << 28, 1 << 29, 1 << 30, 1 << 15, 1 << 13, 1 << 14, 17):
            assert verdict("clone", flags | bit) == "refuse"
        assert verdict("clone", flags & ~0x10000) == "refuse"
    assert verdict("clone3") == "no such call"
    assert [verdict("fcntl", 1, value) for value in (0, 1, 2, 3, 4, 1030)] == ["allow"] * 6
    assert {verdict("fcntl", 1, value) for value in (5, 6, 7, 8, 1024, 1025, 1029, 1031, 1033)} == {"refuse"}
    assert [verdict("ioctl", 1, value) for value in (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)] == ["allow"] * 6
    assert {verdict("ioctl", 1, value) for value in (0, 0x5402, 0x5412, 0x541C, 0x5452)} == {"refuse"}
    assert [verdict("prctl", value) for value in (1, 4, 14, 15, 16, 17, 22)] == [
        *["refuse"] * 3,
        *["allow"] * 2,
        *["refuse"] * 2,
    ]
    for name, position in (("prlimit64", 2), ("sendto", 4)):
        assert verdict(name, *[7] * position, 0, 7) == "allow"
        for pointer in (1, 1 << 31, 1 << 32, 1 << 63):
            assert verdict(name, *[7] * position, pointer) == "refuse"
    assert [verdict("socketpair", family) for family in (0, 1, 2, 16)] == ["refuse", "allow", "refuse", "refuse"]


HONEST = """
import asyncio, concurrent.futures, decimal, fractions, hashlib, lzma, multiprocessing, platform, queue, select
import selectors, sqlite3, ssl, statistics, tempfile, uuid, zlib, zoneinfo
import json.tool, encodings.idna, xml.etree.ElementTree

async def later():
    await asyncio.sleep(0.001)
    return await asyncio.get_running_loop().run_in_executor(None, lambda: 7)

def alarm():
    ticks = []
    signal.signal(signal.SIGALRM, lambda *_: ticks.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    while not ticks:
        time.sleep(0.001)
    return len(ticks)

def selected():
    ours, theirs = socket.socketpair()
    theirs.send(b"x")
    found = [len(select.select([ours], [], [], 5)[0])]
    for selector in (selectors.PollSelector(), selectors.EpollSelector()):
        selector.register(ours, selectors.EVENT_READ)
        found.append(len(selector.select(5)))
    return found

class Pair(ctypes.Structure):
    _fields_ = [("a", ctypes.c_int), ("b", ctypes.c_int)]

deep = []
def recurse(depth):
    return 0 if depth == 0 else 1 + recurse(depth - 1)
threading.stack_size(64 << 20)
sys.setrecursionlimit(20000)
thread = threading.Thread(target=lambda: deep.append(recurse(15000)))
thread.start()
thread.join()
database = sqlite3.connect(":memory:")
with open(os.devnull, "w") as nothing, concurrent.futures.ThreadPoolExecutor(2) as pool:
    say(
        asyncio=asyncio.run(later()), alarm=alarm(), selected=selected(), deep=deep, sum=sum(pool.map(abs, [-1, -2])),
        database=database.execute("select 1 + 1").fetchone()[0], zone=str(zoneinfo.ZoneInfo("Europe/Berlin")),
        null=print("x", file=nothing), random=random.SystemRandom().random() < 1, uuid=len(str(uuid.uuid4())),
        where=os.getcwd(), listed=attempt(os.listdir, os.getcwd()),
        statted=any(os.path.isfile(path + "/abc.py") for path in sys.path),
        cpus=os.cpu_count() > 0, machine=len(platform.platform()) > 0, sorted=sorted([Pair(1, 2).b, 1]),
        waited=attempt(os.wait), terminal=os.isatty(1), usage=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0,
        limit=resource.getrlimit(resource.RLIMIT_NOFILE)[0], raised=attempt(signal.raise_signal, signal.SIGWINCH),
        callback=ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda value: value + 1)(4),
        digest=len(ssl.RAND_bytes(4)), utc=time.tzname[0], temporary=attempt(tempfile.gettempdir),
    )
"""


@every_variant
def test_honest_programs_work(variant):
    """Bug: a layer breaks what ordinary programs do: imports, threads, event loops, timers, deep recursion."""
    said = ask(HONEST, **variant)
    fallback = bool(variant["without"])
    assert said == {
        "asyncio": 7,
        "alarm": 1,
        "selected": [1, 1, 1],
        "deep": [15000],
        "sum": 3,
        "database": 2,
        "zone": "Europe/Berlin",
        "null": None,
        "random": True,
        "uuid": 36,
        "where": "/" if fallback else "/box",
        "listed": "EACCES" if fallback else [],
        "statted": True,
        "cpus": True,
        "machine": True,
        "sorted": [1, 2],
        "waited": "ECHILD",
        "terminal": False,
        "usage": True,
        "limit": 20,
        "raised": "EPERM" if fallback else None,
        "callback": 5,
        "digest": 4,
        "utc": "UTC",
        "temporary": "ENOENT",
    }


def test_limits_are_hard():
    """Bug: a program raises its own limits, or one of them is not set at all."""
    program = """
names = "CPU AS FSIZE NOFILE CORE MEMLOCK MSGQUEUE STACK NPROC".split()
kinds = {name: getattr(resource, "RLIMIT_" + name) for name in names}
values = {name: resource.getrlimit(kind) for name, kind in kinds.items()}
wider = {name: attempt(resource.setrlimit, kind, (values[name][1] + 1,) * 2) for name, kind in kinds.items()}
say(values=values, wider=wider)
"""
    said = ask(program, needs=["capabilities", "thread limit"], without=("seccomp",))
    hard = {name: hard for name, (soft, hard) in said["values"].items() if soft == hard}
    assert hard == {
        "CPU": 13,  # a quarter more than the 10 s that the judge watches, and one
        "AS": LIMITS["memory_bytes"],
        "FSIZE": LIMITS["output_bytes"],
        "NOFILE": LIMITS["open_files"],
        "CORE": 0,
        "MEMLOCK": 0,
        "MSGQUEUE": 0,
        "STACK": 8 << 20,
        "NPROC": hard["NPROC"],
    }
    assert set(said["wider"].values()) == {"ValueError"}


def test_memory_files_and_output_end_at_their_limits():
    """Bug: a program takes what memory there is, keeps files open without end, or fills the output file."""
    program = """
def open_many():
    kept = []
    while len(kept) < 1000:
        kept.append(os.dup(2))
    return len(kept)
def write_much():
    for _ in range(1000):
        os.write(1, bytes(1000))
os.write(100, json.dumps(
    {"memory": attempt(bytearray, 300 << 20), "less": len(bytearray(100 << 20)), "files": attempt(open_many),
     "output": attempt(write_much)}
).encode())
"""
    result = run(program, to_file=True)
    assert json.loads(result["said"]) == {
        "memory": "MemoryError",
        "less": 100 << 20,
        "files": "EMFILE",
        "output": "EFBIG",
    }
    assert result["written"] == LIMITS["output_bytes"]


def test_cpu_limit_kills_a_first_process():
    """Bug: the kernel's signal for too much CPU time is ignored by the first process of a PID namespace."""
    assert run("while True: pass", program_cpu_seconds=0.01)["code"] == -signal.SIGKILL


@pytest.mark.parametrize("variant", [VARIANTS["caller"], VARIANTS["stranger"]], ids=["caller", "stranger"])
def test_no_capabilities(variant):
    """Bug: the program inherits the zygote's rights over its namespaces, and mounts or makes namespaces of its own."""
    program = """
header, data = ctypes.create_string_buffer(b"\\x22\\x05\\x08\\x20\\0\\0\\0\\0", 8), ctypes.create_string_buffer(24)
say(
    got=libc.capget(header, data), rights=data.raw.hex(), name=attempt(socket.sethostname, "x"),
    mount=libc.mount(b"tmpfs", b"/box", b"tmpfs", 0, None), pid=libc.unshare(0x20000000), net=libc.unshare(0x40000000),
    root=attempt(os.setuid, 0),
)
"""
    said = ask(program, needs=["user namespace", "capabilities"], **but(variant, "seccomp"))
    assert said.pop("root") in ("EPERM", "EINVAL")  # there is no such user in the namespace
    assert said == {"got": 0, "rights": "00" * 24, "name": "EPERM", "mount": -1, "pid": -1, "net": -1}


@every_variant
def test_descriptors_are_exactly_the_given(variant):
    """Bug: the program finds a socket or file of the zygote open: its control socket, /proc, namespaces, rules."""
    program = "say(open=[fd for fd in range(5000) if attempt(fcntl.fcntl, fd, fcntl.F_GETFD) != 'EBADF'])"
    before = "decoy = os.open('/', os.O_RDONLY); os.dup2(decoy, 250); os.dup2(decoy, 4000)"
    found = ask(program, before=before, **variant)["open"]
    if variant["user"] is None and variant["without"] and found == [0, 1, 2, 100, 200]:
        found.remove(200)  # the standard library, when it lies where another user cannot go
    assert found == [0, 1, 2, 100]


def test_descriptors_in_each_others_way_are_an_error():
    """Bug: the second move takes the first one's result, and a program's stdin is its own output."""
    with pytest.raises(ValueError, match="each other's way"):
        limits.place({5000: 5001, 5001: 5000})


def start(program: str, **options) -> subprocess.Popen:
    """A driver whose child has said "ready" on the driver's own stdout."""
    process = subprocess.Popen(
        command("os.write(2, b'ready'); " + program, **options),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr.read(5) == b"ready"
    return process


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def assert_all_end(process: subprocess.Popen) -> None:
    """Zygote and child hold stderr open as long as they live."""
    process.communicate(timeout=SECONDS / 2)


@every_variant
def test_the_end_of_the_first_process_is_the_end_of_all(variant):
    """Bug: the process that the judge kills is only the one that waits outside, and zygote and program go on."""
    process = start("time.sleep(60)", **variant)
    process.kill()
    assert_all_end(process)


@every_variant
def test_the_end_of_the_inner_process_is_the_end_of_all(variant):
    """Bug: the zygote dies, and its program, or the process that waits for it, does not."""
    process = start("time.sleep(60)", **variant)
    if not Path(f"/proc/{process.pid}/task/{process.pid}/children").exists():
        process.kill()
        pytest.skip("this kernel does not list children")
    inner = children(process.pid)[0] if not variant["without"] else process.pid
    os.kill(inner, signal.SIGKILL)
    assert_all_end(process)
    assert process.returncode == -signal.SIGKILL


@every_variant
def test_the_end_of_the_starter_is_the_end_of_all(variant):
    """Bug: the judge is killed, and its zygote goes on (the death signal is lost in the change of user)."""
    line = command("os.write(2, b'ready'); time.sleep(60)", **variant)
    starter = subprocess.Popen(
        [sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])", *line],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert starter.stderr.read(5) == b"ready"
    starter.kill()
    assert_all_end(starter)


def test_exit_status_comes_through():
    """Bug: the process that waits outside hides how the zygote ended."""
    assert run("say()", exit=7)["code"] == 0


@pytest.mark.parametrize("user", [None, STRANGER])
@pytest.mark.parametrize("without", [("seccomp",), ("namespaces", "seccomp")], ids=["pid namespace", "fallback"])
def test_strays_are_cleared(user, without):
    """Bug: a daemon survives its program, in a session of its own, and holds its pipe open."""
    program = """
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(60)
        os._exit(0)
say(done=True)
"""
    assert ask(program, user=user, without=without)["done"]


# Code for the driver: from here on the kernel refuses `unshare`, as a container's own filter does.
REFUSE_UNSHARE = """
libc.prctl(38, 1, 0, 0, 0)
load, equal, result, error, allow = 0x20, 0x15, 0x06, 0x50000, 0x7FFF0000
number = {"x86_64": 272, "aarch64": 97}[os.uname().machine]
seccomp.Filter(
    [(load, 0, 0, 0), (equal, 0, 1, number), (result, 0, 0, error | 1), (result, 0, 0, allow)]
).install()
"""


@pytest.mark.parametrize("user", [None, STRANGER])
def test_a_kernel_that_refuses_namespaces(user):
    """Bug: in a container that forbids them, the zygote dies, or says that layers are on that are not."""
    said = ask(
        "say(status=state.status, wrote=attempt(open, '/tmp/layers-new', 'w'))", user=user, before=REFUSE_UNSHARE
    )
    status = said["status"]
    for name in ("user namespace", "mount namespace", "pid namespace", "network namespace", "ipc and uts namespaces"):
        assert status[name] == "unshare: Operation not permitted"
    if status["landlock"] != "on" or status["seccomp"] != "on":
        pytest.skip("nothing to fall back on here")
    assert said["wrote"] == "EACCES"
    assert layers.missing_minimum(status) == []


@functools.cache
def status_of_all() -> dict:
    """The status of every layer where none is left out."""
    return run("say()")["status"]


@pytest.mark.parametrize("layer", [layer.name for layer in layers.LAYERS])
def test_each_layer_can_be_left_out(layer):
    """Bug: a layer that is left out takes others along, or is on all the same; costs are then measured wrongly."""
    without = status_of_all()
    status = run("say()", without=(layer,))["status"]
    assert status[layer] == "left out on request"
    needs_it = {
        "user namespace": {"thread limit"} if os.geteuid() == 0 else set(status),
        "own user": {"thread limit"},
        "no new privileges": {"landlock", "landlock signal scope", "seccomp"},
        "landlock": {"landlock signal scope"},
    }.get(layer, set())
    changed = {name for name in status if status[name] != without[name]} - {layer}
    assert changed <= needs_it


def test_another_system_keeps_what_it_has():
    """Bug: elsewhere than on Linux nothing runs at all, or Linux's layers are said to be on."""
    before = "sys.platform = 'darwin'"
    result = run("say(memory=attempt(bytearray, 300 << 20), session=os.getsid(0) == os.getpid())", before=before)
    assert json.loads(result["said"]) == {"memory": "MemoryError", "session": True}
    on = {name for name, reason in result["status"].items() if reason == "on"}
    assert on == {"resource limits", "descriptors", "own session"}
    assert result["status"]["seccomp"] == "needs Linux; this is darwin"
    assert layers.missing_minimum(result["status"]) != []


def test_the_minimum():
    """Bug: training starts with a sandbox from which a program can write, call out or end the run; or does not start
    although another layer makes up for the one that is missing."""
    everything = dict.fromkeys((layer.name for layer in layers.LAYERS), "on")
    assert layers.missing_minimum(everything) == []
    for name in ("resource limits", "no new privileges", "descriptors"):
        assert len(layers.missing_minimum(everything | {name: "missing"})) == 1
    for pair in (("seccomp", "network namespace"), ("mount namespace", "landlock")):
        assert layers.missing_minimum(everything | {pair[0]: "missing"}) == []
        assert layers.missing_minimum(everything | {pair[1]: "missing"}) == []
        (line,) = layers.missing_minimum(everything | dict.fromkeys(pair, "missing"))
        assert " or ".join(pair) in line
    assert len(layers.missing_minimum({})) == 6


def test_unknown_layer():
    """Bug: a slip of the pen in `without` leaves nothing out, and a benchmark compares a thing with itself."""
    with pytest.raises(ValueError, match="no such layer: secomp"):
        layers.left_out(frozenset({"secomp"}))
    assert layers.left_out(frozenset({"namespaces", "seccomp"})) == {
        *(layer.name for layer in layers.LAYERS if "namespace" in layer.name),
        "seccomp",
    }


def test_calls_name_themselves():
    """Bug: the reason why a layer is missing is a bare number."""
    with pytest.raises(OSError, match="unshare: Invalid argument") as caught:
        kernel.call("unshare", -1)
    assert caught.value.errno == errno.EINVAL
