"""What a reward looks at, and what it says: the records that go through this room. Plain data.

    Answer (a completion and all that is known of it)  --a component-->  Value (a number, and where it comes from)

A component is a pure function of an Answer. It stands in a file of its own, under its name:

    def pass_rate(answer: Answer) -> Value:

Spans say where in the completion a value was won or lost. They are a decomposition, not an addition: what the spans of
a value do not account for (`Value.rest`) belongs to no place. Credit per token (rl/credit.py) is made from them.
"""

from dataclasses import dataclass

from sandbox import Outcome, Stage


@dataclass(frozen=True)
class Finding:
    """One finding of Ruff or Bandit. Lines count from 1, columns from 0 in characters, both within what was executed.

    rule        "F401", "B602"; "invalid-syntax" where Ruff cannot parse
    end_line, end_column  where the place ends, the column exclusive
    severity    Bandit's LOW, MEDIUM or HIGH; "" of Ruff, which grades nothing (components/style.py has classes)
    confidence  Bandit's LOW, MEDIUM or HIGH; "" of Ruff
    cwe         Bandit's number of the weakness (https://cwe.mitre.org); 0 where there is none
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
    """What can be said of a program without running it (rewards/linters/pool.py).

    parses     Python's own parser takes the text, as the sandbox would compile it
    error      (line, column) at which the parser gave up; None where it parses, or where it names no place
    style      Ruff's findings
    security   Bandit's findings
    failed     why nothing is known ("too large", "too many findings", "timeout", "crash: ..."), else "". No component
               that looks at findings pays for such a program
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
    program       [start, end), the characters of the text that were executed
    prefix        code that was executed before them and that the completion goes on from (a signature with its
                  docstring, say); "" where the program is all the completion's own
    fenced        whether the program stood in a fenced code block that was opened and closed
    outcome       what the program did in the sandbox
    entry_point   the function that the tests call; "" where whole programs are run
    reference     a solution of the problem; "" where there is none
    analysis      what Ruff and Bandit say; None where nobody asked them
    peers         the outcomes of all answers to the same problem, this one's included
    worlds        of each simulated world that it acted in, the stage (rewards/components/simulator.py)
    tokens        length of the completion in tokens
    budget        most tokens that it could have had
    token_starts  for each token, the character that its first byte belongs to; empty where tokens are not known
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
        """Whether it compiled. The sandbox's word: it alone has compiled the very text that was executed."""
        return self.outcome.stage != Stage.SYNTAX_ERROR


@dataclass(frozen=True)
class Span:
    """The characters [start, end) of a completion, and how much of the value was won (or, below 0, lost) there."""

    start: int
    end: int
    value: float


@dataclass(frozen=True)
class Value:
    """What a component pays, and the places that account for part of it."""

    value: float
    spans: tuple[Span, ...] = ()

    @property
    def rest(self) -> float:
        """What belongs to no place."""
        return self.value - sum(span.value for span in self.spans)
