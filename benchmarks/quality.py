"""CPU time of all quality checks of a tube: ``python -m benchmarks.quality``.

A simulated TBNK tube of 50,000 events and eight channels, in memory: reading the file is measured by
`benchmarks.reading`. The bar is 40 ms, a sixth of what quality and gating together may take.
"""

from __future__ import annotations

import time

import numpy as np

from nti7flow.events.made import make_sample
from nti7flow.events.sample import Sample
from nti7flow.quality.report import check_quality
from nti7flow.simulation import Preparation, Stop, simulate_tube
from nti7flow.simulation.tube import TIME_STEP_S

N_EVENTS, ROUNDS, WITHIN_MS = 50_000, 9, 40.0


def simulated() -> Sample:
    """Simulate the tube."""
    tube = simulate_tube(np.random.default_rng(1), stop=Stop(events=N_EVENTS), preparation=Preparation())
    events = tube.events.copy()
    events[:, -1] *= TIME_STEP_S
    return make_sample(events, tube.detectors, markers=list(tube.markers), name="tube.fcs")


def measure(sample: Sample, *, rounds: int = ROUNDS) -> float:
    """Least CPU time of the checks over some rounds, milliseconds; the first round is not counted."""
    check_quality(sample)
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        check_quality(sample)
        taken.append(time.process_time() - start)
    return 1000 * min(taken)


def main() -> None:
    """Print what was measured."""
    sample = simulated()
    taken = measure(sample)
    print(f"quality of {sample!r}: {taken:.1f} ms of CPU ({WITHIN_MS:g} allowed)")


if __name__ == "__main__":
    main()
