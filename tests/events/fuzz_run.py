"""Damage FCS files, read them, and judge what came out: ``make fuzz ARGS='--n 100000 --seed 7 --keep FOLDER'``.

Every case follows from the seed and its number alone, so ``--seed 7 --only 1234`` repeats one. Reading happens in
worker processes, with 2 s of CPU time and 200 MiB above the size of the file for each case; a worker that dies or stops
answering is a failure of the case it was at.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuzz_bases import assemble
from fuzz_case import SECONDS, case, examine, known_bases, read

#: A worker that has not finished a case in this wall time hangs where no signal reaches it.
HANGS = 60.0
#: One case in so many is also read with repair="none" and "salvage".
OTHER_MODES = 4
#: Failures that are printed.
SHOWN = 200


def work(seed: int, first: int, stop: int, step: int, folder: str) -> None:
    """Run cases in this process and print one line of JSON for each."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "tube.fcs"
        for _, layout in known_bases(""):  # imports, and what libraries set up at their first use
            path.write_bytes(assemble(layout))
            read(path, 0, "safe")
        for number in range(first, stop, step):
            _, raw, data_set = case(seed, number, folder)
            result = examine(path, raw, data_set, modes=number % OTHER_MODES == 0)
            print(json.dumps({"number": number, **result}), flush=True)


# --- all cases, in the parent ---------------------------------------------------------------------


@dataclass
class Report:
    """What came out of a run."""

    seed: int
    folder: str = ""
    outcomes: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    failures: dict[int, list[str]] = field(default_factory=dict)
    slowest: tuple[float, int] = (0.0, -1)

    def add(self, result: dict[str, Any]) -> None:
        """Count one case."""
        self.outcomes[result["outcome"]] += 1
        self.notes.update(result.get("codes", ()))
        self.slowest = max(self.slowest, (result["seconds"], result["number"]))
        if result["problems"]:
            self.failures[result["number"]] = result["problems"]

    @property
    def loaded(self) -> int:
        """Cases that were read."""
        return self.outcomes["silent"] + self.outcomes["notes"]

    def text(self) -> str:
        """A summary of some lines."""
        total = sum(self.outcomes.values())
        refused = {code: n for code, n in sorted(self.outcomes.items()) if code.startswith("FCS")}
        lines = [
            f"{total:,} damaged files, seed {self.seed}{', heads of real files' if self.folder else ''}",
            f"  read without a note {self.outcomes['silent']:,}, with notes {self.outcomes['notes']:,}, "
            f"refused {sum(refused.values()):,}, failed {len(self.failures):,}",
            f"  refused: {', '.join(f'{code} {n:,}' for code, n in refused.items())}",
            f"  noted: {', '.join(f'{code} {n:,}' for code, n in sorted(self.notes.items()))}",
            f"  slowest: {1000 * self.slowest[0]:.0f} ms of CPU time (case {self.slowest[1]})",
        ]
        for number, problems in sorted(self.failures.items())[:SHOWN]:
            name = case(self.seed, number, self.folder)[0]
            lines.append(f"  FAILED --seed {self.seed} --only {number} ({name}): {'; '.join(problems)}")
        if len(self.failures) > SHOWN:
            lines.append(f"  and {len(self.failures) - SHOWN:,} more")
        return "\n".join(lines)


class Worker:
    """A child process and the numbers it still has to do."""

    def __init__(self, report: Report, first: int, stop: int, step: int, results: queue.Queue[Worker]) -> None:
        self.report, self.stop, self.step, self.results = report, stop, step, results
        self.next = first
        self.start()

    def start(self) -> None:
        """Start, or start again behind a case that killed it."""
        arguments = [str(value) for value in (self.report.seed, self.next, self.stop, self.step)]
        threads = {name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MALLOC_ARENA_MAX")}
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--work", *arguments, self.report.folder],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | threads,
        )
        self.errors: list[str] = []
        self.lines: queue.Queue[str] = queue.Queue()
        self.heard = time.monotonic()
        listeners = (self._listen, self._note_errors)
        self.threads = [threading.Thread(target=f, args=(self.process,), daemon=True) for f in listeners]
        for thread in self.threads:
            thread.start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.lines.put(line)
                self.results.put(self)

    def _note_errors(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        with process.stderr:
            self.errors = process.stderr.read().strip().splitlines()[-1:]

    def end(self) -> None:
        """Stop the process and let go of its pipes."""
        self.process.kill()
        self.process.wait()
        for thread in self.threads:
            thread.join()

    def collect(self) -> int:
        """Take in what has come; returns how many cases."""
        done = 0
        while not self.lines.empty():
            result = json.loads(self.lines.get())
            self.report.add(result)
            self.next = result["number"] + self.step
            self.heard = time.monotonic()
            done += 1
        return done

    def check(self) -> int:
        """Put down a worker that hangs, and start a dead one again; returns how many cases are done by that."""
        if self.next >= self.stop:
            return 0
        code = self.process.poll()
        done = self.collect()
        if done or (code is None and time.monotonic() - self.heard < HANGS):
            return done
        self.end()
        if done := self.collect():  # what it still had to say
            return done
        why = f"no answer in {HANGS:g} s" if code is None else f"the worker died ({code}): {' '.join(self.errors)}"
        self.report.add({"number": self.next, "outcome": "failed", "seconds": SECONDS, "problems": [why]})
        self.next += self.step
        if self.next < self.stop:
            self.start()
        return 1


def run(
    n: int,
    seed: int,
    *,
    folder: str = "",
    workers: int | None = None,
    tick: Callable[[int], object] = lambda done: None,
) -> Report:
    """Run cases 0 to n - 1 in worker processes; ``tick`` is told how many more are done."""
    report, results = Report(seed, folder), queue.Queue[Worker]()
    count = min(n, workers or os.cpu_count() or 1)
    crew = [Worker(report, first, n, count, results) for first in range(count)]
    try:
        while any(worker.next < n for worker in crew):
            try:
                tick(results.get(timeout=1.0).collect())
            except queue.Empty:
                tick(sum(worker.check() for worker in crew))
    finally:
        for worker in crew:
            worker.end()
    return report


def main() -> None:
    """Run from the command line."""
    if sys.argv[1:2] == ["--work"]:
        seed, first, stop, step = map(int, sys.argv[2:6])
        work(seed, first, stop, step, sys.argv[6])
        return
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--n", type=int, default=20_000, help="damaged files (default 20,000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="repeat one case and show it")
    parser.add_argument("--real", type=Path, help="folder of real FCS files, whose heads are damaged instead")
    parser.add_argument("--keep", type=Path, help="folder for the files that failed")
    parser.add_argument("--workers", type=int)
    arguments = parser.parse_args()
    folder = str(arguments.real or "")
    if arguments.only is not None:
        name, raw, data_set = case(arguments.seed, arguments.only, folder)
        path = (arguments.keep or Path(tempfile.mkdtemp())) / f"fuzz_{arguments.seed}_{arguments.only}.fcs"
        path.parent.mkdir(parents=True, exist_ok=True)
        result = examine(path, raw, data_set, modes=True)
        print(f"{path}: data set {data_set} of {name!r}, damaged\n{raw[:3000]!r}\n{result}")
        raise SystemExit(bool(result["problems"]))
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("fuzz"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("fuzz", total=arguments.n)
        report = run(
            arguments.n,
            arguments.seed,
            folder=folder,
            workers=arguments.workers,
            tick=lambda done: progress.advance(task, done),
        )
    print(report.text())
    if arguments.keep is not None:
        arguments.keep.mkdir(parents=True, exist_ok=True)
        for number in report.failures:
            _, raw, _ = case(report.seed, number, folder)
            (arguments.keep / f"fuzz_{report.seed}_{number}.fcs").write_bytes(raw)
    raise SystemExit(bool(report.failures))


if __name__ == "__main__":
    main()
