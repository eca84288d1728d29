"""fetch.py against a server of our own: what arrives whole takes its place, everything else leaves no trace."""

import gzip
import hashlib
import http.server
import json
import os
import threading
import urllib.request
from email.message import Message

import pytest

from data.sets import mbpp
from data.sets import registry as sets
from data.sets.registry import File, Source
from experiments.fetch import main
from experiments.inputs import download
from experiments.inputs.download import fetch

RECORD = {
    "text": "Add.",
    "code": "def add(a, b):\n    return a + b\n",
    "test_setup_code": "",
    "test_list": ["assert add(1, 2) == 3"],
}
GOOD = "".join(json.dumps(RECORD | {"task_id": number}) + "\n" for number in range(1, 41)).encode()
OTHER = GOOD.replace(b"Add.", b"Sum.")
BAD_RECORD = GOOD.replace(b'"task_id": 3}', b'"task_id": "3"}')
SHA256 = hashlib.sha256(GOOD).hexdigest()
PAGES = {
    "/mbpp.jsonl": GOOD,
    "/mbpp.jsonl.gz": gzip.compress(GOOD),
    "/cut.gz": gzip.compress(GOOD)[:-20],
    "/other.jsonl": OTHER,
    "/bad.jsonl": BAD_RECORD,
    "/truncated.jsonl": GOOD,
    "/a/part-1.jsonl": GOOD,
    "/a/part-2.jsonl": OTHER,
}


class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/mbpp.jsonl")
            self.end_headers()
            return
        body = PAGES.get(self.path)
        self.send_response(200 if body else 404)
        body = body or b"nothing here"
        more = 1000 if self.path == "/truncated.jsonl" else 0
        self.send_header("Content-Length", str(len(body) + more))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def server():
    """The address of a server that answers on this machine only."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch, server):
    """An empty cache, no proxy, and two sets: one whose checksum is known, and one of two files, of no known one."""
    monkeypatch.setenv("CODELADDER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    one = (File("mbpp.jsonl", f"{server}/mbpp.jsonl", (SHA256,)),)
    two = tuple(File(f"two-{n}.jsonl", f"{server}/a/part-{n}.jsonl") for n in (1, 2))
    monkeypatch.setitem(sets.SOURCES, "mbpp", Source("MBPP", "CC BY 4.0", 40, one, mbpp.read))
    monkeypatch.setitem(sets.SOURCES, "two", Source("two", "MIT", 4, two, mbpp.read))
    return tmp_path / "cache"


def contents(cache):
    """Everything in the cache, whatever it is called."""
    return sorted(path.name for path in cache.iterdir()) if cache.is_dir() else []


def refused(capsys, *arguments):
    """The one line and the exit status of a fetch that fails."""
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("page", ["", "/mbpp.jsonl", "/mbpp.jsonl.gz", "/redirect", "/"])
def test_what_arrives_whole_is_kept(server, cache, capsys, page):
    """A file that is kept packed, or under another name; a redirection taken for a failure; no word on the licence."""
    main(["mbpp", *(["--from", server + page] if page else [])])
    assert contents(cache) == ["mbpp.jsonl", "mbpp.jsonl.sha256"]
    assert (cache / "mbpp.jsonl").read_bytes() == GOOD
    assert (cache / "mbpp.jsonl.sha256").read_text() == SHA256 + "\n"
    assert "Licence: CC BY 4.0" in capsys.readouterr().out
    assert len(sets.load_problems("mbpp", "all")) == 40


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("/truncated.jsonl", [f"truncated: {len(GOOD)} of {len(GOOD) + 1000} bytes", SHA256]),
        ("/cut.gz", ["truncated or damaged gzip"]),
        ("/other.jsonl", ["cut short or newer", SHA256, hashlib.sha256(OTHER).hexdigest(), "--unchecked"]),
        ("/none.jsonl", ["none.jsonl: HTTP 404"]),
        ("/bad.jsonl", ["altered"]),
    ],
)
@pytest.mark.parametrize("before", [None, GOOD], ids=["empty", "filled"])
def test_what_does_not_leaves_no_trace(server, cache, capsys, page, words, before):
    """A part of a file in the cache, which the next run trains on; or a good file that a failed fetch has removed."""
    if before:
        cache.mkdir()
        (cache / "mbpp.jsonl").write_bytes(before)
    line = refused(capsys, "mbpp", "--from", server + page)
    assert all(word in line for word in words), line
    assert contents(cache) == (["mbpp.jsonl"] if before else [])
    assert not before or (cache / "mbpp.jsonl").read_bytes() == before


def test_every_record_is_read_first(server, cache, capsys):
    """A file that no run can read takes its place, as nobody asked for its checksum; the line names its own path."""
    line = refused(capsys, "mbpp", "--unchecked", "--from", server + "/bad.jsonl")
    assert f"{server}/bad.jsonl:3: task_id: needs int, got str" in line
    assert contents(cache) == []


def test_unchecked_takes_a_newer_file(server, cache):
    """A benchmark that was published anew can never be used."""
    fetch("mbpp", server + "/other.jsonl", unchecked=True)
    assert (cache / "mbpp.jsonl").read_bytes() == OTHER


def test_unknown_checksums_are_kept_and_compared(server, cache, capsys, monkeypatch):
    """A set whose checksum nobody told us changes without a word between two machines, or two weeks."""
    main(["two"])
    assert (cache / "two-2.jsonl.sha256").read_text().strip() == hashlib.sha256(OTHER).hexdigest()
    assert contents(cache) == ["two-1.jsonl", "two-1.jsonl.sha256", "two-2.jsonl", "two-2.jsonl.sha256"]
    capsys.readouterr()
    (cache / "two-2.jsonl").unlink()
    monkeypatch.setitem(PAGES, "/a/part-2.jsonl", GOOD)
    line = refused_after_a_note(capsys, "two")
    assert SHA256 in line
    assert hashlib.sha256(OTHER).hexdigest() in line
    main(["two", "--unchecked"])
    assert (cache / "two-2.jsonl.sha256").read_text().strip() == SHA256


def refused_after_a_note(capsys, *arguments):
    with pytest.raises(SystemExit):
        main(list(arguments))
    *_, line = capsys.readouterr().err.splitlines()
    return line


def test_what_is_there_and_whole_stays(cache, capsys, monkeypatch):
    """1.3 GB of APPS fetched a second time; or a damaged file believed to be there."""
    main(["mbpp"])
    monkeypatch.delitem(PAGES, "/mbpp.jsonl")
    main(["mbpp"])
    assert "is there already, and whole" in capsys.readouterr().err
    (cache / "mbpp.jsonl").write_bytes(OTHER)
    assert "HTTP 404" in refused(capsys, "mbpp")


def test_from_a_path(tmp_path, cache, capsys):
    """A file that was carried here by hand: itself, or its directory, packed or not, under its published name."""
    main(["mbpp", "--from", str(put(tmp_path / "some.file", GOOD))])
    main(["mbpp", "--from", str(put(tmp_path / "packed", gzip.compress(GOOD)))])
    put(tmp_path / "here" / "mbpp.jsonl", GOOD)
    main(["mbpp", "--from", str(tmp_path / "here")])
    assert (cache / "mbpp.jsonl").read_bytes() == GOOD
    put(tmp_path / "both" / "part-1.jsonl", GOOD)
    put(tmp_path / "both" / "two-2.jsonl", OTHER)
    main(["two", "--from", str(tmp_path / "both")])
    assert (cache / "two-2.jsonl").read_bytes() == OTHER
    capsys.readouterr()
    assert "holds none of mbpp.jsonl" in refused(capsys, "mbpp", "--from", str(tmp_path / "both"))
    assert "No such file" in refused(capsys, "mbpp", "--from", str(tmp_path / "none"))
    assert "give the directory" in refused(capsys, "two", "--from", str(tmp_path / "packed"))


def put(path, data):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


def test_two_files_from_a_directory_of_a_mirror(server, cache, capsys):
    """Both files of a set taken from one address."""
    main(["two", "--from", server + "/a/"])
    assert (cache / "two-1.jsonl").read_bytes() == GOOD
    assert (cache / "two-2.jsonl").read_bytes() == OTHER
    capsys.readouterr()
    assert "with / behind it" in refused(capsys, "two", "--from", server + "/a")


def test_an_interruption_leaves_no_trace(cache, monkeypatch):
    """Ctrl-C in the middle of a large download leaves its half in the cache."""

    def interrupted(*arguments):
        (room,) = cache.iterdir()
        assert room.is_dir()
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "_unpack", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch("mbpp")
    assert contents(cache) == []


def test_a_cache_that_cannot_be_written(tmp_path, capsys, monkeypatch):
    """A traceback where the disk is not ours, or full."""
    put(tmp_path / "file", b"")
    monkeypatch.setenv("CODELADDER_CACHE", str(tmp_path / "file" / "cache"))
    assert "Not a directory" in refused(capsys, "mbpp")
    monkeypatch.setenv("CODELADDER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert f"{tmp_path / 'cache'}: No space left on device" in refused(capsys, "mbpp")
    assert contents(tmp_path / "cache") == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mbpp", "--from", "ftp://example.org/mbpp.jsonl"], "needs an address that begins with https://"),
        (["mbpp", "--from", "file:///etc/passwd"], "needs an address that begins with https://"),
        (["mbpp", "--from", "http://127.0.0.1:1/mbpp.jsonl"], "127.0.0.1:1/mbpp.jsonl: "),
        (["mbp"], "error: unknown set 'mbp'"),
        (["mbp"], "did you mean mbpp?"),
        (["embedded-stdin"], "nothing to fetch"),
        (["mbpp-stdin"], "is made of mbpp; fetch that"),
        ([], "which set?"),
        (["mbpp", "--form", "x"], "did you mean --from?"),
    ],
)
def test_bad_arguments(capsys, cache, arguments, words):
    """A traceback, or a local file read through an address."""
    assert words in refused(capsys, *arguments)
    assert contents(cache) == []


def test_a_redirection_may_not_leave_https():
    """A file that comes over a connection that anybody can write to."""
    handler, headers = download._SameSafety(), Message()
    for begin, to, allowed in (("https", "https", True), ("https", "http", False), ("http", "http", True)):
        request = urllib.request.Request(f"{begin}://example.org/a")
        arguments = (request, None, 302, "Found", headers, f"{to}://example.org/b")
        if allowed:
            assert handler.redirect_request(*arguments).full_url == f"{to}://example.org/b"
        else:
            with pytest.raises(ValueError, match="which is not https"):
                handler.redirect_request(*arguments)


def test_list(cache, capsys):
    """A table whose columns do not stand under each other, or that does not see what is there."""
    main(["mbpp"])
    capsys.readouterr()
    main(["--list"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(sets.SOURCES) + 2
    licence = lines[0].index("licence")
    row = next(line for line in lines if line.startswith("mbpp "))
    assert row[licence:].startswith("CC BY 4.0")
    assert row.endswith("40  yes")
    assert next(line for line in lines if line.startswith("two ")).endswith(" 4  no")
