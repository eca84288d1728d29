"""Programs that act in a simulated world (arXiv 2605.21180, with five random worlds for each program).

The interface for such domains: a domain runs the program in some worlds and puts the stage of each into
`Answer.worlds`.
"""

import enum
import statistics

from rewards.answer import Answer, Value


class World(enum.IntEnum):
    """How far a program came in one world.

    PYTHON_ERROR  it does not compile, raises a Python exception, or runs out of time
    ROBOT_ERROR   it tries something impossible in the world (picks up an absent object, holds two objects)
    INCOMPLETE    it ends, but the task is not done
    SUCCESS       the task is done
    """

    PYTHON_ERROR = 0
    ROBOT_ERROR = 1
    INCOMPLETE = 2
    SUCCESS = 3


def simulator(answer: Answer, *, robot_error: float = 0.0, incomplete: float = 0.0) -> Value:
    """Mean over the worlds, in [0, 1]: 1 for SUCCESS, 0 for PYTHON_ERROR, options in between.

    With the default options it is the paper's share of worlds with success. ValueError for an answer without worlds.
    """
    if not answer.worlds:
        raise ValueError("simulator: the program was run in no world; the problem has no simulator")
    rungs = {World.PYTHON_ERROR: 0.0, World.ROBOT_ERROR: robot_error, World.INCOMPLETE: incomplete, World.SUCCESS: 1.0}
    return Value(statistics.fmean(rungs[World(stage)] for stage in answer.worlds))
