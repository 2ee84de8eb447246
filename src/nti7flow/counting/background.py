"""Background of counts: events in a gate that may be of another population, of this tube or of the one before.

Where a population is missing, as B cells are after rituximab, what its gate still holds is such events. The estimate is
for the lower end of an interval: so many of the events may be none of the population's. No count is changed by it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from nti7flow.gating.gates import BooleanGate, PlacedGate, PolygonGate, RectangleGate
from nti7flow.gating.strategy import Members, Population
from nti7flow.gating.values import DisplayValues
from nti7flow.quality.clock import read_clock

#: Cells of the tube before come in the first seconds: what is left in the needle and the tubing is washed out with a
#: time constant of about one second, so that 19 of 20 are there before the third.
WINDOW_S = 3.0
#: Share of the events that must come later, for there to be something to compare the start with.
LEAST_LATER = 0.5
#: T cells that cannot be B cells, fewer of which do not tell how often they seem to be.
LEAST_NEGATIVE = 100


def estimate_background(values: DisplayValues, populations: Iterable[Population], members: Members) -> dict[str, float]:
    """Estimate how many events of each population of a gated tube may be of another one.

    Two sources are added: cells of the tube before, which are too many events at the start (`excess_at_start`), and, of
    B cells, T cells that seem to carry CD19, as often as that happens.

    Parameters
    ----------
    values : DisplayValues
        Of the tube.
    populations : iterable of Population
        Of a template; after the cells of the tube before are gone the events are in ``settled``, or in ``steady``.
    members : Members
        Their memberships.

    Returns
    -------
    dict of str to float
        Events, for every population that has a count; empty where the tube has no clock in seconds, or is too short.
    """
    by_id = {population.id: population for population in populations}
    seconds = _seconds(values)
    if seconds is None:
        return {}
    kept = _kept(members)
    start = kept & (seconds < np.nanmin(seconds) + WINDOW_S)
    n_start, n_kept = int(np.count_nonzero(start)), int(np.count_nonzero(kept))
    if n_start > (1 - LEAST_LATER) * n_kept or not n_kept:
        return {}
    ratio = n_start / (n_kept - n_start)
    found = {}
    for name in by_id:
        rows = members.rows(name)
        if rows is not None:
            at_start = int(np.count_nonzero(start[rows]))
            found[name] = excess_at_start(at_start, int(np.count_nonzero(kept[rows])) - at_start, ratio)
    if "b_cells" in found:
        found["b_cells"] += _seeming_b_cells(values, by_id, members)
    return found


def excess_at_start(n_start: int, n_later: int, ratio: float) -> float:
    """Return how many events of a population there are too many at the start of a tube, beyond chance.

    A population that is spread over the tube has ``n_later * ratio`` events at the start. That has an error, of the
    events at the start and of those later: one standard deviation of it is granted, so that a population of many
    events seems to have no background for its noise. One that is only there at the start is all background.

    Parameters
    ----------
    n_start, n_later : int
        Its events at the start and later.
    ratio : float
        Events of any kind at the start, over those later. All tell it, not beads alone: they are more, and in any tube.
    """
    expected = n_later * ratio
    return max(0.0, n_start - expected - math.sqrt(expected * (1 + ratio)))


def _seconds(values: DisplayValues) -> np.ndarray | None:
    """Return when each event passed; None where that is not known in seconds."""
    try:
        step = float(values.sample.keywords.get("$TIMESTEP", ""))
    except ValueError:
        return None
    clock, _ = read_clock(values.sample)
    return clock.seconds if clock is not None and step > 0 else None


def _kept(members: Members) -> np.ndarray:
    """Return the events that are left by the gates on time, shape (n_events,)."""
    for name in ("settled", "steady"):
        mask = members.mask(name) if name in members else None
        if mask is not None:
            return mask
    return np.ones(members.n_events, np.bool_)


def _seeming_b_cells(values: DisplayValues, by_id: dict[str, Population], members: Members) -> float:
    """Return the events among B cells that are expected for T cells lie in their gate, though none is one.

    Not counted are T cells that seem to be NK cells too. Most cells that are positive for everything are dead and hold
    on to any antibody: so they do to CD3, and are found among T cells, not here.
    """
    gate = _geometry(by_id["b_cells"], by_id)
    sure, others = (members.rows(name) if name in members else None for name in ("t_cells", by_id["b_cells"].parent))
    if gate is None or sure is None or others is None:
        return 0.0
    nk = _geometry(by_id["nk_cells"], by_id) if "nk_cells" in by_id else None
    if nk is not None:
        sure = sure[~nk.contains(values.of(nk.dimensions, sure))]
    if len(sure) < LEAST_NEGATIVE:
        return 0.0
    return len(others) * float(np.mean(gate.contains(values.of(gate.dimensions, sure))))


def _geometry(population: Population, by_id: dict[str, Population]) -> PlacedGate | None:
    """Return the gate of a population, or of the one that it combines with its parent."""
    gate = population.gate
    if isinstance(gate, BooleanGate):
        first = gate.operands[0]
        gate = by_id[first.population].gate if len(gate.operands) == 1 and not first.negated else None
    return gate if isinstance(gate, RectangleGate | PolygonGate) else None
