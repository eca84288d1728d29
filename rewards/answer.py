"""The records of this room: what a reward looks at (Answer), and what it returns (Value). Plain data.

A component is a pure function of an Answer, in a file of its own; its options are keyword-only parameters:

    def pass_rate(answer: Answer) -> Value:
"""

from dataclasses import dataclass

from sandbox import Outcome, Stage


@dataclass(frozen=True)
class Finding:
    """One finding of Ruff or Bandit. Lines count from 1, columns from 0 in characters, both in the executed source.

    rule        "F401", "B602"; "invalid-syntax" if Ruff cannot parse
    end_line, end_column  where the place ends, the column exclusive
    severity    Bandit's LOW, MEDIUM or HIGH; for Ruff the rule's class (linters/rules.py): error, bug, style, simplify
    confidence  Bandit's LOW, MEDIUM or HIGH; "" for Ruff
    cwe         Bandit's number of the weakness (https://cwe.mitre.org); 0 if there is none
    """

    rule: str
    line: int
    column: int
    end_line: int
    end_column: int
    severity: str
    message: str
    confidence: str = ""
    cwe: int = 0


@dataclass(frozen=True)
class Analysis:
    """What static analysis says of a program (rewards/linters/pool.py).

    parses     Python's own parser accepts the text
    error      (line, column) at which the parser stopped; None if it parses, or if Python names no place
    style      Ruff's findings
    security   Bandit's findings
    failed     why there is no analysis ("too large", "too many findings", "timeout", "crash: ..."), else ""
    """

    parses: bool
    error: tuple[int, int] | None = None
    style: tuple[Finding, ...] = ()
    security: tuple[Finding, ...] = ()
    failed: str = ""


@dataclass(frozen=True)
class Answer:
    """A completion with everything that a component may look at.

    text          the whole completion
    program       [start, end): the executed characters of the text
    prefix        code from the prompt that the completion continues (a signature, for example), executed before it
    fenced        the program stands in a fenced code block that was opened and closed
    outcome       what the program did in the sandbox
    entry_point   the function that the tests call; "" for whole programs
    reference     a solution of the problem; "" if there is none
    analysis      what Ruff and Bandit say; None if the program was not analysed
    peers         the outcomes of all answers to the same problem, this one included
    worlds        the stage in each simulated world (rewards/components/simulator.py)
    tokens        length of the completion in tokens
    budget        the token budget of the completion
    token_starts  for each token, the character that its first byte belongs to; empty if tokens are unknown
    """

    text: str
    program: tuple[int, int]
    outcome: Outcome
    fenced: bool = False
    entry_point: str = ""
    reference: str = ""
    analysis: Analysis | None = None
    peers: tuple[Outcome, ...] = ()
    worlds: tuple[int, ...] = ()
    tokens: int = 0
    budget: int = 0
    token_starts: tuple[int, ...] = ()
    prefix: str = ""

    @property
    def source(self) -> str:
        """What was executed. Lines and columns of outcome and analysis count in it."""
        return self.prefix + self.text[self.program[0] : self.program[1]]

    @property
    def passed(self) -> bool:
        return self.outcome.stage == Stage.PASSED

    @property
    def parses(self) -> bool:
        """Whether it compiled in the sandbox, which compiles exactly the executed text."""
        return self.outcome.stage != Stage.SYNTAX_ERROR


@dataclass(frozen=True)
class Span:
    """The characters [start, end) of a completion, and how much of a value was won (or, below 0, lost) there."""

    start: int
    end: int
    value: float


@dataclass(frozen=True)
class Value:
    """What a component pays, and the places of parts of it. Credit per token (rl/credit.py) comes from the spans."""

    value: float
    spans: tuple[Span, ...] = ()

    @property
    def rest(self) -> float:
        """The part that belongs to no place."""
        return self.value - sum(span.value for span in self.spans)
