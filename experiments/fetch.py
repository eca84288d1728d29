"""Downloads a named set of problems to the cache, once: `python experiments/fetch.py mbpp`; `--list` shows all.

    python experiments/fetch.py mbpp --from ~/Downloads/mbpp.jsonl      takes a file that is here already
    python experiments/fetch.py apps --from https://mirror.example/apps/        a mirror of the files' directory

What has arrived is unpacked, its size and SHA-256 are checked, and every record is read, before it takes its place: the
cache never holds a part of a file. Where nobody could tell us the right checksum, the one of the first fetch is kept
beside the file, and later ones are compared with it. The cache is $CODELADDER_CACHE, else codeladder/ in
$XDG_CACHE_HOME or ~/.cache. Proxies come from the usual environment variables.
"""

import hashlib
import http.client
import os
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tqdm import tqdm

from data.sets import evalplus
from data.sets.registry import OWN, SOURCES, STDIN, File, Source, cache_directory
from experiments.options import bad_input_is_one_line, nearest, option, parse
from experiments.report.tables import align

SECONDS = 60.0  # without a byte; then the download has failed
CHUNK = 1 << 20


@dataclass
class FetchOptions:
    """Every option of fetch.py."""

    name: str | None = option(None, f"the set: {', '.join(SOURCES)}", "what", kind=str, positional=True)
    from_: str = option(
        "", "take it from here: a file, a directory that holds it, or an address (of a directory: with / behind it)",
        "what",
    )  # fmt: skip
    list: bool = option(False, "only list the sets, and whether they are in the cache", "what")
    unchecked: bool = option(False, "take a file with another checksum than the known one (a newer version)", "what")


class Digests(NamedTuple):
    """SHA-256 of a file as it came and, where that was packed, of what was in it."""

    packed: str
    unpacked: str


def fetch(name: str, origin: str = "", unchecked: bool = False) -> list[Path]:
    """Brings the files of a set into the cache, but for those that are there and whole. Returns their paths.

    origin     a path or an address to take them from instead of where they are published
    unchecked  a checksum other than the known one is no error

    Raises ValueError with one line for everything that can be wrong with a download; the cache is then as it was.
    """
    source, paths = SOURCES[name], []
    for file in source.files:
        path = cache_directory() / file.name
        if not origin and path.is_file() and _digest(path) in known_digests(file):
            print(f"{path} is there already, and whole", file=sys.stderr)
        else:
            _fetch_file(source, file, path, _locate(file, origin, len(source.files)), unchecked)
        paths.append(path)
    return paths


def known_digests(file: File) -> tuple[str, ...]:
    """The checksums of which a file must have one: those published with it, else the one of an earlier fetch."""
    note = _note(cache_directory() / file.name)
    return file.sha256 or ((note.read_text().strip(),) if note.is_file() else ())


def _fetch_file(source: Source, file: File, path: Path, origin: str | Path, unchecked: bool) -> None:
    with _one_line(f"the cache {path.parent}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        room = tempfile.TemporaryDirectory(dir=path.parent, prefix=".fetch-")  # goes, whatever happens
    with room:
        part = Path(room.name) / file.name
        digests = _copy(origin, part, file.name)
        expected = known_digests(file)
        if expected and not unchecked and not set(expected) & set(digests):
            raise ValueError(
                f"{origin}: altered, cut short or newer: {_checksums(digests, expected)}; --unchecked takes it"
            )
        _read_all(source, part, str(origin))
        with _one_line(f"the cache {path.parent}"):
            os.replace(part, path)
            note = Path(room.name) / "note"
            note.write_text(digests.unpacked + "\n")
            os.replace(note, _note(path))


def _read_all(source: Source, part: Path, origin: str) -> None:
    """Every record, so that what stands in the cache can be read."""
    read = source.read or evalplus.read_tasks  # EvalPlus's problems need the sandbox, their records do not
    try:
        read(part)
    except ValueError as error:
        raise ValueError(str(error).replace(str(part), origin)) from None


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checksums(digests: Digests, expected: tuple[str, ...]) -> str:
    found = " unpacked ".join(dict.fromkeys(digests))
    return f"its sha256 is {found}, and should be {' or '.join(expected) or '(not known)'}"


# Where from ---------------------------------------------------------------------------------------------------


def _locate(file: File, origin: str, count: int) -> str | Path:
    """The address or the path of one file of a set that has `count` of them."""
    published = file.url.rpartition("/")[2]
    if not origin:
        return file.url
    if "://" in origin:
        if count > 1 and not origin.endswith("/"):
            raise ValueError(f"--from {origin}: the set has {count} files; give their directory, with / behind it")
        return origin + published if origin.endswith("/") else origin
    path = Path(origin).expanduser()
    if not path.is_dir():
        if count > 1:
            raise ValueError(f"--from {origin}: the set has {count} files; give the directory that holds them")
        return path
    names = dict.fromkeys((published, *file.names))
    found = [path / name for name in names if (path / name).is_file()]
    if not found:
        raise ValueError(f"--from {origin}: holds none of {', '.join(names)}")
    return found[0]


def _copy(origin: str | Path, part: Path, name: str) -> Digests:
    """The file at an address or a path, unpacked, in `part`. ValueError where it does not come whole."""
    with (
        _one_line(str(origin)),
        _open(origin) as (stream, size),
        part.open("wb") as out,
        tqdm(total=size, unit="B", unit_scale=True, desc=name, file=sys.stderr, disable=None) as bar,
    ):
        digests, count = _unpack(stream, out, bar, str(origin))
    if size is not None and count != size:
        raise ValueError(f"{origin}: truncated: {count} of {size} bytes; sha256 {digests.packed}")
    return digests


def _unpack(stream: BinaryIO, out: BinaryIO, bar: tqdm, origin: str) -> tuple[Digests, int]:
    """Copies a stream, unpacked where it is gzip. Returns the checksums and how many bytes came."""
    packed, unpacked, count, unzip = hashlib.sha256(), hashlib.sha256(), 0, None
    while chunk := stream.read(CHUNK):
        if count == 0 and chunk.startswith(b"\x1f\x8b"):
            unzip = zlib.decompressobj(wbits=31)
        packed.update(chunk)
        count += len(chunk)
        plain = unzip.decompress(chunk) if unzip else chunk
        unpacked.update(plain)
        out.write(plain)
        bar.update(len(chunk))
    if unzip and (not unzip.eof or unzip.unused_data):
        raise ValueError(f"{origin}: truncated or damaged gzip after {count} bytes; sha256 {packed.hexdigest()}")
    return Digests(packed.hexdigest(), unpacked.hexdigest()), count


class _SameSafety(urllib.request.HTTPRedirectHandler):
    """A redirection may not lead from https to anything else."""

    def redirect_request(self, request, *arguments):
        new = super().redirect_request(request, *arguments)
        if new is not None and request.type == "https" and new.type != "https":
            raise ValueError(f"{request.full_url}: leads on to {new.full_url}, which is not https")
        return new


@contextmanager
def _open(origin: str | Path):
    """(stream, how many bytes it should have or None) of a path or an address."""
    if isinstance(origin, Path):
        with origin.open("rb") as file:
            yield file, os.fstat(file.fileno()).st_size
        return
    # http only where --from says so: every address of data/sets/registry.py is https.
    if urllib.parse.urlsplit(origin).scheme not in ("https", "http"):
        raise ValueError(f"{origin}: needs an address that begins with https:// (or, if it must be, http://)")
    request = urllib.request.Request(origin, headers={"User-Agent": "codeladder"})
    with urllib.request.build_opener(_SameSafety).open(request, timeout=SECONDS) as response:
        size = response.headers.get("Content-Length")
        yield response, int(size) if size is not None else None


@contextmanager
def _one_line(where: str):
    """Whatever can go wrong with a file or a connection is the user's to read, in one line."""
    try:
        yield
    except urllib.error.HTTPError as error:
        raise ValueError(f"{where}: HTTP {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise ValueError(f"{where}: {error.reason}") from None
    except (OSError, http.client.HTTPException, zlib.error) as error:
        raise ValueError(f"{where}: {getattr(error, 'strerror', None) or error or type(error).__name__}") from None


# The command --------------------------------------------------------------------------------------------------


def table() -> str:
    """All named sets, aligned: name, what it is, licence, records, and whether it is in the cache."""
    header, rows = ("name", "what", "licence", "records", "in the cache"), []
    for name, source in SOURCES.items():
        there = sum((cache_directory() / file.name).is_file() for file in source.files)
        word = "no" if not there else "yes" if there == len(source.files) else "in part"
        rows.append((name, source.what, source.licence, f"{source.records:>7,}", word))
    return align(header, rows)


def check_name(name: str) -> None:
    """ValueError, one line, for what is no set, and for one that has no file of its own."""
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
        if options.name is None:
            raise ValueError(f"which set? {', '.join(SOURCES)}; --list tells more")
        check_name(options.name)
        source = SOURCES[options.name]
        print(f"{options.name}: {source.what}. Licence: {source.licence}")
        for path in fetch(options.name, options.from_, options.unchecked):
            print(path)


if __name__ == "__main__":
    main()
