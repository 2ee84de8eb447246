"""Time and memory of reading an FCS file, beside NumPy and the peers: ``python -m benchmarks.reading``.

Each measurement runs in a child process of its own, so that no reader pays or profits from another one's memory, and
the contenders take turns for several rounds: the best time counts, because other programs can only make a run slower.

The floor is what NumPy needs to read the DATA bytes of the file and to swap them into an array of the machine's byte
order; the same work is asked of it for both byte orders. Swapping in place, which needs no second array, is printed
beside it. The bars: all channels within 1.5 times the floor, half the channels at or under it, and a peak of memory of
at most 1.2 times the array asked for. All channels as float64 columns are twice the bytes of the floor; beside them is
what NumPy needs for such an array. Hashing is not counted. What each reader returns is compared, bit for bit, with what
was written.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

REPOSITORY = Path(__file__).parents[1]
SIZES = (300_000, 5_000_000)
N_CHANNELS = 20
ORDERS = {"big": ">", "little": "<"}
#: The TEXT segment is padded to this length, so that DATA begins at the same byte in every file.
DATA_BEGINS = 8192
BLOCK = 100_000  # events written, or checked, at once
WARM = 100  # events of the file on which a reader does its imports
#: What FlowKit needs at its peak, in sizes of the file, with room to spare.
HUNGER = 5

ALL_WITHIN, HALF_WITHIN, PEAK_WITHIN = 1.5, 1.0, 1.2


@dataclass(frozen=True, slots=True)
class Tube:
    """A file made for the benchmark; the check sums are of the values of all and of half the channels."""

    path: Path
    order: str
    n_events: int
    crc_all: int
    crc_half: int


def detectors() -> list[str]:
    """Names of the channels."""
    return ["FSC-A", "SSC-A", *(f"FL{i}-A" for i in range(1, N_CHANNELS - 1))]


def half() -> list[str]:
    """Every second channel: those a gate needs lie between others."""
    return detectors()[::2]


def write_tube(path: Path, n_events: int, order: str, seed: int = 1) -> Tube:
    """Write a file in blocks, without any FCS library."""
    last = DATA_BEGINS + 4 * n_events * N_CHANNELS - 1
    pairs = {
        "$BEGINDATA": str(DATA_BEGINS), "$ENDDATA": str(last), "$BEGINANALYSIS": "0", "$ENDANALYSIS": "0",
        "$BEGINSTEXT": "0", "$ENDSTEXT": "0", "$NEXTDATA": "0", "$MODE": "L", "$DATATYPE": "F",
        "$BYTEORD": {"<": "1,2,3,4", ">": "4,3,2,1"}[order], "$PAR": str(N_CHANNELS), "$TOT": str(n_events),
    }  # fmt: skip
    for n, name in enumerate(detectors(), 1):
        pairs |= {f"$P{n}N": name, f"$P{n}B": "32", f"$P{n}R": "262144", f"$P{n}E": "0,0"}
    text = "/" + "".join(f"{key}/{value}/" for key, value in pairs.items())
    text += f"NOTE/{'.' * (DATA_BEGINS - 58 - len(text) - 6)}/"
    # Offsets of DATA beyond 99,999,999 have no room in the HEADER, which then says 0.
    data = (DATA_BEGINS, last) if last <= 99_999_999 else (0, 0)
    header = f"FCS3.1    {58:>8}{DATA_BEGINS - 1:>8}{data[0]:>8}{data[1]:>8}{0:>8}{0:>8}"
    rng = np.random.default_rng(seed)
    crc_all = crc_half = 0
    with path.open("wb") as stream:
        stream.write((header + text).encode("ascii"))
        assert stream.tell() == DATA_BEGINS
        for begin in range(0, n_events, BLOCK):
            shape = (min(BLOCK, n_events - begin), N_CHANNELS)
            block = rng.normal(20_000.0, 15_000.0, shape).astype("<f4")
            crc_all, crc_half = zlib.crc32(block.tobytes(), crc_all), zlib.crc32(block[:, ::2].tobytes(), crc_half)
            stream.write(block.astype(f"{order}f4").tobytes())
        stream.write(b"00000000")
    return Tube(path, order, n_events, crc_all, crc_half)


# --- the contenders: each reads what is asked for, and returns it as (n_events, n_channels) ----------


def _stored(path: Path, n_events: int) -> NDArray[np.generic]:
    foreign = np.dtype("f4").newbyteorder()  # swapped whatever the file is, for the same work
    return np.fromfile(path, foreign, n_events * N_CHANNELS, offset=DATA_BEGINS).reshape(n_events, N_CHANNELS)


def _floor(path: Path, n_events: int) -> NDArray[np.generic]:
    return _stored(path, n_events).astype("f4")


def _floor_in_place(path: Path, n_events: int) -> NDArray[np.generic]:
    values = _stored(path, n_events)
    return values.byteswap(inplace=True).view("f4")


def _floor_double(path: Path, n_events: int) -> NDArray[np.generic]:
    return _stored(path, n_events).astype("f8")


def _events(path: Path, n_events: int) -> NDArray[np.generic]:
    import nti7flow as nf

    return nf.read_fcs(path).events


def _columns(path: Path, n_events: int) -> NDArray[np.generic]:
    import nti7flow as nf

    return nf.read_fcs(path).columns(detectors())


def _columns_half(path: Path, n_events: int) -> NDArray[np.generic]:
    import nti7flow as nf

    return nf.read_fcs(path).columns(half())


def _flowio(path: Path, n_events: int) -> NDArray[np.generic]:
    import flowio

    return flowio.FlowData(str(path)).as_array(preprocess=False)


def _flowkit(path: Path, n_events: int) -> NDArray[np.generic]:
    import flowkit

    return flowkit.Sample(str(path), subsample=min(10_000, n_events)).get_events(source="raw")


def _flowcal(path: Path, n_events: int) -> NDArray[np.generic]:
    import FlowCal

    return np.asarray(FlowCal.io.FCSData(str(path)))


Contender = Callable[[Path, int], NDArray[np.generic]]
#: Title, function, whether half the channels are asked for, the bar on time (None where there is none), the package.
CONTENDERS: dict[str, tuple[str, Contender, bool, float | None, str]] = {
    "floor": ("NumPy: read and swap (the floor)", _floor, False, None, "numpy"),
    "in_place": ("NumPy: read and swap in place", _floor_in_place, False, None, "numpy"),
    "double": ("NumPy: read and swap to float64", _floor_double, False, None, "numpy"),
    "events": ("nti7flow: events as stored", _events, False, ALL_WITHIN, "nti7flow"),
    "columns": ("nti7flow: columns, all, float64", _columns, False, None, "nti7flow"),
    "columns_half": ("nti7flow: columns, half, float64", _columns_half, True, HALF_WITHIN, "nti7flow"),
    "flowcal": ("FlowCal: FCSData", _flowcal, False, None, "FlowCal"),
    "flowio": ("FlowIO: as_array(preprocess=False)", _flowio, False, None, "flowio"),
    "flowkit": ("FlowKit: Sample, raw events", _flowkit, False, None, "flowkit"),
}
FLOORS = ("floor", "in_place")
#: What these return from a little-endian file are swapped bytes, no values.
UNREAD = (*FLOORS, "double")
PEERS = ("flowcal", "flowio", "flowkit")


# --- in the child ---------------------------------------------------------------------------------


def memory_bytes(field: str) -> int:
    """Bytes of one line of /proc/self/status, 0 where there is no such file (not Linux)."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(field + ":")), 0)


def forget_peak() -> None:
    """Start the kernel's high-water mark anew; where it does not let us, imports count too and the peak is too high."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _crc(values: NDArray[np.generic]) -> int:
    """Check sum of the values as single precision, row by row; stored single precision loses nothing."""
    crc = 0
    for begin in range(0, len(values), BLOCK):
        crc = zlib.crc32(np.ascontiguousarray(values[begin : begin + BLOCK], "<f4").tobytes(), crc)
    return crc


def measure(name: str, path: Path, n_events: int, calls: int) -> dict[str, float]:
    """Peak memory of one call and the best wall and CPU time of several, in this process."""
    read = CONTENDERS[name][1]
    read(path.with_name("warm.fcs"), WARM)  # imports, caches
    gc.collect()
    before = memory_bytes("VmRSS")
    forget_peak()
    values = read(path, n_events)
    peak = memory_bytes("VmHWM") - before
    size, crc = values.nbytes, _crc(values)
    del values
    wall, cpu = [], []
    for _ in range(calls):
        gc.collect()
        start = time.perf_counter(), time.process_time()
        values = read(path, n_events)
        stop = time.perf_counter(), time.process_time()
        wall.append(stop[0] - start[0])
        cpu.append(stop[1] - start[1])
        del values
    return {"wall": min(wall), "cpu": min(cpu), "peak": peak, "size": size, "crc": crc}


# --- in the parent --------------------------------------------------------------------------------


def _child(name: str, tube: Tube, calls: int) -> dict[str, float] | str:
    """Measure one contender in a new process; a string says why that is not possible."""
    package = CONTENDERS[name][4]
    if find_spec(package) is None:
        return f"{package} is not installed (make bench installs it)"
    if name in PEERS and (free := _available()) < HUNGER * tube.path.stat().st_size:
        return f"needs up to {HUNGER} x the file; only {free / 1e9:.0f} GB of memory are free"
    arguments = ["--measure", name, str(tube.path), str(tube.n_events), str(calls)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.reading", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        env=os.environ | {"MPLBACKEND": "agg"},
    )
    if done.returncode:
        return f"failed: {(done.stderr.strip().splitlines() or [f'ended with {done.returncode}'])[-1]}"
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _available() -> int:
    """Bytes of memory that are free for us; unknown counts as plenty."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 1 << 62
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), 1 << 62)


def compare(tube: Tube, *, rounds: int, calls: int, names: Sequence[str]) -> bool:
    """Measure contenders on one file and print a table; whether all values agree."""
    best: dict[str, dict[str, float]] = {}
    refused: dict[str, str] = {}
    for turn in range(rounds):
        for name in names:
            if name in refused or (turn and name in PEERS):  # far from any bar: once is enough
                continue
            found = _child(name, tube, 1 if name in PEERS else calls)
            if isinstance(found, str):
                refused[name] = found
                continue
            known = best.setdefault(name, found)
            best[name] = known | {key: min(known[key], found[key]) for key in ("wall", "cpu", "peak")}
    order = next(word for word, sign in ORDERS.items() if sign == tube.order)
    size = tube.path.stat().st_size / 1e6
    print(f"\n{tube.n_events:,} events x {N_CHANNELS} channels, F, {order}-endian, {size:.0f} MB")
    print(f"{'':<36}{'wall ms':>9}{'x floor':>9}{'in place':>10}{'CPU ms':>9}{'peak/array':>12}")
    agree = True
    for name in names:
        if name in best:
            agree &= _print_line(name, best, tube)
        else:
            agree &= name in PEERS  # a peer may be absent; one of ours that fails is a failure
            print(f"{CONTENDERS[name][0]:<36}      n/a: {refused[name]}")
    return agree


def _print_line(name: str, best: dict[str, dict[str, float]], tube: Tube) -> bool:
    """Print one line of the table; whether the values are those that were written."""
    title, _, wants_half, bar, _ = CONTENDERS[name]
    found = best[name]
    wall, strict = (found["wall"] / best[floor]["wall"] for floor in FLOORS)
    memory = found["peak"] / found["size"]
    line = (
        f"{title:<36}{1000 * found['wall']:>9.1f}{wall:>9.2f}{strict:>10.2f}{1000 * found['cpu']:>9.1f}{memory:>12.2f}"
    )
    if name in UNREAD:
        print(line)
        return True
    same = found["crc"] == (tube.crc_half if wants_half else tube.crc_all)
    remarks = ["same values" if same else "VALUES DIFFER"]
    if bar is not None:
        remarks.append(f"time {'within' if wall <= bar else 'OVER'} {bar:g}")
        remarks.append(f"peak {'within' if memory <= PEAK_WITHIN else 'OVER'} {PEAK_WITHIN:g}")
    print(f"{line}  {', '.join(remarks)}")
    return same


def run(
    sizes: Sequence[int] = SIZES, *, rounds: int = 3, calls: int = 3, names: Sequence[str] = tuple(CONTENDERS)
) -> bool:
    """Make the files in a temporary folder, measure, and say whether every reader returned what was written."""
    print(f"\nReading: best of {rounds} x {calls} calls (peers: one), each reader in processes of its own")
    agree = True
    for n_events in sizes:
        for order in ORDERS.values():
            with tempfile.TemporaryDirectory() as folder:
                write_tube(Path(folder) / "warm.fcs", WARM, order)
                tube = write_tube(Path(folder) / "tube.fcs", n_events, order)
                agree &= compare(tube, rounds=rounds, calls=calls, names=names)
    return agree


def main() -> None:
    """Run from the command line."""
    if sys.argv[1:2] == ["--measure"]:
        name, path, n_events, calls = sys.argv[2:]
        print(json.dumps(measure(name, Path(path), int(n_events), int(calls))))
        return
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading", description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=SIZES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=3, help="calls in each child process")
    parser.add_argument("--no-peers", action="store_true", help="only NumPy and nti7flow")
    arguments = parser.parse_args()
    names = [name for name in CONTENDERS if not (arguments.no_peers and name in PEERS)]
    if not run(arguments.events, rounds=arguments.rounds, calls=arguments.calls, names=names):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
