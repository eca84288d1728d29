"""Our sampler and `transformers`' `generate`: same weights, prompts and lengths, one process.

    python experiments/bench.py sampler --model data/tiny --batch 128 --threads 2
    python experiments/bench.py sampler --shape qwen3-0.6b --layers 4 --batch 16   # random weights, bf16

Two comparisons of tokens per second, in repeats that alternate between the samplers:

* fixed: every row gets exactly `--new-tokens` tokens.
* useful: rows end at their end-of-sequence token, or after `--max-new-tokens`. Only tokens up to this end count.

Our decoders: "dynamic" has growing and shrinking shapes; "static" has fixed shapes, and replays CUDA graphs on CUDA.
`generate` runs with left padding, KV cache, plain sampling at temperature 1 without top-k and top-p, and no gradients.

`--shape` needs no weights: they are random, and so are the prompts. Such rows hardly ever end, so there is only the
fixed comparison. Use an otherwise free machine: busy cores slow OpenMP's threads down (experiments/__init__.py).
"""

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from transformers import AutoModelForCausalLM

from data.prompts import DOCSTRING
from data.sets.registry import load_problems
from experiments.benchmarks.tools import BenchTable
from experiments.inputs.hub import EMBEDDED, checkpoint_path, load_tokenizer
from experiments.inputs.policy import choose_device, choose_dtype, encode_prompt
from experiments.options import bad_input_is_one_line, option, parse
from rl.files.weights import load_model, save_model
from rl.model import ModelConfig, check_window, init_model
from rl.sample import sample

# Family, vocabulary, width, MLP, layers, heads, key-value heads, head width, tied head: as in each config.json.
SHAPES = {
    "qwen3-0.6b": ModelConfig("qwen3", 151936, 1024, 3072, 28, 16, 8, 128, tie_word_embeddings=True),
    "llama-3.2-1b": ModelConfig("llama", 128256, 2048, 8192, 16, 32, 8, 64, tie_word_embeddings=True),
    "qwen2.5-coder-1.5b": ModelConfig("qwen2", 151936, 1536, 8960, 28, 12, 2, 128, tie_word_embeddings=True),
    "deepseek-coder-1.3b": ModelConfig("llama", 32256, 2048, 5504, 24, 16, 16, 128),
}


@dataclass
class SamplerBenchOptions:
    model: str = option(EMBEDDED, "Hugging Face directory")
    shape: str | None = option(None, "no model, but random weights in this shape", kind=str, choices=tuple(SHAPES))
    layers: int = option(0, "with --shape: number of layers; 0 is all", least=0)
    prompt_tokens: int = option(128, "with --shape: tokens of the longest prompt; the shortest has half", least=2)
    data: str = option("embedded", "problems; the prompts are those of the test split")
    batch: int = option(128, "rows in the batch", least=1)
    group_size: int = option(8, "rows of each prompt", least=1)
    new_tokens: int = option(64, "tokens of every row in the fixed comparison", least=1)
    max_new_tokens: int = option(72, "most tokens of a row in the useful comparison", least=1)
    repeats: int = option(5, "timed repeats of each sampler", least=1)
    threads: int = option(2, "CPU threads", least=1)
    device: str = option("cpu", "auto, cpu or cuda")
    dtype: str = option("", "fp32 or bf16; default fp32, and bf16 with --shape")


# A sampler: (prompts, group size, steps, end-of-sequence token or None, repeat) -> number of useful tokens
Sampler = Callable[[list[list[int]], int, int, int | None, int], int]


def main(arguments: list[str] | None = None) -> None:
    options = parse(SamplerBenchOptions, arguments, "bench.py sampler", __doc__.splitlines()[0])
    with TemporaryDirectory() as scratch:
        with bad_input_is_one_line("bench.py sampler"):
            if options.batch % options.group_size:
                raise ValueError(f"--batch {options.batch}: no multiple of --group-size {options.group_size}")
            options = replace(options, dtype=options.dtype or ("bf16" if options.shape else "fp32"))
            device, dtype = choose_device(options.device), choose_dtype(options.dtype)
            if options.shape:
                config = SHAPES[options.shape]
                config = replace(config, num_hidden_layers=options.layers or config.num_hidden_layers)
                directory = Path(scratch)
                save_model(init_model(config, seed=0), directory, dtype)
                prompts, eos = random_prompts(options, config.vocab_size), None
            else:
                directory = checkpoint_path(options.model)
                prompts, eos = read_prompts(options, directory)
            ours = load_model(directory, device, dtype)
            lengths = [len(prompt) for prompt in prompts]
            check_window(ours.config, max(lengths), max(options.new_tokens, options.max_new_tokens))
        peer = AutoModelForCausalLM.from_pretrained(directory, dtype=dtype).to(device).eval()  # local  # nosec B615
    torch.set_num_threads(options.threads)
    what = f"{options.shape}, {ours.config.num_hidden_layers} layers, random" if options.shape else options.model
    print(f"{what} on {device.type}, {options.dtype}, {torch.get_num_threads()} threads")
    print(f"{len(prompts)} prompts of {min(lengths)} to {max(lengths)} tokens x {options.group_size} samples")
    samplers = {
        "dynamic": partial(run_ours, "dynamic", ours),
        "static": partial(run_ours, "static", ours),
        "transformers": partial(run_transformers, peer),
    }
    rows = time_samplers("fixed", samplers, prompts, options, options.new_tokens, None)
    if eos is not None:
        rows += time_samplers("useful", samplers, prompts, options, options.max_new_tokens, eos)
    print(BenchTable("", ("tokens", "sampler", "median tok/s", "best", "worst", "tokens a run"), rows).text())


def random_prompts(options: SamplerBenchOptions, vocab_size: int) -> list[list[int]]:
    """Prompts of several lengths."""
    drawn, count, longest = random.Random(0), options.batch // options.group_size, options.prompt_tokens
    lengths = [longest - i * (longest // 2) // max(1, count - 1) for i in range(count)]
    return [[drawn.randrange(vocab_size) for _ in range(length)] for length in lengths]


def read_prompts(options: SamplerBenchOptions, directory: Path) -> tuple[list[list[int]], int]:
    """Prompts evenly spaced over the problems, and the end-of-sequence token."""
    tokenizer = load_tokenizer(directory)
    problems, count = load_problems(options.data, "test"), options.batch // options.group_size
    if len(problems) < count:
        raise ValueError(f"--batch {options.batch}: {options.data} has only {len(problems)} problems")
    chosen = problems[:: len(problems) // count][:count]
    return [encode_prompt(tokenizer, problem, DOCSTRING) for problem in chosen], tokenizer.eos_token_id


def time_samplers(
    name: str, samplers: dict[str, Sampler], prompts: list, options: SamplerBenchOptions, steps: int, eos: int | None
) -> list[tuple[str, ...]]:
    """Time the samplers in turns: a row for each, and rows with the ratios of their medians."""
    rates, counts = {label: [] for label in samplers}, {label: [] for label in samplers}
    for repeat in range(options.repeats + 1):
        for label, run in samplers.items():
            start = time.perf_counter()
            count = run(prompts, options.group_size, steps, eos, repeat)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if repeat:  # the first is a warm-up
                rates[label].append(count / (time.perf_counter() - start))
                counts[label].append(count)
    medians = {label: statistics.median(values) for label, values in rates.items()}
    rows = []
    for label, values in rates.items():
        speeds = (f"{speed:,.0f}" for speed in (medians[label], max(values), min(values)))
        rows.append((name, label, *speeds, f"{statistics.median(counts[label]):,.0f}"))
    for one, other in (("dynamic", "transformers"), ("static", "dynamic")):
        rows.append((name, "ratio", f"{medians[one] / medians[other]:.2f}x", "", "", f"{one} / {other}"))
    return rows


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
def run_transformers(model, prompts, group_size: int, steps: int, eos: int | None, repeat: int) -> int:
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
    before = ended.cumsum(1) - ended.long()  # end-of-sequence tokens before each position
    return int((before == 0).sum())
