"""How many threads torch uses, and how they wait. Import this before torch.

OpenMP's threads spin while they wait for each other. Where a core is shared with another process (a busy machine,
a container with less CPU than it shows), the spinning takes the time of the very thread that is waited for: steps of
the embedded model became ten times slower and more. So threads spin briefly here, then sleep. The price, on a free
machine, is that very short operations gain nothing from a second thread; hence `for_sampling`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # GNU's own knob: passive, but for some microseconds

import torch  # noqa: E402  after the environment: OpenMP reads it once, when torch is loaded

SMALL = 512  # width up to which one token's matrix products are too short to be shared between threads


def use(count: int) -> None:
    """Sets torch's threads; 0 is one for each core that this process may use, 4 at most."""
    torch.set_num_threads(count or min(4, len(os.sched_getaffinity(0))))


@contextmanager
def for_sampling(width: int) -> Iterator[None]:
    """One thread inside, if a model of this width is small; its results are the same with any number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if width <= SMALL else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
