"""The benchmark of the simulation runs, finds every tube, and leaves nothing behind."""

import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


def test_benchmark_of_simulation_measures_a_small_study(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.simulation", "--subjects", "1", "--events", "1000"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "INCOMPLETE" not in done.stdout
    assert "within" not in done.stdout and "OVER" not in done.stdout  # the bars are for a whole trial
    numbers = (re.fullmatch(r"(.{36}) *([\d.]+)", line) for line in done.stdout.splitlines())
    found = {match[1].strip(): float(match[2]) for match in numbers if match}
    assert found["tubes written"] >= 20
    assert found["size of the study, MB"] > 20 * 1000 * 40 / 1e6
    assert found["CPU time of all processes, s"] > 0
    # Three processes with NumPy in each; a page that is shared counts once, then for each.
    assert 0.05 < found["peak of memory, GiB (PSS)"] < found["peak of memory, GiB (RSS)"] < 2
    assert list(tmp_path.iterdir()) == []
