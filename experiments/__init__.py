"""What people run: `run.py`, `eval.py`, `bench.py`, `pretrain.py`, each a command of its own."""
