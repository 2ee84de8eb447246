"""Kept time as plain geometry, so that it can be stored and replayed as a polygon gate on (time, time)."""

from __future__ import annotations

from collections.abc import Sequence

from nti7flow.quality.findings import Interval

#: Display units: foot of the skyline, height of what joins its teeth, and height of the teeth.
FOOT, JOINT, TOP = -1.0, -0.5, 2.0


def steady_outline(steady: Sequence[Interval], top_s: float) -> tuple[tuple[float, float], ...]:
    """Outline of a polygon on (time, time) that holds the events within some stretches of time.

    A skyline: teeth stand over the stretches, from below 0 to beyond 1, and are joined below -0.5, where no event can
    be, as events lie on the diagonal and times are not negative. Left edges of a polygon are inside and right ones
    outside, so the stretches are closed-open in the polygon as they are here.

    Parameters
    ----------
    steady : sequence of (float, float)
        Ascending, seconds.
    top_s : float
        Seconds that are 1 in display units (``Linear(t=top_s)``), at least the last time.

    Returns
    -------
    tuple of (float, float)
        Vertices in display units; the polygon closes itself.

    Raises
    ------
    ValueError
        There is no stretch, they are not ascending, one is negative, or the top is below the last.
    """
    edges = [edge for stretch in steady for edge in stretch]
    if not edges or any(a >= b for a, b in steady) or sorted(edges) != edges:
        raise ValueError("steady stretches must be one or more, ascending and not empty")
    if edges[0] < 0 or top_s <= 0 or edges[-1] > TOP * top_s:
        raise ValueError(f"times from {edges[0]:g} to {edges[-1]:g} s do not fit a scale from 0 to {top_s:g} s")
    upper = [
        corner
        for start, end in steady
        for corner in ((start / top_s, JOINT), (start / top_s, TOP), (end / top_s, TOP), (end / top_s, JOINT))
    ]
    return ((edges[0] / top_s, FOOT), *upper, (edges[-1] / top_s, FOOT))
