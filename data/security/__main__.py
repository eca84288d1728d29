"""`python -m data.security [DIRECTORY]` writes security.jsonl, by default to data/security."""

import sys
from pathlib import Path

from data.security.generate import write_problems

write_problems(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
