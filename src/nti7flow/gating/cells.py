"""Outlines of gates on the scale of values: which events are inside is looked up, all but those near the outline.

The doubles are divided into buckets by their sign, exponent and first bits: a shift finds the bucket of a value. A
table maps buckets to the bins of an axis, which are of about equal width in display units, and a grid of bins of two
axes says for each cell whether it is inside an outline, outside, or near it. No event need be transformed for that;
only those of cells near the outline are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nti7flow.events.transforms import Transform
from nti7flow.gating.cuts import MARGIN, ends
from nti7flow.gating.gates import EllipsoidGate, PolygonGate
from nti7flow.gating.polygon import HUGE, INSIDE, NEAR, OUTSIDE, polygon_cells

Floats = NDArray[np.float64]
Bins = NDArray[np.uint8]
States = NDArray[np.uint8]

#: First bits of the fraction that make a bucket, beside sign and exponent: its values differ by less than a 128th.
FRACTION = 7
SHIFT = np.uint64(52 - FRACTION)
#: Buckets of one sign; the last of them hold infinities and NaN.
ONE_SIGN = 1 << (11 + FRACTION)
NOT_FINITE = ONE_SIGN - (1 << FRACTION)
#: Bins of an axis; the first is for what is off it, the last for infinities and NaN.
SIDE = 128
OFF, N_BINS, ODD = 0, SIDE - 2, SIDE - 1
#: Least eigenvalue of a correlation matrix down to which something is said of an ellipsoid's cells.
THIN = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """Bins of one axis.

    Attributes
    ----------
    lines : ndarray of float64, shape (n + 1,)
        Borders of bins 1 to n, display units.
    table : ndarray of uint8
        Bin of each bucket.
    """

    lines: Floats
    table: Bins

    def bins(self, x: Floats) -> Bins:
        """Bins of scale values, shape (n,)."""
        # Not beyond the table: to clip costs less than to check.
        return self.table.take((x.view(np.uint64) >> SHIFT).view(np.int64), mode="clip")


def make_axis(transform: Transform, ranges: Sequence[tuple[float, float]]) -> Axis | None:
    """Return an axis for gates between these display values; None where values have no such bins.

    Borders are spread evenly over the range of each gate, so that a wide one leaves bins to the others.
    """
    start, lowest, highest = ends(transform)
    low, high = min(pair[0] for pair in ranges), max(pair[1] for pair in ranges)
    margin = MARGIN * (1.0 + max(abs(low), abs(high)))
    spread = np.sort(np.concatenate([np.linspace(a - margin, b + margin, N_BINS - 1) for a, b in set(ranges)]))
    chosen = spread[np.linspace(0, len(spread) - 1, N_BINS - 1).astype(np.intp)]
    with np.errstate(all="ignore"):
        wanted = np.asarray(transform.inverse(chosen), np.float64)
        if not np.isfinite(wanted).all() or np.isnan(lowest) or np.isnan(highest):
            return None
        first = _bucket(wanted)
        first = first[np.diff(first, prepend=first[0] - 1) > 0]
        # A bucket more on either side: what is off the axis is surely off the gates.
        first = np.concatenate([first[:1] - 1, first, first[-1:] + 1])
        lines = np.asarray(transform.apply(_least(first)), np.float64)
        if not lines[0] < low - margin / 2:
            first[0], lines[0] = -NOT_FINITE, lowest
        if not lines[-1] > high + margin / 2:
            first[-1], lines[-1] = NOT_FINITE, highest
        if not (lines[:-1] <= lines[1:] + margin / 2).all() or (start > -np.inf and first[0] == -NOT_FINITE):
            return None
    table = np.zeros(2 * ONE_SIGN, np.uint8)
    bins = np.repeat(np.arange(1, len(first), dtype=np.uint8), np.diff(first))
    n_negative = max(0, min(-int(first[0]), len(bins)))
    table[max(int(first[0]), 0) :][: len(bins) - n_negative] = bins[n_negative:]
    # Of negative values, those nearest to 0 come first.
    negative = bins[:n_negative][::-1]
    begin = ONE_SIGN + max(-int(first[-1]), 0)
    table[begin : begin + n_negative] = negative
    table[NOT_FINITE:ONE_SIGN] = table[ONE_SIGN + NOT_FINITE :] = ODD
    return Axis(np.maximum.accumulate(lines), table)


def _bucket(x: Floats) -> NDArray[np.int64]:
    """Rank of the bucket of a value, from below 0 for negative ones; buckets of 0 and -0 are ranks 0 and -1."""
    size = (np.abs(x).view(np.uint64) >> SHIFT).view(np.int64)
    return np.where(np.signbit(x), -1 - size, size)


def _least(rank: NDArray[np.int64]) -> Floats:
    """Lower border of a bucket; infinite where the last finite one ends."""
    return np.copysign((np.abs(rank).astype(np.uint64) << SHIFT).view(np.float64), rank)


def outline_box(gate: PolygonGate | EllipsoidGate) -> list[tuple[float, float]] | None:
    """Least and greatest display value along each axis at which an event may be inside; None where that is not sure."""
    if isinstance(gate, PolygonGate):
        vertices = np.asarray(gate.vertices)
        return list(zip(vertices.min(axis=0).tolist(), vertices.max(axis=0).tolist(), strict=True))
    quadratic = quadratic_form(gate)
    if quadratic is None:
        return None
    mean = np.asarray(gate.mean)
    half = np.sqrt(gate.distance_square * np.linalg.inv(quadratic).diagonal())
    half += _pad(mean, half)
    return list(zip((mean - half).tolist(), (mean + half).tolist(), strict=True))


def quadratic_form(gate: EllipsoidGate) -> Floats | None:
    """Return the inverse of a covariance as the gate uses it, made symmetric.

    None where it is no ellipsoid, or so thin, small or large a one that rounding decides farther from its edge than
    by `MARGIN`.
    """
    inverse = np.linalg.inv(np.asarray(gate.covariance))
    quadratic = (inverse + inverse.T) / 2
    with np.errstate(all="ignore"):
        sizes = np.sqrt(quadratic.diagonal())
        scaled = quadratic / sizes / sizes[:, None]
        spread = np.abs(inverse / sizes / sizes[:, None]).max()
    plain = all(1 / HUGE < number < HUGE for number in (gate.distance_square, sizes.min(), sizes.max())) and spread < 2
    return quadratic if plain and np.linalg.eigvalsh(scaled).min() > THIN else None


def _pad(mean: Floats, half: Floats) -> Floats:
    """Distance from an ellipsoid within which events are asked, along each axis: beyond all rounding."""
    return 1e-7 * half + MARGIN * (1.0 + np.abs(mean) + half)


def outline_states(gate: PolygonGate | EllipsoidGate, x: Axis, y: Axis) -> States:
    """Say for each cell of two axes whether it is inside; indexed by ``SIDE * bin of x + bin of y``."""
    states = np.full((SIDE, SIDE), OUTSIDE, np.uint8)
    states[1 : len(x.lines), 1 : len(y.lines)] = (
        polygon_cells(np.asarray(gate.vertices), x.lines, y.lines)
        if isinstance(gate, PolygonGate)
        else _ellipse_cells(gate, x.lines, y.lines)
    )
    states[ODD, :] = states[:, ODD] = NEAR
    return states.ravel()


def _ellipse_cells(gate: EllipsoidGate, x_lines: Floats, y_lines: Floats) -> States:
    """Say which cells of a grid are inside an ellipse, outside, or near its edge, as `polygon_cells` does.

    Along a column of cells the upper half of the edge bends one way: it is highest at an end or at its top, and lowest
    at an end.
    """
    quadratic = quadratic_form(gate)
    assert quadratic is not None, "without a box around it nobody asks for its cells"
    (a, b), (_, c) = quadratic
    mean, determinant = np.asarray(gate.mean), a * c - b * b
    width, height = np.sqrt(gate.distance_square * np.array([c, a]) / determinant)
    pad_x, pad_y = _pad(mean, np.array([width, height]))
    columns = np.clip(np.stack([x_lines[:-1] - pad_x, x_lines[1:] + pad_x]) - mean[0], -width, width)
    half = np.sqrt(np.maximum(gate.distance_square * c - columns**2 * determinant, 0.0)) / c
    upper, lower = (-b / c * columns + sign * half for sign in (1, -1))
    # Where the edge is highest, and, opposite, lowest.
    top = -b / a * height
    highest, lowest = (
        np.where((columns[0] <= sign * top) & (sign * top <= columns[1]), sign * height, reach)
        for sign, reach in ((1, upper.max(axis=0)), (-1, lower.min(axis=0)))
    )
    below, above = y_lines[:-1] - mean[1], y_lines[1:] - mean[1]
    reached = (x_lines[1:] + pad_x >= mean[0] - width) & (x_lines[:-1] - pad_x <= mean[0] + width)
    near = (above >= lowest[:, None] - pad_y) & (below <= highest[:, None] + pad_y) & reached[:, None]
    # Columns that are not all within the ellipse end on its edge, where the halves meet: none of their cells is full.
    full = (above <= upper.min(axis=0)[:, None] - pad_y) & (below >= lower.max(axis=0)[:, None] + pad_y)
    states = np.where(near, NEAR, OUTSIDE).astype(np.uint8)
    states[full] = INSIDE
    return states
