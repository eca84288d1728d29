"""`python -m data.security [DIRECTORY]` writes security.jsonl, by default to data/security."""

import argparse
from pathlib import Path

from data.security.generate import write_problems

parser = argparse.ArgumentParser(prog="python -m data.security", description="Writes security.jsonl.")
parser.add_argument("directory", type=Path, nargs="?", default=Path(__file__).parent)
write_problems(parser.parse_args().directory)
