"""How a checkpoint is asked: styles and chat templates, token ids, ends of answers, and the way to the judge."""

import json
import random
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from data.problems import Problem
from data.programs import has_ended
from data.prompts import DOCSTRING, OWN_SHOTS, PromptFormat, build_messages, build_prompt
from data.sets.registry import load_problems
from experiments import score
from experiments.inputs import policy as policies
from experiments.inputs.hub import EMBEDDED
from experiments.inputs.policy import load_weights, open_policy
from experiments.report.run_directory import to_record
from experiments.rollouts import sample as sampling
from experiments.rollouts.judge import start_judges
from experiments.rollouts.reward import make_answer
from experiments.rollouts.sample import make_stop, reference_rollouts, sample_rollouts
from rewards.places import finding_range
from rl.credit import decode
from rl.files.weights import save_model
from rl.model import ModelConfig, init_model
from rl.sample import Completion

BOS, END = "<|begin|>", "<|im_end|>"
# Turns in Qwen's form; a switch that closes the thought before it begins, as Qwen3's.
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
FUNCTION = OWN_SHOTS[0]
STUB = 'import math\n\n\ndef area(r: float) -> float:\n    """Of a circle."""\n'
COMPLETED = Problem(
    "T/1",
    "Of a circle.",
    STUB + "    unused = 1\n    return math.pi * r**2\n",
    entry_point="area",
    check="def check(candidate):\n    assert 3.14 < candidate(1) < 3.15\n",
    stub=STUB,
)


@pytest.fixture(scope="module")
def make_checkpoint(tmp_path_factory):
    """A function: writes a checkpoint with another chat template, or none, and other fields in its files."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    texts = [FUNCTION.code, build_messages(FUNCTION, PromptFormat("chat"))[0]["content"]]
    special = [END, BOS, "<|im_start|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken("<think>"), AddedToken("</think>")])  # not special: they are part of the text
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A {END}", special_tokens=[(BOS, 1), (END, 0)]
    )
    config = ModelConfig("qwen3", tokenizer.get_vocab_size(), 8, 8, 1, 1, 1, 8, max_position_embeddings=1024)
    model = init_model(config, 0)

    def make(template=TEMPLATE, **fields):
        path = tmp_path_factory.mktemp("checkpoint")
        save_model(model, path, extra={"eos_token_id": 0} | fields)
        tokenizer.save(str(path / "tokenizer.json"))
        configured = {"bos_token": BOS, "eos_token": END} | ({"chat_template": template} if template else {})
        (path / "tokenizer_config.json").write_text(json.dumps(configured))
        return path

    return make


@pytest.fixture(scope="module")
def checkpoint(make_checkpoint):
    return make_checkpoint()


@pytest.fixture(scope="module")
def judges():
    with start_judges(1, 1.0, allow_weak=True) as judges:
        yield judges


def load(path, **asked):
    policy = open_policy(str(path), **asked)
    load_weights(policy, "", "cpu", "fp32")
    return policy


def prompt_text(policy, problem):
    """What the prompt's ids say, special tokens included."""
    return policy.tokenizer.decode(policy.prompt_ids(problem))


# Styles -------------------------------------------------------------------------------------------------------


def test_auto(make_checkpoint, checkpoint):
    """A chat model asked as a base model, a base model through a template that it does not have, or config.json's own
    word passed over."""
    assert load(checkpoint).form.style == "chat"
    assert load(make_checkpoint(template=None)).form.style == "few-shot"
    assert load(make_checkpoint(prompt="securecode")).form.style == "securecode"
    assert load(EMBEDDED).form == DOCSTRING
    given = load(checkpoint, prompt="docstring", extract="longest", stop="eos", shots=OWN_SHOTS[:1]).form
    assert given == PromptFormat("docstring", False, "longest", False, OWN_SHOTS[:1])


def test_chat_prompts(checkpoint):
    """A second beginning of sequence, a turn that is closed at once, or a thought in spite of no thinking."""
    request = build_messages(FUNCTION, PromptFormat("chat"))[0]["content"]
    asked = f"{BOS}<|im_start|>user\n{request}{END}\n<|im_start|>assistant\n"
    plain, thinking = load(checkpoint), load(checkpoint, thinking=True)
    assert prompt_text(plain, FUNCTION) == f"{asked}<think>\n\n</think>\n\n"
    assert prompt_text(thinking, FUNCTION) == asked
    assert not plain.form.in_thought
    system = prompt_text(load(checkpoint, prompt="dense-reward"), FUNCTION)
    assert system.startswith(f"{BOS}<|im_start|>system\nYou are a helpful Python assistant.\n you follow")


def test_a_template_that_opens_the_thought(make_checkpoint):
    """A draft in the thought taken for the answer, as its opening tag stands in the prompt."""
    policy = load(make_checkpoint(TEMPLATE.replace("<think>\n\n</think>\n\n", "<think>\n")))
    assert policy.form.in_thought
    (rollout,) = reference_rollouts(policy, [FUNCTION], "code")
    assert rollout.text == f"</think>\n\n```python\n{FUNCTION.code}```"
    assert rollout.text[slice(*rollout.program[:2])] == FUNCTION.code


def test_prompts_do_not_change_overnight(make_checkpoint):
    """Today's date in the prompt, as Llama 3.2's template has it: the same run asks something else tomorrow."""
    dated = "{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    dated += "{{ date_string }}"
    assert prompt_text(load(make_checkpoint(dated)), FUNCTION) == "26 Jul 2024"


def test_plain_prompts(checkpoint):
    """A prompt without its beginning of sequence, or one that ends with the end of sequence."""
    for style in ("docstring", "few-shot", "securecode"):
        policy = load(checkpoint, prompt=style)
        assert prompt_text(policy, FUNCTION) == BOS + build_prompt(FUNCTION, policy.form)


def test_the_embedded_models_prompts_stay():
    """An id more or less in the prompts that the embedded model was trained on."""
    policy, problems = load(EMBEDDED), load_problems("embedded", "test")[:50]
    expected = [
        policy.tokenizer(f'"""\n{p.text}\n{p.test_list[0]}\n"""\n', add_special_tokens=False).input_ids
        for p in problems
    ]
    assert [policy.prompt_ids(problem) for problem in problems] == expected
    assert make_stop(policy, problems) is None


@pytest.mark.parametrize(
    ("template", "asked", "words"),
    [
        ("{{ messages", {}, ["chat template", "TemplateSyntaxError"]),
        ("{{ 1 + 'a' }}", {}, ["chat template", "TypeError"]),
        ("{{ messages[9].content.x }}", {}, ["chat template", "UndefinedError"]),
        (
            "{% if messages[0].role == 'system' %}{{ raise_exception('no system\nrole') }}{% endif %}x",
            {"prompt": "dense-reward"},
            ["--prompt dense-reward", "chat template", "no system role"],
        ),
        (None, {"prompt": "chat"}, ["--prompt chat", "no chat template", "few-shot"]),
        (None, {"thinking": True}, ["--thinking", "few-shot"]),
        (TEMPLATE, {"prompt": "chats"}, ["--prompt", "did you mean chat?"]),
        (TEMPLATE, {"extract": "last"}, ["--extract", "longest"]),
        (TEMPLATE, {"stop": "fence"}, ["--stop", "style"]),
    ],
)
def test_bad_ways_to_ask_are_one_line(make_checkpoint, template, asked, words):
    """A traceback of jinja's in the first step of a run, or one that does not say whose template it was."""
    path = make_checkpoint(template)
    with pytest.raises(ValueError, match="^[^\n]*$") as caught:
        load(path, **asked)
    for word in [*words, *([str(path)] if "chat template" in words else [])]:
        assert word in str(caught.value)


def test_a_style_of_config_json_that_is_none(make_checkpoint):
    """A misspelt style in a file of ours that is taken for none."""
    path = make_checkpoint(prompt="docstrings")
    with pytest.raises(ValueError, match=r"config.json: prompt: unknown 'docstrings'"):
        load(path)


# Ends ---------------------------------------------------------------------------------------------------------

PIECES = ["```", "\n```python\n", "\n```", "python\n", "\n```\n", "x = 1\n", "[DONE]", "\nprint(", "\ndef ", "\n# é"]
PIECES += ["<think>", "</think>\n", "`", "\n", " "]


@pytest.mark.parametrize(
    "form",
    [PromptFormat("chat"), PromptFormat("chat", in_thought=True), PromptFormat("few-shot"), PromptFormat("docstring")],
    ids=["chat", "thought", "few-shot", "stub"],
)
def test_stop_is_what_the_whole_text_says(form):
    """A mark that is cut by a token's boundary and missed, or an answer that ends a token late or early."""
    rng, ends = random.Random(2), 0
    for _ in range(100):
        data = ("    " * rng.randint(0, 1) + "".join(rng.choices(PIECES, k=20))).encode()
        vocabulary = [b""]  # a special token
        while data:  # tokens of any length, within characters too
            size = rng.choice((1, 1, 2, 3, 9))
            vocabulary.append(data[:size])
            data = data[size:]
        policy = policies.Policy(Path(), None, form, (), vocabulary, 0)
        ids = list(range(1, len(vocabulary)))
        ids.insert(rng.randrange(len(ids)), 0)
        stop = make_stop(policy, [COMPLETED])
        for count in range(1, len(ids) + 1):
            text, _ = decode([vocabulary[i] for i in ids[:count]])
            expected = has_ended(text, form, form.style == "docstring")
            assert stop(ids[:count]) == expected, text
            ends += expected
            if expected:
                break
    assert ends > 10


def test_stop_looks_at_the_whole_text_only_at_marks(checkpoint, monkeypatch):
    """A text that is decoded again with every token: quadratic in its length."""
    policy, looked = load(checkpoint), []
    monkeypatch.setattr(sampling, "has_ended", lambda *given: looked.append(given) or has_ended(*given))
    ids = policy.tokenizer("Well.\n```python\n" + "x = 1\n" * 200 + "```\n", add_special_tokens=False).input_ids
    stop = make_stop(policy, [FUNCTION])
    stopped = [stop(ids[: count + 1]) for count in range(len(ids))]
    assert len(looked) <= 4
    assert stopped.index(True) >= len(ids) - 3
    looked.clear()
    (tick,) = policy.tokenizer("`", add_special_tokens=False).input_ids
    assert not any(stop([tick] * count) for count in range(1, 200))  # a broken policy says one thing over and over
    assert not looked


def test_styles_without_an_end_of_their_own(checkpoint):
    """An answer cut off although its user wants all of it, or by a mark that not all of its problems have."""
    assert make_stop(load(checkpoint, stop="eos"), [FUNCTION]) is None
    assert make_stop(load(checkpoint, extract="longest"), [FUNCTION]) is None
    docstring = load(checkpoint, prompt="docstring")
    assert make_stop(docstring, [COMPLETED, FUNCTION]) is None
    assert make_stop(docstring, [COMPLETED]) is not None


# Answers ------------------------------------------------------------------------------------------------------


def test_answers_are_ended_and_read(checkpoint, monkeypatch):
    """A style that prompts, ends and extraction do not agree on."""
    text = f"Here:\n```python\n{FUNCTION.code}```"
    seen = {}

    def sample(model, prompts, *, stop, on_finished, **_):
        ids = policy.tokenizer(f"{text}\nMore words.", add_special_tokens=False).input_ids
        end = next(count for count in range(1, len(ids)) if stop(ids[:count]))
        seen["prompt"] = policy.tokenizer.decode(prompts[0])
        on_finished([(0, Completion(ids[:end], [0.0] * end, "stop"))])

    monkeypatch.setattr(sampling, "sample", sample)
    policy = load(checkpoint)
    (rollout,) = sample_rollouts(policy, [FUNCTION], seed=0, step=0, group_size=1, max_new_tokens=99, temperature=1.0)
    assert seen["prompt"] == prompt_text(policy, FUNCTION)
    assert (rollout.text, rollout.finish_reason, rollout.prefix) == (text, "stop", "")
    assert rollout.text[slice(*rollout.program[:2])] == FUNCTION.code
    assert rollout.program[2]


def test_sampling_ends_where_the_style_does(checkpoint):
    """A predicate that the sampler never asks: a budget of 64 for an answer that is over after a few tokens."""
    policy = load(checkpoint, prompt="docstring")
    policy.vocabulary = [b"    x\nprint("] * len(policy.vocabulary)  # whatever is drawn
    (rollout,) = sample_rollouts(policy, [COMPLETED], seed=0, step=0, group_size=1, max_new_tokens=64, temperature=1.0)
    assert (rollout.finish_reason, rollout.text) == ("stop", "    x\nprint(")
    assert rollout.text[slice(*rollout.program[:2])] == "    x\n"
    assert rollout.prefix == to_record(rollout)["prefix"] == STUB


def test_solutions_pass_in_each_style(checkpoint, judges):
    """SFT or RL on a program that is not the solution: with its stub twice, without it, or with a fence in it."""
    policies_of = {style: load(checkpoint, prompt=style) for style in ("docstring", "chat", "few-shot")}
    rollouts = [reference_rollouts(policy, [COMPLETED], "code")[0] for policy in policies_of.values()]
    with judges.batch([COMPLETED]) as batch:
        batch.add(rollouts)
        batch.finish()
    for rollout in rollouts:
        answered, analysis = make_answer(rollout, COMPLETED, (rollout.outcome,), budget=72), rollout.analysis
        assert rollout.outcome.stage.name == "PASSED"
        # Findings count from the stub's first line: what was executed is what is looked at.
        assert [(found.rule, found.line) for found in analysis.style] == [("F841", 6)]
        assert answered.source.rstrip() == COMPLETED.code.rstrip()
        assert rollout.text[slice(*finding_range(answered, analysis.style[0]))] == "unused"
    assert [rollout.prefix for rollout in rollouts] == [STUB, "", ""]
    assert [policy.decode(r.completion)[0] for policy, r in zip(policies_of.values(), rollouts, strict=True)] == [
        rollout.text for rollout in rollouts
    ]


def test_lines_are_explained_behind_a_stub(checkpoint, judges):
    """A line number of the completion beside a finding or a failure that counts from the stub."""
    problem = Problem(1, "Of a circle.", COMPLETED.code, ("assert area(0) == 0",), "area", stub=STUB)
    options = score.ScoreOptions(file="x", problem=1, reward="binary")
    explained = {}
    for text in ("    return pi * r\n", f"```python\n{STUB}    return pi * r\n```", "```\n    return pi * r\n```"):
        found = score.score(options, text, problem, load(checkpoint, prompt="docstring"), judges)
        explained[text] = score.to_text(found, options, colour=False)
        assert "RUNS" in explained[text]
        assert "NameError, line 6" in explained[text]
        assert "-1.000    6 |     return pi * r" in explained[text]
        assert ("        1 | " in explained[text]) == (STUB in text)
