"""From a checkpoint to something that answers problems, and from its answers to judged rollouts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jinja2
import torch
from transformers import PreTrainedTokenizerBase

from data.problems import Problem
from data.prompts import (
    CHATS,
    DOCSTRING,
    OWN_SHOTS,
    RULES,
    STYLES,
    Asking,
    build_messages,
    build_prompt,
    continues_stub,
    end_marks,
    has_ended,
    read_answer,
    write_answer,
)
from experiments.inputs.hub import find_checkpoint, load_tokenizer, read_eos
from experiments.inputs.memory import check_room
from experiments.options import check_choice
from rl import credit
from rl.files.config import read_config, read_json
from rl.lora import load_adapter
from rl.model import Decoder, load_model
from rl.rollout import Rollout
from rl.sample import Completion, sample

PROMPTS = ("auto", *STYLES)
STOPS = ("style", "eos")
DEVICES = ("auto", "cpu", "cuda")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
# Llama 3.2's template tells the model the date, today's unless another is given: a run that is resumed tomorrow would
# ask other prompts. Which date it is does not matter; this one is of the model's own time.
TEMPLATE_DATE = "26 Jul 2024"
# What a chat template can raise: jinja2's own errors, and Python's of the expressions in it.
TEMPLATE_ERRORS = (
    *(jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError),
)


@dataclass
class Policy:
    """A model with its tokenizer, the tokens that end an answer, and the way in which it is asked."""

    model: Decoder
    tokenizer: PreTrainedTokenizerBase
    eos_ids: tuple[int, ...]
    vocabulary: list[bytes]  # what each token stands for
    leading_spaces: int  # that the tokenizer takes off a text's beginning
    asking: Asking = DOCSTRING
    decoder: str = "dynamic"  # of the sampler: rl.sample.DECODERS

    def decode(self, ids: list[int]) -> tuple[str, list[tuple[int, int]]]:
        """The text of tokens, and for each of them the range of characters that it holds a byte of."""
        return credit.decode([self.vocabulary[i] for i in ids], self.leading_spaces)


def load_policy(
    directory: str,
    adapter: str,
    device: str,
    dtype: str,
    *,
    prompt: str = "auto",
    thinking: bool = False,
    extract: str = "first",
    stop: str = "style",
    shots: Sequence[Problem] = (),
    decoder: str = "dynamic",
) -> Policy:
    """Reads a checkpoint (a directory, or a repository of the hub) and, unless "" is given, a PEFT adapter.

    How it is asked: `prompt` is a style of data/prompts.py, or "auto" (choose_style); `thinking` lets it think before
    it answers; `extract` is the rule for its programs; `stop` "style" ends answers where the style ends them, "eos"
    where the model does; `shots` are solved problems for the few-shot style. `decoder` is the sampler's (rl/sample.py).

    ValueError, one line, for bad input.
    """
    path, _ = find_checkpoint(directory)
    tokenizer, asking = open_tokenizer(path, prompt, thinking, extract, stop, shots)
    # All that the tokenizer may be refused for comes before the weights, which take a while.
    eos_ids, leading_spaces = read_eos(path, tokenizer), credit.leading_spaces(tokenizer)
    vocabulary = credit.token_bytes(tokenizer, read_config(path).vocab_size)
    check_room(path, read_config(path), choose_device(device), choose_dtype(dtype))
    model = load_model(path, device=choose_device(device), dtype=choose_dtype(dtype))
    if adapter:
        load_adapter(model, adapter)
    return Policy(model, tokenizer, eos_ids, vocabulary, leading_spaces, asking, decoder)


def open_tokenizer(
    path: Path, prompt: str, thinking: bool, extract: str, stop: str, shots: Sequence[Problem]
) -> tuple[PreTrainedTokenizerBase, Asking]:
    """A checkpoint's tokenizer, and how to ask its model: what load_policy does before it reads the weights."""
    tokenizer = load_tokenizer(path)
    check_choice("extract", extract, RULES)
    check_choice("stop", stop, STOPS)
    asking = Asking(choose_style(prompt, path, tokenizer), thinking, extract, stop == "style", tuple(shots))
    if asking.style in CHATS:
        asking = try_template(tokenizer, asking)
    elif thinking:
        raise ValueError(f"--thinking: is for prompts through a chat template, and the style here is {asking.style}")
    return tokenizer, asking


def choose_style(prompt: str, directory: Path, tokenizer: PreTrainedTokenizerBase) -> str:
    """The style that is asked for. "auto" is the one that config.json names (`prompt`, as in ours), or else "chat" if
    the tokenizer has a chat template, or else "few-shot"."""
    check_choice("prompt", prompt, PROMPTS)
    if prompt == "auto":
        path = directory / "config.json"
        named = read_json(path).get("prompt")
        if named is not None and named not in STYLES:
            raise ValueError(f"{path}: prompt: unknown {named!r}; there are {', '.join(STYLES)}")
        prompt = named or ("chat" if tokenizer.chat_template else "few-shot")
    if prompt in CHATS and not tokenizer.chat_template:
        raise ValueError(f"--prompt {prompt}: {directory} has no chat template; --prompt few-shot needs none")
    return prompt


def try_template(tokenizer: PreTrainedTokenizerBase, asking: Asking) -> Asking:
    """Asks for a problem of ours, so that a chat template that fails does so before a run begins; and looks whether
    the prompt ends within a thought."""
    text = render_chat(tokenizer, OWN_SHOTS[0], asking)
    return replace(asking, in_thought=text.rstrip().endswith("<think>"))


def choose_device(name: str) -> torch.device:
    """ "auto" is CUDA where there is one. Asking for CUDA without having it is an error."""
    check_choice("device", name, DEVICES)
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: this machine (or this build of torch) has no CUDA device; use --device cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def choose_dtype(name: str) -> torch.dtype:
    check_choice("dtype", name, tuple(DTYPES))
    return DTYPES[name]


def encode_prompts(
    tokenizer: PreTrainedTokenizerBase, problems: Sequence[Problem], asking: Asking = DOCSTRING
) -> list[list[int]]:
    """The token ids of each problem's prompt."""
    return [encode_prompt(tokenizer, problem, asking) for problem in problems]


def encode_prompt(tokenizer: PreTrainedTokenizerBase, problem: Problem, asking: Asking) -> list[int]:
    """A chat template writes all special tokens itself; a plain prompt gets what the tokenizer puts in front (the
    beginning of sequence of Llama 3), but nothing behind it: the text goes on."""
    if asking.style in CHATS:
        return tokenizer(render_chat(tokenizer, problem, asking), add_special_tokens=False, verbose=False).input_ids
    text = build_prompt(problem, asking)
    plain = tokenizer(text, add_special_tokens=False, verbose=False).input_ids
    framed = tokenizer(text, verbose=False).input_ids
    front = next(i for i in range(len(framed)) if framed[i : i + len(plain)] == plain)
    return framed[:front] + plain


def render_chat(tokenizer: PreTrainedTokenizerBase, problem: Problem, asking: Asking) -> str:
    """The prompt as the tokenizer's chat template has it, up to where the answer begins. ValueError where it fails.

    `enable_thinking` is Qwen3's switch, `date_string` Llama 3.2's; a template that does not know them takes no notice.
    """
    messages = build_messages(problem, asking)
    try:
        return tokenizer.apply_chat_template(
            messages,
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=asking.thinking,
            date_string=TEMPLATE_DATE,
        )
    except TEMPLATE_ERRORS as error:
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ValueError(f"--prompt {asking.style}: the chat template of {tokenizer.name_or_path}: {what}") from error


def make_stop(policy: Policy, problems: Sequence[Problem]) -> Callable[[list[int]], bool] | None:
    """Whether an answer to one of the problems has ended, asked of its tokens after each; None where only the end of
    sequence ends one.

    The whole text is looked at only when a mark of an end came with the last token: that costs a step nothing that
    grows with the answer. Where but some of the problems have a stub, answers to none are ended early.
    """
    asking, stubs = policy.asking, {continues_stub(problem, policy.asking) for problem in problems}
    goes_on = stubs == {True}
    marks = [mark.encode() for mark in end_marks(asking, goes_on)]
    if not marks:
        return None
    longest = max(map(len, marks))

    def stop(ids: list[int]) -> bool:
        last = len(policy.vocabulary[ids[-1]])
        tail, here = b"", len(ids)
        while here and len(tail) < last + longest - 1:
            here -= 1
            tail = policy.vocabulary[ids[here]] + tail
        fresh = any(tail.find(mark, max(0, len(tail) - last - len(mark) + 1)) >= 0 for mark in marks)
        return fresh and has_ended(policy.decode(ids)[0], asking, goes_on)

    return stop


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
    prompts = encode_prompts(policy.tokenizer, problems, policy.asking)
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
        stop=make_stop(policy, problems),
        decoder=policy.decoder,
        on_finished=hand_on,
    )
    return [rollouts[place] for place in range(len(prompts) * group_size)]


def make_rollout(policy: Policy, problem: Problem, index: int, prompt: list[int], completion: Completion) -> Rollout:
    """A completion as the record that goes on from here. Its text is what the sampled tokens' bytes say, so that a
    place in the text is a place in the tokens."""
    text, _ = policy.decode(completion.ids)
    program, prefix = read_answer(text, problem, policy.asking)
    return Rollout(
        prompt_id=problem.task_id,
        sample=index,
        prompt=prompt,
        completion=completion.ids,
        log_probs=completion.log_probs,
        finish_reason=completion.finish_reason,
        text=text,
        program=program,
        prefix=prefix,
    )


SOLUTIONS = {"code": ("code",), "unsafe": ("unsafe",), "both": ("code", "unsafe")}  # fields of a problem


def reference_rollouts(policy: Policy, problems: list[Problem], solutions: str) -> list[Rollout]:
    """Each problem's solutions of the kind asked for, as if the policy had written them in the style in which it is
    asked, with the end of sequence. ValueError for a problem without one."""
    rollouts = []
    for problem, prompt in zip(problems, encode_prompts(policy.tokenizer, problems, policy.asking), strict=True):
        for index, name in enumerate(SOLUTIONS[solutions]):
            text = write_answer(problem, getattr(problem, name), policy.asking)
            ids = encode_answer(policy.tokenizer, text) + [policy.eos_ids[0]]
            program, prefix = read_answer(text, problem, policy.asking)
            rollouts.append(Rollout(problem.task_id, index, prompt, ids, [], "eos", text, program, prefix))
    return rollouts


def encode_answer(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The token ids of an answer, which goes on from its prompt: nothing is put around it."""
    return tokenizer(text, add_special_tokens=False, verbose=False).input_ids
