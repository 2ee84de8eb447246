"""Dim cells: CD8 T cells of which another laboratory would say that they are double negative.

T cells without CD4 that are no CD8 T cells (γδ and NKT cells) carry CD8 by degrees, and some lie beyond a threshold in
the valley. How many are CD8 T cells is a matter of definition, which no spread of the threshold tells: it may be sure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from nti7flow.gating.gates import RectangleGate
from nti7flow.gating.strategy import Members, Population
from nti7flow.gating.values import DisplayValues

#: Dim are events up to this share of the way from the threshold to the middle of the population, display units: beyond
#: it lie 98 of 100 cells of the bright ones in simulated trials.
DIM = 0.6
#: Fewer events than this have no middle.
LEAST_EVENTS = 20


def dim_sd(values: DisplayValues, populations: Iterable[Population], members: Members) -> dict[str, float]:
    """Return what the definition of CD8 T cells leaves open of their count, and of that of double negative ones.

    A threshold that may be put anywhere from where it is to the end of the dim events, with equal right, takes a part
    of them away that is even between none and all: the root of its mean square is their number over the root of three.

    Parameters
    ----------
    values : DisplayValues
        Of the tube.
    populations : iterable of Population
        Of a template that has ``cd8_positive``, ``cd8_t`` and ``dn_t``.
    members : Members
        Their memberships.

    Returns
    -------
    dict of str to float
        Standard deviation, events, by population; empty where there is no such threshold or are too few events.
    """
    gate = next((population.gate for population in populations if population.id == "cd8_positive"), None)
    rows = members.rows("cd8_t") if "cd8_t" in members else None
    if not isinstance(gate, RectangleGate) or rows is None or len(rows) < LEAST_EVENTS:
        return {}
    threshold = gate.lower[0]
    if threshold is None or len(gate.dimensions) > 1:
        return {}
    beyond = values.of(gate.dimensions, rows)[:, 0] - threshold
    sd = float(np.count_nonzero(beyond < DIM * np.median(beyond))) / math.sqrt(3)
    return {name: sd for name in ("cd8_t", "dn_t") if name in members and members.rows(name) is not None}
