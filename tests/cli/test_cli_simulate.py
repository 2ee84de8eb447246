"""``nti7flow simulate``: a study in a folder, one clear line for each mistake, and progress where it belongs."""

import contextlib
import csv
import os
import re
import subprocess
import sys

import pytest
from command_line import spawn
from study_tubes import everything

from nti7flow.simulation import simulate_study

SMALL = ("--subjects", "1", "--events", "1000", "--panel", "tbnk")


@pytest.fixture(scope="module")
def spawned(tmp_path_factory):
    """A small study by a process of its own; its folder, and what was printed."""
    folder = tmp_path_factory.mktemp("simulated")
    return folder / "trial", spawn("simulate", folder / "trial", *SMALL, "--jobs", "2")


def rows(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_a_small_study(spawned):
    folder, outcome = spawned
    assert outcome.code == 0
    samples = rows(folder / "samples.csv")
    specimens = {row["specimen"] for row in samples if row["role"] == "patient"}
    doses = len(rows(folder / "doses.csv"))
    first, study, truth = outcome.out.splitlines()
    numbers = f"{doses} doses?, {len(specimens)} specimens, {len(samples)} tubes"
    assert re.fullmatch(f"1 subjects?, {numbers} \\(with those of controls\\).", first)
    assert study.split() == ["Study", f"{folder}/study.yaml"]
    assert truth.split() == ["Truth", f"{folder}/truth/"]
    assert len(list((folder / "tubes").glob("*.fcs"))) == len(samples)
    assert not (folder / "truth" / "awkward.csv").exists()


def test_progress_goes_to_stderr_only(spawned):
    _, outcome = spawned
    assert "simulating" not in outcome.out
    assert outcome.err == ""  # no terminal, no bar


def test_a_terminal_shows_progress(tmp_path):
    pty = pytest.importorskip("pty")
    terminal, inside = pty.openpty()
    command = [sys.executable, "-m", "nti7flow", "simulate", tmp_path / "trial", *SMALL]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=inside, text=True) as process:
        os.close(inside)
        shown = b""
        with contextlib.suppress(OSError):  # at the end, on Linux
            while part := os.read(terminal, 4096):
                shown += part
        out, _ = process.communicate(timeout=60)
    os.close(terminal)
    assert process.returncode == 0
    assert b"simulating" in shown
    assert "simulating" not in out
    assert "\x1b" not in out


def test_the_command_writes_what_the_function_writes(spawned, tmp_path):
    simulate_study(tmp_path / "trial", subjects=1, events=1000, panel="tbnk")
    assert everything(tmp_path / "trial") == everything(spawned[0])


def test_the_study_can_be_checked_and_gated(spawned, nti7flow, tmp_path):
    folder, _ = spawned
    checked = nti7flow("check", folder / "tubes")
    assert (checked.code, checked.err) == (0, "")
    n_tubes = len(rows(folder / "samples.csv"))
    assert f"{n_tubes} files: {n_tubes} ok, 0 noted, 0 refused; 1 panel; 0 groups of duplicates" in checked.out
    gated = nti7flow("gate", folder / "study.yaml", "--out", tmp_path / "run", "--figures", "none", "--jobs", "2")
    assert gated.code in (0, 3), gated  # of a thousand events, some gates cannot be placed
    assert "refused" not in gated.out
    counts = rows(tmp_path / "run" / "counts.csv")
    assert {row["sample"] for row in counts} == {row["sample"] for row in rows(folder / "samples.csv")}


def test_awkward_tubes_are_listed(nti7flow, tmp_path):
    outcome = nti7flow("simulate", tmp_path / "spoilt", "--subjects", "2", *SMALL[2:], "--awkward")
    assert outcome.code == 0
    cases = rows(tmp_path / "spoilt" / "truth" / "awkward.csv")
    assert len(cases) == 11
    for case in cases:
        assert case["case"] in outcome.out
        assert case["sample"] in outcome.out


def test_help_has_examples(nti7flow):
    outcome = nti7flow("simulate", "--help")
    assert outcome.code == 0
    for example in ("simulate trial --jobs 2", "--subjects 3 --events 10000 --panel tbnk", "--seed 7 --awkward"):
        assert example in outcome.out
    for option in ("--subjects", "--seed", "--events", "--panel", "--awkward", "--jobs"):
        assert option in outcome.out
    assert "Exit code" in outcome.out
    assert "simulate" in nti7flow("--help").out


def test_a_folder_that_is_not_empty(nti7flow, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("irreplaceable")
    (tmp_path / "file").write_text("irreplaceable")
    before = everything(tmp_path)
    for name, what in (("thesis", "there already and not empty"), ("file", "a file")):
        error = nti7flow("simulate", tmp_path / name, *SMALL).error()
        assert error == f"{tmp_path / name}: is {what}; name a new folder."
    assert everything(tmp_path) == before


def test_an_empty_folder_is_taken(nti7flow, tmp_path):
    (tmp_path / "trial").mkdir()
    assert nti7flow("simulate", tmp_path / "trial", *SMALL).code == 0
    assert (tmp_path / "trial" / "study.yaml").exists()


def test_a_place_that_cannot_be_written(nti7flow, tmp_path):
    (tmp_path / "file").write_text("in the way")
    error = nti7flow("simulate", tmp_path / "file" / "trial", *SMALL).error()
    assert "file" in error


@pytest.mark.parametrize("seed", range(1, 6))
def test_too_few_tubes_for_the_awkward_ones(nti7flow, tmp_path, seed):
    error = nti7flow("simulate", tmp_path / "trial", *SMALL, "--seed", seed, "--awkward").error()
    assert "simulate more subjects" in error
    assert not (tmp_path / "trial").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["out", "--panel", "tbkn"],
        ["out", "--events", "999"],
        ["out", "--subjects", "0"],
        ["out", "--seed", "-1"],
        ["out", "--jobs", "0"],
        ["out", "--subject", "3", "more"],
    ],
)
def test_wrong_usage_exits_2(nti7flow, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    outcome = nti7flow("simulate", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert "Usage: nti7flow simulate" in outcome.err
    assert "Traceback" not in outcome.err
    assert not list(tmp_path.iterdir())
