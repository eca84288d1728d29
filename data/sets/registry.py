"""The named sets of problems: what each is, where its file comes from, and where it lies.

Nothing is downloaded here: `python experiments/fetch.py NAME` does that, once, and checks what it got.
"""

import difflib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.problems import SPLITS, Problem, check_unique, read_problems
from data.sets import apps, humaneval, mbpp
from data.sets.stdin import to_stdin

EMBEDDED = Path(__file__).parents[1] / "embedded"
STDIN = "-stdin"
OWN = ("embedded", "security")  # sets of this repository


@dataclass(frozen=True)
class File:
    """One file of a set.

    name     its name in the cache
    url      where it is published; a name in ".gz" is unpacked on the way
    sha256   of the file as published, packed or unpacked: any of these is right. Empty where we could not know it
    splits   which splits it holds
    """

    name: str
    url: str
    sha256: tuple[str, ...] = ()
    splits: tuple[str, ...] = SPLITS

    @property
    def names(self) -> tuple[str, str]:
        """What it is called in the cache, and where it is published (unpacked)."""
        return self.name, self.url.rpartition("/")[2].removesuffix(".gz")


@dataclass(frozen=True)
class Source:
    """Where a named set comes from.

    what     one line for people
    licence  of the data
    records  how many records its files hold together, as published
    files    one, or one for each of several splits
    read     from the path of a file to its problems; None where the expected outputs must be computed in the sandbox
             first, which this room knows nothing of (experiments/inputs/problems.py opens those)
    """

    what: str
    licence: str
    records: int
    files: tuple[File, ...]
    read: Callable[[Path], list[Problem]] | None

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that this set has."""
        return tuple(split for file in self.files for split in file.splits)


_MBPP = tuple(mbpp.SPLITS)
_GITHUB, _RAW = "https://github.com", "https://raw.githubusercontent.com"
_APPS = tuple(
    File(f"apps-{name}.jsonl", f"https://huggingface.co/datasets/codeparrot/apps/resolve/main/{name}.jsonl", (), splits)
    for name, splits in (("train", ("train", "valid")), ("test", ("test",)))
)
_APPS_PLUS = (File("appsplus.json", f"{_RAW}/Ablustrund/APPS_Plus/main/data/v1/data.json"),)

SOURCES = {
    "mbpp": Source(
        "MBPP, full: short functions, three asserts each",
        "CC BY 4.0",
        974,
        (
            File(
                "mbpp.jsonl",
                f"{_RAW}/deepseek-ai/DeepSeek-Coder/main/Evaluation/MBPP/data/mbpp.jsonl",
                ("ccf64ceae9c5403bf50a044cb6d505bfd2a2963ee58338ba268fd65beab92a9f",),
                _MBPP,
            ),
        ),
        mbpp.read,
    ),
    "mbpp-sanitized": Source(
        "MBPP, the part that its authors checked by hand",
        "CC BY 4.0",
        427,
        (
            File(
                "mbpp-sanitized.json",
                f"{_RAW}/google-research/google-research/master/mbpp/sanitized-mbpp.json",
                (  # on one line, as published there; and the same indented
                    "ca95deaa9a01ef0a6f439f88bcf0dd3db3563d22f22aad6cae04ebb9a8d8c8e9",
                    "8ac32b2799150228e2d745aed09c870b7e4444246d4727d1004576207ef40769",
                ),
                _MBPP,
            ),
        ),
        mbpp.read_sanitized,
    ),
    "humaneval": Source(
        "HumanEval: functions to complete from a docstring, one check each",
        "MIT",
        164,
        (
            File(
                "humaneval.jsonl",
                f"{_RAW}/openai/human-eval/master/data/HumanEval.jsonl.gz",
                ("1d49078ba3e2b196b9344535bef34a43021f038fad9561d6ee7c53450609a6a2",),
                ("test",),
            ),
        ),
        humaneval.read,
    ),
    "mbppplus": Source(
        "MBPP+ of EvalPlus: 378 of MBPP with many more inputs",
        "Apache-2.0",
        378,
        (
            File(
                "mbppplus.jsonl",
                f"{_GITHUB}/evalplus/mbppplus_release/releases/download/v0.2.0/MbppPlus.jsonl.gz",
                ("b54e762755248ca411b523c917fa9f93c07b5ff2966bf60b3917b853926a3dad",),
                _MBPP,
            ),
        ),
        None,
    ),
    "humanevalplus": Source(
        "HumanEval+ of EvalPlus: HumanEval with many more inputs",
        "Apache-2.0",
        164,
        (
            File(
                "humanevalplus.jsonl",
                f"{_GITHUB}/evalplus/humanevalplus_release/releases/download/v0.1.10/HumanEvalPlus.jsonl.gz",
                ("272720b90ac375502c8ed23cd791c2a93dfb22a911641a494da74a426c09f101",),
                ("test",),
            ),
        ),
        None,
    ),
    "apps": Source("APPS: whole programs, stdin to stdout", "MIT", 10000, _APPS, apps.read_programs),
    "apps-call": Source("APPS: its problems that ask for a function", "MIT", 10000, _APPS, apps.read_functions),
    "appsplus": Source("APPS+: whole programs, stdin to stdout", "MIT", 7413, _APPS_PLUS, apps.read_plus_programs),
    "appsplus-call": Source(
        "APPS+: its problems that ask for a function", "MIT", 7413, _APPS_PLUS, apps.read_plus_functions
    ),
}

SHOTS = {"mbpp": (2, 3, 4), "mbpp-sanitized": (2, 3, 4)}  # task_ids that few-shot prompts show, as in MBPP's paper


def note(name: str, problems: Sequence[Problem]) -> str:
    """What a reader of figures on these problems of the set must know, in one line; "" if nothing."""
    return mbpp.describe_splits(problems) if name == "mbppplus" else ""


def cache_directory() -> Path:
    """Where downloaded files lie: $CODELADDER_CACHE, else codeladder/ in $XDG_CACHE_HOME or ~/.cache."""
    if given := os.environ.get("CODELADDER_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "codeladder"


def find(name: str, split: str = "all", given: Path | None = None) -> list[Path]:
    """The files that hold a split of a named set: in the cache, or in `given`, a file or a directory of such files.

    ValueError, one line with the command that helps, where one is not there.
    """
    source = SOURCES[name]
    if split not in (*source.splits, "all"):
        raise ValueError(f"--split: {name} has no {split!r}; it has {', '.join(source.splits)}, all")
    files = [file for file in source.files if split == "all" or split in file.splits]
    if given is not None and not given.is_dir():
        if len(files) > 1:
            raise ValueError(f"--from {given}: {name} has several files; give the directory that holds them")
        return [given]
    paths = [_in_directory(file, given) if given else cache_directory() / file.name for file in files]
    for path in paths:
        if not path.is_file():
            help = f"python experiments/fetch.py {name}" if given is None else "no such file"
            raise ValueError(f"--data {name}: {path} is not there: {help}")
    return paths


def _in_directory(file: File, directory: Path) -> Path:
    """The file under either of its names; where neither is there, under the first."""
    return next((directory / name for name in file.names if (directory / name).is_file()), directory / file.name)


def load_problems(source: str | Path, split: str, given: Path | None = None) -> list[Problem]:
    """The problems of `split` ("train", "valid", "test", "all"; of MBPP "prompt", too) of a set.

    source  "embedded", "security", a name of SOURCES, one of these with "-stdin" behind it (its functions as whole
            programs, data/sets/stdin.py), or the path of a JSON-lines file (data/problems.py)
    given   of a named set: its file, or the directory of its files, instead of the cache

    Raises ValueError with one line that names the file, the line or record number, and the field.
    """
    name = str(source)
    if name.endswith(STDIN) and not Path(source).is_file():
        return _as_programs(name, load_problems(name.removesuffix(STDIN), split, given))
    if name in SOURCES:
        problems = _read(name, split, given)
    elif given is not None:
        raise ValueError(f"--from {given}: is for named sets ({', '.join(SOURCES)}), and {name!r} is none")
    elif split not in (*SPLITS, "all"):
        raise ValueError(f"--split: unknown split {split!r}; there are {', '.join(SPLITS)}, all")
    elif name == "embedded":
        files = SPLITS if split == "all" else (split,)
        problems = [problem for file in files for problem in read_problems(EMBEDDED / f"{file}.jsonl")]
    elif name == "security":
        problems = read_problems(EMBEDDED / "security.jsonl")
    elif not Path(source).is_file():
        raise ValueError(f"--data: {_no_such_set(name)}")
    else:
        problems = read_problems(Path(source))
    chosen = [p for p in problems if split == "all" or p.split in (split, f"{split}/unseen")]
    if not chosen:
        raise ValueError(f"{source}: split: no record has {split!r}; each needs a split to train on the file")
    return chosen


def _read(name: str, split: str, given: Path | None) -> list[Problem]:
    read = SOURCES[name].read
    if read is None:
        raise ValueError(f"{name}: its expected outputs come from the sandbox; experiments/inputs/problems.py opens it")
    paths = find(name, split, given)
    return check_unique(((str(path), problem) for path in paths for problem in read(path)), paths[0])


def _as_programs(name: str, functions: list[Problem]) -> list[Problem]:
    programs = [program for problem in functions if (program := to_stdin(problem)) is not None]
    if not programs:
        of = name.removesuffix(STDIN)
        raise ValueError(
            f"--data {name}: no problem of {of} is a function from JSON to JSON; data/sets/stdin.py says which"
        )
    return programs


def _no_such_set(name: str) -> str:
    names = [*OWN, *SOURCES]
    near = difflib.get_close_matches(name.removesuffix(STDIN), names, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"no set and no problems file {name!r}; the sets are {', '.join(names)}{hint}"
