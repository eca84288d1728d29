"""From a checkpoint to a policy: a tokenizer, the way in which problems are put, and the model."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import jinja2
import torch
from transformers import PreTrainedTokenizerBase

from data.problems import Problem
from data.prompts import CHATS, OWN_SHOTS, RULES, STYLES, PromptFormat, build_messages, build_prompt
from experiments.inputs.hub import find_checkpoint, load_tokenizer, read_eos
from experiments.inputs.memory import check_room
from experiments.options import check_choice
from rl import credit
from rl.files.adapter import load_adapter
from rl.files.config import read_config, read_json
from rl.files.token_bytes import leading_spaces, token_bytes
from rl.files.weights import load_model
from rl.model import Decoder

PROMPTS = ("auto", *STYLES)
STOPS = ("style", "eos")
DEVICES = ("auto", "cpu", "cuda")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
# Llama 3.2's template writes today's date unless it gets another one. A fixed date gives
# a resumed run the same prompts.
TEMPLATE_DATE = "26 Jul 2024"
# Chat templates raise jinja2's own errors, and Python's for the expressions in them.
TEMPLATE_ERRORS = (
    *(jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError),
)


@dataclass
class Policy:
    """A tokenizer, the way in which problems are put, and a model, which `load_weights` adds."""

    directory: Path  # of the checkpoint
    tokenizer: PreTrainedTokenizerBase
    form: PromptFormat
    eos_ids: tuple[int, ...]  # tokens that end an answer
    vocabulary: list[bytes]  # the bytes of each token
    leading_spaces: int  # that the tokenizer removes from the start of a text
    model: Decoder | None = None
    decoder: str = "dynamic"  # of the sampler: rl.sample.DECODERS
    encoded: dict[int | str, list[int]] = field(default_factory=dict)  # prompts by task_id; each is encoded once

    def decode(self, ids: list[int]) -> tuple[str, list[tuple[int, int]]]:
        """The text of the tokens, and the characters [start, end) of each token."""
        return credit.decode([self.vocabulary[i] for i in ids], self.leading_spaces)

    def prompt_ids(self, problem: Problem) -> list[int]:
        """The token ids of a problem's prompt."""
        if problem.task_id not in self.encoded:
            self.encoded[problem.task_id] = encode_prompt(self.tokenizer, problem, self.form)
        return self.encoded[problem.task_id]

    def answer_ids(self, text: str) -> list[int]:
        """The token ids of an answer that continues its prompt: no special tokens are added."""
        return self.tokenizer(text, add_special_tokens=False, verbose=False).input_ids


def open_policy(
    name: str,
    *,
    prompt: str = "auto",
    thinking: bool = False,
    extract: str = "first",
    stop: str = "style",
    shots: Sequence[Problem] = (),
    decoder: str = "dynamic",
) -> Policy:
    """A policy without weights, of a checkpoint's directory or a repository of the hub. ValueError, one line.

    prompt    a style of data/prompts.py, or "auto" (choose_style)
    thinking  let the model think before it answers
    extract   the rule for its programs
    stop      "style": answers end where the style ends them; "eos": where the model ends them
    shots     solved problems for the few-shot style
    decoder   of the sampler (rl/sample.py)
    """
    directory, _ = find_checkpoint(name)
    tokenizer = load_tokenizer(directory)
    check_choice("extract", extract, RULES)
    check_choice("stop", stop, STOPS)
    form = PromptFormat(choose_style(prompt, directory, tokenizer), thinking, extract, stop == "style", tuple(shots))
    if form.style in CHATS:
        # Fails now for a bad template, and shows whether the prompt ends within a thought.
        text = render_chat(tokenizer, OWN_SHOTS[0], form)
        form = replace(form, in_thought=text.rstrip().endswith("<think>"))
    elif thinking:
        raise ValueError(f"--thinking: is for prompts through a chat template, and the style here is {form.style}")
    vocabulary = token_bytes(tokenizer, read_config(directory).vocab_size)
    eos_ids, spaces = read_eos(directory, tokenizer), leading_spaces(tokenizer)
    return Policy(directory, tokenizer, form, eos_ids, vocabulary, spaces, decoder=decoder)


def load_weights(policy: Policy, adapter: str, device: str, dtype: str) -> None:
    """Adds the model, with a PEFT adapter unless it is "". ValueError, one line, for bad input."""
    where, kind = choose_device(device), choose_dtype(dtype)
    check_room(policy.directory, read_config(policy.directory), where, kind)
    policy.model = load_model(policy.directory, device=where, dtype=kind)
    if adapter:
        load_adapter(policy.model, adapter)


def choose_style(prompt: str, directory: Path, tokenizer: PreTrainedTokenizerBase) -> str:
    """ "auto" is the style that config.json names (`prompt`, as ours does), else "chat" if the tokenizer has a chat
    template, else "few-shot"."""
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


def choose_device(name: str) -> torch.device:
    """ "auto" is CUDA if there is a device. ValueError for CUDA without a device."""
    check_choice("device", name, DEVICES)
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: this machine (or this build of torch) has no CUDA device; use --device cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def choose_dtype(name: str) -> torch.dtype:
    check_choice("dtype", name, tuple(DTYPES))
    return DTYPES[name]


# station 2: encode the prompt
def encode_prompt(tokenizer: PreTrainedTokenizerBase, problem: Problem, form: PromptFormat) -> list[int]:
    """A chat template writes all special tokens itself. A plain prompt gets the tokens that the tokenizer puts in front
    (Llama 3's beginning of sequence), but none behind it: the answer continues the text."""
    if form.style in CHATS:
        return tokenizer(render_chat(tokenizer, problem, form), add_special_tokens=False, verbose=False).input_ids
    text = build_prompt(problem, form)
    plain = tokenizer(text, add_special_tokens=False, verbose=False).input_ids
    framed = tokenizer(text, verbose=False).input_ids
    for front in range(len(framed) - len(plain) + 1):
        if framed[front : front + len(plain)] == plain:
            return framed[:front] + plain
    raise ValueError(
        f"--prompt {form.style}: {tokenizer.name_or_path} gives the text other tokens when it adds special ones"
    )


def render_chat(tokenizer: PreTrainedTokenizerBase, problem: Problem, form: PromptFormat) -> str:
    """The prompt by the tokenizer's chat template, up to the start of the answer. ValueError if the template fails.

    `enable_thinking` is Qwen3's switch, `date_string` Llama 3.2's; other templates ignore them.
    """
    messages = build_messages(problem, form)
    try:
        return tokenizer.apply_chat_template(
            messages,
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=form.thinking,
            date_string=TEMPLATE_DATE,
        )
    except TEMPLATE_ERRORS as error:
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ValueError(f"--prompt {form.style}: the chat template of {tokenizer.name_or_path}: {what}") from error
