"""The benchmark runs and says what it compares."""

from dataclasses import replace

import pytest

from experiments import bench
from experiments.benchmarks import sampler as bench_sampler

SMALL = ["--batch", "8", "--group-size", "4", "--repeats", "1", "--new-tokens", "4", "--max-new-tokens", "6"]


def test_bench_prints_both_comparisons(capsys):
    """A benchmark that has drifted from the sampler's interface, or compares unequal lengths."""
    assert bench.main(["sampler", *SMALL, "--threads", "1"]) in (None, 0)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    fixed, useful = ([line for line in lines if line[:1] == [name]] for name in ("fixed", "useful"))
    labels = ["dynamic", "static", "transformers", "ratio", "ratio"]
    assert [line[1] for line in fixed] == [line[1] for line in useful] == labels
    assert [line[-1] for line in fixed[:3]] == ["32"] * 3  # 8 rows x 4 tokens
    assert useful[0][-1] == useful[1][-1]


def test_a_real_shape_needs_no_weights(capsys, monkeypatch):
    """A shape that neither sampler can read, or prompts of tokens outside the vocabulary."""
    small = replace(bench_sampler.SHAPES["qwen2.5-coder-1.5b"], vocab_size=99, hidden_size=24, intermediate_size=40)
    monkeypatch.setitem(bench_sampler.SHAPES, "qwen2.5-coder-1.5b", small)
    shape = ["--shape", "qwen2.5-coder-1.5b", "--layers", "1", "--prompt-tokens", "9", "--threads", "1"]
    bench.main(["sampler", *SMALL, *shape])
    out = capsys.readouterr().out
    assert "1 layers, random on cpu, bf16" in out
    assert "2 prompts of 5 to 9 tokens x 4 samples" in out
    assert "static / dynamic" in out
    assert "useful" not in out


def test_an_unknown_shape_is_one_line(capsys):
    """A misspelt shape that measures the embedded model."""
    with pytest.raises(SystemExit, match="2"):
        bench.main(["sampler", "--shape", "qwen3-0.6"])
    assert "did you mean qwen3-0.6b?" in capsys.readouterr().err


def test_unknown_benchmark_is_one_line(capsys):
    """A misspelt benchmark that starts another one, or ends in a traceback."""
    with pytest.raises(SystemExit, match="2"):
        bench.main(["sandbx"])
    assert "did you mean sandbox?" in capsys.readouterr().err
