"""Our sampler against `transformers` `generate`: same weights, same prompts, same lengths, one process.

    python experiments/bench.py sampler --model data/tiny --batch 128 --threads 2
    python experiments/bench.py sampler --shape qwen3-0.6b --layers 4 --batch 16   # random weights, bf16

Two comparisons, in repeats that alternate between the samplers, with the median of each:

* fixed: every row gets exactly `--new-tokens` tokens; tokens per second.
* useful: rows end at their own end-of-sequence token, or after `--max-new-tokens`. Only tokens up to and with
  the end are counted: what `generate` writes behind it, to keep its batch rectangular, is of no use.

Ours comes with either decoder: dynamic, whose shapes grow and shrink, and static, whose steps have fixed shapes and are
replayed as CUDA graphs where there is CUDA. `generate` runs as it is best used for this: left padding, KV cache,
plain sampling at temperature 1 without top-k or top-p, no gradients, weights in the same dtype as ours. Threads wait
as torch has them wait by default, which is the fastest for both on a free machine; on a busy one more than one thread
makes both very slow (experiments/threads.py).

A real model's speed can be measured without its weights: `--shape` makes random ones, and prompts of random tokens.
With them rows hardly ever end, so there is the fixed comparison only.

Run it on an otherwise free machine: OpenMP's threads wait for each other by spinning, which is fastest there,
but many times slower where something else uses one of the cores.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from data.prompts import DOCSTRING
from data.sets.registry import load_problems
from experiments.inputs.hub import load_tokenizer
from experiments.inputs.policy import choose_device, choose_dtype, encode_prompt
from experiments.options import (
    EMBEDDED,
    bad_input_is_one_line,
    check_at_least,
    check_choice,
    checkpoint_path,
    option,
    parse,
)
from rl.files.weights import load_model, save_model
from rl.model import ModelConfig, check_window, init_model
from rl.sample import sample

# Family, vocabulary, width, MLP, layers, heads, key-value heads, head width, and whether the head is the embedding, as
# the checkpoints' config.json has them.
SHAPES = {
    "qwen3-0.6b": ModelConfig("qwen3", 151936, 1024, 3072, 28, 16, 8, 128, tie_word_embeddings=True),
    "llama-3.2-1b": ModelConfig("llama", 128256, 2048, 8192, 16, 32, 8, 64, tie_word_embeddings=True),
    "qwen2.5-coder-1.5b": ModelConfig("qwen2", 151936, 1536, 8960, 28, 12, 2, 128, tie_word_embeddings=True),
    "deepseek-coder-1.3b": ModelConfig("llama", 32256, 2048, 5504, 24, 16, 16, 128),
}


@dataclass
class BenchOptions:
    model: str = option(EMBEDDED, "Hugging Face directory")
    shape: str = option("", f"random weights in this shape, in place of a model: {', '.join(SHAPES)}")
    layers: int = option(0, "with --shape: so many layers only; 0 is all")
    prompt_tokens: int = option(128, "with --shape: length of the longest prompt; the shortest is half of it")
    data: str = option("embedded", "problems whose prompts (of split test) are continued")
    batch: int = option(128, "rows in the batch")
    group_size: int = option(8, "rows that share a prompt")
    new_tokens: int = option(64, "length of every row in the fixed comparison")
    max_new_tokens: int = option(72, "longest row of the useful comparison")
    repeats: int = option(5, "timed repeats of each sampler")
    threads: int = option(2, "CPU threads")
    device: str = option("cpu", "cpu or cuda")
    dtype: str = option("", "fp32 or bf16; default fp32, and bf16 with --shape")


# (model, prompts, group size, steps, end-of-sequence token or None, repeat) -> tokens of use
Sampler = Callable[[torch.nn.Module, list[list[int]], int, int, int | None, int], int]


def main(arguments: list[str] | None = None) -> None:
    options = parse(BenchOptions, arguments, "bench.py sampler", __doc__.splitlines()[0])
    with TemporaryDirectory() as scratch:
        with bad_input_is_one_line("bench.py sampler"):
            check(options)
            options = replace(options, dtype=options.dtype or ("bf16" if options.shape else "fp32"))
            dtype = choose_dtype(options.dtype)
            if options.shape:
                directory = make_checkpoint(options, dtype, Path(scratch))
            else:
                directory = checkpoint_path(options.model)
            ours = load_model(directory, options.device, dtype)
            prompts, eos = random_prompts(options) if options.shape else read_prompts(options, directory)
            lengths = [len(prompt) for prompt in prompts]
            check_window(ours.config, max(lengths), max(options.new_tokens, options.max_new_tokens))
        # A local directory, as load_model has just read it: nothing is downloaded.
        peer = AutoModelForCausalLM.from_pretrained(directory, dtype=dtype)  # nosec B615
    torch.set_num_threads(options.threads)
    peer = peer.to(options.device).eval()
    what = f"{options.shape}, {ours.config.num_hidden_layers} layers, random" if options.shape else options.model
    print(f"{what} on {options.device}, {options.dtype}, {torch.get_num_threads()} threads")
    print(f"{len(prompts)} prompts of {min(lengths)} to {max(lengths)} tokens x {options.group_size} samples")
    print(f"{'':8}{'sampler':<14}{'median tok/s':>14}{'best':>10}{'worst':>10}   tokens a run")
    samplers = {
        "dynamic": (partial(run_ours, "dynamic"), ours),
        "static": (partial(run_ours, "static"), ours),
        "transformers": (run_peer, peer),
    }
    compare("fixed", samplers, prompts, options, options.new_tokens, None)
    if eos is not None:
        compare("useful", samplers, prompts, options, options.max_new_tokens, eos)


def make_checkpoint(options: BenchOptions, dtype: torch.dtype, directory: Path) -> Path:
    """Random weights on disk, in the shape that is asked for: as both samplers read any other model."""
    config = SHAPES[options.shape]
    config = replace(config, num_hidden_layers=options.layers or config.num_hidden_layers)
    save_model(init_model(config, seed=0), directory, dtype)
    return directory


def random_prompts(options: BenchOptions) -> tuple[list[list[int]], None]:
    """Of several lengths, and no end-of-sequence token."""
    drawn, count = random.Random(0), options.batch // options.group_size
    longest = options.prompt_tokens
    lengths = [longest - i * (longest // 2) // max(1, count - 1) for i in range(count)]
    return [[drawn.randrange(SHAPES[options.shape].vocab_size) for _ in range(length)] for length in lengths], None


def read_prompts(options: BenchOptions, directory: Path) -> tuple[list[list[int]], int]:
    """Evenly spaced over the file, so that all families and lengths take part; and the end-of-sequence token."""
    tokenizer = load_tokenizer(directory)
    problems, count = load_problems(options.data, "test"), options.batch // options.group_size
    if len(problems) < count:
        raise ValueError(f"--batch {options.batch}: {options.data} has {len(problems)} problems, too few for it")
    chosen = problems[:: len(problems) // count][:count]
    return [encode_prompt(tokenizer, problem, DOCSTRING) for problem in chosen], tokenizer.eos_token_id


def check(options: BenchOptions) -> None:
    check_at_least(options, 1, "batch", "group_size", "new_tokens", "max_new_tokens", "repeats", "threads")
    check_at_least(options, 0, "layers")
    check_at_least(options, 2, "prompt_tokens")
    if options.shape:
        check_choice("shape", options.shape, list(SHAPES))
    if options.dtype:
        choose_dtype(options.dtype)
    check_choice("device", options.device, ("cpu", "cuda"))
    choose_device(options.device)  # refuses CUDA where there is none
    if options.batch % options.group_size:
        raise ValueError(f"--batch {options.batch}: no multiple of --group-size {options.group_size}")


def compare(
    name: str,
    samplers: dict[str, tuple[Sampler, torch.nn.Module]],
    prompts: list,
    options: BenchOptions,
    steps: int,
    eos: int | None,
) -> None:
    """Time the samplers in turns and print a line for each, and ratios of their medians."""
    rates = {label: [] for label in samplers}
    counts = {label: [] for label in samplers}
    for repeat in range(options.repeats + 1):
        for label, (run, model) in samplers.items():
            start = time.perf_counter()
            count = run(model, prompts, options.group_size, steps, eos, repeat)
            if options.device == "cuda":
                torch.cuda.synchronize()
            rate = count / (time.perf_counter() - start)
            if repeat > 0:  # the first is a warm-up
                rates[label].append(rate)
                counts[label].append(count)
    for label, values in rates.items():
        figures = f"{np.median(values):>14,.0f}{max(values):>10,.0f}{min(values):>10,.0f}"
        print(f"{name:<8}{label:<14}{figures}   {round(np.median(counts[label])):,}")
    for one, other in (("dynamic", "transformers"), ("static", "dynamic")):
        ratio = np.median(rates[one]) / np.median(rates[other])
        print(f"{name:<8}{'ratio':<14}{ratio:>13.2f}x{'':>23}{one} / {other}")


def run_ours(decoder: str, model, prompts, group_size: int, steps: int, eos: int | None, repeat: int) -> int:
    completions = sample(
        model,
        prompts,
        seed=0,
        step=repeat,
        prompt_ids=range(len(prompts)),
        group_size=group_size,
        max_new_tokens=steps,
        eos_ids=[] if eos is None else [eos],
        decoder=decoder,
    )
    return sum(len(completion.ids) for completion in completions)


@torch.inference_mode()
def run_peer(model, prompts, group_size: int, steps: int, eos: int | None, repeat: int) -> int:
    torch.manual_seed(repeat)
    width, pad = max(map(len, prompts)), 0 if eos is None else eos
    rows = [[pad] * (width - len(prompt)) + prompt for prompt in prompts for _ in range(group_size)]
    masks = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts for _ in range(group_size)]
    model.generation_config.eos_token_id = eos  # None: rows never end
    out = model.generate(
        torch.tensor(rows, device=model.device),
        attention_mask=torch.tensor(masks, device=model.device),
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        use_cache=True,
        max_new_tokens=steps,
        pad_token_id=pad,
    )[:, width:]
    if eos is None:
        return out.numel()
    ended = out == eos
    before = ended.cumsum(1) - ended.long()  # end-of-sequence tokens ahead of each position
    return int((before == 0).sum())
