"""The benchmark runs, and FlowKit counts the same events as we do."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


def test_benchmark_agrees_with_flowkit_on_every_count() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--events", "20000", "--repeats", "1"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if "FlowKit)" in line]
    assert "same counts" in line
