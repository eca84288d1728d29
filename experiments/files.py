"""Files that are written whole or not at all."""

import hashlib
import json
import os
import sys
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Writes a file. Raises OSError, and then nothing has changed."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_output(flag: str, path: str) -> None:
    """ValueError if an option names a file that cannot be written ("" names none). Call it before the work."""
    if path and not Path(path).absolute().parent.is_dir():
        raise ValueError(f"{flag} {path}: its directory does not exist")
    if path and Path(path).is_dir():
        raise ValueError(f"{flag} {path}: is a directory")


def remember(path: Path, content: dict, what: str) -> None:
    """Writes results of running `what` to a file of the cache, with a checksum; a failure is a line on stderr only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps({"sha256": _checksum(content), "content": content}) + "\n")
    except OSError as error:
        print(f"{path}: not remembered: {error.strerror}; {what} will be run again", file=sys.stderr)


def recall(path: Path, what: str) -> dict:
    """What `remember` wrote to the file; {} if there is none, or (with a line on stderr) if it is damaged."""
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_bytes())
        if record["sha256"] == _checksum(record["content"]):
            return record["content"]
    except (ValueError, TypeError, KeyError):
        pass
    print(f"{path}: damaged; {what} are run again", file=sys.stderr)
    return {}


def _checksum(content: dict) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
