"""What the steps of a run share: problems in, judged rollouts out, metrics and checkpoints written down.

An algorithm's loop calls `collect` for the rollouts of a step and `log` with what it learned from them.
"""

import sys
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from random import Random

from tqdm import tqdm

from data.problems import Problem
from experiments.inputs.policy import Policy
from experiments.report.run_directory import RunDirectory
from experiments.report.summary import summarize_splits
from experiments.rollouts.evaluate import evaluate
from experiments.rollouts.judge import Judges, has_passed
from experiments.rollouts.metrics import length_metrics, reward_metrics
from experiments.rollouts.reward import reward_rollouts
from experiments.rollouts.sample import reference_rollouts, sample_rollouts
from experiments.settings import ALGORITHMS, RunOptions
from rewards import schedule
from rl.files.adapter import save_adapter
from rl.files.checkpoint import STATE_FILE, read_state, save_checkpoint
from rl.learner import Learner
from rl.rollout import Batch, Rollout, has_spread, reward_table

WATCHED = "valid/greedy_pass@1"  # decides which adapter is best


@dataclass
class Progress:
    """What a run carries from step to step beside the learner: a checkpoint holds it as JSON."""

    cursor: int = 0  # problems taken so far
    num_tokens: int = 0
    best: dict = field(default_factory=dict)
    seconds: float = 0.0  # of all processes of the run
    sizes: dict = field(default_factory=dict)  # of the line files, in bytes
    schedule: dict = field(default_factory=schedule.start)


def read_progress(checkpoint: Path) -> Progress:
    """The progress in a checkpoint. ValueError, one line, for anything else."""
    extra = read_state(checkpoint)["extra"]
    for item in fields(Progress):
        kind = type(getattr(Progress(), item.name))
        if not isinstance(extra.get(item.name), kind):
            raise ValueError(f"{checkpoint / STATE_FILE}: extra: {item.name}: missing, or no {kind.__name__}")
    return Progress(**{item.name: extra[item.name] for item in fields(Progress)})


class ProblemOrder:
    """The training problems in a seeded order, shuffled anew for each pass over them: endless, with a cursor."""

    def __init__(self, problems: list[Problem], seed: int, cursor: int = 0):
        self.problems, self.seed, self.cursor = problems, seed, cursor

    def take(self, count: int, without: set[int | str] = frozenset()) -> list[Problem]:
        """The next problems, none of them twice and none with a task id in `without`."""
        chosen: dict[int | str, Problem] = {}
        wanted = min(count, len(self.problems) - len(without))
        while len(chosen) < wanted:
            epoch, start = divmod(self.cursor, len(self.problems))
            order = list(self.problems)
            Random(f"{self.seed}/{epoch}").shuffle(order)
            for problem in order[start:]:
                self.cursor += 1
                if problem.task_id not in without:
                    chosen.setdefault(problem.task_id, problem)
                if len(chosen) == wanted:
                    break
        return list(chosen.values())


class Trainer:
    """Gives an algorithm its `collect` and `log`."""

    def __init__(
        self,
        options: RunOptions,
        policy: Policy,
        learner: Learner,
        splits: dict[str, list[Problem]],
        judges: Judges,
        directory: RunDirectory,
        progress: Progress | None = None,
    ):
        self.options, self.policy, self.learner, self.splits = options, policy, learner, splits
        self.judges, self.directory, self.progress = judges, directory, progress or Progress()
        self.order = ProblemOrder(splits["train"], options.seed, self.progress.cursor)
        self.rewarded = ALGORITHMS[options.algo].ON_POLICY
        self.schedule = schedule.parse_schedule(options.reward, options.steps)
        self.seconds_before, self.started = self.progress.seconds, time.perf_counter()
        self.bar = tqdm(disable=True)
        self.sampled: list[Rollout] = []  # of this step, with those that are not learned from
        self.clock: dict[str, float] = {}

    def seconds(self) -> float:
        """Time spent on the run so far, in all its processes."""
        return self.seconds_before + time.perf_counter() - self.started

    # station 1: draw problems
    def collect(self, step: int) -> list[Rollout]:
        """The rollouts that a step learns from, problem by problem: sampled, judged and rewarded; for SFT the reference
        solutions."""
        options = self.options
        self.clock = {"began": time.perf_counter(), "sample": 0.0, "execute": 0.0}
        if self.rewarded:
            used = self.collect_sampled(step)
        else:
            problems = self.order.take(options.prompts)
            used = self.sampled = reference_rollouts(self.policy, problems, options.algorithm.solutions)
        self.clock["learn_began"] = time.perf_counter()
        return used

    def collect_sampled(self, step: int) -> list[Rollout]:
        """With zero_spread "drop", only the groups whose rewards differ. With "resample" (DAPO's dynamic sampling),
        other problems are sampled in place of the dropped ones."""
        options = self.options
        self.sampled, used = [], []
        for _ in range(1 + (options.resample_rounds if options.zero_spread == "resample" else 0)):
            missing = options.prompts - len(used) // options.group_size
            problems = self.order.take(missing, without={rollout.prompt_id for rollout in self.sampled})
            if not problems:
                break
            fresh = self.sample_and_judge(step, problems)
            self.sampled += fresh
            spread = has_spread(reward_table(fresh)).tolist()
            keep_all = options.zero_spread == "keep"
            used += [r for i, r in enumerate(fresh) if keep_all or spread[i // options.group_size]]
            if len(used) == options.prompts * options.group_size:
                break
        # If no group has any spread, all go on: their advantages are zero, and no optimizer step is taken.
        return used or self.sampled

    def sample_and_judge(self, step: int, problems: list[Problem]) -> list[Rollout]:
        """A group of rollouts for each problem, judged and rewarded."""
        options, began = self.options, time.perf_counter()
        with self.judges.batch(problems, want_lines=options.credit == "executed") as batch:
            rollouts = sample_rollouts(
                self.policy,
                problems,
                seed=options.seed,
                step=step,
                group_size=options.group_size,
                max_new_tokens=options.max_new_tokens,
                temperature=options.temperature,
                on_rollouts=batch.add,
            )
            sampled = time.perf_counter()
            batch.finish()
        phase = self.schedule[schedule.phase_at(self.schedule, self.progress.schedule, step)]
        reward_rollouts(rollouts, problems, phase.expression, options.credit, options.max_new_tokens)
        self.clock["sample"] += sampled - began
        self.clock["execute"] += time.perf_counter() - sampled
        return rollouts

    # station 11: write the advantage
    def log(self, batch: Batch, learned: dict[str, float]) -> None:
        """Writes a step down and moves the bar; now and then evaluates on valid and saves a checkpoint."""
        step, done = self.learner.step - 1, self.learner.step
        metrics = {"step": step, **self.times(batch)}  # the clock is read before anything else takes time
        for rollout, row in zip(batch.rollouts, batch.advantages, strict=True):
            rollout.advantage = float(row.sum()) / len(rollout.completion)
        metrics |= self.measure() | learned
        if self.rewarded:
            metrics["phase"] = schedule.phase_at(self.schedule, self.progress.schedule, step)
            self.progress.schedule = schedule.observe(self.schedule, self.progress.schedule, step, metrics)
        if self.is_due(self.options.eval_every):
            greedy, _ = self.evaluate("valid", samples=0)
            metrics[WATCHED] = sum(map(has_passed, greedy)) / len(greedy)
            self.keep_best(done, metrics[WATCHED])
        if done == 1:
            self.warn_of_mismatch(metrics)
        self.directory.write_step(metrics, self.sampled)
        if self.is_due(self.options.checkpoint_every):
            self.save()
        self.show(metrics)

    def is_due(self, every: int) -> bool:
        """Whether something that comes every so many steps, and after the last, comes now; never for 0."""
        done = self.learner.step
        return every > 0 and (done % every == 0 or done == self.options.steps)

    def save(self) -> None:
        progress = self.progress
        progress.cursor, progress.seconds, progress.sizes = self.order.cursor, self.seconds(), self.directory.sizes()
        options = self.options
        save_checkpoint(self.directory.path, self.learner, options.model, asdict(progress), options.keep_checkpoints)

    def measure(self) -> dict[str, float]:
        """The metrics of the step's rollouts."""
        prompts = {rollout.prompt_id: len(rollout.prompt) for rollout in self.sampled}
        self.progress.num_tokens += sum(prompts[r.prompt_id] + len(r.completion) for r in self.sampled)
        metrics = {"num_tokens": self.progress.num_tokens, "groups": len(prompts), **length_metrics(self.sampled)}
        return metrics | reward_metrics(self.sampled) if self.rewarded else metrics

    def times(self, batch: Batch) -> dict[str, float]:
        """Seconds of each phase, and completion tokens per second of sampling and of learning."""
        now, clock = time.perf_counter(), self.clock
        learn = now - clock["learn_began"]
        learned_tokens = float(batch.mask.sum()) * self.options.epochs
        metrics = {"seconds/learn": learn, "tokens_per_second/learn": learned_tokens / learn}
        if self.rewarded:
            sampled_tokens = sum(len(rollout.completion) for rollout in self.sampled)
            metrics |= {
                "seconds/sample": clock["sample"],
                "seconds/execute": clock["execute"],
                "tokens_per_second/sample": sampled_tokens / clock["sample"],
            }
        return metrics | {"step_time": now - clock["began"]}

    def warn_of_mismatch(self, metrics: dict[str, float]) -> None:
        """If sampler and learner differ by more than the clip range, rounding alone decides what is clipped. GSPO's
        range is that narrow with bf16 weights: 28 % of the sequences were clipped before anything was learned."""
        gap = metrics.get("sampling/sampling_logp_difference/mean", 0.0)
        clip_low = getattr(self.options.algorithm, "clip_low", None)
        if clip_low is not None and self.options.old_log_probs == "sampler" and gap > clip_low:
            self.bar.write(
                f"warning: sampler and learner differ by {gap:.0e} nats a token, more than --clip-low "
                f"{clip_low}: give --old-log-probs recompute",
                file=sys.stderr,
            )

    def keep_best(self, done: int, figure: float) -> None:
        """Saves the adapter with the best figure so far in best/; of equal ones the first."""
        if not self.progress.best or figure > self.progress.best[WATCHED]:
            self.progress.best = {"step": done, WATCHED: figure}
            save_adapter(self.learner.model, self.directory.path / "best", self.options.model)

    def show_progress(self) -> None:
        """Starts the bar of the steps."""
        done = self.learner.step
        title = run_title(self.options)
        self.bar = tqdm(total=self.options.steps, initial=done, desc=title, unit="step", file=sys.stderr)

    def show(self, metrics: dict[str, float]) -> None:
        if self.rewarded:
            self.bar.set_postfix(reward=f"{metrics['reward']:.2f}", passed=f"{100 * metrics['pass_rate']:.0f}%")
        else:
            self.bar.set_postfix(loss=f"{metrics['loss']:.3f}")
        self.bar.update()

    # evaluation

    def evaluate(self, split: str, samples: int, progress=lambda done: None) -> tuple[list[Rollout], list[Rollout]]:
        return evaluate(
            self.policy,
            self.splits[split],
            self.judges,
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


def run_title(options: RunOptions) -> str:
    return f"{options.algo} {options.reward}" if ALGORITHMS[options.algo].ON_POLICY else options.algo
