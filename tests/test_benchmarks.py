"""The benchmarks run, FlowKit counts the same events as we do, and all readers return the same values."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


def test_benchmark_agrees_with_flowkit_on_every_count() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--events", "20000", "--repeats", "1", "--reading", "--simulation", "0"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "DIFFER" not in done.stdout
    lines = [line for line in done.stdout.splitlines() if line.startswith(("nti7flow", "FlowKit"))]
    assert len(lines) == 4 and all("same counts" in line for line in lines), done.stdout


def test_benchmark_of_one_tube_says_where_the_time_goes_and_that_flowkit_counts_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.tube", "--events", "8000", "--rounds", "1"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "same counts" in done.stdout
    rows = [line.split(" ms")[0].rsplit(maxsplit=1) for line in done.stdout.splitlines() if " ms" in line]
    taken = {name.strip(): float(value) for name, value in rows}
    parts = ("reading", "quality", "gating", "judging", "counting")
    assert sum(taken[part] for part in parts) == pytest.approx(taken["all of it"], abs=0.5)


def test_benchmark_of_reading_compares_what_all_readers_return() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.reading", "--events", "3000", "--rounds", "1", "--calls", "1"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "DIFFER" not in done.stdout
    peers = 2 + (find_spec("FlowCal") is not None)
    assert done.stdout.count("same values") == 2 * (3 + peers), done.stdout
    assert find_spec("FlowCal") is not None or "FlowCal is not installed" in done.stdout


def test_torture_puts_readers_side_by_side() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.torture", "--topic", "few events", "--list"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("few events")]
    cases, right = line.split()[2:4]
    assert int(cases) == int(right) > 10
    assert "FlowIO    no_events_offsets_zero" in done.stdout
