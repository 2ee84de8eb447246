"""How often readers are right on odd and broken FCS files: ``python -m benchmarks.torture [--list] [--topic T]``.

The corpus is the tests' own (tests/events/torture_*.py): files written byte by byte, each with its truth beside it.
Every reader reads every case in a process of its own, with a limit of time and memory. FlowKit reads through FlowIO.

right            what must load is right in events, channel names, scale values and time; what must not is refused
refused wrongly  a file that has one right reading is refused
silently wrong   a sample comes back that is not the truth, or that should not be
failed           hang, memory blow-up, or a crash of the process

Judged are events, names and scale values alone: whether a repair is noted, and what a refusal says, is for the tests.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import resource
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flowio
import numpy as np

import nti7flow as nf

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "events"))
from torture_cases import CASES
from torture_check import as_float
from torture_truth import TOPICS, Case, Unavailable

OUTCOMES = ("right", "refused wrongly", "silently wrong", "failed")
MEMORY = 6 << 30
#: Detectors, stored values and scale values of one data set.
Read = tuple[list[str], "np.ndarray[Any, Any]", Callable[[str], "np.ndarray[Any, Any]"]]


def by_nti7flow(path: str | Path, data_set: int) -> Read:
    """Read with nti7flow."""
    sample = nf.read_fcs(path, data_set=data_set)
    names = [channel.detector for channel in sample.panel.channels]
    return names, sample.events, lambda name: sample.columns([name])[:, 0]


def by_flowio(path: str | Path, data_set: int) -> Read:
    """Read with FlowIO as its documentation says, several data sets included."""
    try:
        data = flowio.FlowData(str(path))
        if data_set:
            raise IndexError(f"one data set; {data_set} was asked for")
    except flowio.exceptions.MultipleDataSetsError:
        data = flowio.read_multiple_data_sets(str(path))[data_set]
    names = list(data.pnn_labels)
    return names, data.as_array(preprocess=False), lambda name: data.as_array(preprocess=True)[:, names.index(name)]


READERS = {"nti7flow": by_nti7flow, "FlowIO": by_flowio}


def equal(found: Any, wanted: Any) -> bool:
    """Whether a value is the true one; every NaN alike, since FlowIO widens single precision."""
    wanted = as_float(wanted)
    return math.isnan(float(found)) if math.isnan(wanted) else float(found) == wanted


def is_right(read: Read, case: Case) -> bool:
    """Whether events, names and scale values are the truth."""
    names, events, scale = read
    truth = case.truth
    n = truth.n_events if truth.n_events is not None else len(truth.rows or ())
    if len(events) != n or (truth.names is not None and names != list(truth.names)):
        return False
    rows = truth.rows if truth.rows is not None else truth.first
    listed = [*zip(range(len(rows)), rows, strict=True)]
    listed += zip(range(n - len(truth.last), n), truth.last, strict=True)
    if not all(len(row) == events.shape[1] and all(map(equal, events[i], row)) for i, row in listed):
        return False
    return all(np.allclose(scale(name), values, rtol=1e-9, atol=0) for name, values in truth.scale.items())


def judge(reader: Callable[[str | Path, int], Read], path: str | Path, case: Case) -> str:
    """One of the outcomes, and behind a colon the exception where one was raised."""
    outcome = case.truth.outcome
    try:
        right = is_right(reader(path, case.data_set), case)
    except MemoryError:
        return "failed: out of memory"
    except Exception as error:  # whatever a peer raises is its way to refuse
        return f"{'refused wrongly' if outcome == 'loads' else 'right'}: {type(error).__name__}"
    return "right" if right and outcome != "refused" else "silently wrong"


def in_a_process(name: str, path: str | Path, case: Case, seconds: float) -> str:
    """Judge one case under limits."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        warnings.simplefilter("ignore")
        theirs.send(judge(READERS[name], path, case))

    process = context.Process(target=work, daemon=True)
    process.start()
    theirs.close()
    try:
        return str(ours.recv()) if ours.poll(seconds) else f"failed: no answer in {seconds:g} s"
    except EOFError:
        return "failed: the process died"
    finally:
        process.kill()
        process.join()


def main() -> None:
    """Print the table; exit with 1 where nti7flow is not right throughout."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.torture", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--list", action="store_true", help="name every case that is not right")
    parser.add_argument("--topic", choices=TOPICS, help="only this part of the corpus")
    parser.add_argument("--seconds", type=float, default=10.0, help="limit of time for a case")
    arguments = parser.parse_args()
    cases = [case for case in CASES if arguments.topic in (None, case.topic)]
    found: dict[str, dict[str, Counter[str]]] = {name: {topic: Counter() for topic in TOPICS} for name in READERS}
    wrong: list[str] = []
    skipped = 0
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            own = Path(folder) / case.name
            own.mkdir()
            try:
                path = case.write(own)
            except Unavailable:
                skipped += 1
                continue
            for name in READERS:
                verdict = in_a_process(name, path, case, arguments.seconds)
                found[name][case.topic][verdict.partition(":")[0]] += 1
                if not verdict.startswith("right"):
                    wrong.append(f"{name:<9} {case.name:<52} {verdict}")
    print_table(found)
    print(f"{skipped} cases cannot be made on this machine.")
    if arguments.list:
        print("\n".join(sorted(wrong)))
    if any(line.startswith("nti7flow") for line in wrong):
        raise SystemExit(1)


def print_table(found: dict[str, dict[str, Counter[str]]]) -> None:
    """One line a topic, and the sum."""
    width = 8 + sum(len(outcome) + 2 for outcome in OUTCOMES[1:])
    print(f"{'':<24}{'':>6}" + "".join(f"{name:>{width}}" for name in found))
    heads = "".join(f"{outcome:>{len(outcome) + 2 if i else 8}}" for i, outcome in enumerate(OUTCOMES))
    print(f"{'':<24}{'cases':>6}" + heads * len(found))
    sums: dict[str, Counter[str]] = {name: Counter() for name in found}
    for topic in TOPICS:
        counts = {name: topics[topic] for name, topics in found.items()}
        if not any(counts.values()):
            continue
        for name, count in counts.items():
            sums[name] += count
        print(line_of(topic, counts))
    print(line_of("all", sums))


def line_of(title: str, counts: dict[str, Counter[str]]) -> str:
    """Counts of both readers."""
    n = max(sum(count.values()) for count in counts.values())
    cells = "".join(
        f"{count[outcome] or '·':>{len(outcome) + 2 if i else 8}}"
        for count in counts.values()
        for i, outcome in enumerate(OUTCOMES)
    )
    return f"{title:<24}{n:>6}{cells}"


if __name__ == "__main__":
    main()
