"""The files of a run, and how they survive: whole or not at all, and cut back to the checkpoint on a resume."""

import fcntl
import json
from pathlib import Path
from typing import BinaryIO

from experiments.eval import write_text
from rl.model import read_json
from rl.rollout import Rollout

LINE_FILES = ("metrics.jsonl", "rollouts.jsonl")


class RunDirectory:
    """config.json, metrics.jsonl, rollouts.jsonl and the rest of one run.

    Line files grow by whole steps and are flushed after each, so that a run can be read while it goes on. `sizes` are
    their lengths in bytes at the checkpoint that a resumed run starts from: what came later is cut off, as it will come
    again. ValueError, one line, if another process has the run open, or if a file is shorter than that.
    """

    def __init__(self, path: Path, sizes: dict[str, int] | None = None):
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = (path / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go when the process ends, however it ends
        except OSError:
            raise ValueError(f"{path}: another process is at work on this run") from None
        self._files = {name: cut_to(path / name, (sizes or {}).get(name, 0)) for name in LINE_FILES}
        lines = (path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        self.metrics: list[dict] = [json.loads(line) for line in lines]

    def write_step(self, metrics: dict, rollouts: list[Rollout]) -> None:
        self.metrics.append(metrics)
        records = [{"step": metrics["step"], **rollout.record()} for rollout in rollouts]
        for name, values in zip(LINE_FILES, ([metrics], records), strict=True):
            self._files[name].write("".join(json.dumps(value) + "\n" for value in values).encode())
            self._files[name].flush()

    def sizes(self) -> dict[str, int]:
        """Length in bytes of each line file, for a checkpoint."""
        return {name: file.tell() for name, file in self._files.items()}

    def write_json(self, name: str, value: dict) -> None:
        write_text(self.path / name, json.dumps(value, indent=2) + "\n")

    def read_json(self, name: str) -> dict:
        """The file's content; {} if there is none yet."""
        path = self.path / name
        return read_json(path) if path.is_file() else {}

    def close(self) -> None:
        for file in (*self._files.values(), self._lock):
            file.close()


def cut_to(path: Path, size: int) -> BinaryIO:
    """The file, open at its end, which is at `size` bytes now."""
    file = path.open("ab")
    if file.tell() < size:
        raise ValueError(f"{path}: {file.tell()} bytes; the checkpoint knows of {size}: was it edited?")
    file.truncate(size)
    file.seek(size)
    return file
