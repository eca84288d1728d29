"""The measured memory of a training step, and the estimate of inputs/memory.py: two steps of GSPO, and sampling.

    python experiments/bench.py memory --shape qwen3-0.6b --dtype bf16 --gradient-checkpointing

The weights are random, no program runs, and every completion uses its whole budget. CUDA's allocator reports its peak.
On the CPU, the bytes of all live tensors are counted after every operation, without the kernels' own scratch memory.
"""

import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from experiments.benchmarks.sampler import SHAPES
from experiments.benchmarks.tools import BenchTable
from experiments.inputs import memory
from experiments.inputs.hub import EMBEDDED, checkpoint_path
from experiments.inputs.policy import choose_device, choose_dtype
from experiments.options import bad_input_is_one_line, option, parse
from rl import gspo
from rl.files.config import read_config
from rl.learner import Learner, Settings
from rl.lora import add_lora
from rl.model import Decoder, ModelConfig, check_window, init_model
from rl.rollout import Rollout
from rl.sample import sample


@dataclass
class MemoryBenchOptions:
    model: str = option(EMBEDDED, "directory with a config.json")
    shape: str | None = option(None, "instead of a model: a known shape", kind=str, choices=tuple(SHAPES))
    prompts: int = option(16, "prompts of the step", least=1)
    group_size: int = option(8, "samples a prompt", least=1)
    prompt_tokens: int = option(150, "tokens of every prompt", least=1)
    max_new_tokens: int = option(72, "tokens of every completion", least=1)
    lora_rank: int = option(8, "rank of the LoRA layers", least=1)
    microbatch_rows: int = option(128, "most rollouts in memory at a time", least=1)
    microbatch_tokens: int = option(0, "most padded tokens in memory at a time; 0 is no limit", least=0)
    gradient_checkpointing: bool = option(False, "recompute activations to save memory")
    dtype: str = option("fp32", "fp32 or bf16")
    device: str = option("auto", "auto, cpu or cuda")


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all live storages, and their peak. `known`: tensors that exist already."""

    def __init__(self, known: Iterable[Tensor] = ()):
        super().__init__()
        self.live = self.peak = 0
        self.storages: set[int] = set()
        for tensor in known:
            self.note(tensor)

    def note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()  # the same object as long as the memory is held
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


def measure_peak(device: torch.device, known: Iterable[Tensor], work: Callable[[], object]) -> int:
    """Most bytes at once while `work` runs."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return torch.cuda.max_memory_allocated(device)
    with LiveBytes(known) as count:
        work()
    return count.peak


def main(arguments: list[str] | None = None) -> None:
    options = parse(MemoryBenchOptions, arguments, "bench.py memory", __doc__.splitlines()[0])
    with bad_input_is_one_line("bench.py memory"):
        device, dtype = choose_device(options.device), choose_dtype(options.dtype)
        config = SHAPES[options.shape] if options.shape else read_config(checkpoint_path(options.model))
        check_window(config, options.prompt_tokens, options.max_new_tokens)
    parts, peaks = measure_step(options, config, device, dtype)
    estimates = {name: sum(parts["stays"].values()) + sum(parts[name].values()) for name in peaks}
    rows = [(name, f"{estimates[name] / 1e9:.3f}", f"{peak / 1e9:.3f}") for name, peak in peaks.items()]
    title = f"{options.shape or options.model}, {options.dtype}, on {device.type}; in GB"
    print(BenchTable(title, ("peak of", "estimated", "measured"), rows).text())


def measure_step(
    options: MemoryBenchOptions, config: ModelConfig, device: torch.device, dtype: torch.dtype
) -> tuple[dict, dict[str, int]]:
    """The parts of the estimate, and the measured peaks of sampler and learner, all in bytes."""
    names = memory.Load.__dataclass_fields__.keys() & vars(options).keys()
    sampled = ((options.prompts, options.prompts * options.group_size),)
    load = memory.Load(**{name: getattr(options, name) for name in names}, sampled=sampled)
    model = init_model(config, seed=0).to(device, dtype)
    add_lora(model, options.lora_rank, 2.0 * options.lora_rank)
    settings = {name: getattr(options, name) for name in Settings.__dataclass_fields__.keys() & vars(options).keys()}
    learner = Learner(model, Settings(lr=1e-5, steps=2, **settings))
    random = Random(0)
    prompts = [random.choices(range(config.vocab_size), k=options.prompt_tokens) for _ in range(options.prompts)]
    rollouts = make_rollouts(model, prompts, options)

    def learn() -> None:
        # Two steps: in the first the optimizer has no moments yet.
        gspo.train(learner, lambda step: rollouts, lambda batch, metrics: None, gspo.Options())

    known = list(model.parameters())
    learning = measure_peak(device, known, learn)
    known += [p.grad for p in known if p.grad is not None]
    known += [moment for state in learner.optimizer.state.values() for moment in state.values()]
    sampling = measure_peak(device, known, lambda: make_rollouts(model, prompts, options))
    return memory.estimate(config, load), {"sampler": sampling, "learner": learning}


def make_rollouts(model: Decoder, prompts: list[list[int]], options: MemoryBenchOptions) -> list[Rollout]:
    """A group of samples for each prompt, each with the whole budget. Rewards differ within a group."""
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
    places = [divmod(place, options.group_size) for place in range(len(completions))]
    return [
        Rollout(which, index, prompts[which], c.ids, c.log_probs, c.finish_reason, "", reward=index % 2)
        for (which, index), c in zip(places, completions, strict=True)
    ]
