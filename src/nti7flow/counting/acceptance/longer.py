"""What it would buy to acquire more of a tube."""

from __future__ import annotations

import math

from nti7flow.counting.acceptance.findings import said
from nti7flow.counting.budget import BEADS, CELLS, cv_percent, log_variance
from nti7flow.counting.concentration import Concentration


def fraction_acquired(found: Concentration) -> float | None:
    """Return the fraction of the tubes that was acquired: beads counted of beads put in; None without beads.

    Pooled tubes are taken together: the beads of all by the beads in all.
    """
    if found.reference is None or found.reference.method != "beads" or not found.samples:
        return None
    inputs = found.reference.inputs
    n_beads = beads_in = 0.0
    for sample in found.samples:
        values = [inputs.get(f"{sample}:{key}", inputs.get(key)) for key in ("n_beads", "beads_per_tube")]
        if not all(isinstance(value, int | float) for value in values):
            return None
        n_beads, beads_in = n_beads + float(values[0] or 0), beads_in + float(values[1] or 0)
    return n_beads / beads_in if beads_in else None


def cv_after(found: Concentration, times: float) -> float:
    """Return the coefficient of variation, %, with so many times the events; what does not count stays as it is.

    Examples
    --------
    Counting alone: 25 events have a CV of 20 %, four times as many half of it (on the log scale, 10.05 % and not 10).
    """
    variances = {part.component: part.variance for part in found.parts}
    total = math.fsum(v / times if name in (CELLS, BEADS) else v for name, v in variances.items())
    return cv_percent(total)


def times_needed(found: Concentration, percent: float) -> float | None:
    """Return how many times the events would give a coefficient of variation; None where no number would.

    Where it is reached already, that is 1 or less.
    """
    variances = {part.component: part.variance for part in found.parts}
    counting = math.fsum(v for name, v in variances.items() if name in (CELLS, BEADS))
    left = log_variance(percent / 100) - math.fsum(v for n, v in variances.items() if n not in (CELLS, BEADS))
    return counting / left if left > 0 else None


def longer_acquisition(found: Concentration, *, cv_percent: float) -> str:
    """Say what longer acquisition of the tubes of a concentration would buy.

    Where beads tell how much of the tube was acquired, what the whole tube would give; else how many times as long it
    takes to reach a coefficient of variation.

    Parameters
    ----------
    found : Concentration
        The concentration, of few events.
    cv_percent : float
        Coefficient of variation to aim at, %.
    """
    if found.cells_per_ul is None or found.upper is None:
        return "there is nothing to count them against"
    fraction = fraction_acquired(found)
    if fraction is not None and fraction >= 1:
        return "all of the tube was acquired; stain more blood"
    if not found.n_events:
        if fraction is None:
            return f"they may be up to {said(found.upper)} per µL; twice the volume halves that"
        limits = f"up to {said(found.upper)} per µL now, {said(found.upper * fraction)} then"
        return f"the whole tube holds {said(1 / fraction)} times as much: {limits}"
    now = f"CV {said(cv_after(found, 1.0))} %"
    if fraction is not None:
        then = f"CV {said(cv_after(found, 1 / fraction))} %"
        return f"{now}; the whole tube holds {said(1 / fraction)} times as many: {then}"
    times = times_needed(found, cv_percent)
    if times is None:
        return f"{now}; more events alone do not bring {said(cv_percent)} %, as the other errors are larger"
    n_events = math.ceil(found.n_events * times)
    return f"{now}; {said(n_events)} events, {said(times)} times as many, bring {said(cv_percent)} %"
