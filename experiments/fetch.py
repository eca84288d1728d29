"""Downloads a named set of problems to the cache, once: `python experiments/fetch.py mbpp`; `--list` shows all.

    python experiments/fetch.py mbpp --from ~/Downloads/mbpp.jsonl         a file of this machine
    python experiments/fetch.py apps --from https://mirror.example/apps/   a mirror of the files' directory

The cache is $CODELADDER_CACHE, or else codeladder/ in $XDG_CACHE_HOME or ~/.cache. experiments/inputs/download.py says
what is checked.
"""

from dataclasses import dataclass

from data.sets.registry import OWN, SOURCES, STDIN, cache_directory
from experiments.inputs.download import fetch
from experiments.options import bad_input_is_one_line, nearest, option, parse
from experiments.report.tables import align


@dataclass
class FetchOptions:
    name: str | None = option(None, f"the set: {', '.join(SOURCES)}", "what", kind=str, positional=True)
    from_: str = option("", "a file, its directory, or an address (of a directory: with / behind it)", "what")
    list: bool = option(False, "only list the sets, and whether they are in the cache", "what")
    unchecked: bool = option(False, "take a file with another checksum than the known one (a newer version)", "what")


def table() -> str:
    """All named sets: name, what it is, licence, records, and whether it is in the cache."""
    header, rows = ("name", "what", "licence", "records", "in the cache"), []
    for name, source in SOURCES.items():
        there = sum((cache_directory() / file.name).is_file() for file in source.files)
        word = "no" if not there else "yes" if there == len(source.files) else "in part"
        rows.append((name, source.what, source.licence, f"{source.records:>7,}", word))
    return align(header, rows)


def check_name(name: str | None) -> None:
    """ValueError, one line, if there is no file to download for the name."""
    if name is None:
        raise ValueError(f"which set? {', '.join(SOURCES)}; --list tells more")
    bare = name.removesuffix(STDIN)
    if bare in OWN:
        raise ValueError(f"{name}: is in the repository; there is nothing to fetch")
    if name not in SOURCES and bare in SOURCES:
        raise ValueError(f"{name}: is made of {bare}; fetch that")
    if name not in SOURCES:
        raise ValueError(f"unknown set {name!r}; there are {', '.join(SOURCES)}{nearest(name, list(SOURCES))}")


def main(arguments: list[str] | None = None) -> None:
    options = parse(FetchOptions, arguments, "fetch.py", __doc__.partition("\n")[0])
    if options.list:
        print(table())
        return
    with bad_input_is_one_line("fetch.py"):
        check_name(options.name)
        source = SOURCES[options.name]
        print(f"{options.name}: {source.what}. Licence: {source.licence}")
        for path in fetch(options.name, options.from_, options.unchecked):
            print(path)


if __name__ == "__main__":
    main()
