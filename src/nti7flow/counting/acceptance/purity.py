"""Purity of the gate of lymphocytes, and percentages corrected for it.

What is no T, B or NK cell, monocytes or debris, makes every share of the gate too small. Concentrations do not rest on
the gate's other events, and are never corrected.
"""

from __future__ import annotations

from nti7flow.counting.gated import GatedSample
from nti7flow.counting.specimens import SpecimenResult

#: Lineages of lymphocytes; with disjoint gates what is in none of them is unassigned.
LINEAGES = ("t_cells", "b_cells", "nk_cells")


def lineage_events(tube: GatedSample) -> int | None:
    """Return the T, B and NK cells of a tube; None where one of them has no count."""
    found = [tube.n_events(name) for name in LINEAGES]
    return None if any(n is None for n in found) else sum(n for n in found if n is not None)


def corrected_percent(result: SpecimenResult, population: str) -> float | None:
    """Return a population as % of the T, B and NK cells in the tubes that its concentration rests on.

    Parameters
    ----------
    result : SpecimenResult
        The specimen.
    population : str
        A lineage, or what is within one.

    Returns
    -------
    float or None
        None for any other population, and where a tube counts not all lineages.
    """
    found = result.concentrations.get(population)
    tubes = [] if found is None else [tube for tube in result.tubes if tube.sample in found.samples]
    whole = [lineage_events(tube) for tube in tubes]
    counts = [tube.counts.get(population) for tube in tubes]
    within = all(c is not None and {population, *c.ancestors} & set(LINEAGES) for c in counts)
    if found is None or found.n_events is None or not within or None in whole or not any(whole):
        return None
    return 100 * found.n_events / sum(n for n in whole if n is not None)
