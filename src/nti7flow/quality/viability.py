"""Dead cells, where a dye tells them."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from nti7flow.events.markers import squeeze
from nti7flow.events.panel import Channel, Panel
from nti7flow.quality.findings import Finding, Severity
from nti7flow.quality.limits import QualityLimits

Floats = NDArray[np.float64]
#: What laboratories call the channel, letters and digits only. The whole name must fit: "ViViD / CD14" is a dump
#: channel and holds live monocytes.
_NAMES = re.compile(
    r"VIAB(ILITY)?(DYE|STAIN)?|LIVEDEAD\w*|DEADLIVE|LD|LIVE|DEAD|DEADCELLS?|VIVID|ZOMBIE\w*|(LD|LIVEDEAD)?AQUA|7AAD|AAD"
    r"|DAPI|PI|PROPIDIUMIODIDE|TOPRO3|SYTOX\w*|GHOST(DYE)?\w*|FVD\w*|FVS\d*|FIXABLEVIABILITY\w*|NEARIR|LDNEARIR"
)
#: Bins and smoothing of the density, and how deep a valley must be, as a share of the lower of its sides.
_N_BINS, _SMOOTHING, _DEPTH = 256, 4.0, 0.7
#: Events of a mode at least.
_MODE = 50


def viability_channel(panel: Panel) -> Channel | None:
    """Find the one channel of a viability dye; None where there is none, or more than one."""
    measured = [
        channel for channel in panel.channels if channel.role == "fluorescence" and channel.measure in ("A", "")
    ]
    named = [channel for channel in measured if _is_dye(channel.marker or _label(channel))]
    if not named and not any(channel.marker for channel in measured):
        # A file without a single label says by its detectors what they were used for.
        named = [channel for channel in measured if _is_dye(channel.base)]
    return named[0] if len(named) == 1 else None


def _label(channel: Channel) -> str:
    """Return a dye that stands where the marker should, as "Zombie NIR"; empty where it is the name of the detector."""
    return "" if squeeze(channel.fluorochrome) in squeeze(channel.base) else channel.fluorochrome


def _is_dye(name: str) -> bool:
    return bool(name and _NAMES.fullmatch(squeeze(name)))


def check_viability(channel: Channel, values: Floats, limits: QualityLimits) -> Finding:
    """Share of events above the valley between live and dead cells.

    Parameters
    ----------
    channel : Channel
        The dye.
    values : ndarray of float64, shape (n_events,)
        Its scale values, compensated or not.
    """
    above = share_above_valley(values)
    if above is None:
        note = "no valley between live and dead cells"
        return Finding("dead_cells", None, limits.dead, channel=channel.detector, note=note)
    severity: Severity = "review" if above > limits.dead else ""
    return Finding("dead_cells", above, limits.dead, severity, channel=channel.detector)


def share_above_valley(values: Floats) -> float | None:
    """Share of events above the deepest valley of their density; None where there is none.

    On the scale of the inverse hyperbolic sine, linear below the spread of the values around zero and logarithmic
    above it.
    """
    values = values[np.isfinite(values)]
    if len(values) < 2 * _MODE:
        return None
    negative = values[values < 0]
    unit = float(-np.percentile(negative, 5)) if len(negative) > _MODE else float(np.percentile(np.abs(values), 5))
    shown = np.arcsinh(values / max(unit, 1e-9))
    low, high = np.percentile(shown, [0.1, 99.9])
    if not low < high:
        return None
    counts, edges = np.histogram(shown, _N_BINS, (low, high))
    reach = np.arange(-16, 17)
    kernel = np.exp(-0.5 * (reach / _SMOOTHING) ** 2)
    smooth = np.convolve(counts, kernel / kernel.sum(), mode="same")
    # Of every bin, the lower of the highest peaks to its left and right: a valley is where the density is far below it.
    sides = np.minimum(np.maximum.accumulate(smooth), np.maximum.accumulate(smooth[::-1])[::-1])
    depth = np.where(sides > 0, smooth / np.maximum(sides, 1e-9), 1.0)
    enough = (np.cumsum(counts) >= _MODE) & (np.cumsum(counts[::-1])[::-1] >= _MODE)
    valley = int(np.where(enough, depth, 1.0).argmin())
    if not (enough[valley] and depth[valley] < _DEPTH):
        return None
    return float((shown >= edges[valley + 1]).mean())
