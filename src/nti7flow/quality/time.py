"""The course of a tube over time: what is left out of it, and what is only told.

A mere change of the flow rate leaves nothing out; a stretch is left out where its signals differ. What changes slowly
is drift: it is told and not cut to pieces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nti7flow.quality.bins import Bins, Floats, bin_events
from nti7flow.quality.findings import Finding, Interval, Severity
from nti7flow.quality.flow import Rate, flow_rate, runs
from nti7flow.quality.limits import QualityLimits
from nti7flow.quality.stretches import Stretch, bin_noise, find_stretches, mean_level

#: Parts of the kept events between which drift is measured.
DRIFT_PARTS = 10


@dataclass(frozen=True, eq=False)
class Course:
    """The course of a tube: what is kept, and what pictures are drawn from.

    Attributes
    ----------
    bins : Bins
        Levels of every channel over time.
    rate : Rate
        Flow rate over time.
    kept : ndarray of bool, shape (n_bins,)
        Bins that are kept.
    names : tuple of str
        Detectors, in the order of the bins' channels.
    """

    bins: Bins
    rate: Rate
    kept: NDArray[np.bool_]
    names: tuple[str, ...]

    @property
    def steady(self) -> tuple[Interval, ...]:
        """Stretches of time that are kept, seconds, closed-open."""
        begins = self.bins.begins
        return tuple((float(begins[a]), float(begins[b])) for a, b in runs(self.kept))

    def words(self, level: int, change: float) -> tuple[str, str]:
        """Channel of a level, and a change of it in words."""
        which, channel = divmod(level, len(self.names))
        if which == 1:
            return self.names[channel], f"light × {np.exp(change):.2f}"
        return self.names[channel], f"outrank the others in {100 * (0.5 + change):.0f} % of pairs"


def find_course(
    times: Floats, columns: Sequence[Floats], names: Sequence[str], limits: QualityLimits
) -> tuple[Course, tuple[Finding, ...]]:
    """Find the steady stretches of a tube.

    Parameters
    ----------
    times : ndarray of float64, shape (n_events,)
        Ascending, seconds; not all equal.
    columns : sequence of ndarray, each of shape (n_events,)
        Values of each channel in that order, on any scale.
    names : sequence of str
        Detectors.
    limits : QualityLimits
        What is too much.
    """
    bins, rate = bin_events(times, columns), flow_rate(times)
    slow, fast = rate.beyond(slow=limits.slow, fast=limits.fast)
    stretches = find_stretches(bins, slow, fast, limits)
    kept = np.ones(len(bins), np.bool_)
    for stretch in stretches:
        kept[stretch.first : stretch.last] = False
    share = 1.0 - float(bins.sizes[kept].sum() / len(times))
    if too_much := share > limits.most_excluded:
        kept[:] = True
    course = Course(bins, rate, kept, tuple(names))
    severity: Severity = "review" if share > limits.much_excluded else "info" if share > 0 else ""
    note = "too much would be left out: nothing is" if too_much else ""
    findings = [
        Finding(
            "time_unsteady", share, limits.most_excluded if too_much else limits.much_excluded, severity, note=note
        ),
        *_stretches_found(course, stretches),
        *_flow_found(rate, slow, fast, limits),
    ]
    if not too_much:
        findings.append(_drift(course, limits))
    return course, tuple(findings)


def _stretches_found(course: Course, stretches: Sequence[Stretch]) -> Iterator[Finding]:
    """One finding for each kind of stretch."""
    begins, sizes = course.bins.begins, course.bins.sizes
    for check in dict.fromkeys(stretch.check for stretch in stretches):
        alike = [stretch for stretch in stretches if stretch.check == check]
        strongest = max(alike, key=lambda stretch: abs(stretch.change) / stretch.limit)
        channel, words = course.words(strongest.level, strongest.change)
        left_out = sum(int(sizes[s.first : s.last].sum()) for s in alike if not course.kept[s.first])
        yield Finding(
            check,
            strongest.change,
            strongest.limit,
            "info" if left_out else "review",
            left_out,
            channel,
            tuple((float(begins[stretch.first]), float(begins[stretch.last])) for stretch in alike),
            words,
        )


def _flow_found(
    rate: Rate, slow: tuple[Interval, ...], fast: tuple[Interval, ...], limits: QualityLimits
) -> Iterator[Finding]:
    """Say where the flow fell or surged, and by how much; nothing is left out for that alone."""
    relative = rate.counts / max(rate.usual, 1.0)
    yield Finding("flow_slow", float(relative.min()), limits.slow, "info" if slow else "", intervals=slow)
    yield Finding("flow_fast", float(relative.max()), limits.fast, "info" if fast else "", intervals=fast)


def _drift(course: Course, limits: QualityLimits) -> Finding:
    """Largest difference between parts of the kept events, of the level in which it is largest for its limit."""
    bins = course.bins
    parts = [part for part in np.array_split(np.flatnonzero(course.kept), DRIFT_PARTS) if len(part)]
    levels = np.array([mean_level(bins, part) for part in parts])
    size = levels.max(axis=0) - levels.min(axis=0)
    limit = np.repeat([limits.drift, limits.gain_drift], bins.n_channels)
    error = bin_noise(bins) * np.sqrt(2 / min(len(part) for part in parts))
    told = (bins.error > 0) & (size > limits.significance * error)
    worst = int((size / limit * np.where(told, 1.0, 1e-3)).argmax())
    severity: Severity = "review" if told[worst] and size[worst] > limit[worst] else ""
    change = float(size[worst] * np.sign(levels[:, worst].argmax() - levels[:, worst].argmin()))
    channel, words = course.words(worst, change)
    return Finding("signal_drift", change, float(limit[worst]), severity, channel=channel, note=words)
