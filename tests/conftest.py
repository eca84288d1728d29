"""Shared by all tests."""

import os
from pathlib import Path

import pytest
import torch

# Tests compare numbers, not speed; one thread keeps a busy machine from slowing them down.
torch.set_num_threads(1)


def shared_file(*parts):
    """A file of a real benchmark, which is not ours to ship; the test is skipped where it is not there."""
    root = Path(os.environ.get("CODELADDER_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))
    path = root.joinpath(*parts)
    if not path.is_file():
        pytest.skip(f"no file {path}; set CODELADDER_DATA to a directory that holds {'/'.join(parts)}")
    return path


@pytest.fixture
def mbpp_file():
    """The real MBPP file: set CODELADDER_DATA, or put it at ../shared/data."""
    return shared_file("mbpp", "mbpp.jsonl")


@pytest.fixture
def humaneval_file():
    """The real HumanEval file, to be found likewise."""
    return shared_file("humaneval", "HumanEval.jsonl")


@pytest.fixture
def mbppplus_file():
    """The real MBPP+ file, to be found likewise."""
    return shared_file("mbppplus", "MbppPlus.jsonl")


@pytest.fixture(scope="session")
def few_problems(tmp_path_factory):
    """A few of the embedded problems: quick to read, and few enough for a second pass over them within six steps."""
    from data.sets.registry import EMBEDDED_DIRECTORY

    path = tmp_path_factory.mktemp("few") / "problems.jsonl"
    chosen = []
    for split, count in (("train", 13), ("valid", 3), ("test", 3)):
        lines = (EMBEDDED_DIRECTORY / f"{split}.jsonl").read_text().splitlines()
        chosen += lines[:: len(lines) // count][:count]
    path.write_text("".join(line + "\n" for line in chosen))
    return path


@pytest.fixture(scope="module")
def quick_runs():
    """Runs in this process without what takes longer than their steps: no curves, and one sandbox and one pair of
    analysers for all of them. tests/experiments/test_run.py has runs with all of it."""
    from experiments import run  # here, as it loads slowly and few tests need it
    from experiments.rollouts import judge

    class KeptJudges(judge.Judges):
        """Judges that outlive the run."""

        def __exit__(self, *exception):
            pass

    with judge.start_judges(2, 1.0, allow_weak=False) as started, pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "draw_curves", lambda *_: None)
        patch.setattr(run, "start_judges", lambda *_: KeptJudges(started.sandbox, started.analyst))
        yield
