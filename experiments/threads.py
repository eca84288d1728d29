"""How many threads torch uses, and how they wait. Import this before torch.

OpenMP's threads spin while they wait for each other. Where a core is shared with another process (a busy machine, a
container with less CPU than it shows), the spinning takes the time of the very thread that is waited for, and steps of
the embedded model became ten times slower and more. So threads spin briefly here, then sleep. That leaves a small
model nothing to gain from a second thread, as its operations are too short to be shared; it gets one, which also makes
a run the same to the last bit each time (with two, last bits differed between runs of one seed).
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # GNU's own knob: passive, but for some microseconds

import torch  # noqa: E402  after the environment: OpenMP reads it once, when torch is loaded

SMALL = 512  # width up to which a model is small


def use(count: int, width: int) -> None:
    """Sets torch's threads; 0 is one for a model of small width, else one for each core that this process may use."""
    torch.set_num_threads(count or (1 if width <= SMALL else len(os.sched_getaffinity(0))))
