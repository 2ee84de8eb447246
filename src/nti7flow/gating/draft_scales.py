"""On which display scales a drafted template shows a tube: the only thing its events decide."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nti7flow.events.panel import Channel
from nti7flow.events.sample import Sample
from nti7flow.gating.scales import SCALE_EVENTS

Floats = NDArray[np.float64]

#: On a detector's own scale some channel has a quarter of its events, the negative ones, far below its brightest: under
#: this share of them. Where no channel has, values have been put on a display scale before they were stored.
DISPLAYED = 0.15
#: A range of which 99.9 % of the events leave all but the lowest part empty is not the scale of the values.
EMPTY_RANGE = 1 / 64


def scale_lines(
    sample: Sample, fluorescence: Sequence[Channel], scatter: Mapping[str, Channel], *, spread: Collection[str]
) -> Iterator[str]:
    """Lines of the display scales that a tube's events ask for.

    Parameters
    ----------
    sample : Sample
        The tube.
    fluorescence : sequence of Channel
        Channels that are gated on.
    scatter : mapping
        Scatter channels that are gated on, by the name they are used by.
    spread : collection of str
        Those of them that are read over decades, as side scatter is against CD45.
    """
    yield f"  fluorescence: {_fluorescence_scale(fluorescence, _some_values(sample, fluorescence))}"
    yield "  raw: {kind: logicle, decades: 4.5, top: auto, width: 0.5}"
    for name, channel in scatter.items():
        top = _top([channel], _some_values(sample, [channel]), base=2)
        kind = f"logicle, decades: 4.5, top: {top}, width: 0.5" if name in spread else f"linear, top: {top}"
        yield f"  {name}: {{kind: {kind}}}"


def _some_values(sample: Sample, channels: Sequence[Channel]) -> Floats:
    """Scale values of events spread over the tube, (n, n_channels); finite ones only."""
    if not channels:
        return np.empty((0, 0))
    step = max(1, -(-sample.n_events // SCALE_EVENTS))
    values = sample.columns([channel.detector for channel in channels])[::step]
    return np.asarray(values[np.isfinite(values).all(axis=1)], np.float64)


def _fluorescence_scale(channels: Sequence[Channel], values: Floats) -> str:
    """Display scale of fluorescence: a logicle, unless the values show that they are not as a detector gave them.

    Values of a mass cytometer are not negative, and often exactly zero; arcsinh with a cofactor of 5 is what that field
    uses. See `DISPLAYED` for values that were transformed before they were stored.
    """
    if values.size:
        low, quarter, high = np.quantile(values, (0.001, 0.25, 0.999), axis=0)
        if (high > 0).all() and (quarter > DISPLAYED * high).all():
            top, negative = 1.1 * float(high.max()), max(-1.1 * float(low.min()), 0.0)
            return f"{{kind: linear, top: {top:.4g}, negative: {min(negative, top):.4g}}} # stored on a display scale"
        if low.min() >= -1.0 and np.mean(values == 0.0) > 0.05 and high.max() < 20_000:
            return "{kind: arcsinh, top: 12000, decades: 3.68} # mass cytometry: asinh(x / 5)"
    return f"{{kind: logicle, decades: 4.5, top: {_top(channels, values, base=10)}, width: auto}}"


def _top(channels: Sequence[Channel], values: Floats, *, base: int) -> str:
    """Top of scale: that of the channels; a power of ``base`` where the values leave nearly all of that empty."""
    if values.size == 0:
        return "auto"
    high = max(float(np.quantile(values, 0.999)), 1.0)
    if high > EMPTY_RANGE * max(channel.top for channel in channels):
        return "auto"
    return str(base ** math.ceil(math.log(high, base)))
