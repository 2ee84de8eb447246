"""Does the simulated healthy tube look like a real one? ``python -m benchmarks.likeness [--out FOLDER]``.

A real tube of lysed whole blood and a simulated one are read the same way: compensated by the matrix each file states,
gated by the same few explicit regions, loosely and tightly, and measured in the same figures: how far each stain
stands from its negatives (four spreads), how wide the negatives and the populations are (five measures), where they
lie, which channels rise together, and how many events of each kind there are. One line per figure, a mark where the two
tubes differ by more than the tolerance; with ``--out``, a picture of five density plots side by side. Nothing of
nti7flow.gating is used: what is compared here must not lean on what is judged by the simulated tubes.

The exit code is 1 where a figure is outside its tolerance. With ``--resampled N`` the real tube is also compared with N
resamples of itself: what luck alone puts outside.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import nti7flow as nf
from nti7flow.events.spillover import spillover_for
from nti7flow.simulation import HEALTHY, TBNK_CANTO, SimulatedTube, Stop, simulate_tube

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

REPOSITORY = Path(__file__).resolve().parents[1]
SEED = 2
N_EVENTS = 25_678  # of the reference
SCATTER = ("FSC", "SSC")
MARKERS = ("CD45", "CD3", "CD16+56", "CD4", "CD19", "CD8")
FACTOR = 1.5
SCATTER_FACTOR = 1.25  # for the places on the scatter channels
CORRELATION = 0.35  # largest difference


# --- the two tubes --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Tube:
    """Events by channel, each of shape (n,): scatter as stored, stains compensated by the file's own matrix."""

    name: str
    columns: Mapping[str, Floats]

    def __getitem__(self, channel: str) -> Floats:
        return self.columns[channel]

    @property
    def n_events(self) -> int:
        return len(self.columns["FSC"])

    def shown(self, channel: str) -> Floats:
        """Values as drawn and gated: scatter in thousands, stains as asinh of x / 150."""
        values = self.columns[channel]
        return values / 1000 if channel in SCATTER else np.arcsinh(values / 150)


def reference_path() -> Path:
    """Return where the real tube lies; it is read in place."""
    named = os.environ.get("NTI7FLOW_SHARED_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    return folder / "tbnk_auto" / "1.fcs"


def real_tube(path: Path) -> Tube:
    """Read a tube with the stains of the kit; the file must state its matrix."""
    sample = nf.read_fcs(path)
    matrix = spillover_for(sample, "keyword")
    at = {channel.detector: channel.marker for channel in sample.panel.channels}
    return _tube(
        "real",
        *sample.columns(["FSC-A", "SSC-A"]).T,
        sample.columns(list(matrix.detectors)),
        matrix.matrix,
        [at[detector] for detector in matrix.detectors],
    )


def simulated_tube(seed: int = SEED) -> Tube:
    """Simulate a healthy tube of as many events as the real one has; the only call of the simulator here."""
    rng = np.random.default_rng(seed)
    return from_simulation(simulate_tube(rng, cells_per_ul=HEALTHY, cytometer=TBNK_CANTO, stop=Stop(events=N_EVENTS)))


def from_simulation(tube: SimulatedTube) -> Tube:
    """Take the channels that both tubes have."""
    at = {detector: i for i, detector in enumerate(tube.detectors)}
    stains = [at[detector] for detector in tube.cytometer.detectors]
    return _tube(
        "simulated",
        tube.events[:, at["FSC-A"]],
        tube.events[:, at["SSC-A"]],
        tube.events[:, stains],
        tube.cytometer.keyword,
        [tube.markers[i] for i in stains],
    )


def _tube(name: str, fsc: Floats, ssc: Floats, raw: Floats, matrix: Floats, markers: Sequence[str]) -> Tube:
    stains = dict(zip(markers, (raw @ np.linalg.inv(matrix)).T, strict=True))
    return Tube(name, {"FSC": fsc, "SSC": ssc} | {marker: stains[marker] for marker in MARKERS})


# --- the regions ----------------------------------------------------------------------------------

Populations = dict[str, Mask]


def valley(values: Floats, low: float, high: float) -> float:
    """Return the emptiest place between two bounds, on the shown scale."""
    edges = np.linspace(low - 1, high + 1, 161)
    counts = np.histogram(values, edges)[0].astype(float)
    kernel = np.exp(-0.5 * (np.arange(-16, 17) * (edges[1] - edges[0]) / 0.12) ** 2)
    smooth = np.convolve(counts, kernel, "same")
    centres = (edges[1:] + edges[:-1]) / 2
    inside = (centres >= low) & (centres <= high)
    emptiest = np.flatnonzero(smooth[inside] <= smooth[inside].min() + 1e-9)  # the middle of them, if several
    return float(centres[inside][emptiest[len(emptiest) // 2]])


def loose(tube: Tube) -> Populations:
    """Gate by boxes wide enough to hold nearly all of each population."""
    s = {channel: tube.shown(channel) for channel in (*SCATTER, *MARKERS)}
    nucleated = s["CD45"] > valley(s["CD45"], 2.0, 3.6)
    lymphocytes = nucleated & (s["CD45"] > 4.3) & (s["SSC"] < 40)
    granulocytes = nucleated & (s["CD45"] < 5.0) & (s["SSC"] > 60)
    monocytes = (s["CD45"] > 4.5) & (s["SSC"] > 25) & (s["SSC"] < 100) & (s["CD4"] > 1.4) & (s["CD4"] < 3.4)
    monocytes &= (s["CD3"] < 3.0) & (s["CD19"] < 3.0) & (s["CD16+56"] < 2.2)
    t_cells = lymphocytes & (s["CD3"] > valley(s["CD3"][lymphocytes], 2.4, 4.0))
    rest = lymphocytes & ~t_cells
    b_cells = rest & (s["CD19"] > valley(s["CD19"][rest], 2.2, 3.6))
    nk_cells = rest & ~b_cells & (s["CD16+56"] > valley(s["CD16+56"][rest], 1.8, 2.8))
    cd4 = s["CD4"] > valley(s["CD4"][t_cells], 1.7, 3.3)
    cd8 = s["CD8"] > valley(s["CD8"][t_cells & ~cd4], 1.8, 3.2)
    unspecific = s["CD4"] > valley(s["CD4"][granulocytes], 1.0, 2.4)
    return {
        "debris": ~nucleated,
        "lymphocytes": lymphocytes,
        "t_cells": t_cells,
        "cd4_t": t_cells & cd4 & ~cd8,
        "cd8_t": t_cells & cd8 & ~cd4,
        "dn_t": t_cells & ~cd4 & ~cd8,
        "b_cells": b_cells,
        "nk_cells": nk_cells,
        "monocytes": monocytes,
        "granulocytes": granulocytes,
        "neutrophils": granulocytes & unspecific,
        "eosinophils": granulocytes & ~unspecific & (s["CD3"] > 2.2),
    }


#: What a tight gate looks at, per population.
_CORE = {
    "debris": ("FSC", "SSC", "CD45"),
    "lymphocytes": ("CD45", "SSC"),
    "t_cells": ("CD45", "SSC", "CD3"),
    "cd4_t": ("CD45", "SSC", "CD3", "CD4"),
    "cd8_t": ("CD45", "SSC", "CD3", "CD8"),
    "dn_t": ("CD45", "SSC", "CD3"),
    "b_cells": ("CD45", "SSC", "CD19"),
    "nk_cells": ("CD45", "SSC", "CD16+56"),
    "monocytes": ("CD45", "SSC", "CD4"),
    "granulocytes": ("CD45", "SSC"),
    "neutrophils": ("CD45", "CD16+56", "CD4"),
    "eosinophils": ("CD45", "CD3", "CD4"),
}


def tight(tube: Tube) -> Populations:
    """Keep of each loose population the core: an ellipsoid around its mode with some two thirds of the events."""
    return {name: _core(tube, rows, _CORE[name]) for name, rows in loose(tube).items()}


def _core(tube: Tube, rows: Mask, channels: Sequence[str], share: float = 0.67) -> Mask:
    values = np.stack([tube.shown(channel) for channel in channels])
    inside = rows
    for _ in range(10):  # the ellipsoid of the inner part, taken anew from what lies in it
        centre = np.median(values[:, inside], axis=1)
        away = values - centre[:, None]
        distance = np.einsum("in,ij,jn->n", away, np.linalg.inv(np.cov(values[:, inside])), away)
        inside = rows & (distance <= np.quantile(distance[rows], share))
    return inside


GATES = {"loose": loose, "tight": tight}


# --- the figures ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of each tube, and how far apart they may be."""

    name: str
    real: float
    simulated: float
    factor: float = FACTOR  # largest ratio, either way
    difference: float | None = None  # if given, the largest difference, instead

    @property
    def ratio(self) -> float:
        return self.simulated / self.real

    @property
    def within(self) -> bool:
        if self.difference is not None:
            return abs(self.simulated - self.real) <= self.difference
        return 1 / self.factor <= self.ratio <= self.factor


#: Who carries a stain, and who does not.
STAINED = {
    "CD45": ("lymphocytes", ("debris",)),
    "CD3": ("t_cells", ("b_cells", "nk_cells")),
    "CD16+56": ("nk_cells", ("b_cells", "cd4_t")),
    "CD4": ("cd4_t", ("cd8_t", "b_cells")),
    "CD19": ("b_cells", ("cd4_t", "nk_cells")),
    "CD8": ("cd8_t", ("cd4_t", "b_cells")),
}
#: Below what an event counts as negative when only one stain is looked at (shown scale, lymphocytes).
_NEGATIVE = {"CD3": 3.0, "CD16+56": 2.0, "CD4": 2.2, "CD19": 2.8, "CD8": 2.0}
OWN = {
    "lymphocytes": (),
    "cd4_t": ("CD3", "CD4"),
    "cd8_t": ("CD3", "CD8"),
    "dn_t": ("CD3",),
    "b_cells": ("CD19",),
    "nk_cells": ("CD16+56",),
    "monocytes": ("CD4",),
    "granulocytes": (),
    "neutrophils": ("CD16+56", "CD4"),
    "eosinophils": ("CD3",),
    "debris": (),
}


def spreads(x: Floats) -> dict[str, float]:
    """Return the usual measures of spread in linear units, of values of shape (n,)."""
    q16, q50, q84 = np.quantile(x, [0.1587, 0.5, 0.8413])
    inner = x[(x >= np.quantile(x, 0.01)) & (x <= np.quantile(x, 0.99))]
    return {
        "SD": float(inner.std()),
        "rSD": float(1.4826 * np.median(np.abs(x - q50))),
        "84-50": float(q84 - q50),
        "half 84-16": float(q84 - q16) / 2,
    }


def widths(tube: Tube, channel: str, rows: Mask, *, relative: bool) -> dict[str, float]:
    """Return the usual measures of width of a population in one channel, and of relative width if it is bright."""
    x, shown = tube[channel][rows], tube.shown(channel)[rows]
    at = spreads(x)
    log = np.log(np.maximum(x, 1.0)) if channel in SCATTER else shown
    q10, q90 = np.quantile(log, [0.1, 0.9])
    q16, q84 = np.quantile(log, [0.1587, 0.8413])
    inner = log[(log >= np.quantile(log, 0.01)) & (log <= np.quantile(log, 0.99))]
    found = {"10-90 of log": float(q90 - q10), "16-84 of log": float(q84 - q16), "SD of log": float(inner.std())}
    if relative:
        found |= {"rCV": at["rSD"] / float(np.median(x)), "CV": at["SD"] / float(x.mean())}
    return found


def measure(tube: Tube, populations: Populations) -> Iterator[tuple[str, float, str]]:
    """Yield name, value and kind of every figure of a tube."""
    for channel, (stained, negatives) in STAINED.items():
        top = float(np.median(tube[channel][populations[stained]]))
        masks = {name: populations[name] for name in negatives}
        if channel in _NEGATIVE:
            masks["all negatives"] = populations["lymphocytes"] & (tube.shown(channel) < _NEGATIVE[channel])
        for name, rows in masks.items():
            x = tube[channel][rows]
            for spread, value in spreads(x).items():
                yield (
                    f"stain index {channel}: {stained} over {name}, {spread}",
                    (top - float(np.median(x))) / (2 * value),
                    "",
                )
                yield f"negative spread {channel}: {name}, {spread}", value, ""
    for name, own in OWN.items():
        rows = populations[name]
        for channel in (*SCATTER, "CD45", *own):
            relative = (name, channel) != ("debris", "CD45")  # which lies around zero
            for kind, value in widths(tube, channel, rows, relative=relative).items():
                yield f"width {name} {channel}: {kind}", value, ""
        for channel in SCATTER:
            yield f"place {name} {channel}: median", float(np.median(tube[channel][rows])), "scatter"
        for channel in MARKERS:  # exp of asinh: a ratio where the stain is bright, a difference where it is not
            yield f"place {name} {channel}: median", float(np.exp(np.median(tube.shown(channel)[rows]))), ""
        for one, other in _pairs(own):
            a, b = tube.shown(one)[rows], tube.shown(other)[rows]
            yield f"correlation {name} {one} {other}", float(_correlation(a, b)), "correlation"


def shares(tube: Tube, populations: Populations) -> Iterator[tuple[str, float, str]]:
    """Yield how many events of each kind there are."""
    nucleated = float((~populations["debris"]).sum())
    yield "share debris of events", 1 - nucleated / tube.n_events, ""
    for name, rows in populations.items():
        if name != "debris":
            yield f"share {name} of CD45+", float(rows.sum()) / nucleated, ""
    yield "share SSC at the top", float((tube["SSC"] >= 262_000).mean()), ""
    yield "share FSC at the top", float((tube["FSC"] >= 262_000).mean()), "rare"


def _pairs(own: Sequence[str]) -> Iterator[tuple[str, str]]:
    channels = ("FSC", "SSC", "CD45", *own)
    for i, one in enumerate(channels):
        for other in channels[i + 1 :]:
            yield one, other


def _correlation(a: Floats, b: Floats) -> float:
    """Rank correlation: tails and scale do not matter."""
    ranks = [np.argsort(np.argsort(x)) for x in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])


def figures(real: Tube, simulated: Tube) -> list[Figure]:
    """Compare two tubes in everything an expert would look at."""
    found: list[Figure] = []
    for gate, function in GATES.items():
        one, other = function(real), function(simulated)
        pairs = zip(measure(real, one), measure(simulated, other), strict=True)
        found += [_figure(f"{name} [{gate}]", a, b, kind) for (name, a, kind), (_, b, _) in pairs]
    one, other = loose(real), loose(simulated)
    return found + [
        _figure(name, a, b, kind)
        for (name, a, kind), (_, b, _) in zip(shares(real, one), shares(simulated, other), strict=True)
    ]


def _figure(name: str, real: float, simulated: float, kind: str) -> Figure:
    if kind == "correlation":
        return Figure(name, real, simulated, difference=CORRELATION)
    return Figure(name, real, simulated, SCATTER_FACTOR if kind == "scatter" else 3.0 if kind == "rare" else FACTOR)


# --- the picture ----------------------------------------------------------------------------------

#: What an expert looks at first, and the title; the last three among lymphocytes.
PLOTS = (("FSC", "SSC"), ("CD45", "SSC"), ("CD3", "CD19"), ("CD3", "CD16+56"), ("CD4", "CD8"))
_TICKS = (0, 1_000, 10_000, 100_000)


def draw(real: Tube, simulated: Tube, path: Path) -> None:
    """Draw both tubes, one above the other on the same axes: all events, then lymphocytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(16, 13), layout="constrained")
    FigureCanvasAgg(canvas)
    rows = [(tube, cells) for cells in ("all events", "lymphocytes") for tube in (real, simulated)]
    grid = canvas.subplots(len(rows), len(PLOTS))
    for axes_of_row, (tube, cells) in zip(grid, rows, strict=True):
        shown = loose(tube)["lymphocytes"] if cells == "lymphocytes" else np.ones(tube.n_events, bool)
        for axes, (x, y) in zip(axes_of_row, PLOTS, strict=True):
            values = [tube.shown(channel)[shown] for channel in (x, y)]
            limits = [(0, 263) if channel in SCATTER else (-1.5, 7.5) for channel in (x, y)]
            axes.hist2d(*values, bins=160, range=limits, norm=LogNorm(1, 60), cmap="viridis")
            axes.set(xlabel=x, ylabel=y)
            for axis, channel in ((axes.xaxis, x), (axes.yaxis, y)):
                if channel not in SCATTER:
                    axis.set_ticks(np.arcsinh(np.array(_TICKS) / 150), [f"{tick:,}" for tick in _TICKS], fontsize=7)
        axes_of_row[0].set_title(f"{tube.name}: {cells}", loc="left", fontweight="bold")
    canvas.savefig(path, dpi=70)


# --- the command ----------------------------------------------------------------------------------


def show(found: Sequence[Figure]) -> None:
    """Print one line per figure."""
    print(f"{'figure':<76}{'real':>12}{'simulated':>12}{'ratio':>8}")
    for figure in found:
        print(f"{figure.name:<76}{figure.real:>12.4g}{figure.simulated:>12.4g}{figure.ratio:>8.2f}"
              f"{'' if figure.within else '  OUTSIDE'}")  # fmt: skip


def resampled(real: Tube, times: int) -> float:
    """Return how many figures of a resample of the real tube are outside, on average."""
    rng = np.random.default_rng(0)
    outside = 0
    for _ in range(times):
        rows = rng.integers(real.n_events, size=real.n_events)
        again = Tube("resampled", {channel: values[rows] for channel, values in real.columns.items()})
        outside += sum(not figure.within for figure in figures(real, again))
    return outside / times


def main() -> None:
    """Compare, print, draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.likeness", description=__doc__)
    parser.add_argument("--reference", type=Path, default=reference_path(), help="default: %(default)s")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where to draw likeness.png")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--resampled", type=int, default=0, metavar="N")
    arguments = parser.parse_args()
    real, simulated = real_tube(arguments.reference), simulated_tube(arguments.seed)
    found = figures(real, simulated)
    show(found)
    outside = sum(not figure.within for figure in found)
    print(f"{outside} of {len(found)} figures outside")
    if arguments.resampled:
        print(f"{resampled(real, arguments.resampled):.2f} outside in a resample of the real tube itself")
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        draw(real, simulated, arguments.out / "likeness.png")
    if outside:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
