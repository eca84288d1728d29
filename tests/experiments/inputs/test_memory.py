"""The estimate of a run's memory, against what is really there."""

from dataclasses import replace

import pytest
import torch

from experiments.benchmarks.memory import MemoryBenchOptions, measure_step
from experiments.inputs.memory import Load, count_adapter, count_base, estimate, microbatch, peak
from rl.learner import Learner, Settings
from rl.lora import TARGETS, add_lora, lora_parameters
from rl.model import Decoder, ModelConfig, init_model
from rl.rollout import Rollout, make_batch

QWEN3 = ModelConfig("qwen3", 2000, 128, 384, 4, 4, 2, 32, tie_word_embeddings=True)
QWEN2 = ModelConfig("qwen2", 500, 96, 512, 6, 6, 2, 16, tie_word_embeddings=True)
LLAMA = ModelConfig("llama", 9000, 64, 256, 2, 2, 2, 32)
DEEP = ModelConfig("llama", 300, 32, 48, 8, 4, 4, 16)
QWEN3_06B = ModelConfig("qwen3", 151_936, 1024, 3072, 28, 16, 8, 128, rope_theta=1e6, tie_word_embeddings=True)


@pytest.mark.parametrize("config", [QWEN3, QWEN2, LLAMA])
@pytest.mark.parametrize("targets", [TARGETS, ("q_proj", "down_proj")])
def test_parameters_are_counted_exactly(config, targets):
    """A bias, a norm, an untied head or a LoRA target that the arithmetic forgets."""
    with torch.device("meta"):
        model = Decoder(config)
        assert count_base(config) == sum(p.numel() for p in model.parameters())
    model = init_model(config, seed=0)
    add_lora(model, rank=3, alpha=6, targets=targets)
    load = Load(1, 1, 1, 1, lora_rank=3, lora_targets=targets)
    assert count_adapter(config, load) == sum(p.numel() for p in lora_parameters(model))


def test_a_known_model_has_its_published_size():
    """Arithmetic that agrees with our decoder, but not with the real one: Qwen3-0.6B has 596,049,920 parameters."""
    assert count_base(QWEN3_06B) == 596_049_920
    parts = estimate(QWEN3_06B, Load(1, 1, 1, 1, dtype="bf16"))
    assert parts["stays"]["base weights"] == 1_192_099_840


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        (QWEN3, {}),
        (QWEN3, {"dtype": "bf16"}),
        (QWEN2, {"dtype": "bf16", "gradient_checkpointing": "yes"}),
        (QWEN2, {"microbatch_tokens": 400, "gradient_checkpointing": "yes"}),
        (LLAMA, {"microbatch_rows": 2, "dtype": "bf16"}),
        (DEEP, {"prompts": 2, "group_size": 8, "prompt_tokens": 20, "max_new_tokens": 120}),
        (DEEP, {"prompts": 1, "group_size": 12, "prompt_tokens": 250, "max_new_tokens": 20, "lora_rank": 32}),
    ],
)
def test_estimate_is_near_what_a_step_takes(config, changes):
    """A tensor that the arithmetic forgets, or that the code keeps and need not."""
    base = MemoryBenchOptions(prompts=3, group_size=4, prompt_tokens=60, max_new_tokens=50, device="cpu")
    options = replace(base, **changes)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[options.dtype]
    parts, peaks = measure_step(options, config, torch.device("cpu"), dtype)
    stays = sum(parts["stays"].values())
    for name, measured in peaks.items():
        assert 0.9 < sum(parts[name].values()) / (measured - stays) < 1.2, name
    assert peak(parts) == pytest.approx(max(peaks.values()), rel=0.15)


@pytest.mark.parametrize(("rows", "tokens"), [(128, 0), (5, 0), (128, 260), (128, 1), (3, 130)])
@pytest.mark.parametrize("minibatches", [1, 3])
def test_microbatches_are_as_the_learner_cuts_them(rows, tokens, minibatches):
    """An estimate for other microbatches than those that the learner makes."""
    load = Load(4, 6, 50, 30, minibatches=minibatches, microbatch_rows=rows, microbatch_tokens=tokens)
    rollouts = [Rollout(i // 6, i % 6, [1] * 50, [2] * 30, [-1.0] * 30, "length", "") for i in range(24)]
    model = init_model(replace(LLAMA, vocab_size=10), seed=0)
    add_lora(model, 2, 4)
    learner = Learner(model, Settings(1e-3, 1, microbatch_rows=rows, microbatch_tokens=tokens))
    parts = learner.microbatches(make_batch(rollouts), list(range(24 // minibatches)))
    largest = max(len(part.rollouts) for part in parts)
    assert microbatch(load)[1] == largest
    assert microbatch(load)[0] == len({rollout.prompt_id for rollout in parts[0].rollouts})


def test_what_costs_memory_raises_the_estimate():
    """An option that the estimate does not look at, so that it promises what it cannot keep."""
    load = Load(16, 8, 300, 512, dtype="bf16", gradient_checkpointing="yes", sampled=((16, 128),))
    before = estimate(QWEN3_06B, load)
    dearer = {
        "stays": [{"lora_rank": 16}, {"dtype": "fp32"}, {"critic": "lora"}, {"critic": "copy"}],
        "sampler": [{"sampled": ((64, 512),)}, {"max_new_tokens": 1024}, {"prompt_tokens": 900}],
        "learner": [{"gradient_checkpointing": "no"}, {"max_new_tokens": 1024}, {"prompt_tokens": 900}],
    }
    dearer["stays"].append({"reference_adapter": True})
    for name, changes in dearer.items():
        for change in changes:
            after = estimate(QWEN3_06B, replace(load, **change))
            assert sum(after[name].values()) > sum(before[name].values()), change
    for change in ({"microbatch_rows": 16}, {"microbatch_tokens": 9000}, {"minibatches": 8}):
        after = estimate(QWEN3_06B, replace(load, **change))
        assert sum(after["learner"].values()) < 0.5 * sum(before["learner"].values()), change


def test_a_real_model_needs_checkpointing_and_no_second_copy_of_its_weights():
    """Activations of all blocks at once, or weights that are there twice, which put a small card out of reach."""
    load = Load(16, 8, 300, 512, dtype="bf16", microbatch_tokens=16384, lora_rank=16, sampled=((16, 128),))
    assert peak(estimate(QWEN3_06B, load)) > 40e9
    saving = estimate(QWEN3_06B, replace(load, gradient_checkpointing="yes"))
    assert peak(saving) < 12e9
    assert sum(saving["learner"].values()) < 4e9
    for dtype in ("fp32", "bf16"):
        assert estimate(QWEN3_06B, replace(load, dtype=dtype))["sampler"]["fused weights"] == 0
