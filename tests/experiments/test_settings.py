"""The options of run.py: what each algorithm takes, the defaults that it gets, and what is refused."""

import contextlib
import io
import re
from dataclasses import asdict

import pytest

from experiments import run
from experiments.options import flag_of, options_of
from experiments.settings import ALGORITHMS, RunOptions, flags_of, from_record, read_options

# Which algorithms take an option, as docs and files of the algorithms have it; any other option is everyone's.
LEARNED_FROM_SAMPLES = {"reinforce", "grpo", "gspo", "rloo", "ppo"}
RATIO = LEARNED_FROM_SAMPLES - {"reinforce"}
GROUPED = {"grpo", "gspo", "rloo"}
TAKERS = {
    "reward": LEARNED_FROM_SAMPLES,
    "reference": LEARNED_FROM_SAMPLES,
    "old_log_probs": LEARNED_FROM_SAMPLES,
    "importance_cap": LEARNED_FROM_SAMPLES,
    "mask_truncated": LEARNED_FROM_SAMPLES,
    "credit": LEARNED_FROM_SAMPLES,
    "group_size": LEARNED_FROM_SAMPLES,
    "solutions": {"sft"},
    "zero_spread": GROUPED,
    "resample_rounds": GROUPED,
    "clip_low": RATIO,
    "clip_high": RATIO,
    "scale_rewards": {"grpo", "gspo"},
    "loss_normalizer": {"grpo"},
    "ratio_level": {"gspo"},
    "kl_coef": RATIO,
    "kl_estimator": RATIO,
    "kl_in": {"grpo", "gspo", "ppo"},
    "kl_weighted": {"grpo", "gspo", "ppo"},
    "kl_target": {"ppo"},
    "kl_horizon": {"ppo"},
    "critic": {"ppo"},
    "critic_lr": {"ppo"},
    "value_clip": {"ppo"},
    "value_coef": {"ppo"},
    "gamma": {"ppo"},
    "gae_lambda": {"ppo"},
    "whiten": {"ppo"},
    "target_kl": {"ppo"},
}
FIELDS = {
    item.name: item for cls in (RunOptions, *(m.Options for m in ALGORITHMS.values())) for item in options_of(cls)
}
KINDS = {name: item.metadata["kind"] for name, item in FIELDS.items()}


def command_line(algo, given):
    arguments = ["--algo", algo]
    for name, value in given.items():
        flag = flag_of(name)
        if isinstance(value, bool):
            arguments.append(flag if value else f"--no-{flag[2:]}")
        else:
            arguments.append(f"{flag}={value}")
    return arguments


def resolved(algo, small=True, **given):
    return read_options(command_line(algo, given), "", lambda options: small)


def get(options, name):
    return getattr(options, name, None) if hasattr(options, name) else getattr(options.algorithm, name)


def refused(algo, **given):
    error = io.StringIO()
    with pytest.raises(SystemExit) as caught, contextlib.redirect_stderr(error):
        resolved(algo, **given)
    assert caught.value.code == 2
    (line,) = error.getvalue().splitlines()
    assert line.startswith("run.py: error: ")
    return line.removeprefix("run.py: error: ")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_algorithm_takes_its_options_and_no_others(algorithm):
    """A config.json that lists a clip range for SFT, or an algorithm that lacks the option that its paper has."""
    everyone = set(ALGORITHMS)
    taken = {name for name in FIELDS if flag_of(name) in flags_of(ALGORITHMS[algorithm])}
    assert taken == {name for name in FIELDS if algorithm in TAKERS.get(name, everyone)}
    options = resolved(algorithm)
    assert type(options.algorithm) is ALGORITHMS[algorithm].Options
    for name in taken:
        assert isinstance(get(options, name), KINDS[name]), name


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("number", [1, 0])
def test_what_does_nothing_is_refused(algorithm, number):
    """An option that is accepted and has no effect: the run is then not the one that was asked for. A zero counts."""
    names = [name for name, takers in TAKERS.items() if algorithm not in takers]
    if number == 0:  # a text has no zero
        names = [name for name in names if KINDS[name] in (int, float, bool)]
    assert names or algorithm == "grpo"
    for name in names:
        error = refused(algorithm, **{name: {str: "x", bool: bool(number)}.get(KINDS[name], number)})
        flag = f"--no-{flag_of(name)[2:]}" if KINDS[name] is bool and not number else flag_of(name)
        assert error.startswith(f"{flag}: {algorithm} takes no such option"), error
        users = re.findall(r"\w+", error.partition("it is for")[2].partition(";")[0])
        assert set(users) == TAKERS[name], error


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("grpo", {"clip_low": 0.2, "clip_high": 0.28, "scale_rewards": "group", "kl_coef": 0.0, "kl_estimator": "k3"}),
        ("gspo", {"clip_low": 3e-4, "clip_high": 4e-4, "ratio_level": "sequence"}),
        ("rloo", {"kl_estimator": "k1", "zero_spread": "keep"}),
        ("ppo", {"clip_low": 0.2, "clip_high": 0.2, "gae_lambda": 0.95, "gamma": 1.0, "value_clip": 0.2}),
        ("ppo", {"kl_estimator": "k1", "kl_in": "reward", "whiten": True, "target_kl": 0.0, "kl_target": 0.0}),
        ("grpo", {"old_log_probs": "sampler", "importance_cap": 0.0, "mask_truncated": False, "credit": "uniform"}),
    ],
)
def test_published_defaults(algorithm, expected):
    """A variant that is on without being asked for, or the clip range of another algorithm."""
    options = resolved(algorithm)
    assert {name: get(options, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("algorithm", "name"),
    [(a, n) for a in RATIO for n in ("clip_low", "clip_high", "warmup")]
    + [("ppo", n) for n in ("value_clip", "value_coef", "gamma", "gae_lambda")]
    + [("grpo", "resample_rounds"), ("sft", "warmup")],
)
def test_an_explicit_zero_is_kept(algorithm, name):
    """`value or default`, which takes a zero for nothing said."""
    extra = {"zero_spread": "resample"} if name == "resample_rounds" else {}
    assert get(resolved(algorithm, **{name: KINDS[name](0)}, **extra), name) == 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_real_model_has_defaults_of_its_own(algorithm):
    """A model of a billion weights that is trained with the learning rate of one of a million, or in fp32; a value that
    the second reading of the command line loses."""
    options = resolved(algorithm, small=False)
    assert options.lr < 1e-4
    assert (options.dtype, options.gradient_checkpointing) == ("bf16", True)
    assert options.max_new_tokens >= 256
    if algorithm != "sft":
        assert options.old_log_probs == "recompute"
    if algorithm == "ppo":
        assert options.algorithm.critic_lr < 1e-4
    given = resolved(algorithm, small=False, lr=0.5, dtype="fp32", gradient_checkpointing=False)
    assert (given.lr, given.dtype, given.gradient_checkpointing) == (0.5, "fp32", False)
    assert resolved(algorithm).lr > 1e-4


def test_what_is_given_goes_before_the_default():
    """A default that overrides the command line."""
    given = {"prompts": 5, "lr": 0.5, "clip_low": 0.1, "whiten": False, "kl_coef": 0.1, "kl_in": "loss"}
    options = resolved("ppo", **given, kl_estimator="k2")
    assert {name: get(options, name) for name in given} == given
    assert resolved("sft", prompts=5).prompts == 5
    assert (resolved("sft").prompts, resolved("sft").minibatches) == (64, 1)  # the file's own


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_config_json_gives_the_same_options_again(algorithm):
    """A resumed run with other options than its first part; a damaged config.json that is taken."""
    options = resolved(algorithm, seed=3)
    record = asdict(options) | {"git_commit": "x"}
    assert from_record(record) == options
    for damage in ({"lr": -1.0}, {"algorithm": {"x": 1}}, {"lr": "x"}, {"algo": "x"}, {"slots": True}):
        with pytest.raises(ValueError, match=next(iter(damage))):
            from_record(record | damage)
    del record["seed"]
    with pytest.raises(ValueError, match="seed: missing"):
        from_record(record)


def test_the_run_directory_is_named_after_the_run():
    """Two runs of one second in one directory, or a directory that says nothing; one that was given and changed."""
    assert resolved("sft").out.startswith("runs/")
    assert resolved("sft").out.endswith("-sft")
    assert resolved("rloo", reward="binary").out.endswith("-rloo-binary")
    assert resolved("rloo", out="here").out == "here"


def test_names_stay_names_where_a_path_is_called_so(tmp_path, monkeypatch):
    """A run whose data became a directory that happens to be called "mbpp"; a relative path that a resumed run, started
    elsewhere, does not find."""
    monkeypatch.chdir(tmp_path)
    for name in ("mbpp", "embedded-stdin", "start", "mine.jsonl"):
        (tmp_path / name).mkdir()
    for data in ("mbpp", "embedded-stdin"):
        assert resolved("grpo", data=data, kl_coef=0.1, reference="start").data == data
    options = resolved("grpo", data="mine.jsonl", from_="mbpp", kl_coef=0.1, reference="start")
    assert options.reference == "start"
    assert (options.data, options.from_) == (str(tmp_path / "mine.jsonl"), str(tmp_path / "mbpp"))


CONTRADICTIONS = [
    # what, and what the line names
    ("grpo", {"kl_coef": 0.1, "kl_estimator": "k1"}, "kl-estimator k1"),  # no expected gradient
    ("gspo", {"kl_coef": 0.1, "kl_estimator": "k1", "kl_in": "loss"}, "kl-estimator k1"),
    ("ppo", {"kl_coef": 0.1, "kl_in": "loss"}, "kl-estimator k1"),  # its default estimator is meant for the reward
    ("grpo", {"kl_weighted": True}, "--kl-weighted"),
    ("grpo", {"kl_weighted": True, "kl_coef": 0.1, "kl_in": "reward"}, "--kl-weighted"),
    ("ppo", {"kl_weighted": True, "kl_coef": 0.1}, "--kl-weighted"),
    ("ppo", {"kl_target": 1.0}, "--kl-target"),
    ("ppo", {"kl_target": 1.0, "kl_coef": 0.1, "kl_in": "loss", "kl_estimator": "k3"}, "--kl-target"),
    ("ppo", {"kl_horizon": 100}, "--kl-horizon"),
    ("ppo", {"kl_horizon": 100, "kl_coef": 0.1}, "--kl-horizon"),
    ("grpo", {"kl_estimator": "k2"}, "--kl-estimator"),
    ("grpo", {"kl_estimator": "k2", "kl_coef": 0.0}, "--kl-estimator"),
    ("gspo", {"kl_in": "reward"}, "--kl-in"),
    ("rloo", {"reference": "base"}, "--reference"),
    ("grpo", {"importance_cap": 2.0}, "--importance-cap"),
    ("rloo", {"importance_cap": 2.0, "old_log_probs": "sampler"}, "--importance-cap"),
    ("grpo", {"reward": "staged + length(buffer=73)"}, "length: buffer 73"),
    ("ppo", {"reward": "length(buffer=21)", "max_new_tokens": 20}, "length: buffer 21"),
    ("grpo", {"reward": "simulator"}, "no simulator"),
    ("grpo", {"reward": ""}, "empty"),
    ("grpo", {"reward": "binary@0:50 -> staged@50:", "steps": 40}, "beyond the end; there are 40 steps"),
    ("grpo", {"reward": "binary -> staged when pas_rate > 0.5"}, "did you mean pass_rate?"),
    ("ppo", {"reward": "binary -> staged when frac_all_pass > 0.5", "group_size": 1}, "no step would have it"),
    ("gspo", {"credit": "line"}, "--ratio-level token"),
    ("grpo", {"group_size": 1}, "--group-size 1"),
    ("gspo", {"group_size": 1}, "--group-size 1"),
    ("rloo", {"group_size": 1}, "--group-size 1"),
    ("grpo", {"resample_rounds": 3}, "--resample-rounds"),
    ("gspo", {"resample_rounds": 3, "zero_spread": "drop"}, "--resample-rounds"),
    ("sft", {"group_size": 4}, "--group-size"),  # one solution a problem
    ("ppo", {"gamma": 1.1}, "--gamma 1.1"),
    ("ppo", {"gae_lambda": 1.5}, "--gae-lambda 1.5"),
]


@pytest.mark.parametrize(("algorithm", "given", "words"), CONTRADICTIONS)
def test_contradictions_are_refused(algorithm, given, words):
    """Options that cancel each other, or of which one needs another: a run that does less than its command says."""
    assert words in refused(algorithm, **given)


@pytest.mark.parametrize(
    ("algorithm", "given"),
    [
        ("grpo", {"kl_coef": 0.1, "kl_estimator": "k1", "kl_weighted": True}),
        ("grpo", {"kl_coef": 0.1, "kl_estimator": "k1", "kl_in": "reward"}),
        ("rloo", {"kl_coef": 0.1, "reference": "base"}),
        ("ppo", {"kl_coef": 0.1, "kl_target": 1.0, "kl_horizon": 100}),
        ("ppo", {"kl_coef": 0.1, "kl_in": "loss", "kl_estimator": "k3"}),
        ("ppo", {"group_size": 1}),  # the critic is its baseline
        ("gspo", {"importance_cap": 2.0, "old_log_probs": "recompute"}),
        ("gspo", {"zero_spread": "resample", "resample_rounds": 3}),
        ("grpo", {"reward": "staged + length(buffer=72)"}),
        ("gspo", {"credit": "line", "ratio_level": "token"}),
        ("grpo", {"reward": "binary -> staged when frac_all_pass > 0.5 over 5"}),
        ("ppo", {"gamma": 1.0, "gae_lambda": 1.0}),
    ],
)
def test_what_makes_sense_is_taken(algorithm, given):
    """A check that is too strict."""
    options = resolved(algorithm, **given)
    assert {name: get(options, name) for name in given} == given


OUT_OF_RANGE = (
    (0, "steps prompts epochs minibatches microbatch_rows lora_rank max_new_tokens slots keep_checkpoints group_size"),
    (-1, "warmup eval_samples eval_every eval_problems threads checkpoint_every"),
    (-0.1, "clip_low clip_high kl_coef value_clip value_coef gamma gae_lambda target_kl"),
    (0.0, "lr temperature max_grad_norm lora_alpha cpu_seconds"),
    (-1.0, "lr critic_lr temperature max_grad_norm lora_alpha cpu_seconds"),
    (float("nan"), "lr clip_low kl_coef gamma importance_cap temperature"),
    (float("inf"), "lr critic_lr temperature"),
    ("x", "reward credit lr_schedule old_log_probs kl_estimator kl_in critic lora_targets"),
)


@pytest.mark.parametrize(("name", "value"), [(name, value) for value, names in OUT_OF_RANGE for name in names.split()])
def test_values_out_of_range_are_refused(name, value):
    """A run of no steps, a learning rate that is not a number, or a misspelt choice that falls through to another."""
    given = {"kl_coef": 0.1} if name.startswith("kl_") and name != "kl_coef" else {}
    error = refused("ppo", **{name: value}, **given)
    assert "--" + name.replace("_", "-") in error
    assert str(value) in error


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [
        ("scale_rewards", "grpo"),
        ("loss_normalizer", "grpo"),
        ("ratio_level", "gspo"),
        ("zero_spread", "rloo"),
        ("solutions", "sft"),
    ],
)
def test_unknown_choices_are_refused(name, algorithm):
    """A misspelt variant that runs as another one."""
    error = refused(algorithm, **{name: "x"})
    assert "--" + name.replace("_", "-") in error
    assert "'x'" in error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--algo sft --clip-low 0.1", ["--clip-low", "sft", "it is for rloo, grpo, gspo, ppo"]),
        ("--algo rloo --kl-weighted", ["--kl-weighted", "rloo", "it is for grpo, gspo, ppo"]),
        ("--algo grpo --kl-coef 0.1 --kl-estimator k1", ["kl-estimator k1", "kl-in reward"]),
        ("--algo gspo --importance-cap 2", ["--importance-cap", "--old-log-probs recompute"]),
        ("--algo ppo --kl-target 0.5", ["--kl-target", "--kl-coef"]),
        ("--algo ppo --gae-lambda 2", ["--gae-lambda 2", "at most 1"]),
    ],
)
def test_the_command_says_it_in_one_line(arguments, words, capsys, tmp_path, monkeypatch):
    """A traceback, or a run that starts all the same."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        run.main(arguments.split())
    error = capsys.readouterr().err
    assert caught.value.code == 2
    assert error.count("\n") == 1, error
    assert all(word in error for word in words), error
    assert list(tmp_path.iterdir()) == []


def help_of(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        run.main(arguments)
    assert caught.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_help_with_an_algorithm_has_a_line_for_every_option(algorithm, capsys):
    """An option that --help leaves out or cannot print (a stray percent sign), or a help text of several lines."""
    words = re.findall(r"--[\w-]+", help_of(["--algo", algorithm, "--help"], capsys))
    assert set(words) >= flags_of(ALGORITHMS[algorithm])
    for name, item in FIELDS.items():
        assert item.metadata["help"].strip(), name
        assert "\n" not in item.metadata["help"], name


def test_help_alone_shows_what_everybody_needs(capsys):
    """A wall of seventy options; algorithms that nobody finds."""
    text = help_of(["--help"], capsys)
    shown = {name for name in FIELDS if re.search(rf"^  {flag_of(name)}\b", text, re.MULTILINE)}
    assert {"algo", "reward", "model", "data", "steps", "seed", "out", "resume", "dry_run"} <= shown
    assert len(shown) <= 35
    assert not shown & {item.name for m in ALGORITHMS.values() for item in options_of(m.Options)}
    for name in ALGORITHMS:
        assert re.search(rf"^  {name} +\w", text, re.MULTILINE), name


def test_a_copied_critic_has_a_rate_of_its_own():
    """A whole model trained at an adapter's learning rate; a rate that was asked for and is not used."""
    assert resolved("ppo").algorithm.critic_lr == 1e-2
    assert resolved("ppo", critic="copy").algorithm.critic_lr == 2e-3
    assert resolved("ppo", critic="copy", critic_lr=5e-4).algorithm.critic_lr == 5e-4
