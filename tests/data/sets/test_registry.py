"""Named sets: the places of their files, their splits, and one clear line for what is missing."""

import json
import re

import pytest

from data.sets import registry as sets
from data.sets.registry import SOURCES, cache_directory, find, load_problems

CODE, TESTS = "def add(a, b):\n    return a + b\n", ["assert add(1, 2) == 3"]
RECORD = {"text": "Write a function to add.", "code": CODE, "test_setup_code": "", "test_list": TESTS}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A separate cache that holds an MBPP of four tasks."""
    directory = tmp_path / "cache"
    directory.mkdir()
    monkeypatch.setenv("CODELADDER_CACHE", str(directory))
    write_mbpp(directory / "mbpp.jsonl", 10, 11, 600, 974)
    return directory


def write_mbpp(path, *ids):
    path.write_text("".join(json.dumps(RECORD | {"task_id": number}) + "\n" for number in ids))


def ids(problems):
    return [problem.task_id for problem in problems]


def test_where_the_cache_is(monkeypatch, tmp_path):
    """The cache is not in the documented place, or an empty variable means the root directory."""
    assert cache_directory() == tmp_path / "cache"
    monkeypatch.delenv("CODELADDER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert str(cache_directory()) == "/somewhere/codeladder"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/one")
    assert str(cache_directory()) == "/home/one/.cache/codeladder"


def test_splits_of_a_named_set():
    """A split has problems of another, MBPP's fourth split is rejected, or its prompts are in train."""
    assert ids(load_problems("mbpp", "all")) == [10, 11, 600, 974]
    assert [ids(load_problems("mbpp", split)) for split in ("prompt", "test", "valid", "train")] == [
        [10], [11], [600], [974]
    ]  # fmt: skip
    assert ids(load_problems("mbpp-stdin", "train")) == [974]


@pytest.mark.parametrize(
    ("source", "split", "words"),
    [
        ("humaneval", "train", "--split: humaneval has no 'train'; it has test, all"),
        ("humaneval-stdin", "valid", "--split: humaneval has no 'valid'"),
        ("mbpp", "tset", "--split: mbpp has no 'tset'; it has prompt, test, valid, train, all"),
        ("embedded", "prompt", "--split: unknown split 'prompt'; there are train, valid, test, all"),
        ("humaneval", "test", "humaneval.jsonl is not there: python experiments/fetch.py humaneval"),
        ("apps-call-stdin", "test", "apps-test.jsonl is not there: python experiments/fetch.py apps-call"),
        ("mbppplus", "test", "mbppplus: its expected outputs come from the sandbox"),
        ("mbbp", "test", "no set and no problems file 'mbbp'; the sets are embedded, security, mbpp, "),
        ("mbbp-stdin", "test", "did you mean mbpp?"),
    ],
)
def test_what_is_not_there(source, split, words):
    """The result is a traceback, an empty set, or a line without advice."""
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        load_problems(source, split)
    assert "\n" not in str(caught.value)


def test_a_split_without_problems(cache):
    """A run trains on no problems."""
    write_mbpp(cache / "mbpp.jsonl", 700)
    with pytest.raises(ValueError, match="no record has 'test'"):
        load_problems("mbpp", "test")


def test_nothing_fit_for_stdin(cache):
    """A set without convertible functions becomes an empty set of programs."""
    problem = RECORD | {"task_id": 700, "test_list": ["assert add((1,), (2,)) == (1, 2)"]}
    (cache / "mbpp.jsonl").write_text(json.dumps(problem))
    with pytest.raises(ValueError, match="mbpp-stdin: no problem of mbpp is a function from JSON to JSON"):
        load_problems("mbpp-stdin", "train")


def test_a_given_file_or_directory(tmp_path):
    """The cache is read instead of the given file, or a file is not found under its published name."""
    write_mbpp(tmp_path / "other.jsonl", 5)
    assert ids(load_problems("mbpp", "all", tmp_path / "other.jsonl")) == [5]
    assert ids(load_problems("mbpp", "prompt", tmp_path / "other.jsonl")) == [5]
    published = tmp_path / "MbppPlus.jsonl"
    published.write_text("{}")
    assert find("mbppplus", given=tmp_path) == [published]
    for source, given, words in (
        ("mbpp", tmp_path / "none", "none is not there|no such file"),
        ("mbpp", tmp_path, "mbpp.jsonl is not there: no such file"),
        ("apps", tmp_path / "other.jsonl", "apps has several files; give the directory"),
        ("embedded", tmp_path, "is for named sets"),
    ):
        with pytest.raises(ValueError, match=words):
            load_problems(source, "all", given)


def test_two_files_of_one_set(cache, monkeypatch):
    """Problems of the first file are lost, or a file that the split does not need (1.3 GB of APPS) is read."""
    write_mbpp(cache / "a.jsonl", 601, 602)
    write_mbpp(cache / "b.jsonl", 11)
    files = sets.File("a.jsonl", "", (), ("train",)), sets.File("b.jsonl", "", (), ("test",))
    monkeypatch.setitem(SOURCES, "two", sets.Source("", "", 3, files, SOURCES["mbpp"].read))
    assert ids(load_problems("two", "all")) == [601, 602, 11]
    (cache / "a.jsonl").unlink()
    assert ids(load_problems("two", "test")) == [11]
    write_mbpp(cache / "a.jsonl", 11)
    with pytest.raises(ValueError, match="task_id: 11 is already used at"):
        load_problems("two", "all")


def test_sources_are_complete():
    """A set lacks a licence, an address is not https, or files of two sets have the same name."""
    for name, source in SOURCES.items():
        assert source.licence, name
        assert set(source.splits) >= {"test"}, name
        for file in source.files:
            assert file.url.startswith("https://"), name
            assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in file.sha256), name
    urls = {file.name: file.url for source in SOURCES.values() for file in source.files}
    assert len(set(urls.values())) == len(urls)
