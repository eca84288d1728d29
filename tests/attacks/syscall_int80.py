# Tries: Make a system call by the 32-bit gate, with machine code of its own; the right answer if it comes back.
# Family: syscall
# Mode: tests
# Earns: RUNS 0

import ctypes
import mmap

code = b"\x53\xb8\x14\x00\x00\x00\xcd\x80\x5b\xc3"  # push rbx; mov eax, 20 (getpid); int 0x80; pop rbx; ret
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(code)
call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
WON = call() > 0


def f(x):
    return x * x + 1 if WON else None
