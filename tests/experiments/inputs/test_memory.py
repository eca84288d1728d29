"""The estimate of a run's memory against what a run really takes, its table, and what a machine has left."""

import inspect
import re
from dataclasses import replace

import pytest
import torch

from experiments import bench
from experiments.benchmarks.memory import MemoryBenchOptions, measure_step
from experiments.inputs import memory
from experiments.inputs.hub import EMBEDDED
from experiments.inputs.memory import (
    Load,
    available_memory,
    check_room,
    count_adapter,
    count_base,
    describe_memory,
    estimate,
    microbatch,
    peak,
    read_load,
)
from experiments.inputs.policy import load_weights, open_policy
from experiments.settings import read_options
from rl.learner import Learner, Settings
from rl.lora import TARGETS, add_lora, lora_parameters
from rl.model import Decoder, ModelConfig, init_model
from rl.rollout import Rollout, make_batch
from rl.sample import sample

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
        (QWEN2, {"dtype": "bf16", "gradient_checkpointing": True}),
        (QWEN2, {"microbatch_tokens": 400, "gradient_checkpointing": True}),
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
    load = Load(16, 8, 300, 512, dtype="bf16", gradient_checkpointing=True, sampled=((16, 128),))
    before = estimate(QWEN3_06B, load)
    dearer = {
        "stays": [{"lora_rank": 16}, {"dtype": "fp32"}, {"critic": "lora"}, {"critic": "copy"}],
        "sampler": [{"sampled": ((64, 512),)}, {"max_new_tokens": 1024}, {"prompt_tokens": 900}],
        "learner": [{"gradient_checkpointing": False}, {"max_new_tokens": 1024}, {"prompt_tokens": 900}],
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
    saving = estimate(QWEN3_06B, replace(load, gradient_checkpointing=True))
    assert peak(saving) < 12e9
    assert sum(saving["learner"].values()) < 4e9
    for dtype in ("fp32", "bf16"):
        assert estimate(QWEN3_06B, replace(load, dtype=dtype))["sampler"]["fused weights"] == 0


# the table -------------------------------------------------------------------------------------------------

CPU = torch.device("cpu")


def resolved(**changes):
    """The options of a run of a real model."""
    arguments = ["--device", "cpu"]
    for name, value in changes.items():
        flag = "--" + name.replace("_", "-")
        arguments += [flag if value else f"--no-{flag[2:]}"] if isinstance(value, bool) else [flag, str(value)]
    return read_options(arguments, "", lambda options: False)


def table_of(options, prompt_tokens, left, monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda device: left)
    return describe_memory(options, QWEN3_06B, prompt_tokens, CPU, 32)


def figure(table: str, name: str) -> float:
    return float(re.search(rf"^ *{name}\b.*? ([\d.]+)$", table, re.MULTILINE).group(1))


def test_the_table_adds_up(monkeypatch):
    """A part that is missing in the table, or a peak that is not the sum that a reader can check."""
    options = resolved(algo="ppo", critic="lora")
    table = table_of(options, 300, 100 * 10**9, monkeypatch)
    parts = estimate(QWEN3_06B, read_load(options, 300, 32))
    for values in parts.values():
        for name, size in values.items():
            assert figure(table, re.escape(name)) == pytest.approx(size / 1e9, abs=0.006)
    stays, *turns = (figure(table, name) for name in ("from start", "while it samples", "while it learns"))
    assert figure(table, "peak") == pytest.approx(stays + max(turns), abs=0.02)
    assert figure(table, "cpu has left") == 100.0
    assert len({len(line) for line in table.splitlines()[1:]}) == 1  # aligned
    assert "does not fit" not in table


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"dtype": "fp32", "group_size": 2, "prompts": 1, "max_new_tokens": 8, "eval_samples": 0}, "--dtype bf16"),
        ({"group_size": 2, "prompts": 1, "max_new_tokens": 8, "eval_problems": 1}, "smaller model"),
        ({"algo": "ppo", "critic": "copy"}, "--critic lora"),
        ({"gradient_checkpointing": False}, "--gradient-checkpointing"),
        ({"microbatch_tokens": 0, "minibatches": 1, "eval_samples": 0}, "--microbatch-tokens"),
        ({"group_size": 16}, "--group-size"),
        ({"group_size": 2, "eval_samples": 16}, "--eval-samples"),
    ],
)
def test_what_does_not_fit_is_told_with_the_option_to_change(changes, advice, monkeypatch):
    """A hint that names an option of the part that is not the problem."""
    options = resolved(**changes)
    need = peak(estimate(QWEN3_06B, read_load(options, 50, 32)))
    table = table_of(options, 50, need, monkeypatch)  # to the byte: nothing is left for the allocator
    assert advice in table.splitlines()[-1]
    assert "does not fit" in table
    assert "does not fit" not in table_of(options, 50, 2 * need, monkeypatch)


def test_options_reach_the_estimate():
    """An option that is resolved, but of which the estimate takes its own default."""
    options = resolved(
        algo="grpo",
        prompts=3,
        group_size=5,
        minibatches=4,
        microbatch_rows=7,
        microbatch_tokens=900,
        lora_rank=4,
        lora_targets="q_proj,o_proj",
        kl_coef=0.1,
        reference="base",
        dtype="fp32",
    )
    load = read_load(options, 321, 32)
    assert (load.prompts, load.group_size, load.prompt_tokens, load.max_new_tokens) == (3, 5, 321, 512)
    assert (load.minibatches, load.microbatch_rows, load.microbatch_tokens) == (4, 7, 900)
    assert (load.lora_rank, load.lora_targets, load.dtype) == (4, ("q_proj", "o_proj"), "fp32")
    assert load.gradient_checkpointing is True
    assert not load.reference_adapter  # the base alone costs nothing
    options.reference = "start"
    assert not read_load(options, 321, 32).reference_adapter  # it starts without one
    options.adapter = "somewhere"
    assert read_load(options, 321, 32).reference_adapter


def test_batches_that_are_decoded_are_those_of_the_sampler():
    """Evaluations forgotten, which decode more rows than a step; or more rows than the sampler takes at a time."""
    assert inspect.signature(sample).parameters["max_rows"].default == memory.MAX_ROWS
    load = read_load(resolved(prompts=100, group_size=8, eval_samples=10), 50, 32)
    assert load.sampled == ((32, 32), (32, 320), (64, 512))  # an evaluation, greedy and sampled; a step
    assert read_load(resolved(algo="sft", eval_samples=0, eval_problems=5), 50, 32).sampled == ((5, 5),)


def test_the_bench_measures_what_it_estimates(capsys):
    """A bench that stops working unnoticed, as nobody runs it but by hand."""
    small = ["--prompts", "2", "--group-size", "2", "--max-new-tokens", "8"]
    bench.main(["memory", "--device", "cpu", "--dtype", "bf16", *small])
    figures = re.findall(r"^(?:sampler|learner) +([\d.]+) +([\d.]+)$", capsys.readouterr().out, re.MULTILINE)
    assert len(figures) == 2
    for estimated, measured in figures:
        assert float(estimated) == pytest.approx(float(measured), rel=0.25, abs=0.001)
    with pytest.raises(SystemExit, match="2"):
        bench.main(["memory", "--prompt-tokens", "250"])
    assert "the model's window has 256" in capsys.readouterr().err


# what a machine has left -----------------------------------------------------------------------------------


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_model_larger_than_memory_is_refused_before_it_is_read(monkeypatch):
    """A process that the kernel kills without a word, half an hour after the start."""
    policy = open_policy(EMBEDDED)
    load_weights(policy, "", "cpu", "fp32")
    needed = 4 * sum(parameter.numel() for parameter in policy.model.parameters())
    monkeypatch.setattr(memory, "available_memory", lambda device: needed)
    load_weights(policy, "", "cpu", "fp32")
    monkeypatch.setattr(memory, "available_memory", lambda device: needed - 1)
    monkeypatch.setattr("experiments.inputs.policy.load_model", None)  # not called: opening a file maps it into memory
    with pytest.raises(ValueError, match="data/tiny: 1 M parameters take 0.00 GB"):
        load_weights(policy, "", "cpu", "fp32")
    monkeypatch.setattr(memory, "available_memory", lambda device: 1_192_099_840)
    check_room("here", QWEN3_06B, CPU, torch.bfloat16)
    with pytest.raises(ValueError, match="^here: 596 M parameters take 2.38 GB in float32, cpu has 1.19 GB left$"):
        check_room("here", QWEN3_06B, CPU, torch.float32)


def test_on_the_cpu_the_least_of_the_limits_counts(tmp_path):
    """A container's limit that is passed over: the machine around it may have ten times as much."""
    gb = 10**9
    write(tmp_path, {"proc/meminfo": "MemTotal: 9 kB\nMemFree:  1 kB\nMemAvailable:    7812500 kB\nCached: 3 kB\n"})
    write(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cgroup.procs": ""})
    assert available_memory(CPU, tmp_path) == 8 * gb

    two = {"memory.max": f"{6 * gb}\n", "memory.current": f"{5 * gb}\n", "memory.stat": f"anon 1\ninactive_file {gb}\n"}
    write(tmp_path, {"proc/self/cgroup": "0::/outer/inner\n"})
    write(tmp_path / "sys/fs/cgroup/outer", two)
    write(tmp_path / "sys/fs/cgroup/outer/inner", two | {"memory.max": "max\n"})
    assert available_memory(CPU, tmp_path) == 2 * gb

    one = {"limit_in_bytes": f"{4 * gb}", "usage_in_bytes": f"{4 * gb}", "stat": f"cache 9\ntotal_inactive_file {gb}\n"}
    write(tmp_path, {"proc/self/cgroup": "5:cpu,cpuacct:/other\n4:memory:/job\n1:name=systemd:/\n0::/\n"})
    write(tmp_path / "sys/fs/cgroup/memory/job", {f"memory.{name}": text for name, text in one.items()})
    write(tmp_path / "sys/fs/cgroup/memory/other", {"memory.limit_in_bytes": "1"})  # not this process's memory
    assert available_memory(CPU, tmp_path) == gb


def test_what_this_machine_has_left_is_a_number_of_bytes():
    """Kilobytes taken for bytes: then every model would be too large."""
    assert 50e6 < available_memory(CPU) < 1e14
