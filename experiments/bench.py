"""Our sampler against `transformers` `generate`: same weights, same prompts, same lengths, one process.

    python experiments/bench.py --model data/tiny --batch 128 --threads 2

Two comparisons, in repeats that alternate between the two samplers, with the median of each:

* fixed: every row gets exactly `--new-tokens` tokens; tokens per second.
* useful: rows end at their own end-of-sequence token, or after `--max-new-tokens`. Only tokens up to and with
  the end are counted: what `generate` writes behind it, to keep its batch rectangular, is of no use.

`generate` runs as it is best used for this: left padding, KV cache, plain sampling at temperature 1 without
top-k or top-p, no gradients, fp32 like ours.
"""

import argparse
import sys
import time

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from data.problems import load_problems
from data.prompts import build_prompt
from rl.model import load_model
from rl.sample import sample


def main():
    options = parse_options()
    torch.set_num_threads(options.threads)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    ours = load_model(options.model, options.device)
    peer = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).to(options.device).eval()
    prompts = read_prompts(options, tokenizer)
    lengths = [len(prompt) for prompt in prompts]
    print(f"{options.model} on {options.device}, fp32, {torch.get_num_threads()} threads")
    print(f"{len(prompts)} prompts of {min(lengths)} to {max(lengths)} tokens x {options.group_size} samples")
    print(f"{'':8}{'sampler':<14}{'median tok/s':>14}{'best':>10}{'worst':>10}   tokens a run")
    for name, steps, eos in (
        ("fixed", options.new_tokens, None),
        ("useful", options.max_new_tokens, tokenizer.eos_token_id),
    ):
        rates = {"ours": [], "transformers": []}
        counts = {"ours": [], "transformers": []}
        for repeat in range(options.repeats + 1):
            for label, run in (("ours", run_ours), ("transformers", run_peer)):
                model = ours if label == "ours" else peer
                start = time.perf_counter()
                count = run(model, prompts, options.group_size, steps, eos, repeat)
                seconds = time.perf_counter() - start
                if repeat > 0:  # the first is a warm-up
                    rates[label].append(count / seconds)
                    counts[label].append(count)
        for label, values in rates.items():
            figures = f"{np.median(values):>14,.0f}{max(values):>10,.0f}{min(values):>10,.0f}"
            print(f"{name:<8}{label:<14}{figures}   {round(np.median(counts[label])):,}")
        print(f"{name:<8}{'ratio':<14}{np.median(rates['ours']) / np.median(rates['transformers']):>13.2f}x")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="data/tiny", help="Hugging Face directory")
    parser.add_argument("--data", default="embedded", help="problems whose prompts are used (split test)")
    parser.add_argument("--batch", type=int, default=128, help="rows in the batch")
    parser.add_argument("--group-size", type=int, default=8, help="rows that share a prompt")
    parser.add_argument(
        "--new-tokens", type=int, default=64, help="length of each row in the fixed comparison"
    )
    parser.add_argument("--max-new-tokens", type=int, default=72, help="longest row of the useful comparison")
    parser.add_argument("--repeats", type=int, default=5, help="timed repeats of each sampler")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args()
    if options.batch % options.group_size:
        parser.error(f"--batch {options.batch} is no multiple of --group-size {options.group_size}")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: no CUDA device is available")
    return options


def read_prompts(options, tokenizer) -> list[list[int]]:
    """Evenly spaced over the file, so that all families and lengths take part."""
    problems, count = load_problems(options.data, "test"), options.batch // options.group_size
    if len(problems) < count:
        raise SystemExit(f"{options.data}: {len(problems)} problems, --batch {options.batch} needs {count}")
    chosen = problems[:: len(problems) // count][:count]
    return [tokenizer(build_prompt(problem)).input_ids for problem in chosen]


def run_ours(model, prompts, group_size: int, steps: int, eos: int | None, repeat: int) -> int:
    completions = sample(
        model,
        prompts,
        seed=0,
        step=repeat,
        prompt_ids=range(len(prompts)),
        group_size=group_size,
        max_new_tokens=steps,
        eos_ids=[] if eos is None else [eos],
    )
    return sum(len(completion.ids) for completion in completions)


@torch.inference_mode()
def run_peer(model, prompts, group_size: int, steps: int, eos: int | None, repeat: int) -> int:
    torch.manual_seed(repeat)
    width, pad = max(map(len, prompts)), 0 if eos is None else eos
    rows = [[pad] * (width - len(prompt)) + prompt for prompt in prompts for _ in range(group_size)]
    masks = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts for _ in range(group_size)]
    out = model.generate(
        torch.tensor(rows, device=model.device),
        attention_mask=torch.tensor(masks, device=model.device),
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        use_cache=True,
        max_new_tokens=steps,
        min_new_tokens=steps if eos is None else None,
        eos_token_id=-1 if eos is None else eos,
        pad_token_id=pad,
    )[:, width:]
    if eos is None:
        return out.numel()
    ended = out == eos
    before = ended.cumsum(1) - ended.long()  # end-of-sequence tokens ahead of each position
    return int((before == 0).sum())


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        print(f"bench.py: error: {error}", file=sys.stderr)
        sys.exit(2)
