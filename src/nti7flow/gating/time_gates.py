"""Gates on time: what the checks of quality keep, as plain geometry that replays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nti7flow.events.panel import Channel
from nti7flow.events.sample import Sample
from nti7flow.events.transforms import Linear
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.gates import PolygonGate, RectangleGate
from nti7flow.quality.beginning import CARRY_OVER, find_burst
from nti7flow.quality.outline import steady_outline
from nti7flow.quality.report import Quality


def steady_gate(sample: Sample, quality: Quality) -> PolygonGate | None:
    """Return the gate that keeps what was acquired steadily; None where nothing speaks against any event."""
    if not quality.n_excluded:
        return None
    top = quality.steady[-1][1]
    time = _axis(sample, top)
    return PolygonGate((time, time), steady_outline(quality.steady, top))


def settled_gate(
    sample: Sample, quality: Quality, mask: NDArray[np.bool_] | None, population: str
) -> tuple[Quality, RectangleGate | None]:
    """Return the gate that leaves out cells of the tube before, and the quality that tells of them.

    Parameters
    ----------
    sample : Sample
        The tube.
    quality : Quality
        What its checks found. What they said of carry-over before, when it was gated a first time, is forgotten.
    mask : ndarray of bool, shape (n_events,), or None
        The population whose share of the first events is compared.
    population : str
        Its id.
    """
    if mask is None or not quality.steady:
        return quality, None
    seconds = sample.columns([_clock(sample).detector])[:, 0]
    burst = find_burst(seconds, mask)
    found = () if burst is None else (burst.finding(population, sample.n_events),)
    before = tuple(f for f in quality.findings if (f.check, f.note.split(" ")[0]) != (CARRY_OVER, population))
    quality = replace(quality, findings=(*before, *found))
    if burst is None:
        return quality, None
    top = float(np.nanmax(seconds))
    return quality, RectangleGate((_axis(sample, top),), (burst.end_s / top,), (None,))


def _clock(sample: Sample) -> Channel:
    return next(channel for channel in sample.panel.channels if channel.role == "time")


def _axis(sample: Sample, top_s: float) -> Dimension:
    channel = _clock(sample)
    return Dimension(channel.detector, channel.marker, False, Linear(top_s, 0.0))
