"""`python -m data.security [DIRECTORY]` writes security.jsonl, as a rule to data/embedded."""

import sys
from pathlib import Path

from data.security.generate import write_problems
from data.sets.registry import EMBEDDED

write_problems(Path(sys.argv[1]) if len(sys.argv) > 1 else EMBEDDED)
