"""Counting beads: the compact population that is brighter than cells in every channel at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from nti7flow.gating.histogram import Histogram
from nti7flow.gating.methods.registry import Parameters, Placement, method
from nti7flow.gating.methods.thresholds import Floats, bandwidth, find_modes, smoothed, valley_floor

#: Share of the events below the threshold that beads must be brighter than: what is above it may be dirt.
MOST = 0.99
#: Beads are alike: this share of them lies within that many display units of their mode (a factor of 1.7 either way
#: on 4.5 decades). Dead cells and clumps, which can be bright in every channel as well, are spread wider.
ALIKE, NEAR = 0.6, 0.05
#: More bright events than this share of all, and not alike: whether there are beads cannot be told.
MANY = 0.05
#: The gap is empty: its smoothed density is below this fraction of the lower mode beside it.
EMPTY = 0.1


class BeadParameters(Parameters):
    """Parameters of ``beads``."""

    brightness: float = Field(
        0.65, description="Where the mode of beads lies at least, display units of the raw scale; 1 is its top."
    )
    distance: float = Field(
        0.15, gt=0, description="How far beads lie above 99 % of the other events, display units of the raw scale."
    )
    min_events: int = Field(20, ge=2, description="Fewer events than this are no population of beads.")
    significance: float = Field(
        3.0, gt=0, description="How many Poisson standard deviations a mode must stand above the valley beside it."
    )


@dataclass(frozen=True, slots=True)
class _Gap:
    """A valley, in bins, with what lies above it: events, their mode, how alike they are, how far from the others."""

    middle: float
    depth: float
    n_above: int
    mode: int
    alike: float
    distance: float


@method("beads", 1, n_dimensions=1, lowest=True, parameters=BeadParameters)
def beads(histogram: Histogram, parameters: BeadParameters) -> Placement:
    """Threshold in the gap below a compact population that is bright in every one of its raw channels.

    It sees of each event its lowest display value over the channels. Cells are bright in some and dark in others, and
    so are two cells at once; beads, alone, in twos or with a cell, are bright in all. Where nothing is, there are no
    beads: that is found, not failed. It fails where there is no gap below them, or many bright events that no bead is.
    """
    axis, n_events = histogram.axes[0], histogram.n_events
    if n_events < parameters.min_events:
        return Placement(reason=f"only {n_events} events, {parameters.min_events} are needed", absent=True)
    sigma = bandwidth(n_events)
    density = smoothed(histogram, sigma)
    modes = find_modes(density, 2.0 * np.sqrt(np.pi) * sigma / axis.width, parameters.significance)
    gaps = [_gap(histogram, density, modes, i) for i in range(1, len(modes))]
    bright = [g for g in gaps if g.distance >= parameters.distance and axis.centres[g.mode] >= parameters.brightness]
    found = [gap for gap in bright if gap.alike >= ALIKE]
    if not found:
        # A few are dirt. Many may hide beads.
        many = any(gap.n_above >= max(MANY * n_events, parameters.min_events) for gap in bright)
        reason = "many events are bright in every channel, but not alike" if many else "no bright and even population"
        return Placement(reason=reason, absent=not many, diagnostics={"n_modes": len(modes)})
    # The highest of them: cells with much spillover can be a mode of their own below.
    gap = found[-1]
    if gap.n_above < parameters.min_events:
        reason = f"only {gap.n_above} events that are bright in every channel, {parameters.min_events} are needed"
        return Placement(reason=reason, absent=True, flags=("too_few_beads",), diagnostics={"n_modes": len(modes)})
    diagnostics = {
        "n_modes": len(modes),
        "mode_above": round(float(axis.centres[gap.mode]), 4),
        "valley_to_lower_mode": round(gap.depth, 4),
        "alike": round(gap.alike, 4),
        "distance": round(gap.distance, 4),
    }
    if gap.depth > EMPTY:
        return Placement(reason="no gap below the events that are bright in every channel", diagnostics=diagnostics)
    return Placement(lower=float(axis.low + gap.middle * axis.width), diagnostics=diagnostics)


def _gap(histogram: Histogram, density: Floats, modes: list[int], upper: int) -> _Gap:
    """Describe the valley below one of the modes."""
    axis, counts = histogram.axes[0], histogram.counts
    first, last = modes[upper - 1], modes[upper]
    lower_mode = min(density[modes[:upper]].max(), density[modes[upper:]].max())
    middle, bottom = valley_floor(density, first, last, lower_mode)
    mode = max(modes[upper:], key=lambda i: density[i])
    near = round(NEAR / axis.width)
    n_above = int(counts[bottom + 1 :].sum())
    n_alike = int(counts[max(mode - near, bottom + 1) : mode + near + 1].sum())
    below = np.cumsum(counts[: bottom + 1])
    brightest = int(np.searchsorted(below, MOST * below[-1]))
    return _Gap(
        middle=middle,
        depth=float(density[bottom] / lower_mode),
        n_above=n_above,
        mode=mode,
        alike=n_alike / max(n_above, 1),
        distance=(mode - brightest) * axis.width,
    )
