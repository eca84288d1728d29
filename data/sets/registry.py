"""The named sets of problems: their files, the addresses of these, and the places where the files are looked for.

Downloading is in experiments/inputs/download.py.
"""

import difflib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.problems import SPLITS, Problem, check_unique, read_problems
from data.sets import apps, humaneval, mbpp
from data.sets.stdin import to_stdin

EMBEDDED_DIRECTORY = Path(__file__).parents[1] / "embedded"
SECURITY_FILE = Path(__file__).parents[1] / "security" / "security.jsonl"
STDIN = "-stdin"
OWN = ("embedded", "security")  # sets of this repository


@dataclass(frozen=True)
class File:
    """One file of a set."""

    name: str  # in the cache
    url: str  # where it is published; a name in ".gz" is unpacked on the way
    sha256: tuple[str, ...] = ()  # accepted checksums of the published file, packed or unpacked; () if not known
    splits: tuple[str, ...] = SPLITS  # the splits that it holds

    @property
    def names(self) -> tuple[str, str]:
        """Its name in the cache, and its published name (unpacked)."""
        return self.name, self.url.rpartition("/")[2].removesuffix(".gz")


@dataclass(frozen=True)
class Source:
    """Where a named set comes from."""

    what: str  # a one-line description
    licence: str  # of the data
    records: int  # how many records its files hold together, as published
    files: tuple[File, ...]  # one, or one for each of several splits
    # Gives the problems of a file. None for EvalPlus's sets, whose expected outputs must first be computed in the
    # sandbox (experiments/inputs/problems.py).
    read: Callable[[Path], list[Problem]] | None

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(split for file in self.files for split in file.splits)


_MBPP_SPLITS = tuple(mbpp.SPLITS)
_GITHUB, _RAW = "https://github.com", "https://raw.githubusercontent.com"
_APPS = tuple(
    File(f"apps-{name}.jsonl", f"https://huggingface.co/datasets/codeparrot/apps/resolve/main/{name}.jsonl", (), splits)
    for name, splits in (("train", ("train", "valid")), ("test", ("test",)))
)
_APPS_PLUS = File("appsplus.json", f"{_RAW}/Ablustrund/APPS_Plus/main/data/v1/data.json")
_MBPP = File(
    "mbpp.jsonl",
    f"{_RAW}/deepseek-ai/DeepSeek-Coder/main/Evaluation/MBPP/data/mbpp.jsonl",
    ("ccf64ceae9c5403bf50a044cb6d505bfd2a2963ee58338ba268fd65beab92a9f",),
    _MBPP_SPLITS,
)
_MBPP_SANITIZED = File(
    "mbpp-sanitized.json",
    f"{_RAW}/google-research/google-research/master/mbpp/sanitized-mbpp.json",
    (  # on one line, as published there; and the same indented
        "ca95deaa9a01ef0a6f439f88bcf0dd3db3563d22f22aad6cae04ebb9a8d8c8e9",
        "8ac32b2799150228e2d745aed09c870b7e4444246d4727d1004576207ef40769",
    ),
    _MBPP_SPLITS,
)
_MBPP_PLUS = File(
    "mbppplus.jsonl",
    f"{_GITHUB}/evalplus/mbppplus_release/releases/download/v0.2.0/MbppPlus.jsonl.gz",
    ("b54e762755248ca411b523c917fa9f93c07b5ff2966bf60b3917b853926a3dad",),
    _MBPP_SPLITS,
)
_HUMANEVAL = File(
    "humaneval.jsonl",
    f"{_RAW}/openai/human-eval/master/data/HumanEval.jsonl.gz",
    ("1d49078ba3e2b196b9344535bef34a43021f038fad9561d6ee7c53450609a6a2",),
    ("test",),
)
_HUMANEVAL_PLUS = File(
    "humanevalplus.jsonl",
    f"{_GITHUB}/evalplus/humanevalplus_release/releases/download/v0.1.10/HumanEvalPlus.jsonl.gz",
    ("272720b90ac375502c8ed23cd791c2a93dfb22a911641a494da74a426c09f101",),
    ("test",),
)

SOURCES = {
    "mbpp": Source("MBPP, full: short functions, three asserts each", "CC BY 4.0", 974, (_MBPP,), mbpp.read),
    "mbpp-sanitized": Source(
        "MBPP, the part that its authors checked by hand", "CC BY 4.0", 427, (_MBPP_SANITIZED,), mbpp.read_sanitized
    ),
    "humaneval": Source(
        "HumanEval: functions to complete from a docstring, one check each", "MIT", 164, (_HUMANEVAL,), humaneval.read
    ),
    "mbppplus": Source("MBPP+ of EvalPlus: 378 of MBPP with many more inputs", "Apache-2.0", 378, (_MBPP_PLUS,), None),
    "humanevalplus": Source(
        "HumanEval+ of EvalPlus: HumanEval with many more inputs", "Apache-2.0", 164, (_HUMANEVAL_PLUS,), None
    ),
    "apps": Source("APPS: whole programs, stdin to stdout", "MIT", 10000, _APPS, apps.read_programs),
    "apps-call": Source("APPS: its problems that ask for a function", "MIT", 10000, _APPS, apps.read_functions),
    "appsplus": Source("APPS+: whole programs, stdin to stdout", "MIT", 7413, (_APPS_PLUS,), apps.read_plus_programs),
    "appsplus-call": Source(
        "APPS+: its problems that ask for a function", "MIT", 7413, (_APPS_PLUS,), apps.read_plus_functions
    ),
}

SHOTS = {"mbpp": (2, 3, 4), "mbpp-sanitized": (2, 3, 4)}  # task_ids that few-shot prompts show, as in MBPP's paper


def note(name: str, problems: Sequence[Problem]) -> str:
    """What a reader of figures on these problems of the set must know, in one line; "" if nothing."""
    return mbpp.describe_splits(problems) if name == "mbppplus" else ""


def cache_directory() -> Path:
    """The place of downloaded files: $CODELADDER_CACHE, else codeladder/ in $XDG_CACHE_HOME or ~/.cache."""
    if given := os.environ.get("CODELADDER_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "codeladder"


def find(name: str, split: str = "all", given: Path | None = None) -> list[Path]:
    """The files that hold a split of a named set: in the cache, or `given`, a file or a directory of such files.

    ValueError with the command that helps if a file is missing.
    """
    source = SOURCES[name]
    if split not in (*source.splits, "all"):
        raise ValueError(f"--split: {name} has no {split!r}; it has {', '.join(source.splits)}, all")
    files = [file for file in source.files if split == "all" or split in file.splits]
    if given is None:
        paths = [cache_directory() / file.name for file in files]
    elif given.is_dir():
        paths = [_in_directory(file, given) for file in files]
    elif len(files) > 1:
        raise ValueError(f"--from {given}: {name} has several files; give the directory that holds them")
    else:
        paths = [given]
    for path in paths:
        if not path.is_file():
            help = f"python experiments/fetch.py {name}" if given is None else "no such file"
            raise ValueError(f"--data {name}: {path} is not there: {help}")
    return paths


def _in_directory(file: File, directory: Path) -> Path:
    """The file under either of its names; under the first if neither exists."""
    return next((directory / name for name in file.names if (directory / name).is_file()), directory / file.name)


def load_problems(source: str | Path, split: str, given: Path | None = None) -> list[Problem]:
    """The problems of `split` of a set: "train", "valid", "test" or "all"; for MBPP also "prompt".

    source  "embedded", "security", a name of SOURCES, any of these followed by "-stdin" (its functions as whole
            programs, data/sets/stdin.py), or the path of a JSON-lines file (data/problems.py)
    given   for a named set: its file, or the directory of its files, instead of the cache

    ValueError, one line, names the file, the line or record number, and the field.
    """
    name = str(source)
    if name.endswith(STDIN) and not Path(source).is_file():
        return _load_as_programs(name, split, given)
    if name in SOURCES:
        problems = _read_source(name, split, given)
    elif given is not None:
        raise ValueError(f"--from {given}: is for named sets ({', '.join(SOURCES)}), and {name!r} is none")
    elif split not in (*SPLITS, "all"):
        raise ValueError(f"--split: unknown split {split!r}; there are {', '.join(SPLITS)}, all")
    elif name == "embedded":
        files = SPLITS if split == "all" else (split,)
        problems = [problem for file in files for problem in read_problems(EMBEDDED_DIRECTORY / f"{file}.jsonl")]
    elif name == "security":
        problems = read_problems(SECURITY_FILE)
    elif Path(source).is_file():
        problems = read_problems(Path(source))
    else:
        names = [*OWN, *SOURCES]
        near = difflib.get_close_matches(name.removesuffix(STDIN), names, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"--data: no set and no problems file {name!r}; the sets are {', '.join(names)}{hint}")
    chosen = [p for p in problems if split == "all" or p.split in (split, f"{split}/unseen")]
    if not chosen:
        raise ValueError(f"{source}: split: no record has {split!r}; training needs a split in each record")
    return chosen


def _read_source(name: str, split: str, given: Path | None) -> list[Problem]:
    read = SOURCES[name].read
    if read is None:
        raise ValueError(f"{name}: its expected outputs come from the sandbox; experiments/inputs/problems.py opens it")
    paths = find(name, split, given)
    return check_unique(((str(path), problem) for path in paths for problem in read(path)), paths[0])


def _load_as_programs(name: str, split: str, given: Path | None) -> list[Problem]:
    functions = name.removesuffix(STDIN)
    programs = [p for p in map(to_stdin, load_problems(functions, split, given)) if p is not None]
    if not programs:
        raise ValueError(
            f"--data {name}: no problem of {functions} is a function from JSON to JSON; see data/sets/stdin.py"
        )
    return programs
