"""The main job: `python experiments/run.py --algo gspo --reward staged`.

Samples programs from a small language model, executes them against unit tests, rewards them, updates LoRA
weights, and compares pass@1 on held-out problems before and after. All it learns is in the run directory.
"""

import json
import platform
import resource
import subprocess  # nosec B404: asks git for the commit
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from experiments import threads  # first: it must come before torch

# isort: split
import numpy
import torch
import transformers
from tqdm import tqdm

from data.problems import Problem, load_problems
from experiments.curves import draw_curves
from experiments.eval import evaluate, format_table, summarize, summarize_splits, write_text
from experiments.options import (
    EMBEDDED,
    bad_input_is_one_line,
    check_at_least,
    check_choice,
    check_positive,
    option,
    parse,
)
from experiments.policy import Policy, answer, has_passed, judge_rollouts, load_policy, start_judge
from rewards.components import REWARDS
from rl import grpo, gspo
from rl.learner import Learner
from rl.lora import TARGETS, add_lora, save_adapter
from rl.rollout import Rollout, reward_table
from sandbox import Judge, Stage

ALGORITHMS = {"grpo": grpo, "gspo": gspo}
TABLE = ("greedy_pass@1", "pass@1", "pass@16")


@dataclass
class RunOptions:
    """Every option of run.py; config.json of a run holds them all, resolved."""

    model: str = option(EMBEDDED, "checkpoint directory in Hugging Face layout", "what")
    data: str = option("embedded", "'embedded' or the path of a JSON-lines problems file with splits", "what")
    algo: str = option("gspo", f"the algorithm: {', '.join(ALGORITHMS)}", "what")
    reward: str = option("staged", f"the reward: {', '.join(REWARDS)}", "what")
    steps: int = option(100, "training steps; each samples, executes, rewards and updates once", "training")
    prompts: int = option(16, "problems a step", "training")
    group_size: int = option(8, "samples a problem", "training")
    lr: float = option(3e-3, "peak learning rate of AdamW", "training")
    warmup: int = option(3, "steps of linear warm-up; linear decay follows", "training")
    minibatches: int = option(2, "optimizer steps for each batch of rollouts", "training")
    microbatch_rows: int = option(128, "rollouts in memory at a time; changes no result", "training")
    max_grad_norm: float = option(1.0, "gradient norm is clipped to this", "training")
    clip_low: float = option(0.0, "clip range below 1; 0 is the algorithm's own", "training")
    clip_high: float = option(0.0, "clip range above 1; 0 is the algorithm's own", "training")
    scale_rewards: str = option("group", "divide advantages by the group's standard deviation: group, none", "training")
    lora_rank: int = option(8, "rank of the LoRA layers", "adapter")
    lora_alpha: float = option(16.0, "LoRA scale is alpha / rank", "adapter")
    lora_targets: str = option("all", "linear layers to adapt: all, or some of " + ",".join(TARGETS), "adapter")
    adapter: str = option("", "PEFT adapter directory to start from", "adapter")
    temperature: float = option(1.0, "sampling temperature", "sampling")
    max_new_tokens: int = option(72, "token budget of an answer", "sampling")
    eval_samples: int = option(16, "samples a problem in the evaluations before and after", "evaluation")
    eval_every: int = option(20, "greedy pass@1 on the valid split every so many steps; 0 is never", "evaluation")
    eval_problems: int = option(0, "evaluate the first N problems only; 0 is all", "evaluation")
    seed: int = option(0, "random seed of everything", "machine")
    device: str = option("auto", "auto, cpu or cuda", "machine")
    dtype: str = option("fp32", "fp32 or bf16: weights of the base; LoRA stays fp32", "machine")
    threads: int = option(0, "torch threads; 0 is one for a small model, else one for each core", "machine")
    slots: int = option(2, "programs executed at a time", "machine")
    cpu_seconds: float = option(1.0, "CPU time limit of a program", "machine")
    allow_weak_sandbox: bool = option(False, "go on where the sandbox is below its minimum", "machine")
    out: str = option("", "run directory; default runs/<time>-<algo>-<reward>", "output")


def check(options: RunOptions) -> None:
    """ValueError for the first option that makes no sense."""
    check_choice("algo", options.algo, tuple(ALGORITHMS))
    check_choice("reward", options.reward, tuple(REWARDS))
    check_choice("scale-rewards", options.scale_rewards, ("group", "none"))
    if options.group_size < 2:
        raise ValueError(
            f"--group-size {options.group_size}: {options.algo} compares samples of one problem; needs at least 2"
        )
    names = ["steps", "prompts", "minibatches", "microbatch_rows", "lora_rank", "max_new_tokens", "slots"]
    check_at_least(options, 1, *names)
    check_at_least(
        options,
        0,
        "warmup",
        "clip_low",
        "clip_high",
        "eval_samples",
        "eval_every",
        "eval_problems",
        "threads",
    )
    check_positive(options, "lr", "temperature", "max_grad_norm", "lora_alpha", "cpu_seconds")
    for target in lora_targets(options):
        check_choice("lora-targets", target, TARGETS)


def lora_targets(options: RunOptions) -> tuple[str, ...]:
    return TARGETS if options.lora_targets == "all" else tuple(options.lora_targets.split(","))


def resolve(options: RunOptions) -> RunOptions:
    """Fills in what depends on other options; from here on nothing is implied."""
    algorithm = ALGORITHMS[options.algo]
    options.clip_low = options.clip_low or algorithm.CLIP_LOW
    options.clip_high = options.clip_high or algorithm.CLIP_HIGH
    options.out = options.out or f"runs/{time.strftime('%Y%m%d-%H%M%S')}-{options.algo}-{options.reward}"
    return options


class ProblemOrder:
    """The training problems in a seeded order, shuffled anew for each pass over them."""

    def __init__(self, problems: list[Problem], seed: int):
        self.problems, self.seed = problems, seed

    def take(self, step: int, count: int) -> list[Problem]:
        """The problems of a step; a function of the step alone. Never one twice: a group is known by its problem."""
        chosen: dict[int, Problem] = {}
        position = step * count
        while len(chosen) < min(count, len(self.problems)):
            epoch, start = divmod(position, len(self.problems))
            for problem in self._epoch(epoch)[start:]:
                chosen.setdefault(problem.task_id, problem)
                position += 1
                if len(chosen) == count:
                    break
        return list(chosen.values())

    def _epoch(self, epoch: int) -> list[Problem]:
        """The whole order of one pass; shuffling all of it is why `take` asks once for a pass, not for a problem."""
        order = list(self.problems)
        Random(f"{self.seed}/{epoch}").shuffle(order)
        return order


class RunDirectory:
    """The files of a run. Line files are flushed at every step, so an interrupted run can be read."""

    def __init__(self, path: Path):
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.metrics: list[dict] = []
        self._metrics_file = (path / "metrics.jsonl").open("w", encoding="utf-8")
        self._rollouts_file = (path / "rollouts.jsonl").open("w", encoding="utf-8")

    def write_step(self, metrics: dict, rollouts: list[Rollout]) -> None:
        self.metrics.append(metrics)
        self._metrics_file.write(json.dumps(metrics) + "\n")
        for rollout in rollouts:
            self._rollouts_file.write(json.dumps({"step": metrics["step"], **rollout.record()}) + "\n")
        self._metrics_file.flush()
        self._rollouts_file.flush()

    def write_json(self, name: str, value: dict) -> None:
        write_text(self.path / name, json.dumps(value, indent=2) + "\n")

    def close(self) -> None:
        self._metrics_file.close()
        self._rollouts_file.close()


def describe_machine(device: torch.device) -> dict:
    """Versions, commit and device, for config.json."""
    root = Path(__file__).parent.parent
    git = subprocess.run(  # nosec B603 B607: a fixed command
        ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "git_commit": git.stdout.strip() or None,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "numpy": numpy.__version__,
        },
        "device": device.type,
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "torch_threads": torch.get_num_threads(),
    }


def group_metrics(rollouts: list[Rollout], group_size: int) -> dict[str, float]:
    """What the rewards of one step look like, in TRL's names where TRL has one."""
    table = reward_table(rollouts, group_size)  # (N, G)
    same = (table == table[:, :1]).all(dim=1)  # (N,)
    passed = [has_passed(rollout) for rollout in rollouts]
    solved = torch.tensor(passed).view(-1, group_size)  # (N, G)
    lengths = [len(rollout.completion) for rollout in rollouts]
    stages = {f"stages/{stage.name}": 0.0 for stage in Stage}
    for rollout in rollouts:
        stages[f"stages/{rollout.outcome['stage']}"] += 1 / len(rollouts)
    return {
        "reward": float(table.mean()),
        "reward_std": float(table.std(dim=1).mean()),
        "pass_rate": sum(passed) / len(passed),
        "frac_reward_zero_std": float(same.float().mean()),
        "frac_all_pass": float(solved.all(dim=1).float().mean()),
        "frac_all_fail": float((~solved).all(dim=1).float().mean()),
        "completions/mean_length": sum(lengths) / len(lengths),
        "completions/clipped_ratio": sum(rollout.finish == "length" for rollout in rollouts) / len(rollouts),
        **stages,
    }


class Training:
    """What the steps of a run share; gives the algorithms their `collect` and `log`."""

    def __init__(self, options: RunOptions, policy: Policy, splits: dict[str, list[Problem]], judge: Judge):
        self.options, self.policy, self.splits, self.judge = options, policy, splits, judge
        self.directory = RunDirectory(Path(options.out))
        self.order = ProblemOrder(splits["train"], options.seed)
        self.bar = tqdm(disable=True)
        self.clock: dict[str, float] = {}

    def show_progress(self) -> None:
        """Starts the bar of the steps; not earlier, so that its clock counts nothing else."""
        title = f"{self.options.algo} {self.options.reward}"
        self.bar = tqdm(total=self.options.steps, desc=title, unit="step", file=sys.stderr)

    def collect(self, step: int) -> list[Rollout]:
        """Samples, executes and rewards the rollouts of a step, problem by problem."""
        options, started = self.options, time.perf_counter()
        problems = self.order.take(step, options.prompts)
        rollouts = answer(
            self.policy,
            problems,
            seed=options.seed,
            step=step,
            group_size=options.group_size,
            max_new_tokens=options.max_new_tokens,
            temperature=options.temperature,
        )
        sampled = time.perf_counter()
        judge_rollouts(self.judge, problems, rollouts, options.reward)
        executed = time.perf_counter()
        self.clock = {
            "sample": sampled - started,
            "execute": executed - sampled,
            "began": started,
            "learn_began": executed,
        }
        return rollouts

    def log(self, step: int, rollouts: list[Rollout], advantages: torch.Tensor, learned: dict[str, float]) -> None:
        """Writes a step down, moves the bar, and looks at the valid split now and then."""
        options, now = self.options, time.perf_counter()
        for rollout, row in zip(rollouts, advantages, strict=True):
            rollout.advantage = float(row.sum()) / len(rollout.completion)
        metrics = {"step": step, **group_metrics(rollouts, options.group_size), **learned}
        metrics |= {
            "seconds/sample": self.clock["sample"],
            "seconds/execute": self.clock["execute"],
            "seconds/learn": now - self.clock["learn_began"],
            "step_time": now - self.clock["began"],
        }
        last = step + 1 == options.steps
        if options.eval_every and ((step + 1) % options.eval_every == 0 or last):
            metrics["valid/greedy_pass@1"] = self.look_at_valid()
        self.directory.write_step(metrics, rollouts)
        self.bar.set_postfix(reward=f"{metrics['reward']:.2f}", passed=f"{100 * metrics['pass_rate']:.0f}%")
        self.bar.update()

    def look_at_valid(self) -> float:
        greedy, _ = self.evaluate("valid", samples=0)
        return summarize(greedy, [])["greedy_pass@1"]

    def evaluate(self, split: str, samples: int, progress=lambda done: None) -> tuple[list[Rollout], list[Rollout]]:
        return evaluate(
            self.policy,
            self.splits[split],
            self.judge,
            samples=samples,
            seed=self.options.seed,
            max_new_tokens=self.options.max_new_tokens,
            temperature=self.options.temperature,
            progress=progress,
        )

    def evaluate_test(self, when: str) -> dict:
        """The evaluation before or after, on the test split, with a bar."""
        problems = self.splits["test"]
        with tqdm(total=len(problems), desc=f"evaluate {when}", unit="problem", file=sys.stderr, leave=False) as bar:
            greedy, sampled = self.evaluate("test", self.options.eval_samples, bar.update)
        return summarize_splits(problems, greedy, sampled, "test")


def main(arguments: list[str] | None = None) -> int:
    started = time.time()
    options = parse(RunOptions, arguments, "run.py", __doc__.split("\n")[0])
    with bad_input_is_one_line("run.py"):
        check(options)
        resolve(options)
        out = Path(options.out)
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ValueError(f"--out {options.out}: exists already and is not empty; a run is never overwritten")
        splits = {split: load_problems(options.data, split) for split in ("train", "valid", "test")}
        for split in ("valid", "test"):
            splits[split] = splits[split][: options.eval_problems or None]
        policy = load_policy(options.model, options.adapter, options.device, options.dtype)
        if not options.adapter:
            add_lora(policy.model, options.lora_rank, options.lora_alpha, lora_targets(options), options.seed)
        judge = start_judge(options.slots, options.cpu_seconds, options.allow_weak_sandbox)
    threads.use(options.threads, policy.model.config.hidden_size)
    with judge:
        return run(options, Training(options, policy, splits, judge), started)


def run(options: RunOptions, training: Training, started: float) -> int:
    """Evaluate, train, evaluate; whatever happens, what was done so far is on disk. Exit status 130 after Ctrl-C."""
    model, directory = training.policy.model, training.directory
    directory.write_json("config.json", asdict(options) | describe_machine(model.device))
    summary: dict = {"before": None, "after": None, "interrupted": True}
    learner = Learner(
        model,
        lr=options.lr,
        steps=options.steps,
        warmup=options.warmup,
        minibatches=options.minibatches,
        microbatch_rows=options.microbatch_rows,
        temperature=options.temperature,
        max_grad_norm=options.max_grad_norm,
    )
    try:
        summary["before"] = training.evaluate_test("before")
        training.show_progress()
        ALGORITHMS[options.algo].train(learner, training.collect, training.log, options)
        training.bar.close()
        summary["after"] = training.evaluate_test("after")
        summary["interrupted"] = False
    except KeyboardInterrupt:
        print(f"\ninterrupted after {len(directory.metrics)} steps", file=sys.stderr)
    finally:
        training.bar.close()
        directory.close()
        save_adapter(model, directory.path / "adapter", options.model)
        summary |= {
            "steps_done": len(directory.metrics),
            "seconds_total": time.time() - started,
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        directory.write_json("summary.json", summary)
        draw_curves(directory.path / "curves.png", directory.metrics, summary, f"{options.algo}, {options.reward}")
    if summary["interrupted"]:
        return 130
    print(format_table({"before": summary["before"], "after": summary["after"]}, TABLE))
    print(f"{options.out}: {summary['seconds_total']:.0f} s, {summary['peak_rss_mb']:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
