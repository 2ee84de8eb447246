"""One-dimensional thresholds: density_valley, tail, quantile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from nti7flow.gating.histogram import Axis, Histogram
from nti7flow.gating.methods.registry import Parameters, Placement, method

Floats = NDArray[np.float64]
Side = Literal["above", "below"]


#: A valley is deep below this fraction of the lower mode beside it; a side with a smaller share of events is debris.
DEEP, DEBRIS = 0.5, 0.02


class ValleyParameters(Parameters):
    """Parameters of ``density_valley``."""

    keep: Side = Field("above", description="Which side of the threshold the population is on.")
    window: tuple[float | None, float | None] = Field(
        (None, None), description="Where the threshold may lie, scale values; null is open."
    )
    min_events: int = Field(20, ge=2, description="Fewer events than this are not fitted.")
    significance: float = Field(
        3.0, gt=0, description="How many Poisson standard deviations a mode must stand above the valley beside it."
    )

    @model_validator(mode="after")
    def _open_window(self) -> ValleyParameters:
        low, high = self.window
        if low is not None and high is not None and low >= high:
            raise ValueError(f"window: lower end {low:g} is not below upper end {high:g}")
        return self


def bandwidth(n_events: float) -> float:
    """Smoothing for ``n_events`` in display units.

    Proportional to n^(-1/5), as for any density estimate, and scaled to the spread a stained population has on a
    logicle display (0.03 to 0.08), which unlike the spread of the mixture does not depend on how far apart modes are.
    """
    return float(np.clip(0.045 * (max(n_events, 1.0) / 100.0) ** -0.2, 0.015, 0.055))


def smoothed(histogram: Histogram, sigma: float) -> Floats:
    """Events per bin after Gaussian smoothing of a one-dimensional histogram, shape (n_bins,)."""
    from scipy.ndimage import gaussian_filter1d

    axis = histogram.axes[0]
    counts = histogram.counts.astype(np.float64)
    return np.asarray(gaussian_filter1d(counts, sigma / axis.width, mode="constant", truncate=5.0))


def excess(peak: Floats | float, saddle: Floats | float) -> Floats:
    """Poisson standard deviations by which ``peak`` events exceed ``saddle`` events (Anscombe's square-root scale)."""
    return np.asarray(2.0 * (np.sqrt(np.asarray(peak) + 0.375) - np.sqrt(np.asarray(saddle) + 0.375)))


def find_modes(density: Floats, effective: float, significance: float) -> list[int]:
    """Bins of the modes that stand significantly above the saddle to any higher mode, in order of position.

    Parameters
    ----------
    density : ndarray, shape (n_bins,)
        Smoothed events per bin.
    effective : float
        Number of bins' worth of events that one smoothed value rests on.
    significance : float
        Poisson standard deviations required.
    """
    inner = density[1:-1]
    peaks = np.flatnonzero((inner > density[:-2]) & (inner >= density[2:])) + 1
    modes = []
    for peak in peaks:
        saddles = [_lowest_on_the_way(density, int(peak), step) for step in (-1, 1)]
        saddle = max(saddles)
        if excess(density[peak] * effective, saddle * effective) >= significance:
            modes.append(int(peak))
    return modes


def _lowest_on_the_way(density: Floats, peak: int, step: int) -> float:
    """Lowest density between a peak and the next higher ground in one direction; 0 where there is none.

    Of two peaks equally high the left one counts as higher: else neither would have a saddle, and a shallow dip between
    them would pass for a valley.
    """
    if step > 0:
        path = density[peak + 1 :]
        higher = np.flatnonzero(path > density[peak])
    else:
        path = density[:peak][::-1]
        higher = np.flatnonzero(path >= density[peak])
    return float(path[: higher[0] + 1].min()) if higher.size else 0.0


@method("density_valley", 1, n_dimensions=1, parameters=ValleyParameters)
def density_valley(histogram: Histogram, parameters: ValleyParameters) -> Placement:
    """Threshold at the lowest density between two modes, in the middle of the valley floor."""
    axis, n_events = histogram.axes[0], histogram.n_events
    if n_events < parameters.min_events:
        return Placement(reason=f"only {n_events} events, {parameters.min_events} are needed")
    sigma = bandwidth(n_events)
    density = smoothed(histogram, sigma)
    effective = 2.0 * np.sqrt(np.pi) * sigma / axis.width
    modes = find_modes(density, effective, parameters.significance)
    if len(modes) < 2:
        where = f" at {axis.centres[modes[0]]:.2f}" if modes else ""
        return Placement(reason=f"one mode{where}: no valley", diagnostics={"n_modes": len(modes)})
    valleys = _valleys(histogram, density, modes, _window(axis, parameters.window))
    if not valleys:
        return Placement(reason="no valley inside the window", diagnostics={"n_modes": len(modes)})
    valley = _choose(valleys, n_events, parameters.keep)
    diagnostics = {
        "n_modes": len(modes),
        "mode_below": round(float(axis.centres[valley.below]), 4),
        "mode_above": round(float(axis.centres[valley.above]), 4),
        "valley_to_lower_mode": round(valley.depth, 4),
        "separation_in_bandwidths": round((valley.above - valley.below) * axis.width / sigma, 2),
    }
    return _threshold(float(axis.low + valley.middle * axis.width), parameters.keep, diagnostics)


def _threshold(value: float, keep: Side, diagnostics: Mapping[str, Any]) -> Placement:
    lower, upper = (value, None) if keep == "above" else (None, value)
    return Placement(lower=lower, upper=upper, diagnostics=diagnostics)


@dataclass(frozen=True, slots=True)
class _Valley:
    """The lowest ground between two neighbouring modes, in bins.

    ``depth`` is its density over that of the lower of the highest modes on its two sides; ``n_below`` and ``n_above``
    are the events on either side of it.
    """

    below: int
    above: int
    middle: float
    depth: float
    n_below: int
    n_above: int


def _valleys(histogram: Histogram, density: Floats, modes: list[int], window: tuple[int, int]) -> list[_Valley]:
    """Every valley between neighbouring modes that has a part inside the window."""
    cumulative = np.cumsum(histogram.counts)
    valleys = []
    for i, (below, above) in enumerate(pairwise(modes)):
        first, last = max(below, window[0]), min(above, window[1])
        if first >= last:
            continue
        lower_mode = min(density[modes[: i + 1]].max(), density[modes[i + 1 :]].max())
        middle, bottom = valley_floor(density, first, last, lower_mode)
        n_below = int(cumulative[bottom])
        n_above = histogram.n_events - n_below
        valleys.append(_Valley(below, above, middle, float(density[bottom] / lower_mode), n_below, n_above))
    return valleys


def _choose(valleys: list[_Valley], n_events: int, keep: Side) -> _Valley:
    """Choose the valley that parts the two main populations.

    Of the valleys that are deep it is the one with most events on its smaller side, so that neither a shoulder of one
    population nor a few stray events at an end draws the line. A valley that would keep nearly everything parts off
    debris, and is the last choice. Where no valley is deep, it is the deepest.
    """
    deep = [v for v in valleys if v.depth <= DEEP]
    if not deep:
        return min(valleys, key=lambda v: v.depth)
    parting = [v for v in deep if (v.n_below if keep == "above" else v.n_above) >= DEBRIS * n_events]
    return max(parting or deep, key=lambda v: min(v.n_below, v.n_above))


def _window(axis: Axis, window: tuple[float | None, float | None]) -> tuple[int, int]:
    low, high = window
    first = 0 if low is None else int(axis.index(np.array([low]))[0])
    last = axis.n_bins - 1 if high is None else int(axis.index(np.array([high]))[0])
    return first, last


def valley_floor(density: Floats, first: int, last: int, lower_mode: float) -> tuple[float, int]:
    """Middle of the valley floor between two bins, and the bin of the minimum.

    The floor is where the density stays within 2 % of the lower mode of its minimum: in an empty valley the minimum
    itself wanders with every event, the middle of the floor does not.
    """
    bottom = first + int(density[first : last + 1].argmin())
    limit = density[bottom] + 0.02 * lower_mode
    left, right = bottom, bottom
    while left > first and density[left - 1] <= limit:
        left -= 1
    while right < last and density[right + 1] <= limit:
        right += 1
    return (left + right + 1) / 2.0, bottom


class TailParameters(Parameters):
    """Parameters of ``tail``."""

    keep: Side = Field("above", description="Keep what lies above or below the main population.")
    distance: float = Field(4.0, gt=0, description="Distance from the mode in robust standard deviations.")
    min_events: int = Field(20, ge=2, description="Fewer events than this are not fitted.")


@method("tail", 1, n_dimensions=1, parameters=TailParameters, edge=True)
def tail(histogram: Histogram, parameters: TailParameters) -> Placement:
    """Threshold at the edge of the main population, a number of robust standard deviations from its mode.

    The spread comes from the half of the population that faces away from the threshold: positives on the other side
    must not widen it. It is measured as the distance from the mode within which 68.27 % of that half lies.
    """
    axis, n_events = histogram.axes[0], histogram.n_events
    if n_events < parameters.min_events:
        return Placement(reason=f"only {n_events} events, {parameters.min_events} are needed")
    density = smoothed(histogram, bandwidth(n_events))
    mode = int(density.argmax())
    sign = 1 if parameters.keep == "above" else -1
    counts = histogram.counts[: mode + 1][::-1] if sign > 0 else histogram.counts[mode:]
    cumulative = np.cumsum(counts)
    if cumulative[-1] < parameters.min_events / 2:
        return Placement(reason=f"only {cumulative[-1]} events on the far side of the mode")
    spread = max(float(np.searchsorted(cumulative, 0.6827 * cumulative[-1]) + 0.5) * axis.width, axis.width)
    value = float(axis.centres[mode] + sign * parameters.distance * spread)
    diagnostics = {"mode": round(float(axis.centres[mode]), 4), "spread": round(spread, 4)}
    return _threshold(value, parameters.keep, diagnostics)


class QuantileParameters(Parameters):
    """Parameters of ``quantile``."""

    keep: Side = Field("above", description="Which side of the threshold the population is on.")
    q: float = Field(gt=0, lt=1, description="Fraction of the fitted events below the threshold.")
    min_events: int = Field(20, ge=2, description="Fewer events than this are not fitted.")


@method("quantile", 1, n_dimensions=1, parameters=QuantileParameters, edge=True)
def quantile(histogram: Histogram, parameters: QuantileParameters) -> Placement:
    """Threshold at a quantile of the fitted events (an FMO or a population known to be negative)."""
    axis, n_events = histogram.axes[0], histogram.n_events
    if n_events < parameters.min_events:
        return Placement(reason=f"only {n_events} events, {parameters.min_events} are needed")
    cumulative = np.concatenate([[0], np.cumsum(histogram.counts)])
    target = parameters.q * n_events
    after = int(np.searchsorted(cumulative, target))
    inside = (target - cumulative[after - 1]) / max(cumulative[after] - cumulative[after - 1], 1)
    value = float(axis.low + (after - 1 + inside) * axis.width)
    return _threshold(value, parameters.keep, {"q": parameters.q})
