"""Problems as tasks of the sandbox: its start, its limits, and a program with the tests of its problem."""

from data.problems import Problem
from sandbox import Case, Limits, Sandbox, Task, WeakSandbox


def program_limits(cpu_seconds: float) -> Limits:
    """`cpu_seconds` for a program with all its tests: a program that loops on one test loops on most.

    The limit on elapsed time is for programs that sleep. It is wide, so a busy machine changes nothing.
    """
    return Limits(
        test_cpu_seconds=cpu_seconds,
        program_cpu_seconds=cpu_seconds,
        test_wall_seconds=5 * cpu_seconds,
        program_wall_seconds=5 * cpu_seconds,
    )


def start_sandbox(slots: int, limits: Limits, allow_weak: bool) -> Sandbox:
    """ValueError, one line, if the sandbox does not start, or is too weak to run what a model writes."""
    try:
        return Sandbox(slots, limits, allow_weak=allow_weak)
    except WeakSandbox as error:
        raise ValueError(f"{error}; --allow-weak-sandbox goes on all the same") from None
    except RuntimeError as error:
        raise ValueError(str(error)) from None


def make_task(problem: Problem, program: str, want_lines: bool = False) -> Task:
    """A program for a problem, in the sandbox's form."""
    return Task(
        program,
        tests=problem.test_list,
        check=problem.check,
        cases=tuple(Case(*case) for case in problem.cases),
        entry_point=problem.entry_point,
        # A check may use helpers of the stub; they must not come from the program (HumanEval's poly, encode_cyclic).
        setup=problem.stub if problem.check else problem.test_setup_code,
        support=problem.support,
        tolerance=problem.tolerance,
        want_lines=want_lines,
        cpu_seconds=problem.cpu_seconds,
    )
