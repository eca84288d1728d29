"""What people run: `run.py`, `eval.py`, `compare.py`, `score.py`, `fetch.py`, `pretrain.py`, `bench.py`, `stress.py`.

OpenMP's threads spin while they wait for each other. If a core is shared with another process (a busy machine, a
container with less CPU than it shows), the spinning takes time from the thread that the others wait for: steps of the
embedded model became ten times slower. The settings below let threads spin briefly and then sleep. OpenMP reads them
once, when torch is loaded, so they stand here, before any import of torch.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # GNU's own setting: some microseconds
