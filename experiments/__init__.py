"""What people run: `run.py`, `eval.py`, `bench.py`, `stress.py`, `pretrain.py`, each a command of its own."""
