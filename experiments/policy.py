"""From a checkpoint directory to something that answers problems, and from its answers to judged rollouts."""

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from data.problems import Problem
from data.prompts import build_prompt, extract_program
from experiments.options import EMBEDDED, check_choice, checkpoint_path, nearest
from rewards.components import REWARDS
from rl.lora import load_adapter
from rl.model import Decoder, load_model, read_json
from rl.rollout import Rollout
from rl.sample import sample
from sandbox import Judge, Limits, Outcome, Stage, Task, WeakSandbox


@dataclass
class Policy:
    """A model with its tokenizer and the tokens that end an answer."""

    model: Decoder
    tokenizer: PreTrainedTokenizerBase
    eos_ids: tuple[int, ...]


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
    return Policy(model, tokenizer, read_eos(path, tokenizer))


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
) -> list[Rollout]:
    """`group_size` sampled answers to each problem, problem by problem. Temperature 0 is greedy."""
    prompts = encode_prompts(policy.tokenizer, problems)
    completions = sample(
        policy.model,
        prompts,
        seed=seed,
        step=step,
        prompt_ids=[problem.task_id for problem in problems],
        group_size=group_size,
        max_new_tokens=max_new_tokens,
        eos_ids=policy.eos_ids,
        temperature=temperature,
    )
    texts = policy.tokenizer.batch_decode([completion.ids for completion in completions], skip_special_tokens=True)
    rollouts = []
    for index, (completion, text) in enumerate(zip(completions, texts, strict=True)):
        problem, prompt = problems[index // group_size], prompts[index // group_size]
        rollouts.append(
            Rollout(
                prompt_id=problem.task_id,
                sample=index % group_size,
                prompt=prompt,
                completion=completion.ids,
                log_probs=completion.log_probs,
                finish=completion.finish,
                text=text,
                program=extract_program(text),
            )
        )
    return rollouts


def reference_rollouts(policy: Policy, problems: list[Problem]) -> list[Rollout]:
    """Each problem's reference solution as if the policy had written it, with its end of sequence, for SFT."""
    prompts = encode_prompts(policy.tokenizer, problems)
    rollouts = []
    for problem, prompt in zip(problems, prompts, strict=True):
        code = problem.code.rstrip()  # what ends an answer is the token, not an empty line
        ids = policy.tokenizer(code, add_special_tokens=False).input_ids + [policy.eos_ids[0]]
        rollouts.append(Rollout(problem.task_id, 0, prompt, ids, [], "eos", code, (0, len(code))))
    return rollouts


def start_judge(slots: int, cpu_seconds: float, allow_weak: bool) -> Judge:
    """The sandbox. ValueError, one line, where it does not start or is too weak to run what a model writes.

    A program has `cpu_seconds` for all its tests: one that loops on a test loops on most, and loops must stay cheap.
    CPU time decides; elapsed time is for programs that sleep, and so wide that a busy machine changes nothing.
    """
    limits = Limits(
        test_cpu_seconds=cpu_seconds,
        program_cpu_seconds=cpu_seconds,
        test_wall_seconds=5 * cpu_seconds,
        program_wall_seconds=5 * cpu_seconds,
    )
    try:
        return Judge(slots, limits, allow_weak=allow_weak)
    except WeakSandbox as error:
        raise ValueError(f"{error}; --allow-weak-sandbox goes on all the same") from None
    except RuntimeError as error:  # its processes do not start here
        raise ValueError(str(error)) from None


def judge_rollouts(judge: Judge, problems: list[Problem], rollouts: list[Rollout], reward: str) -> None:
    """Runs each rollout's program against its problem's tests; fills in outcome, reward and components."""
    by_id = {problem.task_id: problem for problem in problems}
    outcomes = judge.run([make_task(by_id[rollout.prompt_id], rollout) for rollout in rollouts])
    for rollout, outcome in zip(rollouts, outcomes, strict=True):
        rollout.outcome = outcome_record(outcome)
        rollout.components = {reward: REWARDS[reward](outcome)}
        rollout.reward = rollout.components[reward]


def make_task(problem: Problem, rollout: Rollout) -> Task:
    start, stop = rollout.program
    return Task(rollout.text[start:stop], problem.test_list, problem.entry_point, problem.test_setup_code)


def has_passed(rollout: Rollout) -> bool:
    """Whether a judged rollout passed every test."""
    return rollout.outcome["stage"] == Stage.PASSED.name


def outcome_record(outcome: Outcome) -> dict:
    """The outcome as plain data, a word a test; what the program printed is left out."""
    record = outcome.to_dict()
    del record["output"], record["lines"]
    return record | {"tests": [test.word for test in outcome.tests]}
