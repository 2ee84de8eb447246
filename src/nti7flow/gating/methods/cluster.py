"""``density_cluster_2d``: a contour around one mode of a two-dimensional density.

Modes are peaks of the smoothed histogram that stand significantly above the saddle to any higher peak. Each mode gets
a *core*: the shape (mean and covariance) of its density near the top. A point belongs to the mode whose core it is
nearest to, in units of that core's own spread. That boundary depends on where modes are and how wide they are, but not
on how many events they hold: when lymphocytes become rare, their gate does not shrink away from the monocytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nti7flow.gating.histogram import Histogram
from nti7flow.gating.methods.registry import Parameters, Placement, method

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Smoothing of the density, display units: below the width of a lymphocyte cluster (0.025 x 0.04).
SMOOTHING = 0.010
#: Reach of the smoothing, in its own widths.
TRUNCATE = 5.0
#: A core is what lies above this fraction of its mode's density.
CORE_LEVEL = 0.3
#: A mode that holds this share of all events is the only population in the tube.
ALONE = 0.8
#: Directions in which the contour is drawn.
N_DIRECTIONS = 72


class ClusterParameters(Parameters):
    """Parameters of ``density_cluster_2d``."""

    anchor: tuple[float, float] = Field(
        description="Where the mode is expected: 0 is the 1st and 1 the 99th percentile of the events on each axis."
    )
    max_distance: float = Field(
        0.3, gt=0, description="A mode farther from the anchor than this is another population."
    )
    rivals: tuple[tuple[float, float], ...] = Field(
        (), description="Anchors of other populations: a mode nearer to one of them is that population."
    )
    lean: float = Field(
        0.0,
        ge=0,
        description="How far it leans into neighbours that do not outnumber it, in squared standard deviations.",
    )
    radius: float = Field(3.5, gt=0, description="Farthest extent of the contour, in standard deviations of the core.")
    max_foreign: float = Field(
        0.1, gt=0, le=1, description="Share of other modes' events in the contour above which a person should look."
    )
    significance: float = Field(
        2.5, gt=0, description="Poisson standard deviations a mode must stand above its saddle."
    )
    min_events: int = Field(30, ge=10, description="Fewer events around the mode than this are not fitted.")
    alone: bool = Field(
        False,
        description="Accept a mode wherever it is when it holds four fifths of all events (a tube gated before "
        "export); otherwise such a mode is refused, as nothing tells which population it is.",
    )


@dataclass(frozen=True, slots=True, eq=False)
class Core:
    """Shape of one mode near its top, display units."""

    peak: Floats
    mean: Floats
    covariance: Floats
    n_events: int

    @property
    def log_determinant(self) -> float:
        """Logarithm of the determinant of the covariance."""
        return float(np.linalg.slogdet(self.covariance)[1])

    def inverse(self) -> Floats:
        """Inverse covariance, (2, 2)."""
        return np.asarray(np.linalg.inv(self.covariance))

    def distance(self, points: Floats) -> Floats:
        """Squared Mahalanobis distance of points (n, 2), shape (n,)."""
        offset = points - self.mean
        return np.asarray(np.einsum("ij,jk,ik->i", offset, self.inverse(), offset))


@method("density_cluster_2d", 1, n_dimensions=2, parameters=ClusterParameters)
def density_cluster_2d(histogram: Histogram, parameters: ClusterParameters) -> Placement:
    """Contour around the mode nearest the anchor."""
    n_events = histogram.n_events
    if n_events < parameters.min_events:
        return Placement(reason=f"only {n_events} events, {parameters.min_events} are needed")
    least = max(parameters.min_events // 2, n_events // 1000)
    cores = [core for core in find_cores(histogram, parameters.significance) if core.n_events >= least]
    if not cores:
        return Placement(reason="no mode stands out")
    positions = _relative_positions(histogram, cores)
    distances = np.hypot(*(positions - np.array(parameters.anchor)).T)
    nearest = int(distances.argmin())
    core = cores[nearest]
    diagnostics = {
        "mode": [round(float(v), 4) for v in core.peak],
        "distance_from_anchor": round(float(distances[nearest]), 3),
        "n_modes": len(cores),
        "n_around_mode": core.n_events,
    }
    if core.n_events >= ALONE * n_events:
        if not parameters.alone:
            return Placement(
                reason="one mode holds nearly all events: which population it is cannot be told",
                diagnostics=diagnostics,
            )
    elif distances[nearest] > parameters.max_distance or _nearer_to_rival(positions[nearest], parameters):
        return Placement(reason="no mode near the anchor", diagnostics=diagnostics)
    if core.n_events < parameters.min_events:
        return Placement(reason=f"only {core.n_events} events around the mode", diagnostics=diagnostics)
    others = [other for i, other in enumerate(cores) if i != nearest]
    foreign = _foreign_share(histogram, core, others, parameters)
    return Placement(
        vertices=contour(core, others, radius=parameters.radius, lean=parameters.lean),
        flags=("impure_gate",) if foreign > parameters.max_foreign else (),
        diagnostics={**diagnostics, "expected_foreign_share": round(foreign, 4)},
    )


def _nearer_to_rival(position: Floats, parameters: ClusterParameters) -> bool:
    own = np.hypot(*(position - np.array(parameters.anchor)))
    return any(np.hypot(*(position - np.array(rival))) < own for rival in parameters.rivals)


def _relative_positions(histogram: Histogram, cores: list[Core]) -> Floats:
    """Peaks on the scale on which anchors are given, shape (n_cores, 2)."""
    columns = []
    for i, axis in enumerate(histogram.axes):
        cumulative = np.cumsum(histogram.counts.sum(axis=1 - i)) / histogram.n_events
        low, high = (axis.centres[np.searchsorted(cumulative, q)] for q in (0.01, 0.99))
        columns.append([(core.peak[i] - low) / max(high - low, axis.width) for core in cores])
    return np.array(columns).T


#: A mode with fewer events than this is not worth a core.
LEAST_EVENTS = 5


@lru_cache(maxsize=2 * 21)  # gates on the same axes ask for the cores of the same histogram and its replicates
def find_cores(histogram: Histogram, significance: float, least: int = LEAST_EVENTS) -> tuple[Core, ...]:
    """Cores of all modes of a histogram with at least so many events, the one with most events first."""
    from scipy.ndimage import find_objects, gaussian_filter

    sigma = tuple(SMOOTHING / axis.width for axis in histogram.axes)
    windows = _filled(histogram.counts, reach=[int(TRUNCATE * s + 0.5) for s in sigma])
    centres = [axis.centres[window] for axis, window in zip(histogram.axes, windows, strict=True)]
    counts = histogram.counts[windows].astype(np.float64)
    density = np.asarray(gaussian_filter(counts, sigma, mode="constant", truncate=TRUNCATE))
    effective = 4.0 * np.pi * sigma[0] * sigma[1]
    basins, tops = merge_basins(density, watershed(density), effective, significance)
    mass = np.bincount(basins.ravel() + 1, weights=counts.ravel(), minlength=len(tops) + 1)[1:]
    floor = min(axis.width for axis in histogram.axes) ** 2
    cores = []
    for k, box in enumerate(find_objects(basins + 1)):
        if mass[k] >= least:
            peak = np.unravel_index(tops[k], density.shape)
            top = (int(peak[0]) - box[0].start, int(peak[1]) - box[1].start)
            part = np.where(basins[box] == k, density[box], 0.0)
            cores.append(_core(part, top, [c[b] for c, b in zip(centres, box, strict=True)], int(mass[k]), floor))
    return tuple(sorted(cores, key=lambda core: -core.n_events))


def _filled(counts: Ints, *, reach: Sequence[int]) -> tuple[slice, slice]:
    """Part of a histogram outside of which its density is zero: what lies within reach of an event."""
    rows, columns = (np.flatnonzero(counts.any(axis=1 - i)) for i in range(2))
    if not len(rows):
        return slice(0, 1), slice(0, 1)
    first, second = (
        slice(max(int(filled[0]) - r, 0), int(filled[-1]) + 1 + r)
        for filled, r in zip((rows, columns), reach, strict=True)
    )
    return first, second


def watershed(density: Floats) -> Ints:
    """Flat index of the peak each cell climbs to, always to the highest of its eight neighbours; shape of density."""
    index = np.arange(density.size).reshape(density.shape)
    best, target = density.copy(), index.copy()
    for dx in (-1, 0, 1):
        for dy in (-1, 0, 1):
            here, there = _beside(density.shape, dx, dy)
            higher = density[there] > best[here]
            np.copyto(best[here], density[there], where=higher)
            np.copyto(target[here], index[there], where=higher)
    climb = target.ravel()
    while not np.array_equal(further := climb[climb], climb):
        climb = further
    return climb.reshape(density.shape)


def _beside(shape: tuple[int, ...], dx: int, dy: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Cells of a grid that have a neighbour in a direction, and those neighbours."""
    n_x, n_y = shape
    here = (slice(max(-dx, 0), n_x - max(dx, 0)), slice(max(-dy, 0), n_y - max(dy, 0)))
    there = (slice(max(dx, 0), n_x - max(-dx, 0)), slice(max(dy, 0), n_y - max(-dy, 0)))
    return here, there


def merge_basins(density: Floats, peaks: Ints, effective: float, significance: float) -> tuple[Ints, list[int]]:
    """Merge basins whose peak does not stand significantly above the pass to a higher one.

    Parameters
    ----------
    density : ndarray, shape (n_x, n_y)
        Smoothed events per cell.
    peaks : ndarray, same shape
        From `watershed`.
    effective : float
        Number of cells' worth of events that one smoothed value rests on.
    significance : float
        Poisson standard deviations required.

    Returns
    -------
    basins : ndarray of int, same shape
        Number of the merged basin, -1 where less than one event is near.
    tops : list of int
        Flat index of each basin's peak.
    """
    flat, occupied = density.ravel(), density.ravel() * effective >= 1.0
    labels = np.where(occupied, peaks.ravel(), -1)
    known = np.flatnonzero(labels == np.arange(flat.size))
    root = {peak: peak for peak in known.tolist()}
    top = dict(zip(root, flat[known].tolist(), strict=True))

    def find(peak: int) -> int:
        while root[peak] != peak:
            peak = root[peak]
        return peak

    for height, a, b in _passes(flat.reshape(density.shape), labels.reshape(density.shape)):
        one, other = find(a), find(b)
        if one == other:
            continue
        lower, higher = (one, other) if (top[one], -one) < (top[other], -other) else (other, one)
        if _excess(top[lower] * effective, height * effective) < significance:
            root[lower] = higher
    tops = sorted({find(peak) for peak in root}, key=lambda peak: (-top[peak], peak))
    number = {peak: k for k, peak in enumerate(tops)}
    numbers = np.full(flat.size + 1, -1, np.int64)  # by peak; the last one is for cells without events
    numbers[known] = [number[find(peak)] for peak in root]
    return numbers[labels].reshape(density.shape), tops


def _excess(peak: float, saddle: float) -> float:
    """Poisson standard deviations of the peak above the saddle, as `thresholds.excess`, of two numbers quickly."""
    return 2.0 * (math.sqrt(peak + 0.375) - math.sqrt(saddle + 0.375))


def _passes(density: Floats, labels: Ints) -> list[tuple[float, int, int]]:
    """Highest pass between every two touching basins: (density, basin, basin), highest first."""
    lower, upper, heights = [], [], []
    for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1)):
        here, there = _beside(density.shape, dx, dy)
        a, b = labels[here], labels[there]
        border = (a != b) & (a >= 0) & (b >= 0)
        a, b = a[border], b[border]
        heights.append(np.minimum(density[here][border], density[there][border]))
        lower.append(np.minimum(a, b))
        upper.append(np.maximum(a, b))
    height, low, high = np.concatenate(heights), np.concatenate(lower), np.concatenate(upper)
    pairs, which = np.unique(low * density.size + high, return_inverse=True)
    highest = np.zeros(len(pairs))
    np.maximum.at(highest, which, height)
    order = np.argsort(-highest, kind="stable")
    low, high = np.divmod(pairs[order], density.size)
    return list(zip(highest[order].tolist(), low.tolist(), high.tolist(), strict=True))


def _core(density: Floats, peak: tuple[int, int], centres: Sequence[Floats], n_events: int, floor: float) -> Core:
    """Core of a mode, from the density in its basin and zero beside it; variances are not below the floor."""
    from scipy.ndimage import label

    labelled = np.asarray(label(density >= CORE_LEVEL * density[peak])[0])
    where = np.nonzero(labelled == labelled[peak])
    points = np.stack([along[i] for along, i in zip(centres, where, strict=True)], axis=1)
    weights = density[where] / density[where].sum()
    mean = (points * weights[:, None]).sum(axis=0)
    offset = points - mean
    covariance = (offset * weights[:, None]).T @ offset
    # A Gaussian cut at this level has lost a known part of its spread; smoothing has added a known part.
    depth = -np.log(CORE_LEVEL)
    covariance /= 1.0 - depth * np.exp(-depth) / (1.0 - np.exp(-depth))
    covariance -= np.eye(2) * SMOOTHING**2
    values, vectors = np.linalg.eigh(covariance)
    covariance = (vectors * np.maximum(values, floor)) @ vectors.T
    centre = np.array([along[i] for along, i in zip(centres, peak, strict=True)])
    return Core(centre, mean, covariance, n_events)


def _lean(core: Core, other: Core, lean: float) -> float:
    """How far the line leans into a neighbour: less, and at last not at all, the more it outnumbers this population."""
    return float(max(0.0, lean - max(0.0, np.log(other.n_events / core.n_events))))


def _foreign_share(histogram: Histogram, core: Core, others: list[Core], parameters: ClusterParameters) -> float:
    """Share of the events inside the contour that belong to other modes, by the shapes and sizes of all cores."""
    cells, counts = histogram.cells()
    reached = core.distance(cells) <= parameters.radius**2
    cells, counts = cells[reached], counts[reached]
    nearness = np.stack([each.distance(cells) + each.log_determinant for each in (core, *others)])
    inside = np.ones(len(cells), np.bool_)
    for other, theirs in zip(others, nearness[1:], strict=True):
        inside &= nearness[0] <= theirs + _lean(core, other, parameters.lean)
    sizes = np.array([each.n_events for each in (core, *others)])
    weights = sizes[:, None] * np.exp(0.5 * (nearness.min(axis=0) - nearness))  # the nearest counts fully, however far
    own = (weights[0] / weights.sum(axis=0))[inside]
    n_inside = counts[inside].sum()
    return float((counts[inside] * (1.0 - own)).sum() / n_inside) if n_inside else 0.0


def contour(core: Core, others: Sequence[Core], *, radius: float, lean: float = 0.0) -> tuple[tuple[float, float], ...]:
    """Outline of what is nearer to ``core`` than to any other core and within ``radius`` of it.

    Nearness is Mahalanobis distance plus log-determinant: the Gaussian discriminant with equal abundances. Along a ray
    from the mean both sides are quadratic in the distance, so where they meet is a root in closed form. ``lean`` moves
    the line into the neighbours: worth it where what is missed is lost but what is let in is sorted out by a later
    gate.
    """
    angles = np.arange(N_DIRECTIONS) * (2 * np.pi / N_DIRECTIONS)
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ np.linalg.cholesky(core.covariance).T
    reach = np.full(N_DIRECTIONS, radius)
    for other in others:
        inverse = other.inverse()
        offset = core.mean - other.mean
        # distance²(other) - distance²(core) + difference of log-determinants = a t² + b t + c, positive at home
        a = np.einsum("ij,jk,ik->i", directions, inverse, directions) - 1.0
        b = 2.0 * directions @ inverse @ offset
        c = float(offset @ inverse @ offset) + other.log_determinant - core.log_determinant
        c += _lean(core, other, lean)
        if c <= 0:  # the other core swallows this one's centre: it is no neighbour to draw a line against
            continue
        reach = np.minimum(reach, _first_root(a, b, c))
    outline = core.mean + directions * reach[:, None]
    return tuple((float(px), float(py)) for px, py in outline)


def _first_root(a: Floats, b: Floats, c: float) -> Floats:
    """Smallest positive root of ``a t² + b t + c`` per direction, inf where there is none; ``c > 0``."""
    discriminant = b * b - 4.0 * a * c
    with np.errstate(divide="ignore", invalid="ignore"):
        # The form that does not cancel: with c > 0 the first root is reached while the curve still falls.
        root = 2.0 * c / (-b + np.sqrt(np.maximum(discriminant, 0.0)))
    return np.where((discriminant >= 0) & np.isfinite(root) & (root > 0), root, np.inf)
