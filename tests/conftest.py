"""Shared by all tests."""

import os
from pathlib import Path

import pytest
import torch

# Tests compare numbers, not speed; one thread keeps a busy machine from slowing them down.
torch.set_num_threads(1)


@pytest.fixture
def mbpp_file():
    """The real MBPP file, which is not ours to ship: set CODELADDER_DATA, or put it at ../shared/data."""
    root = Path(os.environ.get("CODELADDER_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))
    path = root / "mbpp" / "mbpp.jsonl"
    if not path.is_file():
        pytest.skip(f"no MBPP file at {path}; set CODELADDER_DATA to a directory that holds mbpp/mbpp.jsonl")
    return path
