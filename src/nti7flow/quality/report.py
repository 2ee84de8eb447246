"""`check_quality`: all checks of one tube, and which of its events are from steady stretches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nti7flow.events.sample import Sample
from nti7flow.events.spillover import Spillover
from nti7flow.quality.bins import signals
from nti7flow.quality.clock import read_clock
from nti7flow.quality.doublets import check_doublets
from nti7flow.quality.findings import Finding, Interval, Severity, worst
from nti7flow.quality.limits import QualityLimits
from nti7flow.quality.margins import Margin, check_margins, find_margins
from nti7flow.quality.time import Course, find_course
from nti7flow.quality.viability import check_viability, viability_channel

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Quality:
    """What the checks of one tube found.

    Attributes
    ----------
    findings : tuple of Finding
        One or more per check, also of those that found nothing amiss (severity empty).
    steady : tuple of (float, float)
        Stretches of time that are kept, seconds as `Sample.columns` gives them, closed-open, ascending. Empty where
        time tells nothing; then every event is kept.
    n_events, n_excluded : int
        Events of the tube, and how many of them lie outside the steady stretches.
    margins : tuple of Margin
        Events at the ends of each channel.
    course : Course or None
        What was seen over time, for pictures; None where time tells nothing.
    """

    findings: tuple[Finding, ...]
    steady: tuple[Interval, ...]
    n_events: int
    n_excluded: int
    margins: tuple[Margin, ...] = ()
    course: Course | None = field(default=None, repr=False, compare=False)

    @property
    def severity(self) -> Severity:
        """Worst severity of the findings."""
        return worst(self.findings)

    def mask(self, sample: Sample) -> Bools:
        """Events in steady stretches, cells and beads alike, shape (n_events,)."""
        if not self.steady:
            return np.ones(sample.n_events, np.bool_)
        return within(sample.columns([_time(sample)])[:, 0], self.steady)


def check_quality(sample: Sample, spillover: Spillover | None = None, limits: QualityLimits | None = None) -> Quality:
    """Check which events of a tube can be trusted.

    Only unsteady time is left out (`Quality.mask`). Events at the margins, doublets and dead cells are counted and
    told: what to do about them is a matter of gates, and would change cells and beads differently.

    Parameters
    ----------
    sample : Sample
        The tube; all checks but that of dead cells look at raw values.
    spillover : Spillover, optional
        To compensate the viability dye by.
    limits : QualityLimits, optional
        What is too much; the defaults where left out.

    Returns
    -------
    Quality
    """
    limits = limits or QualityLimits()
    channels = signals(sample.panel)
    columns = sample.columns([channel.detector for channel in channels])
    separate = [columns[:, i] for i in range(len(channels))]
    findings = [_few(sample, limits)]
    clock, of_time = read_clock(sample)
    findings += of_time
    course: Course | None = None
    steady: tuple[Interval, ...] = ()
    n_excluded = 0
    if clock is not None and len(clock.order) >= limits.min_events_for_time:
        in_order = separate if clock.sorted else [column[clock.order] for column in separate]
        course, unsteady = find_course(clock.in_order, in_order, [c.detector for c in channels], limits)
        findings += unsteady
        steady = course.steady
        n_excluded = sample.n_events - int(np.count_nonzero(within(clock.seconds, steady)))
    elif clock is not None:
        least = float(limits.min_events_for_time)
        note = "too few events to look for unsteady stretches"
        findings.append(Finding("time_unsteady", None, least, "info", note=note))
    margins = find_margins(channels, separate)
    findings += check_margins(margins, limits)
    findings.append(check_doublets(sample, limits))
    findings += _dead(sample, spillover, limits)
    return Quality(tuple(findings), steady, sample.n_events, n_excluded, margins, course)


def within(seconds: NDArray[np.float64], steady: tuple[Interval, ...]) -> Bools:
    """Say which times lie in any of some closed-open stretches, ascending and apart; NaN does in none."""
    edges = np.array(steady, np.float64).ravel()
    return np.asarray(np.searchsorted(edges, seconds, side="right") % 2 == 1)


def _few(sample: Sample, limits: QualityLimits) -> Finding:
    n = sample.n_events
    return Finding("few_events", float(n), float(limits.few_events), "review" if n < limits.few_events else "")


def _dead(sample: Sample, spillover: Spillover | None, limits: QualityLimits) -> Iterator[Finding]:
    channel = viability_channel(sample.panel)
    if channel is None or not sample.n_events:
        return
    if spillover is None or channel.precompensated or channel.detector not in spillover.outputs:
        values = sample.columns([channel.detector])[:, 0]
    else:
        weights = spillover.compensation[:, spillover.outputs.index(channel.detector)]
        values = sample.columns(spillover.detectors) @ weights
    yield check_viability(channel, values, limits)


def _time(sample: Sample) -> str:
    return next(channel.detector for channel in sample.panel.channels if channel.role == "time")
