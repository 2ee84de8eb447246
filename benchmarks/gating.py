"""Time and memory of gating a tube by a given strategy, beside FlowKit: ``python -m benchmarks.gating``.

A simulated tube of 16 channels, 12 of them compensated, is gated into 17 populations by gates of every kind: path of
the file in, counts out, reading included. Each contender runs in child processes of its own, and they take turns; the
median of the CPU times counts, of all threads together. FlowKit gets the same gates as objects of its own, made
beforehand; it is also timed with its cache of transformed events, which costs it more memory. A strategy that is bound
to a file also checks that it is this one, by its SHA-256. All counts must be the same. The bars: a twentieth of
FlowKit's CPU time, and a peak of memory of at most twice the file's size.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import nti7flow as nf
from benchmarks.reading import REPOSITORY, forget_peak, memory_bytes
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import Linear, Logicle
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.gates import (
    BooleanGate,
    EllipsoidGate,
    Gate,
    Operand,
    PolygonGate,
    QuadrantGate,
    RectangleGate,
)
from nti7flow.gating.strategy import GatingStrategy, Population
from nti7flow.simulation import Flow, Preparation, SimulatedTube, Stop, simulate_tube

N_EVENTS = 300_000
WARM = 2_000  # events of the tube on which a contender does its imports
SPARE = 6
CPU_WITHIN, PEAK_WITHIN = 1 / 20, 2.0


# --- the tube -------------------------------------------------------------------------------------


def simulated_tube(n_events: int) -> SimulatedTube:
    """Simulate a TBNK tube of a healthy person; enough is stained for so many events."""
    enough = Preparation(
        specimen_ul=max(50.0, n_events / 4000), suspension_ul=max(500.0, n_events / 400), debris_per_ul=1500.0
    )
    # 700 events a second, as `steady` expects of 300,000.
    flow = Flow(ul_per_s=0.9)
    return simulate_tube(np.random.default_rng(1), stop=Stop(events=n_events), preparation=enough, flow=flow)


def write_tube(path: Path, n_events: int) -> None:
    """Write a simulated tube: six dyes of a TBNK panel and six more, into which these spill a little."""
    tube = simulated_tube(n_events)
    rng = np.random.default_rng(2)
    spare = [f"SPARE{i}-A" for i in range(SPARE)]
    dyes, d = [*tube.cytometer.detectors, *spare], len(tube.cytometer.detectors)
    matrix = np.eye(d + SPARE)
    matrix[:d, :d] = tube.cytometer.keyword
    matrix[:d, d:] = rng.uniform(0.001, 0.02, (d, SPARE))
    matrix[d:, :d] = rng.uniform(0.001, 0.02, (SPARE, d))
    stained = [tube.detectors.index(name) for name in tube.cytometer.detectors]
    light = rng.gamma(2.0, 150.0, (n_events, SPARE))
    events = np.hstack([tube.events, light + tube.events[:, stained] @ matrix[:d, d:]])
    events[:, stained] += light @ matrix[d:, :d]
    numbers = ",".join([str(len(dyes)), *dyes, *(repr(float(v)) for v in matrix.ravel())])
    nf.write_events(path, events, [*tube.detectors, *spare], markers=[*tube.markers, *[""] * SPARE],
                    keywords={"$SPILLOVER": numbers, "$TIMESTEP": "0.001"})  # fmt: skip


# --- the strategy ---------------------------------------------------------------------------------

TIME = Dimension("Time", "", False, Linear(1000.0))
FSC_A, FSC_H = (Dimension(name, "", False, Linear()) for name in ("FSC-A", "FSC-H"))
SSC = Dimension("SSC-A", "", False, Logicle())
CD45, CD3, CD4, CD8, CD19, CD56 = (
    Dimension(name, "", True, Logicle(w=w))
    for name, w in (("PerCP-Cy5-5-A", 0.5), ("FITC-A", 0.75), ("PE-Cy7-A", 0.75), ("APC-Cy7-A", 0.75),
                    ("APC-A", 0.75), ("PE-A", 0.5))
)  # fmt: skip
SPARE0 = Dimension("SPARE0-A", "", True, Logicle())
T_SUBSETS = {"dn_t": (0, 0), "cd4_t": (1, 0), "cd8_t": (0, 1), "dp_t": (1, 1)}


def strategy() -> GatingStrategy:
    """Return the strategy, for any tube of the panel."""
    gates: list[tuple[str, str | None, Gate]] = [
        ("steady", None, RectangleGate((TIME,), (0.002,), (0.42,))),
        ("singlets", "steady", PolygonGate((FSC_A, FSC_H), ((0.03, 0.02), (0.03, 0.06), (0.3, 0.33), (0.6, 0.62),
                                                            (1.0, 0.95), (1.0, 0.7), (0.6, 0.44), (0.3, 0.23)))),
        ("leukocytes", "singlets", RectangleGate((CD45,), (0.5,), (None,))),
        ("lymphocytes", "leukocytes", PolygonGate((CD45, SSC), ((0.64, 0.57), (0.76, 0.6), (0.79, 0.7), (0.785, 0.78),
                                                                (0.72, 0.795), (0.65, 0.74), (0.625, 0.64)))),
        ("monocytes", "leukocytes", PolygonGate((CD45, SSC), ((0.64, 0.79), (0.7, 0.78), (0.79, 0.81), (0.81, 0.87),
                                                              (0.78, 0.93), (0.7, 0.93), (0.64, 0.85)))),
        ("granulocytes", "leukocytes", EllipsoidGate((CD45, SSC), (0.628, 0.934), ((0.0008, 0.0002), (0.0002, 0.0007)),
                                                     6.0)),
        ("t_cells", "lymphocytes", RectangleGate((CD3,), (0.47,), (None,))),
        *((name, "t_cells", QuadrantGate("t_subsets", (CD4, CD8), ((0.42,), (0.42,)), interval))
          for name, interval in T_SUBSETS.items()),
        ("cd4_core", "cd4_t", EllipsoidGate((CD4, CD3), (0.578, 0.653), ((0.0006, 0.0002), (0.0002, 0.0013)), 4.0)),
        ("non_t", "lymphocytes", BooleanGate("and", (Operand("t_cells", True),))),
        ("b_cells", "non_t", PolygonGate((CD19, CD3), ((0.46, 0.0), (1.0, 0.0), (1.0, 0.42), (0.5, 0.46)))),
        ("nk_cells", "non_t", RectangleGate((CD56, CD19), (0.38, None), (None, 0.46))),
        ("nk_dim", "nk_cells", PolygonGate((CD56, SPARE0), ((0.45, 0.2), (0.6, 0.18), (0.62, 0.38), (0.5, 0.42)))),
        ("b_or_nk", "lymphocytes", BooleanGate("or", (Operand("b_cells"), Operand("nk_cells")))),
    ]  # fmt: skip
    populations = tuple(Population(name, name, parent, gate, "ok") for name, parent, gate in gates)
    return GatingStrategy("benchmark", "", "", 0, Spillover.none(), populations)


# --- the contenders: path in, counts out ------------------------------------------------------------


Contender = Callable[[Path], dict[str, int]]


def _ours(path: Path, *, bound: bool) -> Contender:
    gates = strategy().for_sample(nf.read_fcs(path)) if bound else strategy()

    def count(path: Path) -> dict[str, int]:
        return {name: len(rows) for name, rows in gates.apply(nf.read_fcs(path)).items() if rows is not None}

    return count


def _flowkit(path: Path, *, cache: bool) -> Contender:
    warnings.simplefilter("ignore")
    import flowkit

    peer = nf.to_flowkit(strategy().for_sample(nf.read_fcs(path)))

    def count(path: Path) -> dict[str, int]:
        report = peer.gate_sample(flowkit.Sample(path), cache_events=cache).report
        peer.clear_cache()
        return {name: int(n) for name, n in zip(report["gate_name"], report["count"], strict=True)}

    return count


#: Title, and what makes the contender, of which the first is held to the bars and FlowKit's first sets them.
CONTENDERS: dict[str, tuple[str, Callable[[Path], Contender]]] = {
    "ours": ("nti7flow", lambda path: _ours(path, bound=False)),
    "bound": ("nti7flow, file checked", lambda path: _ours(path, bound=True)),
    "flowkit": ("FlowKit", lambda path: _flowkit(path, cache=False)),
    "cached": ("FlowKit, cache_events", lambda path: _flowkit(path, cache=True)),
}


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one process: peak memory in bytes, CPU times in seconds, and what was counted."""

    peak: int
    cpu: list[float]
    counts: dict[str, int]


def measure(name: str, path: Path, warm: Path, calls: int) -> Measured:
    """Peak memory of one call in this process, and the CPU times of others."""
    CONTENDERS[name][1](warm)(warm)  # imports, caches
    count = CONTENDERS[name][1](path)
    gc.collect()
    before = memory_bytes("VmRSS")
    forget_peak()
    counts = count(path)
    peak = memory_bytes("VmHWM") - before
    cpu = []
    for _ in range(calls):
        gc.collect()
        start = time.process_time()
        again = count(path)
        cpu.append(time.process_time() - start)
        assert counts == again
    return Measured(peak, cpu, counts)


def _child(name: str, path: Path, warm: Path, calls: int) -> Measured:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gating", "--measure", name, str(path), str(warm), str(calls)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        env=os.environ | {"MPLBACKEND": "agg"},
    )
    if done.returncode:
        raise RuntimeError(f"{CONTENDERS[name][0]} failed: {done.stderr.strip()}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def run(n_events: int = N_EVENTS, *, rounds: int = 3, calls: int = 3) -> bool:
    """Make the tube, measure, print a table; whether all contenders count the same events."""
    found: dict[str, list[Measured]] = {name: [] for name in CONTENDERS}
    with tempfile.TemporaryDirectory() as folder:
        path, warm = Path(folder) / "tube.fcs", Path(folder) / "warm.fcs"
        write_tube(path, n_events)
        write_tube(warm, WARM)
        size = path.stat().st_size
        for _ in range(rounds):
            for name in CONTENDERS:
                found[name].append(_child(name, path, warm, calls))
    print(
        f"\nGating {n_events:,} events x 16 channels, {size / 1e6:.1f} MB, into {len(strategy().populations)} "
        f"populations: median of {rounds} x {calls} calls, each contender in processes of its own"
    )
    return _report(found, size)


def _report(found: dict[str, list[Measured]], size: int) -> bool:
    print(f"{'':<26}{'CPU ms':>9}{'x FlowKit':>11}{'peak/file':>11}")
    cpu = {name: statistics.median(time for one in runs for time in one.cpu) for name, runs in found.items()}
    truth = found["ours"][0].counts
    agree = True
    for name, (title, _) in CONTENDERS.items():
        peak = statistics.median(one.peak for one in found[name]) / size
        wrong = [one.counts for one in found[name] if one.counts != truth]
        agree &= not wrong
        remarks = [f"COUNTS DIFFER: {wrong[0]}, not {truth}" if wrong else "same counts"]
        if name == "ours":
            within = cpu[name] <= CPU_WITHIN * cpu["flowkit"]
            remarks.append(f"CPU {'within' if within else 'OVER'} 1/{1 / CPU_WITHIN:.0f}")
            remarks.append(f"peak {'within' if peak <= PEAK_WITHIN else 'OVER'} {PEAK_WITHIN:g}")
        times = cpu["flowkit"] / cpu[name]
        print(f"{title:<26}{1000 * cpu[name]:>9.1f}{f'1/{times:.1f}':>11}{peak:>11.2f}  {', '.join(remarks)}")
    return agree


def main() -> None:
    """Run from the command line."""
    if sys.argv[1:2] == ["--measure"]:
        name, path, warm, calls = sys.argv[2:]
        print(json.dumps(asdict(measure(name, Path(path), Path(warm), int(calls)))))
        return
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gating", description=__doc__)
    parser.add_argument("--events", type=int, default=N_EVENTS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=3, help="calls in each child process")
    arguments = parser.parse_args()
    if not run(arguments.events, rounds=arguments.rounds, calls=arguments.calls):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
