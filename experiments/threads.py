"""How many threads torch uses, and how they wait. Import this before torch.

OpenMP's threads spin while they wait for each other. Where a core is shared with another process (a busy
machine, a container with less CPU than it shows) the spinning steals the time of the very thread that is waited
for, and a step becomes ten times slower and more. Passive waiting costs little on a free machine and avoids that.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # GNU's own knob: passive, but for a few microseconds

import torch  # noqa: E402  after the environment: OpenMP reads it once, when torch is loaded


def use(count: int) -> None:
    """Sets torch's threads; 0 is one for each core that this process may use, 4 at most (small models gain no more)."""
    torch.set_num_threads(count or min(4, len(os.sched_getaffinity(0))))
