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
