"""The embedded checkpoint, as other libraries read it."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from data.programs import extract_program
from data.prompts import build_prompt
from data.sets.registry import load_problems
from experiments.inputs.hub import EMBEDDED, checkpoint_path
from experiments.inputs.policy import load_weights, open_policy
from rl.model import pad_right


@pytest.fixture(scope="module")
def policy():
    policy = open_policy(EMBEDDED)
    load_weights(policy, "", "cpu", "fp32")
    return policy


@pytest.fixture(scope="module")
def directory():
    return checkpoint_path(EMBEDDED)


def test_files_and_size(directory):
    """Other libraries cannot read the checkpoint, or it is too large for the repository."""
    names = {path.name for path in directory.iterdir()}
    assert names == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert sum(path.stat().st_size for path in directory.iterdir()) < 6e6
    config = json.loads((directory / "config.json").read_text())
    assert config["model_type"] == "qwen3"
    assert config["torch_dtype"] == "bfloat16"


def test_logits_equal_transformers(policy, directory):
    """Our decoder does not compute the checkpoint's architecture."""
    peer = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    problems = load_problems("embedded", "test")[:24]
    rows = [policy.tokenizer(build_prompt(problem) + problem.code).input_ids for problem in problems]
    ids, lengths = pad_right(rows)
    with torch.no_grad():
        ours = policy.model.logits(policy.model(ids, lengths))
        theirs = peer(ids, attention_mask=(torch.arange(ids.shape[1]) < lengths[:, None]).long()).logits
    for row, length in enumerate(lengths):
        torch.testing.assert_close(ours[row, :length], theirs[row, :length], rtol=0, atol=1e-4)


def test_tokenizer_gives_back_every_text(policy, directory):
    """Spaces are lost, or a number is one token, so that the model cannot copy it from the request."""
    tokenizer = AutoTokenizer.from_pretrained(directory)
    for problem in load_problems("embedded", "train")[:300]:
        text = build_prompt(problem) + problem.code
        assert tokenizer.decode(tokenizer(text).input_ids) == text
    assert len(tokenizer("1234").input_ids) == 4
    assert policy.eos_ids == (tokenizer.eos_token_id,) == (0,)


def test_a_letter_is_the_same_token_in_request_and_code(policy):
    """The letter has different tokens in "'s'" of the request and in `== 's'` of the code."""
    (letter,) = policy.tokenizer("s").input_ids
    for text in ("the letter 's' in", "if ch == 's':", "text.count('s')"):
        assert letter in policy.tokenizer(text).input_ids


def test_program_is_a_range_of_the_completion():
    """The program is a changed copy of the text, so that token credit cannot find its characters."""
    start, stop, _ = extract_program("def f():\n    return 1")
    assert (start, stop) == (0, 21)
