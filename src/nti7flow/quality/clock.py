"""The time channel of a tube: which it is, in what order it puts the events, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nti7flow.events.sample import Sample
from nti7flow.quality.findings import Finding

Floats = NDArray[np.float64]
#: Fewer moments than this tell nothing of what happened when.
FEWEST_MOMENTS = 20
#: Steps back larger than this share of the run are a clock that began anew, not jitter between neighbours.
WRAP = 0.5


@dataclass(frozen=True, eq=False)
class Clock:
    """When each event passed.

    Attributes
    ----------
    seconds : ndarray of float64, shape (n_events,)
        As `Sample.columns` gives time: seconds where the file states a time step, else its own unit. In file order.
    order : ndarray of int, shape (n_timed,)
        Events in the order of time, those of one moment in file order; events without a time are not among them.
    sorted : bool
        Every event has a time, and the file is in their order.
    """

    seconds: Floats
    order: NDArray[np.intp]
    sorted: bool = True

    @property
    def in_order(self) -> Floats:
        """Times in ascending order, shape (n_timed,)."""
        return self.seconds[self.order]


def read_clock(sample: Sample) -> tuple[Clock | None, tuple[Finding, ...]]:
    """Read the time channel; None where there is none that tells anything, and what is to be said of it."""
    channels = [channel for channel in sample.panel.channels if channel.role == "time"]
    if not channels:
        return None, (
            Finding("time_missing", None, None, "info", note="no time channel: nothing is known of the flow"),
        )
    seconds = sample.columns([channels[0].detector])[:, 0]
    finite = np.isfinite(seconds)
    rising = bool(finite.all() and (seconds[1:] >= seconds[:-1]).all())
    if rising:
        order = np.arange(len(seconds))
    else:
        order = np.flatnonzero(finite)
        order = order[np.argsort(seconds[order], kind="stable")]
    clock = Clock(seconds, order, rising)
    findings = () if rising else tuple(_disorder(seconds, finite))
    if not len(order):
        return None, findings
    if len(order):
        times = clock.in_order
        n_moments = 1 + int(np.count_nonzero(times[1:] > times[:-1]))
        if n_moments < min(FEWEST_MOMENTS, len(order)):
            limit = float(FEWEST_MOMENTS)
            constant = Finding("time_constant", float(n_moments), limit, "review", channel=channels[0].detector,
                               note="too few different times to say what happened when")  # fmt: skip
            return None, (*findings, constant)
    return clock, findings


def _disorder(seconds: Floats, finite: NDArray[np.bool_]) -> Iterator[Finding]:
    """Say what is out of order: events without time, a clock that began anew, events that are merely unsorted."""
    missing = int(len(seconds) - finite.sum())
    if missing:
        yield Finding("time_not_finite", float(missing), 0.0, "review", missing, note="events without a time")
    known = seconds[finite]
    if len(known) < 2:
        return
    steps = np.diff(known)
    back = int(np.count_nonzero(steps < 0))
    # A shuffled file goes back at every second event. A clock that began anew goes back once or a few times.
    wraps = int(np.count_nonzero(steps < -WRAP * np.ptp(known)))
    if wraps and back <= max(10, len(known) // 1000):
        yield Finding("time_restarts", float(wraps), 0.0, "review",
                      note="the clock began anew: parts of the run lie on top of each other")  # fmt: skip
    elif back:
        yield Finding("time_unsorted", back / len(known), 0.0, "info", note="events are looked at in the order of time")
