"""Events at either end of a channel's range, found from the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nti7flow.events.panel import Channel
from nti7flow.quality.findings import Finding, Severity
from nti7flow.quality.limits import QualityLimits

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
#: Events with exactly the extreme value, at least, and how many times more than have the value next to it: a range that
#: ends on its own thins out, one that was cut off piles up.
PILE, TIMES_NEXT = 5, 3
#: Relative distance from the extreme within which values are the same: rounding of time and area corrections.
SAME = 1e-5
#: How near the top of $PnR a few events that do not pile up must come to count as off scale all the same.
NEAR_TOP = 1e-3
#: Fluorescence channels an event must be off scale in to be told from a bright cell.
SEVERAL = 2


@dataclass(frozen=True, slots=True)
class Margin:
    """Events at the ends of one channel: shares at the bottom, at the top, and at the top in several channels."""

    channel: str
    bottom: float
    top: float
    top_in_several: float


def find_margins(channels: Sequence[Channel], columns: Sequence[Floats]) -> tuple[Margin, ...]:
    """Find the events at the ends of each channel.

    Parameters
    ----------
    channels : sequence of Channel
        Scatter and fluorescence channels.
    columns : sequence of ndarray, each of shape (n_events,)
        Their scale values.
    """
    ends = [(at_end(column, -1.0), _at_top(channel, column)) for channel, column in zip(channels, columns, strict=True)]
    bright = [top for channel, (_, top) in zip(channels, ends, strict=True) if channel.role == "fluorescence"]
    several = np.zeros(len(columns[0]) if columns else 0, np.int16)
    for top in bright:
        if top is not None:
            several += top
    n = max(len(several), 1)
    return tuple(
        Margin(
            channel.detector,
            0.0 if bottom is None else float(bottom.sum() / n),
            0.0 if top is None else float(top.sum() / n),
            0.0 if top is None else float((top & (several >= SEVERAL)).sum() / n),
        )
        for channel, (bottom, top) in zip(channels, ends, strict=True)
    )


def at_end(values: Floats, sign: float) -> Bools | None:
    """Events piled up at the upper (``sign`` 1) or lower (-1) end of a channel; None where none are."""
    if not len(values):
        return None
    extreme = float(np.fmax.reduce(values) if sign > 0 else np.fmin.reduce(values))
    if not np.isfinite(extreme):
        return np.asarray(values == extreme)
    at = _within(values, extreme, sign)
    n = int(np.count_nonzero(at))
    if n < PILE or n == len(values):
        return None
    rest = values[~at]
    following = float(np.fmax.reduce(rest) if sign > 0 else np.fmin.reduce(rest))
    n_following = int(np.count_nonzero(_within(rest, following, sign)))
    return at if n >= TIMES_NEXT * n_following else None


def _within(values: Floats, extreme: float, sign: float) -> Bools:
    """Events at an extreme, but for rounding."""
    edge = extreme - sign * SAME * abs(extreme)
    return np.asarray(values >= edge if sign > 0 else values <= edge)


def _at_top(channel: Channel, values: Floats) -> Bools | None:
    """Events piled up at the top, or at the top of the range the file states."""
    piled = at_end(values, 1.0)
    if piled is not None or channel.range is None or not len(values):
        return piled
    top = channel.top * (1 - NEAR_TOP)
    reached = np.asarray(values >= top)
    # Where values run on beyond $PnR it is no end of anything.
    return reached if reached.any() and not (values > channel.top).any() else None


def check_margins(margins: Sequence[Margin], limits: QualityLimits) -> Iterator[Finding]:
    """Judge the ends of each channel.

    Events off scale in several fluorescence channels at once are what counting beads are, and no fault of the gain:
    they are told, and judged only what is beyond them.
    """
    for margin in margins:
        own = margin.top - margin.top_in_several
        severity: Severity = ""
        if own > limits.margin_review:
            severity = "review"
        elif own > limits.margin_info:
            severity = "info"
        beads = f"{100 * margin.top_in_several:.2g} % in several channels at once, as counting beads"
        note = beads if margin.top_in_several > limits.margin_info else ""
        yield Finding("saturated", margin.top, limits.margin_review, severity, channel=margin.channel, note=note)
        if margin.bottom > limits.margin_info:
            yield Finding("at_bottom", margin.bottom, limits.margin_info, "info", channel=margin.channel)
