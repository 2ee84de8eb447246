"""The band in which single cells lie in area against height or width, and the share of events beside it.

The gating method ``singlets`` is made of the same band.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nti7flow.events.panel import Channel
from nti7flow.events.sample import Sample
from nti7flow.quality.findings import Finding, Severity
from nti7flow.quality.limits import QualityLimits

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
#: Half-width of the slices of area on which the band is found; how far from the line, relative, single cells may be.
SLICE, NEAR = 0.04, 0.25
#: Width of the band in robust standard deviations, and least number of events, of the share that is reported.
DISTANCE, MIN_EVENTS = 4.0, 200
#: Bins of either axis, from and to, of the histogram that the share is found on.
_N_BINS, _LOW, _HIGH = 256, -0.25, 1.25


@dataclass(frozen=True, eq=False)
class Band:
    """Where single cells lie, in display units from 0 to 1.

    Attributes
    ----------
    areas : ndarray of float64, shape (n_knots,)
        Ascending.
    below, above : ndarray of float64, shape (n_knots,)
        Least and largest height (or width) of single cells of each area.
    slope, intercept, spread : float
        Line of single cells, and their robust standard deviation around it, relative to the height.
    wide : bool
        The second axis is width, and single cells are below the band's upper edge.
    """

    areas: Floats
    below: Floats
    above: Floats
    slope: float
    intercept: float
    spread: float
    wide: bool


def fit_band(cells: Floats, counts: Counts, *, wide: bool, distance: float, min_events: int) -> Band | str:
    """Fit the band of single cells, or say why there is none.

    Two cells passing together have twice the area at about the same height, so they fall below the line. The line is
    fitted to the median height in slices of area; the band follows it from slice to slice, as real lines bend where
    pulses come near the top of the scale. Its width is a number of robust standard deviations, relative to the height:
    the spread of a pulse grows with the pulse. Against width single cells lie on a level line and doublets above it:
    only what is too wide is left out.

    Parameters
    ----------
    cells : ndarray of float64, shape (n_cells, 2)
        Centres of the filled cells of a histogram: area and height or width, display units of a linear scale.
    counts : ndarray of int64, shape (n_cells,)
        Events in each.
    wide : bool
        The second axis is width.
    distance : float
        Half-width of the band in robust standard deviations.
    min_events : int
        Fewer events than this are not fitted.
    """
    order = np.argsort(cells[:, 0], kind="stable")  # as histograms have them: slices of area are runs of cells
    areas, heights, counts = cells[order, 0], cells[order, 1], counts[order]
    keep = (areas > 0.0) & (heights > 0.0) & (areas < 0.98) & (heights < 0.98)
    areas, heights, counts = areas[keep], heights[keep], counts[keep]
    slope, intercept = _level(heights, counts) if wide else _line(areas, heights, counts)
    if slope <= 0 and not wide:
        return "height does not grow with area"
    expected = intercept + slope * areas
    away = -1.0 if wide else 1.0  # the direction in which there are no doublets
    usable = expected > 0.02
    areas, expected, heights, counts = areas[usable], expected[usable], heights[usable], counts[usable]
    relative = away * (heights - expected) / expected
    near = np.abs(relative) <= NEAR
    areas, relative, counts = areas[near], relative[near], counts[near]
    if counts.sum() < min_events:
        return "too few events along the line of single cells"
    middle, spread = _band(relative, counts)
    knots = np.arange(SLICE / 2, 1.0 + SLICE, SLICE)
    here = np.abs(areas - knots[:, None]) <= SLICE
    runs = [slice(start, start + size) for start, size in zip(here.argmax(axis=1), here.sum(axis=1), strict=True)]
    local = np.array([_local_band(relative[run], counts[run], (middle, spread)) for run in runs])
    centre, half = local[:, 0], distance * local[:, 1]
    heights = np.maximum(intercept + slope * knots, 0.0)
    floor = 0.01  # events at the very origin are single debris, not doublets
    below = np.full(len(knots), -0.25) if wide else heights * (1 + centre - half) - floor
    above = heights * (1 + away * centre + half) + floor
    return Band(knots, below, above, slope, intercept, spread, wide)


def _band(relative: Floats, counts: Counts) -> tuple[float, float]:
    """Middle and spread of relative deviations; the spread is that of the upper half, away from the doublets."""
    order = np.argsort(relative, kind="stable")
    relative, cumulative = relative[order], np.cumsum(counts[order])
    middle = relative[np.searchsorted(cumulative, cumulative[-1] / 2)]
    start = int(np.searchsorted(relative, middle))
    lower = int(cumulative[start - 1]) if start else 0
    upper = relative[np.searchsorted(cumulative, (lower + cumulative[-1]) / 2)]
    return float(middle), max(1.4826 * float(upper - middle), 0.01)


def _local_band(relative: Floats, counts: Counts, otherwise: tuple[float, float]) -> tuple[float, float]:
    """Middle and spread around one area, where there are events enough to tell; else those of the whole line."""
    return _band(relative, counts) if counts.sum() >= 100 else otherwise


def _level(heights: Floats, counts: Counts) -> tuple[float, float]:
    """Slope 0 and the median height."""
    return 0.0, weighted_median(heights, counts) if counts.size else 0.0


def _line(areas: Floats, heights: Floats, counts: Counts) -> tuple[float, float]:
    """Slope and intercept through the median heights of slices of area (Theil-Sen, weighted by events)."""
    slices = np.floor(areas / 0.02).astype(int)
    x, weights = _medians(slices, areas, counts)
    y, _ = _medians(slices, heights, counts)
    enough = weights >= 10
    if enough.sum() < 3:
        return 0.0, 0.0
    x, y, w = x[enough], y[enough], np.sqrt(weights[enough].astype(float))
    i, j = np.triu_indices(len(x), 1)
    slope = weighted_median((y[j] - y[i]) / (x[j] - x[i]), w[i] * w[j] * (x[j] - x[i]))
    return slope, weighted_median(y - slope * x, w)


def _medians(groups: NDArray[np.int64], values: Floats, counts: Counts) -> tuple[Floats, Counts]:
    """Median of each group of cells that holds events, by their counts, and how many events it holds."""
    order = np.lexsort((values, groups))
    cumulative = np.cumsum(counts[order])
    ends = cumulative[np.flatnonzero(np.diff(groups[order], append=np.iinfo(np.int64).max))]
    sizes = np.diff(ends, prepend=0)
    return values[order][np.searchsorted(cumulative, ends - sizes / 2)], sizes


def weighted_median(values: Floats, weights: NDArray[np.float64] | Counts) -> float:
    """Value at which half of the weight lies below."""
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulative, cumulative[-1] / 2)])


def check_doublets(sample: Sample, limits: QualityLimits) -> Finding:
    """Share of events beside the band of single cells, where the tube has two measures of one scatter pulse."""
    pair = _pulse(sample)
    if pair is None:
        return Finding("doublets", None, limits.doublets, note="no area with height or width of one scatter detector")
    name = f"{pair[0].detector}/{pair[1].detector}"
    cells, counts = _histogram(sample, pair)
    n = int(counts.sum())
    if n < MIN_EVENTS:
        return Finding("doublets", None, limits.doublets, channel=name, note="too few events")
    band = fit_band(cells, counts, wide=pair[1].measure == "W", distance=DISTANCE, min_events=MIN_EVENTS)
    if isinstance(band, str):
        return Finding("doublets", None, limits.doublets, channel=name, note=band)
    edge = np.interp(cells[:, 0], band.areas, band.above if band.wide else band.below)
    double = cells[:, 1] > edge if band.wide else cells[:, 1] < edge
    share = float(counts[double].sum() / n)
    severity: Severity = "review" if share > limits.doublets else ""
    return Finding("doublets", share, limits.doublets, severity, channel=name)


def _pulse(sample: Sample) -> tuple[Channel, Channel] | None:
    """Area and height, else area and width, of forward scatter, else of side scatter."""
    scatter = [channel for channel in sample.panel.channels if channel.role == "scatter"]
    for kind in ("FSC", "SSC"):
        for second in ("H", "W"):
            found = [[c for c in scatter if c.targets == {kind} and c.measure == m] for m in ("A", second)]
            if all(len(channels) == 1 for channels in found):
                return found[0][0], found[1][0]
    return None


def _histogram(sample: Sample, pair: tuple[Channel, Channel]) -> tuple[Floats, Counts]:
    """Return the filled cells of a histogram of both channels on linear scales, and their counts."""
    width = (_HIGH - _LOW) / _N_BINS
    place = np.zeros(sample.n_events, np.intp)
    for channel, values in zip(pair, sample.columns([c.detector for c in pair]).T, strict=True):
        top = channel.top
        some = values[:: max(1, len(values) // 20_000)]
        some = some[np.isfinite(some)]
        high = float(np.quantile(some, 0.999)) if len(some) and some.max() > top else 0.0
        while top < high:
            top *= 2.0
        with np.errstate(invalid="ignore", over="ignore"):
            position = np.clip(np.nan_to_num((values / top - _LOW) / width), 0, _N_BINS - 1)
        place *= _N_BINS
        place += position.astype(np.intp)
    counts = np.bincount(place, minlength=_N_BINS * _N_BINS)
    filled = np.flatnonzero(counts)
    cells = np.column_stack(np.divmod(filled, _N_BINS)).astype(np.float64)
    return _LOW + (cells + 0.5) * width, counts[filled]
