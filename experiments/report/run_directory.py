"""The files of a run. Each is written whole or not at all; a resume cuts the line files back to the checkpoint."""

import fcntl
import json
import os
from pathlib import Path
from typing import BinaryIO

from experiments.files import write_text
from rl.files.config import read_json
from rl.rollout import Rollout

LINE_FILES = ("metrics.jsonl", "rollouts.jsonl")


class RunDirectory:
    """The files of one run. ValueError, one line, if another process has it locked, or if it cannot be written."""

    def __init__(self, path: Path):
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = (path / "lock").open("w")
        except OSError as error:
            raise ValueError(f"{path}: no run can be written there: {error.strerror}") from None
        self.path = path
        self.metrics: list[dict] = []
        self._files: dict[str, BinaryIO] = {}
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process
        except OSError:
            raise ValueError(f"{path}: another process is at work on this run") from None

    def open(self, sizes: dict[str, int]) -> None:
        """Opens the line files. They grow by whole steps, so a run can be read at any time.

        `sizes` are their bytes at the checkpoint of a resumed run; later lines are cut off, and written again.
        ValueError, one line, and nothing cut, if a file is shorter.
        """
        for name in LINE_FILES:
            path, size = self.path / name, sizes.get(name, 0)
            found = path.stat().st_size if path.is_file() else 0
            if found < size:
                raise ValueError(f"{path}: {found} bytes, but its checkpoint says {size}: was it edited?")
        for name in LINE_FILES:
            self._files[name] = cut_to(self.path / name, sizes.get(name, 0))
        lines = (self.path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        self.metrics = [json.loads(line) for line in lines]

    # station 12: write the line
    def write_step(self, metrics: dict, rollouts: list[Rollout]) -> None:
        self.metrics.append(metrics)
        records = [{"step": metrics["step"], **to_record(rollout)} for rollout in rollouts]
        for name, values in zip(LINE_FILES, ([metrics], records), strict=True):
            self._files[name].write("".join(json.dumps(value) + "\n" for value in values).encode())
            self._files[name].flush()

    def sizes(self) -> dict[str, int]:
        """Length in bytes of each line file, for a checkpoint; the files are flushed to the disk first."""
        for file in self._files.values():
            os.fsync(file.fileno())
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


def to_record(rollout: Rollout) -> dict:
    """What rollouts.jsonl keeps of a rollout: all but token-level numbers and the program's output."""
    outcome = {}
    if rollout.outcome is not None:  # None: a reference solution (SFT)
        outcome = rollout.outcome.to_dict() | {"tests": [test.word for test in rollout.outcome.tests]}
        del outcome["output"], outcome["lines"]
    return {
        "prompt_id": rollout.prompt_id,
        "sample": rollout.sample,
        "finish_reason": rollout.finish_reason,
        "text": rollout.text,
        "program": rollout.program,
        "prefix": rollout.prefix,
        "outcome": outcome,
        "findings": rollout.findings,
        "reward": rollout.reward,
        "components": rollout.components,
        "advantage": rollout.advantage,
        "tokens": len(rollout.completion),
    }


def cut_to(path: Path, size: int) -> BinaryIO:
    """The file, cut to `size` bytes and open at its end."""
    file = path.open("ab")
    file.truncate(size)
    file.seek(size)
    return file
