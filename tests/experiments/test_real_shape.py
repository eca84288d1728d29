"""A whole step of the real experiment, at the real size: `run.py` on a model of Qwen3-0.6B's shape.

The weights are random and so is what the model writes; sampling, sandbox, rewards and learner are those of any run.
"""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from data.sets.registry import EMBEDDED_DIRECTORY
from experiments.inputs.memory import Load, estimate, peak
from rl.files.config import config_fields
from rl.model import Decoder, ModelConfig

ROOT = Path(__file__).parent.parent.parent
CONFIG = ModelConfig(
    "qwen3", 151_936, 1024, 3072, 28, 16, 8, 128, 1e6, tie_word_embeddings=True, max_position_embeddings=40_960
)


def write_weights(path: Path) -> None:
    """1.2 GB of bf16 in the format of safetensors, a run of random numbers over and over; norms are 1."""
    with torch.device("meta"):
        shapes = {name: list(parameter.shape) for name, parameter in Decoder(CONFIG).named_parameters()}
    header, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    noise = torch.empty(2**22 + 12345).normal_(0, 0.02, generator=torch.Generator().manual_seed(0)).bfloat16()
    noise, ones = (tensor.view(torch.uint8).numpy().tobytes() for tensor in (noise, torch.ones(1024).bfloat16()))
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in shapes.items():
            filling, left = ones if name.endswith("norm.weight") else noise, 2 * math.prod(shape)
            while left > 0:
                left -= file.write(filling[:left])


def write_tokenizer(directory: Path) -> None:
    """The embedded tokenizer with tokens up to the model's vocabulary: their own numbers, and every 47th with a closing
    bracket behind it. Half of all texts of 32 of them are then Python, and the other half are not: rewards differ."""
    tiny = EMBEDDED_DIRECTORY.parent / "tiny"
    raw = json.loads((tiny / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = raw["model"]["vocab"]
    for i in range(len(vocabulary), CONFIG.vocab_size):
        vocabulary[f"{i})" if i % 47 == 0 else f"{i}"] = i
    (directory / "tokenizer.json").write_text(json.dumps(raw), encoding="utf-8")
    for name in ("tokenizer_config.json", "generation_config.json"):
        (directory / name).write_text((tiny / name).read_text(encoding="utf-8"), encoding="utf-8")


@pytest.fixture
def real_shape(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps(config_fields(CONFIG, "bfloat16")))
    write_weights(tmp_path / "model" / "model.safetensors")
    write_tokenizer(tmp_path / "model")
    yield tmp_path / "model"
    (tmp_path / "model" / "model.safetensors").unlink()  # pytest would keep 1.2 GB of each of the last three runs


def test_a_step_of_a_real_model_takes_less_than_8_gb(real_shape, tmp_path):
    """Weights in fp32 or twice, logits of a whole batch, all blocks' activations, or anything else that only a model of
    real size shows: 2 prompts x 2 samples x 32 tokens of GSPO, from the checkpoint to the adapter."""
    out = tmp_path / "run"
    step = "--algo gspo --reward staged --steps 1 --minibatches 1 --prompts 2 --group-size 2 --max-new-tokens 32"
    # Groups without spread are sampled anew, as there is nothing to learn from; with this seed there are none.
    small = "--zero-spread resample --seed 0 --prompt docstring --eval-every 0 --eval-samples 0 --eval-problems 1"
    machine = "--threads 1 --device cpu --dtype bf16"
    command = [sys.executable, "experiments/run.py", "--model", str(real_shape), "--out", str(out)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [*command, *f"{step} {small} {machine}".split()], cwd=ROOT, env=environment, stdout=file, stderr=file
        )
        _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, log.read_text()[-2000:]
    taken = usage.ru_maxrss * 1024
    assert taken < 8e9
    load = Load(2, 2, 100, 32, dtype="bf16", lora_rank=16, gradient_checkpointing=True, sampled=((2, 4),))
    assert 0 < taken - peak(estimate(CONFIG, load)) < 1e9  # what is not estimated: Python, torch, the tokenizer
    metrics = json.loads((out / "metrics.jsonl").read_text().splitlines()[0])
    assert all(math.isfinite(value) for value in metrics.values() if isinstance(value, (int, float)))
    assert metrics["completions/mean_length"] == 32
    assert metrics["optimizer_steps"] >= 1
    adapter = load_file(out / "adapter" / "adapter_model.safetensors")
    moved = [name for name, tensor in adapter.items() if "lora_B" in name and tensor.abs().max() > 0]
    assert len(moved) == 28 * 7  # B starts at zero in every layer
