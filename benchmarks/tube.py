"""CPU time of one tube from file to counts: quality, gates found by the data, counts. ``python -m benchmarks.tube``.

A simulated TBNK tube of 50,000 events is read, checked, gated by the newest ``tbnk`` template, each gate placed and
refitted on 20 replicates of its data, and counted; nothing is known of it beforehand, and no other tube lends. The
median of the CPU times of a process, of all its threads together, counts. A first, smaller tube is not counted: on it
imports are made. The template is read beforehand, as it is once for a study. The bar is 0.25 s for all of it. Beside it
stands the time in which openCyto gates such a tube (2.3 s, as reported to us; not measured here), and that in which
FlowKit, which finds no gates, applies those that were found: the counts must be the same.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np

import nti7flow as nf
from nti7flow.counting.fractions import count_populations
from nti7flow.events.spillover import spillover_for
from nti7flow.gating.resolve import Resolution
from nti7flow.gating.strategy import GatingStrategy
from nti7flow.gating.template import GatingTemplate, load_template
from nti7flow.quality.report import check_quality
from nti7flow.simulation import Preparation, Stop, simulate_tube

N_EVENTS, WARM, ROUNDS = 50_000, 10_000, 5
WITHIN_S, OPENCYTO_S = 0.25, 2.3


def write_tube(path: Path, n_events: int, *, seed: int = 1) -> None:
    """Simulate a TBNK tube with counting beads, and the matrix to compensate it by in the file."""
    tube = simulate_tube(np.random.default_rng(seed), stop=Stop(events=n_events), preparation=Preparation())
    dyes, matrix = tube.cytometer.detectors, tube.cytometer.keyword
    numbers = ",".join([str(len(dyes)), *dyes, *(repr(float(v)) for v in matrix.ravel())])
    nf.write_events(path, tube.events, tube.detectors, markers=tube.markers,
                    keywords={"$SPILLOVER": numbers, "$TIMESTEP": "0.001"})  # fmt: skip


@dataclass
class _Timed(Resolution):
    """A resolution that knows how long it took to judge its gates."""

    judged_s: float = 0.0

    def judge(self) -> None:
        start = time.process_time()
        super().judge()
        self.judged_s += time.process_time() - start


@dataclass(frozen=True, slots=True)
class Timed:
    """CPU seconds of one tube by part, what was found, and the events of each population that has a gate."""

    reading: float
    quality: float
    gating: float
    judging: float
    counting: float
    strategy: GatingStrategy = field(repr=False)
    counts: dict[str, int] = field(repr=False)


PARTS = tuple(f.name for f in fields(Timed) if f.type == "float")


def gate_alone(path: Path, template: GatingTemplate) -> Timed:
    """Read, check, gate and count one tube."""
    times = [time.process_time()]
    sample = nf.read_fcs(path)
    spillover = spillover_for(sample, "keyword")
    times.append(time.process_time())
    quality = check_quality(sample, spillover, template.spec.quality)
    times.append(time.process_time())
    resolution = _Timed.start(template, sample, spillover)
    assert isinstance(resolution, _Timed)
    resolution.quality = quality
    resolution.run_wave(0, {})
    times.append(time.process_time())
    strategy = resolution.strategy()
    counts = count_populations(strategy, resolution.members)
    times.append(time.process_time())
    reading, checking, gating, counting = np.diff(times).tolist()
    return Timed(
        reading=reading,
        quality=checking,
        gating=gating - resolution.judged_s,
        judging=resolution.judged_s,
        counting=counting,
        strategy=strategy,
        counts={count.population: count.n_events for count in counts if count.n_events is not None},
    )


def flowkit_s(path: Path, strategy: GatingStrategy) -> tuple[float, dict[str, int]]:
    """CPU seconds in which FlowKit reads the tube and applies gates made beforehand, and what it counts."""
    warnings.simplefilter("ignore")
    import flowkit

    gates = nf.to_flowkit(strategy)
    start = time.process_time()
    report = gates.gate_sample(flowkit.Sample(path)).report
    taken = time.process_time() - start
    return taken, {name: int(n) for name, n in zip(report["gate_name"], report["count"], strict=True)}


def run(n_events: int = N_EVENTS, *, rounds: int = ROUNDS) -> bool:
    """Measure, print against the bar, and say whether FlowKit counts the same events."""
    template = load_template("tbnk")
    with tempfile.TemporaryDirectory() as folder:
        warm, path = Path(folder) / "warm.fcs", Path(folder) / "tube.fcs"
        write_tube(warm, min(WARM, n_events), seed=2)
        write_tube(path, n_events)
        gate_alone(warm, template)
        found = [gate_alone(path, template) for _ in range(rounds)]
        theirs = [flowkit_s(path, found[0].strategy) for _ in range(min(rounds, 3) + 1)][1:]
    ours = statistics.median(sum(getattr(one, part) for part in PARTS) for one in found)
    print(
        f"\nOne TBNK tube of {n_events:,} events, file to counts by {template.reference}: median CPU of {rounds} runs"
    )
    for part in PARTS:
        print(f"  {part:<24}{1000 * statistics.median(getattr(one, part) for one in found):>9.1f} ms")
    full = n_events == N_EVENTS  # no other tube says anything about the bar, nor beside what was reported
    within = f"  {'within' if ours <= WITHIN_S else 'OVER'} {1000 * WITHIN_S:g} ms" if full else ""
    print(f"  {'all of it':<24}{1000 * ours:>9.1f} ms{within}")
    if full:
        print(f"  {'openCyto, as reported':<24}{1000 * OPENCYTO_S:>9.1f} ms  {OPENCYTO_S / ours:.1f} x")
    taken = statistics.median(time for time, _ in theirs)
    agree = all(counts == found[0].counts for _, counts in theirs)
    said = "same counts" if agree else f"COUNTS DIFFER: {theirs[0][1]}, not {found[0].counts}"
    print(f"  {'FlowKit, gates given':<24}{1000 * taken:>9.1f} ms  {taken / ours:.1f} x, {said}")
    return agree


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tube", description=__doc__)
    parser.add_argument("--events", type=int, default=N_EVENTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    if not run(arguments.events, rounds=arguments.rounds):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
