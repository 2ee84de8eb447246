"""Time and memory of simulating a whole trial: ``python -m benchmarks.simulation``.

``nti7flow simulate`` runs as a user would run it, in a process of its own with two workers, and writes into a temporary
folder that is removed afterwards. Wall time counts, since people wait for it; CPU time, of all processes together, is
printed beside it, since other programs only make the former longer. Memory is that of the whole tree of processes,
looked at twenty times a second: the sum of their proportional shares (PSS), in which a page that several share counts
once, and the sum of their resident sets (RSS), in which it counts for each. The bars, for 12 subjects on both panels,
30,000 events a tube: three minutes and 2 GiB.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

N_SUBJECTS, N_EVENTS, JOBS = 12, 30_000, 2
WALL_WITHIN_S, PEAK_WITHIN_GIB = 180.0, 2.0
GIB = 2**30
_LOOK_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: seconds, peaks of the tree of processes in bytes (0 where unknown), and what was written."""

    wall_s: float
    cpu_s: float
    peak_pss: int
    peak_rss: int
    n_tubes: int
    n_planned: int
    n_bytes: int

    @property
    def complete(self) -> bool:
        """Whether every tube of the sheet is there."""
        return 0 < self.n_planned == self.n_tubes


def measure(n_subjects: int, *, events: int, jobs: int) -> Measured:
    """Simulate a study of both panels into a temporary folder, and look at the processes meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "study"
        size = ["--subjects", str(n_subjects), "--events", str(events), "--jobs", str(jobs)]
        command = [sys.executable, "-m", "nti7flow", "simulate", str(study), *size]
        with (Path(folder) / "log").open("w+", encoding="utf-8") as log:
            cpu_before, start = _cpu_of_children_s(), time.perf_counter()
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
            pss = rss = 0
            while True:
                of_each = [_memory(pid) for pid in _tree(process.pid)]
                pss = max(pss, sum(share for share, _ in of_each))
                rss = max(rss, sum(resident for _, resident in of_each))
                try:
                    process.wait(_LOOK_EVERY_S)
                    break
                except subprocess.TimeoutExpired:
                    continue
            wall_s, cpu_s = time.perf_counter() - start, _cpu_of_children_s() - cpu_before
            if process.returncode:
                log.seek(0)
                raise RuntimeError(f"nti7flow simulate failed: {log.read().strip()}")
        with (study / "samples.csv").open(encoding="utf-8", newline="") as sheet:
            planned = [row["file"] for row in csv.DictReader(sheet)]
        return Measured(
            wall_s,
            cpu_s,
            pss,
            rss,
            n_tubes=sum((study / file).is_file() for file in planned),
            n_planned=len(planned),
            n_bytes=sum(path.stat().st_size for path in study.rglob("*") if path.is_file()),
        )


def _cpu_of_children_s() -> float:
    """Seconds of CPU of all children that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tree(pid: int) -> Iterator[int]:
    """Yield a process and all below it that are there now."""
    yield pid
    try:
        children = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:  # ended meanwhile
        return
    for child in chain.from_iterable(children):
        yield from _tree(int(child))


def _memory(pid: int) -> tuple[int, int]:
    """Proportional share and resident set of a process, bytes; 0 for one that has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0, 0
    found = {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines if line.endswith(" kB")}
    return found.get("Pss", 0), found.get("Rss", 0)


def run(n_subjects: int = N_SUBJECTS, *, events: int = N_EVENTS, jobs: int = JOBS) -> bool:
    """Measure, print against the bars, and say whether the whole study was written."""
    found = measure(n_subjects, events=events, jobs=jobs)
    people = "1 subject" if n_subjects == 1 else f"{n_subjects} subjects"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"\nSimulating {people}, both panels, {events:,} events a tube: {jobs} workers on {cores} cores, one run")
    missing = "" if found.complete else f"  INCOMPLETE: {found.n_planned} planned"
    print(f"{'tubes written':<36}{found.n_tubes:>9}{missing}")
    print(f"{'size of the study, MB':<36}{found.n_bytes / 1e6:>9.1f}")
    # Only a study of full size, made by two workers, says anything about the bars.
    full = n_subjects >= N_SUBJECTS and events >= N_EVENTS and jobs <= JOBS
    _line("wall time, s", found.wall_s, WALL_WITHIN_S if full else None)
    _line("CPU time of all processes, s", found.cpu_s)
    if found.peak_pss:
        _line("peak of memory, GiB (PSS)", found.peak_pss / GIB, PEAK_WITHIN_GIB if full else None)
        _line("peak of memory, GiB (RSS)", found.peak_rss / GIB)
    else:
        print("peak of memory                            n/a (read from /proc, which is not there)")
    return found.complete


def _line(name: str, value: float, limit: float | None = None) -> None:
    remark = "" if limit is None else f"  {'within' if value <= limit else 'OVER'} {limit:g}"
    print(f"{name:<36}{value:>9.2f}{remark}")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    parser.add_argument("--subjects", type=int, default=N_SUBJECTS)
    parser.add_argument("--events", type=int, default=N_EVENTS)
    parser.add_argument("--jobs", type=int, default=JOBS)
    arguments = parser.parse_args()
    if not run(arguments.subjects, events=arguments.events, jobs=arguments.jobs):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
