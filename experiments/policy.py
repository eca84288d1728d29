"""From a checkpoint directory to something that answers problems, and from its answers to judged rollouts."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from data.problems import Problem
from data.prompts import build_prompt, extract_program
from experiments.options import EMBEDDED, check_choice, checkpoint_path, nearest
from rl import credit
from rl.lora import load_adapter
from rl.model import Decoder, load_model, read_json
from rl.rollout import Rollout
from rl.sample import Completion, sample


@dataclass
class Policy:
    """A model with its tokenizer and the tokens that end an answer."""

    model: Decoder
    tokenizer: PreTrainedTokenizerBase
    eos_ids: tuple[int, ...]
    vocabulary: list[bytes]  # what each token stands for
    leading_spaces: int  # that the tokenizer takes off a text's beginning

    def decode(self, ids: list[int]) -> tuple[str, list[tuple[int, int]]]:
        """The text of tokens, and for each of them the range of characters that it holds a byte of."""
        return credit.decode([self.vocabulary[i] for i in ids], self.leading_spaces)


def load_policy(directory: str, adapter: str, device: str, dtype: str) -> Policy:
    """Reads a Hugging Face directory and, unless "" is given, a PEFT adapter. ValueError, one line, for bad input."""
    path = checkpoint_path(directory)
    if not path.is_dir():
        near = nearest(directory, [str(p) for p in path.parent.glob("*") if p.is_dir()] + [EMBEDDED])
        raise ValueError(f"--model: no directory {directory!r}; the embedded checkpoint is {EMBEDDED}{near}")
    model = load_model(path, device=choose_device(device), dtype=choose_dtype(dtype))
    if adapter:
        load_adapter(model, adapter)
    if not (path / "tokenizer.json").is_file():
        raise ValueError(f"{path}: no tokenizer.json")
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)  # nosec B615: a directory, no download
    return Policy(
        model,
        tokenizer,
        read_eos(path, tokenizer),
        credit.token_bytes(tokenizer, model.config.vocab_size),
        credit.leading_spaces(tokenizer),
    )


def read_eos(directory: Path, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """The end-of-sequence ids of generation_config.json (one or a list), or else the tokenizer's."""
    path = directory / "generation_config.json"
    found = read_json(path).get("eos_token_id") if path.is_file() else None
    found = tokenizer.eos_token_id if found is None else found
    ids = tuple(found) if isinstance(found, list) else (found,)
    if not all(isinstance(i, int) for i in ids):
        raise ValueError(f"{path}: eos_token_id: {found!r} is no token id, and the tokenizer names none")
    return ids


def choose_device(name: str) -> torch.device:
    """ "auto" is CUDA where there is one. Asking for CUDA without having it is an error."""
    check_choice("device", name, ("auto", "cpu", "cuda"))
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: this machine (or this build of torch) has no CUDA device; use --device cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def choose_dtype(name: str) -> torch.dtype:
    check_choice("dtype", name, ("fp32", "bf16"))
    return {"fp32": torch.float32, "bf16": torch.bfloat16}[name]


def encode_prompts(tokenizer: PreTrainedTokenizerBase, problems: list[Problem]) -> list[list[int]]:
    """The token ids of each problem's prompt."""
    return [tokenizer(build_prompt(problem), add_special_tokens=False).input_ids for problem in problems]


def answer(
    policy: Policy,
    problems: list[Problem],
    *,
    seed: int,
    step: int,
    group_size: int,
    max_new_tokens: int,
    temperature: float,
    on_rollouts: Callable[[list[Rollout]], object] = lambda rollouts: None,
) -> list[Rollout]:
    """`group_size` sampled answers to each problem, problem by problem. Temperature 0 is greedy.

    `on_rollouts` is handed answers as they end, while others are still being written.
    """
    prompts = encode_prompts(policy.tokenizer, problems)
    rollouts: dict[int, Rollout] = {}

    def hand_on(finished: list[tuple[int, Completion]]) -> None:
        fresh = {}
        for place, completion in finished:
            which, index = divmod(place, group_size)
            fresh[place] = make_rollout(policy, problems[which], index, prompts[which], completion)
        rollouts.update(fresh)
        on_rollouts(list(fresh.values()))

    sample(
        policy.model,
        prompts,
        seed=seed,
        step=step,
        prompt_ids=[problem.task_id for problem in problems],
        group_size=group_size,
        max_new_tokens=max_new_tokens,
        eos_ids=policy.eos_ids,
        temperature=temperature,
        on_finished=hand_on,
    )
    return [rollouts[place] for place in range(len(prompts) * group_size)]


def make_rollout(policy: Policy, problem: Problem, index: int, prompt: list[int], completion: Completion) -> Rollout:
    """A completion as the record that goes on from here. Its text is what the sampled tokens' bytes say, so that a
    place in the text is a place in the tokens."""
    text, _ = policy.decode(completion.ids)
    return Rollout(
        prompt_id=problem.task_id,
        sample=index,
        prompt=prompt,
        completion=completion.ids,
        log_probs=completion.log_probs,
        finish=completion.finish,
        text=text,
        program=extract_program(text),
    )


SOLUTIONS = {"code": ("code",), "unsafe": ("unsafe",), "both": ("code", "unsafe")}  # fields of a problem


def reference_rollouts(policy: Policy, problems: list[Problem], solutions: str) -> list[Rollout]:
    """Each problem's solutions of the kind asked for, as if the policy had written them, with the end of sequence."""
    rollouts = []
    for problem, prompt in zip(problems, encode_prompts(policy.tokenizer, problems), strict=True):
        for index, name in enumerate(SOLUTIONS[solutions]):
            code = getattr(problem, name).rstrip()  # what ends an answer is the token, not an empty line
            ids = policy.tokenizer(code, add_special_tokens=False).input_ids + [policy.eos_ids[0]]
            rollouts.append(Rollout(problem.task_id, index, prompt, ids, [], "eos", code, extract_program(code)))
    return rollouts
