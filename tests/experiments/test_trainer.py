"""What the steps of a run share: which problems they take, which groups they keep, what they count and write."""

import json
import statistics
from dataclasses import replace
from types import SimpleNamespace

import pytest
from tqdm import tqdm

from data.problems import Problem
from experiments.report.run_directory import RunDirectory, cut_to
from experiments.rollouts.metrics import length_metrics, reward_metrics
from experiments.settings import ALGORITHMS
from experiments.trainer import ProblemOrder, Trainer
from rl.rollout import Rollout
from sandbox import Stage, Task
from sandbox.outcome import lost


def problems(count):
    return [Problem(task_id, "", "", ("assert f()",), "f") for task_id in range(count)]


def ids(chosen):
    return [problem.task_id for problem in chosen]


# the order of the problems -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "step"), [(12, 4), (12, 5), (12, 12), (7, 3), (1, 1)])
def test_every_problem_comes_once_in_a_pass(count, step):
    """A shuffle with replacement, or problems lost where a step reaches over the end of a pass."""
    order = ProblemOrder(problems(count), seed=3)
    seen = [i for _ in range(3 * count) for i in ids(order.take(step))]
    counts = [seen.count(i) for i in range(count)]
    assert max(counts) - min(counts) <= 1 if count % step == 0 else max(counts) - min(counts) <= 2
    assert sorted(seen[:count]) == list(range(count)) or count % step


def test_no_problem_is_twice_in_a_step():
    """The last of one pass again as the first of the next: two groups of one prompt, taken for one."""
    order = ProblemOrder(problems(7), seed=0)
    for _ in range(200):
        step = ids(order.take(5))
        assert len(set(step)) == 5


def test_the_order_is_the_seeds():
    """An order that is the file's, that a seed does not change, or that repeats itself in each pass."""
    passes = {}
    for seed in (0, 1):
        orders = [ProblemOrder(problems(40), seed) for _ in range(2)]
        first, second = ([ids(order.take(40)) for _ in range(2)] for order in orders)
        assert first == second
        assert first[0] != first[1]
        assert list(range(40)) not in first
        passes[seed] = first
    assert passes[0] != passes[1]


def test_a_cursor_is_all_there_is_to_restore():
    """Resume off by one problem, or by the rest of a pass."""
    for stop in range(1, 12):
        order = ProblemOrder(problems(7), seed=5)
        for n in range(stop):
            order.take(1 + n % 4)
        again = ProblemOrder(problems(7), seed=5, cursor=order.cursor)
        assert [ids(again.take(3)) for _ in range(6)] == [ids(order.take(3)) for _ in range(6)]


def test_problems_can_be_left_out():
    """Resampling that takes a problem of the same step again; one that never ends, as there is no other."""
    order = ProblemOrder(problems(6), seed=1)
    assert sorted(ids(order.take(4, without={2, 5}))) == [0, 1, 3, 4]
    assert sorted(ids(order.take(9, without={2, 5}))) == [0, 1, 3, 4]
    assert order.take(3, without=set(range(6))) == []
    assert sorted(ids(order.take(9))) == list(range(6))


# groups without spread ---------------------------------------------------------------------------------------


def collect(monkeypatch, flat, *, zero_spread, prompts=3, count=30, rounds=8):
    """The rollouts of one step, the training, and the task ids of each round; `flat` says of which problems all
    samples are rewarded alike."""
    asked = []

    def fake(self, step, chosen):
        assert step == 4
        asked.append(ids(chosen))
        return [
            Rollout(p.task_id, i, [1], [2], [-1.0], "eos", "", reward=1.0 if flat(p.task_id) else float(i == 0))
            for p in chosen
            for i in range(2)
        ]

    monkeypatch.setattr(Trainer, "sample_and_judge", fake)
    training = object.__new__(Trainer)  # what it collects with, and nothing else: no model, no judge
    training.options = SimpleNamespace(
        prompts=prompts, group_size=2, zero_spread=zero_spread, resample_rounds=rounds, algo="grpo"
    )
    training.order = ProblemOrder(problems(count), seed=2)
    return training.collect_sampled(4), training, asked


def groups(rollouts):
    found = [rollout.prompt_id for rollout in rollouts]
    assert found[::2] == found[1::2]  # problem by problem, each group whole
    assert [rollout.sample for rollout in rollouts] == [0, 1] * (len(rollouts) // 2)
    return found[::2]


def test_keep_takes_all(monkeypatch):
    """Groups dropped that nobody asked to drop."""
    used, training, asked = collect(monkeypatch, lambda i: i % 2 == 0, zero_spread="keep")
    assert len(asked) == 1
    assert groups(used) == asked[0]
    assert training.sampled == used


def test_drop_leaves_the_groups_with_spread(monkeypatch):
    """A flat group that is learned from, one with spread that is lost, or rollouts that are not written down."""
    used, training, asked = collect(monkeypatch, lambda i: i % 2 == 0, zero_spread="drop", prompts=10)
    assert len(asked) == 1
    assert groups(used) == [i for i in asked[0] if i % 2]
    assert 0 < len(used) < 20
    assert groups(training.sampled) == asked[0]


def test_resample_fills_the_step(monkeypatch):
    """Dynamic sampling that stops too early, goes on for too long, or takes a problem twice."""
    used, training, asked = collect(monkeypatch, lambda i: i % 3, zero_spread="resample", prompts=4, count=60)
    kept = [i for i in sum(asked, []) if i % 3 == 0]
    assert len(asked) > 1
    assert groups(used) == kept
    assert len(kept) == 4
    assert groups(training.sampled) == sum(asked, [])
    assert len(set(sum(asked, []))) == len(sum(asked, []))
    for n, chosen in enumerate(asked):  # only as many as are missing
        assert len(chosen) == 4 - sum(i % 3 == 0 for i in sum(asked[:n], []))


def test_resample_has_an_end(monkeypatch):
    """A step that never ends where the policy solves everything."""
    used, training, asked = collect(
        monkeypatch, lambda i: i != 0, zero_spread="resample", prompts=2, count=99, rounds=3
    )
    assert len(asked) == 4  # the first, and three more
    assert len(training.sampled) == 2 * sum(map(len, asked))
    used, training, asked = collect(
        monkeypatch, lambda i: i != 3, zero_spread="resample", prompts=2, count=9, rounds=50
    )
    assert sorted(sum(asked, [])) == list(range(9))  # each once, then there is no other
    assert groups(used) == [3]
    used, training, asked = collect(monkeypatch, lambda i: i % 2, zero_spread="resample", rounds=0)
    assert len(asked) == 1


@pytest.mark.parametrize("zero_spread", ["drop", "resample"])
def test_a_step_of_flat_groups_only_is_a_step_all_the_same(zero_spread, monkeypatch):
    """A batch of no rows."""
    used, training, asked = collect(monkeypatch, lambda i: True, zero_spread=zero_spread, rounds=2)
    assert groups(used) == sum(asked, [])
    assert len(asked) == (3 if zero_spread == "resample" else 1)
    assert used == training.sampled


# metrics of a step -------------------------------------------------------------------------------------------


def outcome(stage):
    return replace(lost(Task("", ("",)), ""), stage=Stage[stage])


def rollout(prompt, length, stage, reward, finish_reason="eos", findings=None, **components):
    components = components or {"staged": reward}
    return Rollout(
        prompt_id=prompt,
        sample=0,
        prompt=[1],
        completion=[2] * length,
        log_probs=[-1.0] * length,
        finish_reason=finish_reason,
        text="",
        outcome=outcome(stage),
        findings=findings or {},
        reward=reward,
        components=components,
    )


STEP = [  # three groups of three: all pass, all fail with spread, all fail without
    rollout(0, 4, "PASSED", 1.0),
    rollout(0, 6, "PASSED", 1.0),
    rollout(0, 9, "PASSED", 1.0, "length"),
    rollout(1, 2, "PARTIAL", 0.7),
    rollout(1, 3, "RUNS", 0.4),
    rollout(1, 9, "PARSES", 0.2, "length"),
    rollout(2, 5, "SYNTAX_ERROR", 0.0),
    rollout(2, 5, "SYNTAX_ERROR", 0.0),
    rollout(2, 7, "SYNTAX_ERROR", 0.0),
]


def test_reward_metrics_are_counts():
    """Groups that all pass counted with those that all fail, or a share of the wrong whole."""
    metrics = reward_metrics(STEP)
    rewards = [1, 1, 1, 0.7, 0.4, 0.2, 0, 0, 0]
    expected = {
        "reward": statistics.fmean(rewards),
        "reward_std": statistics.stdev(rewards),
        "rewards/staged/mean": statistics.fmean(rewards),
        "rewards/staged/std": statistics.stdev(rewards),
        "findings/failed": 0,
        "reward_length_correlation": statistics.correlation([4, 6, 9, 2, 3, 9, 5, 5, 7], rewards),
        "pass_rate": 3 / 9,
        "frac_reward_zero_std": 2 / 3,
        "frac_reward_zero_std/all_pass": 1 / 3,
        "frac_reward_zero_std/all_fail": 1 / 3,
        "frac_all_pass": 1 / 3,
        "frac_all_fail": 2 / 3,
        "stages/SYNTAX_ERROR": 3 / 9,
        "stages/PARSES": 1 / 9,
        "stages/RUNS": 1 / 9,
        "stages/OUTPUT": 0,
        "stages/PARTIAL": 1 / 9,
        "stages/PASSED": 3 / 9,
    }
    assert metrics == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_a_group_that_half_passes_without_spread_is_neither():
    """Equal rewards taken for equal outcomes: with another reward a failure may be worth what a pass is."""
    step = [rollout(0, 2, "PASSED", 0.5), rollout(0, 2, "PARTIAL", 0.5)]
    metrics = reward_metrics(step)
    assert metrics["frac_reward_zero_std"] == 1
    assert metrics["frac_reward_zero_std/all_pass"] == metrics["frac_reward_zero_std/all_fail"] == 0
    assert metrics["frac_all_pass"] == metrics["frac_all_fail"] == 0


def test_each_component_has_its_own_mean_and_std():
    """A sum where its parts were asked for."""
    step = [
        rollout(0, 2, "PASSED", 0.5, staged=1.0, style=-0.5),
        rollout(0, 2, "PASSED", 1.0, staged=1.0, style=0.0),
    ]
    metrics = reward_metrics(step)
    assert metrics["rewards/staged/mean"] == 1
    assert metrics["rewards/staged/std"] == 0
    assert metrics["rewards/style/mean"] == -0.25
    assert metrics["rewards/style/std"] == pytest.approx(statistics.stdev([-0.5, 0.0]))


def test_findings_are_counted_for_a_completion():
    """A count for the step, a class that shadows another tool's, or the list of rules counted with the classes."""
    first = {
        "failed": "",
        "style": {"bug": 2, "error": 0},
        "security": {"HIGH": 1, "CWE-78": 1},
        "rules": ["F841:1", "B602:2"],
    }
    second = {"failed": "too large", "style": {"bug": 1}}
    step = [rollout(0, 2, "PASSED", 1.0, findings=findings) for findings in (first, second)]
    found = {name: value for name, value in reward_metrics(step).items() if name.startswith("findings/")}
    assert found == {
        "findings/failed": 0.5,
        "findings/style/bug": 1.5,
        "findings/style/error": 0,
        "findings/security/HIGH": 0.5,
        "findings/security/CWE-78": 0.5,
    }


def test_a_single_rollout_has_no_spread():
    """A standard deviation of one number: nan in a metrics file, or an error after hours."""
    metrics = reward_metrics(STEP[:1])
    assert metrics["reward_std"] == metrics["rewards/staged/std"] == 0


def test_length_metrics_are_counts():
    """Completions cut at the budget counted among those that ended, or left out of the mean of all."""
    ended = [4, 6, 2, 3, 5, 5, 7]
    assert length_metrics(STEP) == pytest.approx(
        {
            "completions/mean_length": statistics.fmean([*ended, 9, 9]),
            "completions/min_length": 2,
            "completions/max_length": 9,
            "completions/clipped_ratio": 2 / 9,
            "completions/mean_terminated_length": statistics.fmean(ended),
            "completions/min_terminated_length": 2,
            "completions/max_terminated_length": 7,
        }
    )
    cut = length_metrics([STEP[2]])
    assert cut["completions/clipped_ratio"] == 1
    assert not [name for name in cut if "terminated" in name]  # of none there is no mean


# the files of a run ------------------------------------------------------------------------------------------


def opened(path, sizes):
    directory = RunDirectory(path)
    directory.open(sizes)
    return directory


def test_a_step_is_readable_as_soon_as_it_is_written(tmp_path):
    """Lines that wait in a buffer: a run that cannot be watched, and steps lost when it is killed."""
    directory = opened(tmp_path / "run", {})
    for step in range(2):
        directory.write_step({"step": step, "loss": float("nan")}, STEP[:2])
        metrics = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
        rollouts = (tmp_path / "run" / "rollouts.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in metrics] == list(range(step + 1))
        assert [json.loads(line)["step"] for line in rollouts] == [n for n in range(step + 1) for _ in range(2)]
    assert json.loads(rollouts[0])["tokens"] == 4
    assert [m["step"] for m in directory.metrics] == [0, 1]
    directory.close()


def test_line_files_are_cut_to_the_checkpoint(tmp_path):
    """Steps that stand in the file twice after a resume, or a half line in the midst of it."""
    directory = opened(tmp_path, {})
    directory.write_step({"step": 0, "text": "é"}, STEP)  # bytes are counted, not characters
    sizes = directory.sizes()
    kept = {name: (tmp_path / name).read_bytes() for name in sizes}
    assert sizes == {name: len(content) for name, content in kept.items()}
    directory.write_step({"step": 1}, STEP)
    directory.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')
    again = opened(tmp_path, sizes)
    assert {name: (tmp_path / name).read_bytes() for name in sizes} == kept
    assert [m["step"] for m in again.metrics] == [0]
    assert again.sizes() == sizes
    again.write_step({"step": 1}, STEP)
    again.close()
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [0, 1]


@pytest.mark.parametrize("short", ["metrics.jsonl", "rollouts.jsonl"])
def test_a_file_shorter_than_the_checkpoint_is_refused(short, tmp_path):
    """A hole of zero bytes where steps stood; the other file cut before the hole is found."""
    directory = opened(tmp_path, {})
    directory.write_step({"step": 0}, STEP)
    sizes = directory.sizes()
    directory.write_step({"step": 1}, STEP)
    directory.close()
    (tmp_path / short).write_bytes((tmp_path / short).read_bytes()[:5])
    before = {name: (tmp_path / name).read_bytes() for name in sizes}
    with pytest.raises(ValueError, match=rf"{short}: 5 bytes.*{sizes[short]}"):
        opened(tmp_path, sizes)
    assert {name: (tmp_path / name).read_bytes() for name in sizes} == before


def test_cut_to_opens_at_the_end(tmp_path):
    """Writing from the start of the file, over the steps that are kept."""
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntwo\nthr")
    with cut_to(path, 8) as file:
        assert file.tell() == 8
        file.write(b"3\n")
    assert path.read_bytes() == b"one\ntwo\n3\n"


def test_one_process_at_a_time(tmp_path):
    """Two trainers that write into one run; a lock that outlives its holder and has to be removed by hand."""
    first = opened(tmp_path, {})
    first.write_step({"step": 0}, STEP)
    with pytest.raises(ValueError, match="another process"):
        RunDirectory(tmp_path)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 0}\n'
    sizes = first.sizes()
    first.close()
    opened(tmp_path, sizes).close()


def test_a_directory_that_cannot_be_made(tmp_path):
    """A traceback at the end of the loading, for --out below a file."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file/run: no run can be written there: Not a directory"):
        RunDirectory(tmp_path / "file" / "run")


def test_json_files_are_replaced_whole(tmp_path):
    """A file that is not there taken for a damaged one, or a temporary one left behind."""
    directory = RunDirectory(tmp_path)
    assert directory.read_json("summary.json") == {}
    for value in ({"a": [1, None]}, {"b": 2}):
        directory.write_json("summary.json", value)
        assert directory.read_json("summary.json") == json.loads((tmp_path / "summary.json").read_text()) == value
    (tmp_path / "summary.json").write_text("{")
    with pytest.raises(ValueError, match="summary.json: not JSON"):
        directory.read_json("summary.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "summary.json"]
    directory.close()


def test_a_group_of_one_has_no_share_of_equal_groups():
    """PPO with one sample a problem, which would report that no group has any spread."""

    def rollouts(prompts):
        return [Rollout(i, 0, [1], [2], [-0.1], "eos", "", outcome=outcome("PASSED"), reward=1.0) for i in prompts]

    assert not any(name.startswith("frac_") for name in reward_metrics(rollouts([0, 1, 2])))
    assert reward_metrics(rollouts([0, 0, 0]))["frac_all_pass"] == 1.0


@pytest.mark.parametrize(
    ("algorithm", "old_log_probs", "gap", "warned"),
    [
        ("gspo", "sampler", 1e-3, True),
        ("gspo", "sampler", 1e-4, False),
        ("gspo", "recompute", 1e-3, False),
        ("grpo", "sampler", 1e-3, False),
        ("sft", None, None, False),
    ],
)
def test_a_gap_wider_than_the_clip_range_is_told(algorithm, old_log_probs, gap, warned, capsys):
    """GSPO on bf16 weights, whose clip then cuts what rounding has moved, without a word."""
    training = object.__new__(Trainer)
    options = ALGORITHMS[algorithm].Options()
    training.options = SimpleNamespace(algorithm=options, old_log_probs=old_log_probs)
    training.bar = tqdm(disable=True)
    training.warn_of_mismatch({} if gap is None else {"sampling/sampling_logp_difference/mean": gap})
    error = capsys.readouterr().err
    assert ("--old-log-probs recompute" in error) == warned
    assert error.count("\n") == warned
