"""Problems in, rollouts out: sampled by the policy, or its reference solutions as rollouts (SFT)."""

from collections.abc import Callable, Sequence

from data.problems import Problem
from data.programs import end_marks, has_ended, read_answer, write_answer
from data.prompts import continues_stub
from experiments.inputs.policy import Policy
from rl.rollout import Rollout
from rl.sample import Completion, sample

SOLUTIONS = {"code": ("code",), "unsafe": ("unsafe",), "both": ("code", "unsafe")}  # fields of a problem


# station 3: sample completions
def sample_rollouts(
    policy: Policy,
    problems: Sequence[Problem],
    *,
    seed: int,
    step: int,
    group_size: int,
    max_new_tokens: int,
    temperature: float,
    on_rollouts: Callable[[list[Rollout]], object] = lambda rollouts: None,
) -> list[Rollout]:
    """`group_size` rollouts for each problem, problem by problem. Temperature 0 is greedy.

    `on_rollouts` gets rollouts as soon as they end, while others are still being sampled.
    """
    prompts = [policy.prompt_ids(problem) for problem in problems]
    rollouts: dict[int, Rollout] = {}  # by row

    def hand_on(finished: list[tuple[int, Completion]]) -> None:
        fresh = {}
        for row, completion in finished:
            which, index = divmod(row, group_size)
            fresh[row] = make_rollout(policy, problems[which], index, completion)
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
    return [rollouts[row] for row in range(len(prompts) * group_size)]


# station 4: make the record
def make_rollout(policy: Policy, problem: Problem, index: int, completion: Completion) -> Rollout:
    """A completion as the record that walks on from here.

    The text comes from the bytes of the sampled tokens, so each place in the text has its token.
    """
    text, ranges = policy.decode(completion.ids)
    program, prefix = read_answer(text, problem, policy.form)
    return Rollout(
        prompt_id=problem.task_id,
        sample=index,
        prompt=policy.prompt_ids(problem),
        completion=completion.ids,
        log_probs=completion.log_probs,
        finish_reason=completion.finish_reason,
        text=text,
        token_ranges=ranges,
        program=program,
        prefix=prefix,
    )


def make_stop(policy: Policy, problems: Sequence[Problem]) -> Callable[[list[int]], bool] | None:
    """The early stop: whether the tokens of an answer complete it. None if only EOS ends an answer.

    The whole text is read only if an end mark came with the last token, so a step costs the same at any length. Mixed
    batches (with and without stub) use no early stop.
    """
    form = policy.form
    continues = {continues_stub(problem, form) for problem in problems} == {True}
    marks = [mark.encode() for mark in end_marks(form, continues)]
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
        return fresh and has_ended(policy.decode(ids)[0], form, continues)

    return stop


def reference_rollouts(policy: Policy, problems: Sequence[Problem], solutions: str) -> list[Rollout]:
    """The chosen solutions of each problem as if the policy had written them, in its prompt style, with EOS."""
    rollouts = []
    for problem in problems:
        for index, name in enumerate(SOLUTIONS[solutions]):
            text = write_answer(problem, getattr(problem, name), policy.form)
            ids = policy.answer_ids(text) + [policy.eos_ids[0]]
            program, prefix = read_answer(text, problem, policy.form)
            rollouts.append(
                Rollout(problem.task_id, index, policy.prompt_ids(problem), ids, [], "eos", text, [], program, prefix)
            )
    return rollouts
