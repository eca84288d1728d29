"""What the steps of a run share: problems in, judged rollouts out, metrics and checkpoints written down."""

import sys
import time
from pathlib import Path
from random import Random

from tqdm import tqdm

from data.problems import Problem
from experiments.eval import evaluate
from experiments.inputs.policy import Policy, answer, reference_rollouts
from experiments.report.run_directory import RunDirectory
from experiments.report.summary import summarize_splits
from experiments.rollouts.judge import Referee, describe, has_passed, locate, make_answers, reward_rollouts
from experiments.rollouts.metrics import length_metrics, reward_metrics
from experiments.settings import RunOptions
from rewards import schedule
from rewards.schedule import parse_schedule
from rl.files.checkpoint import STATE_FILE, read_state, save_checkpoint
from rl.learner import Learner
from rl.lora import save_adapter
from rl.rollout import Batch, Rollout, has_spread, reward_table

WATCHED = "valid/greedy_pass@1"  # what "best so far" is about


CARRIED = {  # in a checkpoint
    "cursor": int,
    "num_tokens": int,
    "best": dict,
    "seconds": float,
    "sizes": dict,
    "schedule": dict,
}


def read_extra(checkpoint: Path) -> dict:
    """What `Training.state` wrote into a checkpoint. ValueError, one line, for anything else."""
    extra = read_state(checkpoint)["extra"]
    for name, kind in CARRIED.items():
        if not isinstance(extra.get(name), kind):
            raise ValueError(f"{checkpoint / STATE_FILE}: extra: {name}: missing, or no {kind.__name__}")
    return extra


class ProblemOrder:
    """The training problems in a seeded order, shuffled anew for each pass over them: endless, with a cursor."""

    def __init__(self, problems: list[Problem], seed: int):
        self.problems, self.seed, self.cursor = problems, seed, 0

    def take(self, count: int, without: set[int | str] = frozenset()) -> list[Problem]:
        """The next problems; none of the task ids in `without`, and none twice: a group is known by its problem."""
        chosen: dict[int | str, Problem] = {}
        wanted = min(count, len(self.problems) - len(without))
        while len(chosen) < wanted:
            epoch, start = divmod(self.cursor, len(self.problems))
            for problem in self._epoch(epoch)[start:]:
                self.cursor += 1
                if problem.task_id not in without:
                    chosen.setdefault(problem.task_id, problem)
                if len(chosen) == wanted:
                    break
        return list(chosen.values())

    def _epoch(self, epoch: int) -> list[Problem]:
        """The whole order of one pass; shuffling all of it is why `take` asks once for a pass, not for a problem."""
        order = list(self.problems)
        Random(f"{self.seed}/{epoch}").shuffle(order)
        return order


class Training:
    """Gives the algorithms their `collect` and `log`. All that it carries from step to step is in `state`."""

    def __init__(
        self,
        options: RunOptions,
        policy: Policy,
        learner: Learner,
        splits: dict[str, list[Problem]],
        referee: Referee,
        directory: RunDirectory,
    ):
        self.options, self.policy, self.learner, self.splits = options, policy, learner, splits
        self.referee, self.directory = referee, directory
        self.order = ProblemOrder(splits["train"], options.seed)
        self.schedule = parse_schedule(options.reward, options.steps) if options.reward is not None else None
        self.schedule_state = schedule.start()
        self.num_tokens, self.best, self.seconds_before = 0, {}, 0.0
        self.started = time.perf_counter()
        self.bar = tqdm(disable=True)
        self.sampled: list[Rollout] = []  # of the step at hand, those that are not learned from included
        self.clock: dict[str, float] = {}

    # what a checkpoint holds beside the learner

    def state(self) -> dict:
        return {
            "cursor": self.order.cursor,
            "num_tokens": self.num_tokens,
            "best": self.best,
            "seconds": self.seconds(),
            "sizes": self.directory.sizes(),
            "schedule": self.schedule_state,
        }

    def restore(self, state: dict) -> None:
        self.order.cursor, self.num_tokens, self.best = state["cursor"], state["num_tokens"], state["best"]
        self.seconds_before, self.schedule_state = state["seconds"], state["schedule"]

    def seconds(self) -> float:
        """Time spent on the run so far, all its processes together."""
        return self.seconds_before + time.perf_counter() - self.started

    # a step

    def collect(self, step: int) -> list[Rollout]:
        """The rollouts that a step learns from, problem by problem: sampled, executed and rewarded, or, for SFT, the
        reference solutions."""
        options, began = self.options, time.perf_counter()
        self.clock = {"began": began, "sample": 0.0, "execute": 0.0}
        if options.algo == "sft":
            used = self.sampled = reference_rollouts(self.policy, self.order.take(options.prompts), options.solutions)
        else:
            used = self.collect_sampled(step)
        self.clock["learn_began"] = time.perf_counter()
        return used

    def collect_sampled(self, step: int) -> list[Rollout]:
        """With zero_spread "drop", only the groups whose rewards differ; with "resample" (DAPO's dynamic sampling),
        others are sampled in their place."""
        options = self.options
        self.sampled, used = [], []
        rounds = 1 + (options.resample_rounds if options.zero_spread == "resample" else 0)
        for _ in range(rounds):
            missing = options.prompts - len(used) // options.group_size
            problems = self.order.take(missing, without={rollout.prompt_id for rollout in self.sampled})
            if not problems:
                break
            fresh = self.sample_and_judge(step, problems)
            self.sampled += fresh
            spread = has_spread(reward_table(fresh, options.group_size)).tolist()
            keep_all = options.zero_spread not in ("drop", "resample")
            used += [r for i, r in enumerate(fresh) if keep_all or spread[i // options.group_size]]
            if len(used) == options.prompts * options.group_size:
                break
        # Where no group has any spread, all of them go on: their advantages are zero, and no step is taken.
        return used or self.sampled

    def sample_and_judge(self, step: int, problems: list[Problem]) -> list[Rollout]:
        """A group of rollouts for each problem, executed and rewarded; adds to the clock of the step."""
        options, began = self.options, time.perf_counter()
        with self.referee.trial(problems, want_lines=options.credit == "executed") as trial:
            rollouts = answer(
                self.policy,
                problems,
                seed=options.seed,
                step=step,
                group_size=options.group_size,
                max_new_tokens=options.max_new_tokens,
                temperature=options.temperature,
                on_rollouts=trial.add,
            )
            sampled = time.perf_counter()
            known = trial.finish(rollouts)
        answers = make_answers(trial.problems, rollouts, known, self.policy, options.max_new_tokens)
        phase = schedule.phase_at(self.schedule, self.schedule_state, step)
        spans = reward_rollouts(rollouts, answers, self.schedule.phases[phase].expression)
        locate(options.credit, rollouts, answers, spans, self.policy, options.group_size)
        for rollout, found in zip(rollouts, known, strict=True):
            describe(rollout, *found)
        self.clock["sample"] += sampled - began
        self.clock["execute"] += time.perf_counter() - sampled
        return rollouts

    def log(self, batch: Batch, learned: dict[str, float]) -> None:
        """Writes a step down, moves the bar, looks at the valid split and saves a checkpoint now and then."""
        options, done, times = self.options, self.learner.step, self.times(batch)  # before anything else takes time
        for rollout, row in zip(batch.rollouts, batch.advantages, strict=True):
            rollout.advantage = float(row.sum()) / len(rollout.completion)
        metrics = {"step": done - 1, **self.describe(), **learned, **times}
        if self.schedule:
            metrics["phase"] = schedule.phase_at(self.schedule, self.schedule_state, done - 1)
            self.schedule_state = schedule.observe(self.schedule, self.schedule_state, done - 1, metrics)
        if options.eval_every and (done % options.eval_every == 0 or done == options.steps):
            metrics[WATCHED] = self.look_at_valid()
            self.keep_best(done, metrics[WATCHED])
        if done == 1:
            self.warn_of_mismatch(metrics)
        self.directory.write_step(metrics, self.sampled)
        if options.checkpoint_every and (done % options.checkpoint_every == 0 or done == options.steps):
            save_checkpoint(self.directory.path, self.learner, options.model, self.state(), options.keep_checkpoints)
        self.show(metrics)

    def describe(self) -> dict[str, float]:
        """The metrics of the step's rollouts."""
        prompts = {rollout.prompt_id: len(rollout.prompt) for rollout in self.sampled}
        self.num_tokens += sum(prompts[r.prompt_id] + len(r.completion) for r in self.sampled)
        metrics = {"num_tokens": self.num_tokens, "groups": len(prompts), **length_metrics(self.sampled)}
        if self.options.algo != "sft":
            metrics |= reward_metrics(self.sampled, self.options.group_size)
        return metrics

    def times(self, batch: Batch) -> dict[str, float]:
        """Seconds of each phase, and completion tokens a second of sampling and of learning."""
        now, clock = time.perf_counter(), self.clock
        learn = now - clock["learn_began"]
        learned_tokens = float(batch.mask.sum()) * self.options.epochs
        metrics = {"seconds/learn": learn, "tokens_per_second/learn": learned_tokens / learn}
        if clock["sample"]:
            sampled_tokens = sum(len(rollout.completion) for rollout in self.sampled)
            metrics |= {
                "seconds/sample": clock["sample"],
                "seconds/execute": clock["execute"],
                "tokens_per_second/sample": sampled_tokens / clock["sample"],
            }
        return metrics | {"step_time": now - clock["began"]}

    def warn_of_mismatch(self, metrics: dict[str, float]) -> None:
        """Where sampler and learner differ by more than the clip range allows, rounding alone decides what is clipped:
        so it is for GSPO's narrow range with bf16 weights (28 % of the sequences, before anything is learned)."""
        options, gap = self.options, metrics.get("sampling/sampling_logp_difference/mean", 0.0)
        if options.clip_low is not None and options.old_log_probs == "sampler" and gap > options.clip_low:
            self.bar.write(
                f"warning: sampler and learner differ by {gap:.0e} nats a token, more than --clip-low "
                f"{options.clip_low}: give --old-log-probs recompute",
                file=sys.stderr,
            )

    def keep_best(self, done: int, figure: float) -> None:
        """The adapter with the best figure so far, of equals the first, in best/."""
        if not self.best or figure > self.best[WATCHED]:
            self.best = {"step": done, WATCHED: figure}
            save_adapter(self.learner.model, self.directory.path / "best", self.options.model)

    def show_progress(self) -> None:
        """Starts the bar of the steps; not earlier, so that its clock counts nothing else."""
        title = " ".join(name for name in (self.options.algo, self.options.reward) if name)
        done = self.learner.step
        self.bar = tqdm(total=self.options.steps, initial=done, desc=title, unit="step", file=sys.stderr)

    def show(self, metrics: dict[str, float]) -> None:
        if "reward" in metrics:
            self.bar.set_postfix(reward=f"{metrics['reward']:.2f}", passed=f"{100 * metrics['pass_rate']:.0f}%")
        else:
            self.bar.set_postfix(loss=f"{metrics['loss']:.3f}")
        self.bar.update()

    # evaluation

    def look_at_valid(self) -> float:
        greedy, _ = self.evaluate("valid", samples=0)
        return sum(map(has_passed, greedy)) / len(greedy)

    def evaluate(self, split: str, samples: int, progress=lambda done: None) -> tuple[list[Rollout], list[Rollout]]:
        return evaluate(
            self.policy,
            self.splits[split],
            self.referee,
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
