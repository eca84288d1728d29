"""The table of --dry-run."""

import inspect
import re

import pytest

from experiments import bench
from experiments.inputs import dry_run
from experiments.inputs.dry_run import describe_memory, memory_load, sampled_batches
from experiments.inputs.memory import estimate, peak
from experiments.settings import RunOptions, resolve
from rl.model import ModelConfig
from rl.sample import sample

CONFIG = ModelConfig("qwen3", 151_936, 1024, 3072, 28, 16, 8, 128, rope_theta=1e6, tie_word_embeddings=True)


def resolved(**changes):
    return resolve(RunOptions(**{"device": "cpu", **changes}), small=False)


def figure(table: str, name: str) -> float:
    return float(re.search(rf"^ *{name}\b.*? ([\d.]+)$", table, re.MULTILINE).group(1))


def test_the_table_adds_up():
    """A part that is missing in the table, or a peak that is not the sum that a reader can check."""
    options = resolved(algo="ppo", critic="lora")
    table = describe_memory(options, CONFIG, prompt_tokens=300, available=100 * 10**9)
    parts = estimate(CONFIG, memory_load(options, 300))
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
        ({"gradient_checkpointing": "no"}, "--gradient-checkpointing yes"),
        ({"microbatch_tokens": 0, "minibatches": 1, "eval_samples": 0}, "--microbatch-rows 64"),
        ({"group_size": 16}, "--group-size"),
        ({"group_size": 2, "eval_samples": 16}, "--eval-samples"),
    ],
)
def test_what_does_not_fit_is_told_with_the_option_to_change(changes, advice):
    """A hint that names an option of the part that is not the problem."""
    options = resolved(**changes)
    need = peak(estimate(CONFIG, memory_load(options, 50)))
    table = describe_memory(options, CONFIG, 50, available=need)  # to the byte: nothing is left for the allocator
    assert advice in table.splitlines()[-1]
    assert "does not fit" in table
    assert "does not fit" not in describe_memory(options, CONFIG, 50, available=2 * need)


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
    load = memory_load(options, 321)
    assert (load.prompts, load.group_size, load.prompt_tokens, load.max_new_tokens) == (3, 5, 321, 512)
    assert (load.minibatches, load.microbatch_rows, load.microbatch_tokens) == (4, 7, 900)
    assert (load.lora_rank, load.lora_targets, load.dtype) == (4, ("q_proj", "o_proj"), "fp32")
    assert load.gradient_checkpointing == "yes"
    assert not load.reference_adapter  # the base alone costs nothing
    options.reference = "start"
    assert not memory_load(options, 321).reference_adapter  # it starts without one
    options.adapter = "somewhere"
    assert memory_load(options, 321).reference_adapter


def test_batches_that_are_decoded_are_those_of_the_sampler():
    """Evaluations forgotten, which decode more rows than a step; or more rows than the sampler takes at a time."""
    assert inspect.signature(sample).parameters["max_rows"].default == dry_run.MAX_ROWS
    batches = sampled_batches(resolved(prompts=100, group_size=8, eval_samples=10))
    assert batches == {
        "evaluation, greedy": (32, 32),
        "evaluation, sampled": (32, 320),
        "step": (64, 512),
    }
    assert sampled_batches(resolved(algo="sft", eval_samples=0, eval_problems=5)) == {"evaluation, greedy": (5, 5)}


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
