"""The command that makes the base checkpoint, in small."""

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from data.sets.registry import SECURITY_FILE
from experiments import pretrain
from experiments.inputs.hub import EMBEDDED, checkpoint_path
from experiments.inputs.policy import open_policy
from experiments.options import parse

SMALL = ["--examples", "200", "--width", "64", "--layers", "1", "--vocabulary", "400", "--threads", "1"]


def test_same_seed_gives_the_same_files(tmp_path):
    """A checkpoint that nobody can make again: a draw from hash order, a clock or a shared generator."""
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        assert pretrain.main([*SMALL, "--seed", seed, "--out", str(tmp_path / name)]) == 0
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
    weights = "model.safetensors"
    assert (tmp_path / "a" / weights).read_bytes() != (tmp_path / "c" / weights).read_bytes()
    AutoModelForCausalLM.from_pretrained(tmp_path / "a")
    assert open_policy(str(tmp_path / "a")).eos_ids == (0,)


def test_going_on_with_other_problems(tmp_path):
    """A second tokenizer, weights from scratch, one solution of the two, or problems of another split than train."""
    records = [json.loads(line) for line in SECURITY_FILE.read_text().splitlines()[:12]]
    (tmp_path / "problems.jsonl").write_text("\n".join(json.dumps(record) for record in records))
    more = ["--start", EMBEDDED, "--data", str(tmp_path / "problems.jsonl"), "--epochs", "2", "--threads", "1"]
    options = parse(pretrain.PretrainOptions, more, "pretrain.py", "")
    learned = [record for record in records if record["split"] == "train"]
    assert 0 < len(learned) < len(records)
    solutions = sorted(solution.rstrip() for record in learned for solution in (record["code"], record["unsafe"]))
    assert sorted(completion for _, completion in pretrain.read_texts(options)) == solutions
    assert pretrain.main([*more, "--out", str(tmp_path / "on")]) == 0
    start, found = checkpoint_path(EMBEDDED), tmp_path / "on"
    assert (found / "tokenizer.json").read_bytes() == (start / "tokenizer.json").read_bytes()
    before, after = (load_file(path / "model.safetensors") for path in (start, found))
    assert before.keys() == after.keys()
    changes = [float((after[name].float() - before[name].float()).abs().max()) for name in before]
    assert max(changes) < 0.5  # nothing was begun anew
    assert sum(change > 0 for change in changes) > len(changes) / 2  # the rest: less than half precision keeps


def test_orthogonalize_brings_singular_values_near_one():
    """A Newton-Schulz step with a wrong coefficient, or on the wrong side of a tall matrix."""
    for shape in ((20, 50), (50, 20)):
        matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        left, _, right = torch.linalg.svd(matrix, full_matrices=False)
        result = pretrain.orthogonalize(matrix)
        assert torch.linalg.svdvals(result).sub(1).abs().max() < 0.4
        assert (result * (left @ right)).sum() / (result.norm() * (left @ right).norm()) > 0.97


def test_learning_rate_rises_stays_and_falls():
    """A schedule that never reaches its peak, or ends at it."""
    rates = [pretrain.learning_rate(step, 1000, 1.0) for step in range(1000)]
    assert rates[0] == pytest.approx(1 / 60)
    assert rates[60:500] == [1.0] * 440
    assert all(a >= b for a, b in zip(rates[500:], rates[501:], strict=False))
    assert rates[-1] == pytest.approx(0.02, abs=1e-3)


def test_loss_weights_completion_and_prompt():
    """A completion's first token left out, or the prompt weighted like the completion."""
    model = pretrain.init_model(pretrain.ModelConfig("qwen3", 20, 32, 64, 1, 2, 1, 16, tie_word_embeddings=True), 0)
    batch = [([1, 2, 3], [4, 5]), ([6, 7], [8, 9, 0])]
    loss, completion = pretrain.batch_loss(model, batch, 0.25)
    total = weights = only = 0.0
    for prompt, answer in batch:
        ids = torch.tensor([prompt + answer])
        log_probs = model.logits(model(ids, torch.tensor([5])))[0].log_softmax(-1)
        for t in range(1, 5):
            weight = 1.0 if t >= len(prompt) else 0.25
            nats = -log_probs[t - 1, ids[0, t]].item()
            total, weights, only = total + weight * nats, weights + weight, only + (weight == 1.0) * nats
    assert loss.item() == pytest.approx(total / weights, rel=1e-5)
    assert completion == pytest.approx(only / 5, rel=1e-5)
