"""Coverage by simulation on the grid, and without chance anywhere.

Cells and their reference are drawn independently, and the limits of a count fall as its reference rises. So for every
count there is a span of references at which the interval holds the truth. Coverage is the probability of those spans.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import ndtr

from benchmarks.coverage.design import Design, Floats, Ints
from benchmarks.coverage.limits import OURS, Row, rows
from nti7flow.counting.intervals import central_interval

CELLS = (0, 0.5, 1, 2, 3, 5, 8, 10, 15, 20, 30, 50, 100, 200, 500, 1000, 2500)
BEADS = (200, 500, 1000, 2000, 5000, 10_000, 20_000)
GATING = (0.0, 0.05)
#: Fine where coverage jumps with every count.
CURVE = tuple(
    float(x)
    for x in np.round(
        np.concatenate(
            [
                np.arange(0.05, 1.0, 0.05),
                np.arange(1.0, 4.0, 0.01),
                np.arange(4.0, 20.0, 0.05),
                np.arange(20.0, 100.0, 0.25),
                np.geomspace(100.0, 2500.0, 40),
            ]
        ),
        3,
    )
)
#: Draws that are judged by the interval itself, at every point: so many at the edge, and as many anywhere.
_JUDGED = 40


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: beads on the grid that is judged, and others beside it."""

    beads: Sequence[Design]
    others: Sequence[Design]
    cells: Sequence[float] = CELLS
    curve: Sequence[float] = CURVE
    draws: int = 100_000
    seed: int = 7


FULL = Size(
    beads=[Design("beads", b, g) for g in GATING for b in BEADS],
    others=[
        *(Design("volume", 50.0, g) for g in GATING),
        *(Design("share", m, g) for m in (200, 1000, 5000) for g in GATING),
        *(Design("beads", b, g) for b, g in ((20, 0.05), (1000, 0.2), (1000, 0.4))),
    ],
)
QUICK = Size(
    beads=[Design("beads", 200, 0.0), Design("beads", 2000, 0.05)],
    others=[Design("volume", 50.0, 0.0), Design("share", 200, 0.05)],
    cells=(0, 0.5, 3, 20, 100),
    curve=tuple(np.arange(0.5, 40.0, 0.5)),
    draws=20_000,
)


@dataclass(frozen=True, slots=True)
class Found:
    """What was measured of one design.

    Attributes
    ----------
    cells : ndarray of float64, shape (g,)
        Grid of expected cells.
    simulated : ndarray of float64, shape (g,)
        Coverage of our interval among the draws.
    exact, width : dict of str to ndarray of float64, shape (g,)
        By method: coverage, and mean width in cells, calculated.
    curve : ndarray of float64, shape (c,)
        Expected cells between those of the grid.
    between : dict of str to ndarray of float64, shape (c,)
        Coverage there, calculated.
    judged, differing : int
        Draws that `central_interval` itself was asked about, and those it judged otherwise.
    off : float
        Largest relative difference of its limits from those used.
    """

    design: Design
    cells: Floats
    simulated: Floats
    exact: dict[str, Floats]
    width: dict[str, Floats]
    curve: Floats
    between: dict[str, Floats]
    judged: int = 0
    differing: int = 0
    off: float = 0.0


def measure(size: Size, *, jobs: int = 1) -> Iterator[Found]:
    """Measure every design; what is found does not depend on the number of processes."""
    designs = [*size.beads, *size.others]
    if jobs == 1:
        yield from map(partial(_measure_one, size=size), designs, range(len(designs)))
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(partial(_measure_one, size=size), designs, range(len(designs)))


def _measure_one(design: Design, number: int, size: Size) -> Found:
    random = np.random.default_rng([size.seed, number])
    if design.kind == "beads":
        return _against_beads(design, size, random)
    return _against_known(design, size, random)


def _against_beads(design: Design, size: Size, random: np.random.Generator) -> Found:
    cells = np.array(size.cells, np.float64)
    n = design.counts(cells.max())
    beads, cumulative = design.beads()
    everywhere = np.concatenate([cells, size.curve])
    p = design.p_cells(n, everywhere)
    methods = rows(n, beads, design.sd)
    exact, between, width = {}, {}, {}
    for method, row in methods.items():
        coverage, width[method] = _expected(row, p, everywhere / design.reference, cumulative)
        exact[method], between[method] = np.split(coverage, [len(cells)])
        width[method] = width[method][: len(cells)] * design.reference
    simulated, checks = np.empty(len(cells)), []
    for i, expected in enumerate(cells):
        drawn, drawn_beads = design.draw(float(expected), size.draws, random)
        inside, edge = _judge(methods[OURS], beads, drawn, drawn_beads, expected / design.reference)
        simulated[i] = inside.mean()
        some = np.unique(np.concatenate([np.argsort(edge, kind="stable")[:_JUDGED], np.arange(_JUDGED)]))
        checks.append((drawn[some], drawn_beads[some], inside[some], expected / design.reference))
    judged, differing, off = _ask(checks, methods[OURS], beads, design.sd)
    curve = np.array(size.curve, np.float64)
    return Found(design, cells, simulated, exact, width, curve, between, judged, differing, off)


def _spans(row: tuple[Floats, Floats], rates: Floats) -> tuple[Ints, Ints]:
    """Return from which place of the bead counts on, and up to which, the limits hold a rate between them."""
    lower, upper = row
    return np.searchsorted(-lower, -rates, side="left"), np.searchsorted(-upper, -rates, side="right")


def _expected(row: Row, p: Floats, rates: Floats, cumulative: Floats) -> tuple[Floats, Floats]:
    coverage, width = np.zeros(len(rates)), np.zeros(len(rates))
    p_beads = np.diff(cumulative)
    for n, of_n in enumerate(p):
        here = of_n > 1e-13
        if here.any():
            limits = row(n)
            start, stop = _spans(limits, rates[here])
            coverage[here] += of_n[here] * np.maximum(cumulative[stop] - cumulative[start], 0.0)
            width[here] += of_n[here] * ((limits[1] - limits[0]) @ p_beads)
    return coverage, width


def _judge(row: Row, beads: Ints, n: Ints, drawn: Floats, rate: float) -> tuple[np.ndarray, Floats]:
    """Return whether the interval of each draw holds the rate, and how many beads away from changing that it is."""
    start, stop = np.zeros(n.max() + 1, np.int64), np.zeros(n.max() + 1, np.int64)
    for k in np.unique(n):
        (start[k],), (stop[k],) = _spans(row(int(k)), np.array([rate]))
    place = np.searchsorted(beads, drawn)
    if (beads[np.minimum(place, len(beads) - 1)] != drawn).any():
        raise ValueError("a bead count was drawn that was held impossible")
    inside = (place >= start[n]) & (place < stop[n])
    return inside, np.minimum(np.abs(place - start[n]), np.abs(place - stop[n])).astype(np.float64)


def _ask(checks: Sequence[tuple], row: Row, beads: Ints, sd: float) -> tuple[int, int, float]:
    n, b, inside = (np.concatenate([check[i] for check in checks]) for i in range(3))
    rate = np.concatenate([np.full(len(check[0]), check[3]) for check in checks])
    lower, upper = central_interval(n, b, sd, kind="beads")
    differing = int((((lower <= rate) & (rate <= upper)) != inside).sum())
    off = 0.0
    for k in np.unique(n):
        low, high = row(int(k))
        places = np.searchsorted(beads, b[n == k])
        off = max(off, float(np.max(np.abs(high[places] / upper[n == k] - 1))))
        if k:
            off = max(off, float(np.max(np.abs(low[places] / lower[n == k] - 1))))
    return len(n), differing, off


def _against_known(design: Design, size: Size, random: np.random.Generator) -> Found:
    """Volume or share: the limits of a count are divided by what was read of the reference."""
    cells = np.array([c for c in size.cells if c <= 0.5 * design.reference or design.kind == "volume"], np.float64)
    if design.kind == "share":
        cells = cells[cells <= 500]
        if design.reference <= 1000:
            cells = np.concatenate([cells, design.reference * np.array([0.52, 0.9, 0.98])])
    everywhere = np.concatenate([cells, [c for c in size.curve if c <= cells.max()]])
    n = design.counts(cells.max())
    lower, upper = central_interval(n, design.reference, design.sd, kind=design.kind)
    p = design.p_cells(n, everywhere)
    rates = everywhere / design.reference
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = np.log(lower[:, None] / rates), np.log(upper[:, None] / rates)
    low[np.isnan(low)] = -np.inf
    coverage = np.sum(p * (ndtr(high / design.sd_reference) - ndtr(low / design.sd_reference)), axis=0)
    simulated = np.empty(len(cells))
    for i, expected in enumerate(cells):
        drawn, read = design.draw(float(expected), size.draws, random)
        rate = expected / design.reference
        simulated[i] = np.mean((lower[drawn] <= rate * read) & (rate * read <= upper[drawn]))
    exact, between = np.split(coverage, [len(cells)])
    width = (p.T @ (upper - lower))[: len(cells)] * design.reference
    return Found(
        design, cells, simulated, {OURS: exact}, {OURS: width}, everywhere[len(cells) :], {OURS: between}, len(n)
    )
