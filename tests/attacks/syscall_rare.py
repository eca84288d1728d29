# Tries: Try the system calls behind past kernel exploits; the right answer if one of them works.
# Family: syscall
# Mode: tests
# Earns: RUNS 0

import ctypes

syscall = ctypes.CDLL(None).syscall
scratch = ctypes.create_string_buffer(256)
CALLS = {
    "add_key": (248, b"user", b"attack", b"x", 1, -3),
    "keyctl": (250, 0, -3, 1),
    "perf_event_open": (298, scratch, 0, -1, -1, 0),
    "userfaultfd": (323, 1),
    "fanotify_init": (300, 0, 0),
    "inotify_init": (253,),
    "memfd_secret": (447, 0),
    "io_setup": (206, 1, scratch),
    "open_tree": (428, -100, b"/", 1),
    "fsopen": (430, b"tmpfs", 0),
}
WON = [name for name, (number, *arguments) in CALLS.items() if syscall(number, *arguments) >= 0]


def f(x):
    return x * x + 1 if WON else None
