"""What a step really takes in memory, beside what inputs/memory.py estimates: two steps of GSPO, and sampling.

    python experiments/bench.py memory --shape qwen3-0.6b --dtype bf16 --gradient-checkpointing

Of a model only config.json is read: the weights are random, and nothing is executed or rewarded. Every completion
uses its whole budget. On CUDA the allocator is asked for its peak; on the CPU the bytes of all tensors that are alive
are counted at every operation (what a kernel takes and gives back within one is not seen).
"""

import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from experiments.benchmarks.sampler import SHAPES
from experiments.inputs import memory
from experiments.inputs.policy import choose_device, choose_dtype
from experiments.options import (
    EMBEDDED,
    bad_input_is_one_line,
    check_at_least,
    check_choice,
    checkpoint_path,
    option,
    parse,
)
from rl import gspo
from rl.files.config import read_config
from rl.learner import Learner, Settings
from rl.lora import add_lora
from rl.model import Decoder, ModelConfig, check_window, init_model
from rl.rollout import Rollout
from rl.sample import sample


@dataclass
class BenchOptions:
    model: str = option(EMBEDDED, "directory with a config.json")
    shape: str = option("", f"a known shape in place of a model: {', '.join(SHAPES)}")
    prompts: int = option(16, "prompts of the step")
    group_size: int = option(8, "samples a prompt")
    prompt_tokens: int = option(150, "length of every prompt")
    max_new_tokens: int = option(72, "length of every completion")
    lora_rank: int = option(8, "rank of the LoRA layers")
    microbatch_rows: int = option(128, "rollouts in memory at a time, at most")
    microbatch_tokens: int = option(0, "padded tokens in memory at a time, at most; 0 is any number")
    gradient_checkpointing: bool = option(False, "recompute activations to save memory")
    dtype: str = option("fp32", "fp32 or bf16")
    device: str = option("auto", "auto, cpu or cuda")


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of the storages that are alive, those of `known` included, and their peak."""

    def __init__(self, known: Iterable[Tensor] = ()):
        super().__init__()
        self.live = self.peak = 0
        self.storages: set[int] = set()
        for tensor in known:
            self.note(tensor)

    def note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()  # one and the same object for as long as the memory is held
        if id(storage) not in self.storages:
            self.storages.add(id(storage))
            self.live += storage.nbytes()
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self.forget, id(storage), storage.nbytes())

    def forget(self, key: int, size: int) -> None:
        self.storages.remove(key)
        self.live -= size

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        made = operation(*args, **(kwargs or {}))
        for item in made if isinstance(made, (tuple, list)) else (made,):
            if isinstance(item, Tensor):
                self.note(item)
        return made


@contextmanager
def measured(device: torch.device, known: Iterable[Tensor]) -> Iterator[SimpleNamespace]:
    """Inside, memory is watched; `known` are the tensors that are there already. Then `peak` is the most that there was
    at once, in bytes."""
    found = SimpleNamespace()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield found
        found.peak = torch.cuda.max_memory_allocated(device)
    else:
        with LiveBytes(known) as count:
            yield found
        found.peak = count.peak


def main(arguments: list[str] | None = None) -> None:
    options = parse(BenchOptions, arguments, "bench.py memory", __doc__.splitlines()[0])
    with bad_input_is_one_line("bench.py memory"):
        positive = "prompts group_size prompt_tokens max_new_tokens lora_rank microbatch_rows"
        check_at_least(options, 1, *positive.split())
        check_at_least(options, 0, "microbatch_tokens")
        device, dtype = choose_device(options.device), choose_dtype(options.dtype)
        if options.shape:
            check_choice("shape", options.shape, tuple(SHAPES))
        config = SHAPES[options.shape] if options.shape else read_config(checkpoint_path(options.model))
        check_window(config, options.prompt_tokens, options.max_new_tokens)
    parts, peaks = run(options, config, device, dtype)
    print(f"{options.shape or options.model}, {options.dtype}, on {device.type}; in GB")
    print(f"{'':10}{'estimated':>12}{'measured':>12}")
    for name, peak in peaks.items():
        estimated = sum(parts["stays"].values()) + sum(parts[name].values())
        print(f"{name:10}{estimated / 1e9:>12.3f}{peak / 1e9:>12.3f}")


def run(
    options: BenchOptions, config: ModelConfig, device: torch.device, dtype: torch.dtype
) -> tuple[dict, dict[str, int]]:
    """The estimate's parts, and the measured peaks of sampler and learner."""
    names = memory.Load.__dataclass_fields__.keys() & vars(options).keys()
    sampled = ((options.prompts, options.prompts * options.group_size),)
    load = memory.Load(**{name: getattr(options, name) for name in names}, sampled=sampled)
    model = init_model(config, seed=0).to(device, dtype)
    add_lora(model, options.lora_rank, 2.0 * options.lora_rank)
    settings = {name: getattr(options, name) for name in Settings.__dataclass_fields__.keys() & vars(options).keys()}
    learner = Learner(model, Settings(lr=1e-5, steps=2, **settings))
    random = Random(0)
    prompts = [random.choices(range(config.vocab_size), k=options.prompt_tokens) for _ in range(options.prompts)]
    rollouts = answers(model, prompts, options)
    known = list(model.parameters())
    with measured(device, known) as learning:
        # Two steps, for in the first the optimizer has no moments yet.
        gspo.train(learner, lambda step: rollouts, lambda batch, metrics: None, gspo.Options())
    known += [p.grad for p in known if p.grad is not None]
    known += [moment for state in learner.optimizer.state.values() for moment in state.values()]
    with measured(device, known) as sampling:
        answers(model, prompts, options)
    return memory.estimate(config, load), {"sampler": sampling.peak, "learner": learning.peak}


def answers(model: Decoder, prompts: list[list[int]], options: BenchOptions) -> list[Rollout]:
    """A group of samples for each prompt, each of the whole budget, with rewards that differ within the group."""
    completions = sample(
        model,
        prompts,
        seed=0,
        step=0,
        prompt_ids=range(len(prompts)),
        group_size=options.group_size,
        max_new_tokens=options.max_new_tokens,
        eos_ids=[],
    )
    rollouts = []
    for i, c in enumerate(completions):
        which, index = divmod(i, options.group_size)
        rollouts.append(
            Rollout(which, index, prompts[which], c.ids, c.log_probs, c.finish_reason, "", reward=index % 2)
        )
    return rollouts
