"""Explains the reward of one program: `python experiments/score.py FILE.py --problem 12 --reward "binary * style"`.

Shows stage, tests, findings, components, and the program with the credit of its tokens in colour. FILE holds a
completion as a model would write it: bare code, or text with a fenced block.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from data.problems import Problem
from data.programs import read_answer
from data.prompts import RULES
from experiments.inputs.hub import EMBEDDED
from experiments.inputs.policy import PROMPTS, Policy, open_policy
from experiments.inputs.problems import read_splits
from experiments.inputs.references import shorten
from experiments.options import bad_input_is_one_line, option, parse
from experiments.rollouts.judge import Judges, start_judges
from experiments.rollouts.reward import CREDITS, make_answer, reward_rollouts
from rewards.answer import Answer, Finding
from rewards.language import parse as parse_reward
from rl.rollout import Rollout

GREY, PLAIN = "\x1b[90m", "\x1b[0m"
REDS, GREENS = (52, 88, 124, 160, 196), (22, 28, 34, 40, 46)  # of the terminal's 256 colours, from dark to bright


@dataclass
class ScoreOptions:
    file: str = option("", "the completion: a Python program, or text with a fenced one", "what", positional=True)
    data: str = option("embedded", "a set's name (fetch.py --list), or a JSON-lines problems file", "what")
    problem: str = option("0", "task_id of the problem that the program answers", "what")
    reward: str = option("staged", "the reward, an expression (docs/rewards.md)", "what")
    credit: str = option("line", "how the reward falls on tokens", "what", choices=CREDITS)
    model: str = option(EMBEDDED, "checkpoint whose tokenizer makes the tokens", "what")
    prompt: str = option("auto", "how the problem was put (docs/models.md)", "what", choices=PROMPTS)
    extract: str = option("first", "which fenced block is the program", "what", choices=RULES)
    max_new_tokens: int = option(72, "token budget of an answer, for `length`", "what", least=1)
    cpu_seconds: float = option(1.0, "CPU time limit of the program", "machine", above=0)
    allow_weak_sandbox: bool = option(False, "go on where the sandbox is below its minimum", "machine")
    colour: str = option("auto", "auto colours on a terminal", "output", choices=("auto", "always", "never"))
    json: bool = option(False, "print one JSON object instead", "output")


@dataclass
class Score:
    problem: Problem
    rollout: Rollout
    answer: Answer
    credit: list[float]  # of each token: the reward placed there, or (executed) its weight


def score(options: ScoreOptions, text: str, problem: Problem, policy: Policy, judges: Judges) -> Score:
    """Runs, analyses and rewards one completion, as run.py does with each of its rollouts."""
    ids = policy.answer_ids(text)
    program, prefix = read_answer(text, problem, policy.form)
    rollout = Rollout(problem.task_id, 0, [], ids, [], "eos", text, policy.decode(ids)[1], program, prefix)
    with judges.batch([problem], want_lines=options.credit == "executed") as batch:
        batch.add([rollout])
        batch.finish()
    reward_rollouts([rollout], [problem], parse_reward(options.reward), options.credit, options.max_new_tokens)
    answer = make_answer(rollout, problem, (rollout.outcome,), options.max_new_tokens)
    placed = rollout.token_weights if options.credit == "executed" else rollout.token_rewards
    return Score(problem, rollout, answer, placed or [0.0] * len(ids))


def to_json(found: Score) -> dict:
    """The same as plain data."""
    outcome, analysis, text = found.answer.outcome, found.answer.analysis, found.answer.text
    return {
        "total": found.rollout.reward,
        "components": found.rollout.components,
        "stage": outcome.stage.name,
        "passed": outcome.passed,
        "tests": [
            {"test": test, "verdict": verdict.word, "error_type": verdict.error_type, "value": verdict.value}
            for test, verdict in zip(found.problem.tests, outcome.tests, strict=True)
        ],
        "error_type": outcome.error_type,
        "line": outcome.line,
        "findings": {
            "failed": analysis.failed,
            "style": [asdict(finding) for finding in analysis.style],
            "security": [asdict(finding) for finding in analysis.security],
        },
        "program": list(found.answer.program),
        "prefix": found.answer.prefix,
        "spans": [asdict(span) for span in found.rollout.spans],
        "tokens": [
            {"text": text[start:end], "credit": credit}
            for (start, end), credit in zip(found.rollout.token_ranges, found.credit, strict=True)
        ],
    }


def to_text(found: Score, options: ScoreOptions, colour: bool) -> str:
    """For a person: a block a topic, then the program."""
    outcome, analysis = found.answer.outcome, found.answer.analysis
    where = f", line {outcome.line}" if outcome.line else ""
    why = f": {outcome.error_type}{where}" if outcome.error_type else ""
    tests = [
        f"  {verdict.word:8}  {shorten(test)}" + (f"   got {verdict.value}" if verdict.value is not None else "")
        for test, verdict in zip(found.problem.tests, outcome.tests, strict=True)
    ]
    findings = [describe(finding) for finding in sorted((*analysis.style, *analysis.security), key=lambda f: f.line)]
    unit = "the share of its tokens that a test executed" if options.credit == "executed" else "its tokens summed"
    width = max(len(name) for name in found.rollout.components)
    components = [f"  {name:{width}}  {value:7.3f}" for name, value in found.rollout.components.items()]
    return "\n".join(
        [
            f"problem {found.problem.task_id}: {found.problem.text}",
            f"stage {outcome.stage.name}, {outcome.passed} of {outcome.total} tests{why}",
            *tests,
            "findings" if findings else f"findings: {analysis.failed or 'none'}",
            *findings,
            f"reward {options.reward} = {found.rollout.reward:.3f}",
            *components,
            f"credit {options.credit}, of each line {unit}:",
            *program_lines(found, colour),
        ]
    )


def describe(finding: Finding) -> str:
    weakness = f"CWE-{finding.cwe}" if finding.cwe else ""
    return f"  line {finding.line:<4} {finding.rule:6} {finding.severity:8}  {weakness:8} {finding.message}"


def program_lines(found: Score, colour: bool) -> list[str]:
    """The completion, with line numbers of the program and the credit of each line's tokens."""
    text, start = found.answer.text, found.answer.program[0]
    above = found.answer.prefix.count("\n")  # lines that run before the program's first
    shares = bool(found.rollout.token_weights)
    largest = max((abs(credit) for credit in found.credit), default=0.0)
    lines: list[list[tuple[str, float]]] = [[]]  # of each line: the pieces of its tokens, and their credit
    counted: list[list[float]] = [[]]  # of each line: the credit of the tokens that begin on it
    for (first, last), credit in zip(found.rollout.token_ranges, found.credit, strict=True):
        counted[-1].append(credit)
        for index, piece in enumerate(text[first:last].split("\n")):
            if index:
                lines.append([])
                counted.append([])
            lines[-1].append((piece, credit))
    shown = []
    first = 1 + above - text.count("\n", 0, start)
    for number, (line, credits) in enumerate(zip(lines, counted, strict=True), start=first):
        total = sum(credits)
        amount = f"{total / len(credits):.2f}" if shares and credits else f"{total:+.3f}" if total else ""
        pieces = [paint(piece, credit, shares, largest) if colour and piece else piece for piece, credit in line]
        shown.append(f"{amount:>7} {number if number > above else '':>4} | {''.join(pieces)}")
    return shown


def paint(piece: str, credit: float, shares: bool, largest: float) -> str:
    """Red for a loss, green for a gain, the brighter the larger; grey for what no test executed."""
    if shares:
        return piece if credit else f"{GREY}{piece}{PLAIN}"
    if not credit:
        return piece
    ramp = REDS if credit < 0 else GREENS
    return f"\x1b[48;5;{ramp[round(abs(credit) / largest * (len(ramp) - 1))]}m{piece}{PLAIN}"


def find_problem(options: ScoreOptions) -> Problem:
    problems = read_splits(options.data, ["all"], None, 1, options.allow_weak_sandbox, skip_broken=True)["all"]
    for problem in problems:
        if str(problem.task_id) == options.problem:
            return problem
    first, last = problems[0].task_id, problems[-1].task_id
    raise ValueError(f"--problem {options.problem}: {options.data} has no such task_id; it has {first} to {last}")


def read_completion(path: str) -> str:
    try:
        return Path(path).read_bytes().decode("utf-8")
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text (byte {error.start})") from None


def main(arguments: list[str] | None = None) -> int:
    options = parse(ScoreOptions, arguments, "score.py", __doc__.split("\n")[0])
    with bad_input_is_one_line("score.py"):
        try:
            parse_reward(options.reward)
        except ValueError as error:
            raise ValueError(f"--reward {error}") from None
        text = read_completion(options.file)
        problem = find_problem(options)
        policy = open_policy(options.model, prompt=options.prompt, extract=options.extract)
        with start_judges(1, options.cpu_seconds, options.allow_weak_sandbox) as judges:
            found = score(options, text, problem, policy, judges)
    if options.json:
        print(json.dumps(to_json(found)))
        return 0
    terminal = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print(to_text(found, options, options.colour == "always" or (options.colour == "auto" and terminal)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
