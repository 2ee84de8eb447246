"""Time nti7flow and its peers on the same file and print ratios.

``python -m benchmarks [--events 300000] [--repeats 5] [FILE.fcs]``: without a file, a simulated tube of that many
events and 15 channels is made first. Both packages run in this process, one after the other, each the given number of
times; the median of the process's CPU time is printed. Then follow `benchmarks.tube`, of all that is done to one tube,
and `benchmarks.gating`, each on a tube of its own, where the counts must agree, `benchmarks.reading`, on files of
``--reading`` events, and `benchmarks.simulation`, of a trial of ``--simulation`` subjects.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import flowio
import flowutils
import numpy as np

import nti7flow as nf
from benchmarks import gating, reading, simulation, tube
from nti7flow.events.spillover import spillover_for
from nti7flow.events.transforms import Logicle
from nti7flow.gating.resolve import Resolution
from nti7flow.gating.template import load_template


def cpu_ms(function: Callable[[], object], repeats: int) -> float:
    """Median CPU time of a call in milliseconds, after one call that does not count."""
    function()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(1000 * (time.process_time() - start))
    return statistics.median(times)


def big_tube(path: Path, n_events: int) -> Path:
    """Write a simulated tube with 15 channels: ten that matter and five that a reader should not waste time on."""
    made = gating.simulated_tube(n_events)
    spare = np.random.default_rng(2).gamma(2.0, 300.0, size=(len(made.events), 5))
    names = [*made.detectors, *(f"SPARE{i}-A" for i in range(5))]
    dyes, stated = made.cytometer.detectors, made.cytometer.keyword
    matrix = ",".join([str(len(dyes)), *dyes, *(repr(float(v)) for v in stated.ravel())])
    nf.write_events(path, np.hstack([made.events, spare]), names, markers=[*made.markers, *[""] * 5],
                 keywords={"$SPILLOVER": matrix, "$TIMESTEP": "0.001"})  # fmt: skip
    return path


def report(name: str, ours: float, peer_name: str, peer: float, remark: str = "") -> None:
    """Print one line of the table."""
    print(f"{name:<44}{ours:>10.1f} ms {peer:>10.1f} ms ({peer_name}) {peer / ours:>7.1f} x {remark}")


def main() -> None:
    """Run all benchmarks."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="an FCS file with a spillover keyword and a TBNK panel")
    parser.add_argument("--events", type=int, default=gating.N_EVENTS)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--reading", type=int, nargs="*", default=reading.SIZES, help="events of the files to be read")
    parser.add_argument(
        "--simulation", type=int, default=simulation.N_SUBJECTS, help="subjects of the simulated trial, 0 for none"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.file or big_tube(Path(folder) / "big.fcs", arguments.events)
        run(path, arguments.repeats)
    agree = tube.run(min(arguments.events, tube.N_EVENTS), rounds=arguments.repeats)
    agree &= gating.run(arguments.events, rounds=min(arguments.repeats, 3))
    agree &= reading.run(arguments.reading)
    if arguments.simulation:
        agree &= simulation.run(arguments.simulation)
    if not agree:
        raise SystemExit(1)


def run(path: Path, repeats: int) -> None:
    """Time reading and transforming one file, and placing its gates."""
    sample = nf.read_fcs(path)
    print(f"{sample.n_events:,} events x {len(sample.panel.channels)} channels; median of {repeats} runs, CPU time")
    print(f"{'':<44}{'nti7flow':>13} {'peer':>13}")

    names = [channel.detector for channel in sample.panel.channels]
    ours = cpu_ms(lambda: nf.read_fcs(path).columns(names), repeats)
    report("read a file, all channels as scale values", ours, "FlowIO",
           cpu_ms(lambda: flowio.FlowData(str(path)).as_array(preprocess=True), repeats))  # fmt: skip

    values = sample.columns(["CD3"])
    logicle = Logicle(262144.0, 0.5, 4.5, 0.0)
    ours = cpu_ms(lambda: logicle.apply(values), repeats)
    peer_logicle = partial(flowutils.transforms.logicle, values, [0], t=262144, w=0.5, m=4.5, a=0)
    theirs = cpu_ms(peer_logicle, repeats)
    largest = np.abs(logicle.apply(values) - peer_logicle()).max()
    report("logicle, one channel", ours, "flowutils", theirs, f"largest difference {largest:.0e}")

    def gate() -> None:
        fresh = nf.read_fcs(path)
        Resolution.start(load_template("tbnk"), fresh, spillover_for(fresh, "keyword")).run_wave(0, {})

    ours = cpu_ms(gate, repeats)
    print(f"{'read, place all gates with replicates, apply':<44}{ours:>10.1f} ms   (FlowKit has no data-driven gates)")


if __name__ == "__main__":
    main()
