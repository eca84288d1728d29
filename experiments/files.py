"""Files that are written whole or not at all: a process that dies on the way leaves the one before as it was."""

import os
import sys
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Writes a file. Raises OSError, and nothing has changed then."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_output(flag: str, path: str) -> None:
    """ValueError if an option names a file that cannot be written ("" names none). Ask before the work it is for."""
    if path and not Path(path).absolute().parent.is_dir():
        raise ValueError(f"{flag} {path}: its directory does not exist")
    if path and Path(path).is_dir():
        raise ValueError(f"{flag} {path}: is a directory")


def remember(path: Path, text: str, what: str) -> None:
    """Writes a file of the cache, and the directories above it. Where that cannot be done it is told on stderr, and is
    no error: `what` has to be run again another time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        print(f"{path}: not remembered: {error.strerror}; {what} will be run again", file=sys.stderr)
