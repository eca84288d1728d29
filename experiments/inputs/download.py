"""Downloads the files of a named set into the cache (`python experiments/fetch.py NAME` is the command).

A file enters the cache after it is unpacked, its size and SHA-256 are checked, and every record is read. If no checksum
is known, the first download writes its own beside the file, and later ones must match it. Proxies come from the usual
environment variables.
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
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

from data.sets import evalplus
from data.sets.registry import SOURCES, File, Source, cache_directory

SECONDS = 60.0  # without a byte: the download has failed
CHUNK = 1 << 20


def fetch(name: str, origin: str = "", unchecked: bool = False) -> list[Path]:
    """Downloads the files of a set that the cache lacks, and returns the paths of all. ValueError if that fails.

    origin     a path or an address to take them from, in place of where they are published
    unchecked  accept another checksum than the known one
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
    """The checksums that are right: those published with the file, or that of an earlier download."""
    note = _note(cache_directory() / file.name)
    return file.sha256 or ((note.read_text().strip(),) if note.is_file() else ())


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch_file(source: Source, file: File, path: Path, origin: str | Path, unchecked: bool) -> None:
    with _one_line(f"the cache {path.parent}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        room = tempfile.TemporaryDirectory(dir=path.parent, prefix=".fetch-")  # removed whatever happens
    with room:
        part, note = Path(room.name) / file.name, Path(room.name) / "note"
        packed, unpacked = _copy(origin, part, file.name)
        expected = known_digests(file)
        if expected and not unchecked and not {packed, unpacked} & set(expected):
            found = " unpacked ".join(dict.fromkeys((packed, unpacked)))
            digests = f"its sha256 is {found}, and should be {' or '.join(expected)}"
            raise ValueError(f"{origin}: altered, cut short or newer: {digests}; --unchecked takes it")
        try:
            (source.read or evalplus.read_tasks)(part)  # EvalPlus's problems need the sandbox, its records do not
        except ValueError as error:
            raise ValueError(str(error).replace(str(part), str(origin))) from None
        with _one_line(f"the cache {path.parent}"):
            os.replace(part, path)
            note.write_text(unpacked + "\n")
            os.replace(note, _note(path))


def _locate(file: File, origin: str, count: int) -> str | Path:
    """The address or the path of one file of a set that has `count` of them."""
    if not origin:
        return file.url
    published, path, is_address = file.url.rpartition("/")[2], Path(origin).expanduser(), "://" in origin
    is_directory = origin.endswith("/") if is_address else path.is_dir()
    if count > 1 and not is_directory:
        how = "give their directory, with / behind it" if is_address else "give the directory that holds them"
        raise ValueError(f"--from {origin}: the set has {count} files; {how}")
    if is_address:
        return origin + published if is_directory else origin
    if not is_directory:
        return path
    names = dict.fromkeys((published, *file.names))
    found = [path / name for name in names if (path / name).is_file()]
    if not found:
        raise ValueError(f"--from {origin}: holds none of {', '.join(names)}")
    return found[0]


def _copy(origin: str | Path, part: Path, name: str) -> tuple[str, str]:
    """Copies an address or a path to `part`, unpacked. Returns the SHA-256 before and after unpacking."""
    with (
        _one_line(str(origin)),
        _open(origin) as (stream, size),
        part.open("wb") as out,
        tqdm(total=size, unit="B", unit_scale=True, desc=name, file=sys.stderr, disable=None) as bar,
    ):
        packed, unpacked, count = _unpack(stream, out, bar, str(origin))
    if size is not None and count != size:
        raise ValueError(f"{origin}: truncated: {count} of {size} bytes; sha256 {packed}")
    return packed, unpacked


def _unpack(stream: BinaryIO, out: BinaryIO, bar: tqdm, origin: str) -> tuple[str, str, int]:
    """Copies a stream, and unpacks gzip. Returns the SHA-256 before and after unpacking, and how many bytes came."""
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
    return packed.hexdigest(), unpacked.hexdigest(), count


class _SameSafety(urllib.request.HTTPRedirectHandler):
    """Refuses a redirection from https to anything else."""

    def redirect_request(self, request, *arguments):
        new = super().redirect_request(request, *arguments)
        if new is not None and request.type == "https" and new.type != "https":
            raise ValueError(f"{request.full_url}: leads on to {new.full_url}, which is not https")
        return new


@contextmanager
def _open(origin: str | Path):
    """(stream, its size in bytes or None) of a path or an address."""
    if isinstance(origin, Path):
        with origin.open("rb") as file:
            yield file, os.fstat(file.fileno()).st_size
        return
    if urllib.parse.urlsplit(origin).scheme not in ("https", "http"):
        raise ValueError(f"{origin}: needs an address that begins with https:// or http://")
    request = urllib.request.Request(origin, headers={"User-Agent": "codeladder"})
    with urllib.request.build_opener(_SameSafety).open(request, timeout=SECONDS) as response:
        size = response.headers.get("Content-Length")
        yield response, int(size) if size is not None else None


@contextmanager
def _one_line(where: str):
    """Errors of files and connections become a ValueError of one line."""
    try:
        yield
    except urllib.error.HTTPError as error:
        raise ValueError(f"{where}: HTTP {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise ValueError(f"{where}: {error.reason}") from None
    except (OSError, http.client.HTTPException, zlib.error) as error:
        raise ValueError(f"{where}: {getattr(error, 'strerror', None) or error or type(error).__name__}") from None
