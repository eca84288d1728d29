"""The benchmark runs and says what it compares."""

import pytest

from experiments import bench


def test_bench_prints_both_ratios(capsys):
    """A benchmark that has drifted from the sampler's interface, or compares unequal lengths."""
    small = ["--batch", "8", "--group-size", "4", "--repeats", "1", "--new-tokens", "4", "--max-new-tokens", "6"]
    assert bench.main(["sampler", *small, "--threads", "1"]) in (None, 0)
    lines = capsys.readouterr().out.splitlines()
    fixed = [line.split() for line in lines if line.startswith("fixed")]
    assert [line[1] for line in fixed] == ["ours", "transformers", "ratio"]
    assert fixed[0][-1] == fixed[1][-1] == "32"  # 8 rows x 4 tokens
    assert any(line.startswith("useful") and "ratio" in line for line in lines)


def test_unknown_benchmark_is_one_line(capsys):
    """A misspelt benchmark that starts another one, or ends in a traceback."""
    with pytest.raises(SystemExit, match="2"):
        bench.main(["sandbx"])
    assert "did you mean sandbox?" in capsys.readouterr().err
