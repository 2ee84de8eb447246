"""Numbers on the gate of lymphocytes that need its events: T cells that it misses, and cells of two lineages at once.

Gates of lineages are disjoint: what is CD3+ is a T cell, whatever else it carries, so that the lineages add up by
themselves and say nothing. Here the gates of B and NK cells are asked about T cells, too. The numbers are stored with
the tube and judged later, by the limits of the study (`nti7flow.counting.acceptance`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nti7flow.counting.checks import Check
from nti7flow.events.sample import Sample
from nti7flow.gating.gates import BooleanGate
from nti7flow.gating.strategy import GatingStrategy, Members
from nti7flow.gating.values import DisplayValues

#: First words of the checks.
RECOVERY = "recovery_percent"
OVERLAP_B, OVERLAP_NK = "overlap_cd3_cd19_percent", "overlap_cd3_nk_percent"
#: Populations whose own gate says what is CD19+, and what is CD16+ or CD56+, by templates of this package.
CD19_GATES, NK_GATES = ("cd19_positive", "b_cells"), ("nk_cells",)


def check_lineages(sample: Sample, strategy: GatingStrategy, members: Members) -> Iterator[Check]:
    """Yield the recovery of T cells and the overlaps of lineages, % ; nothing where the populations are missing.

    `Check.n_excluded` is 0: nothing is taken out for these.

    Parameters
    ----------
    sample : Sample
        A fully stained tube.
    strategy : GatingStrategy
        Its gates.
    members : Members
        Its populations.

    Notes
    -----
    Recovery is that of backgating (Nicholson et al., MMWR 2003; 52(RR-2), guideline for single-platform T cells, has
    it on CD45 and side scatter): of the T cells found by CD3 and side scatter alone, the share in the gate of
    lymphocytes.
    """
    yield from _recovery(members)
    t_cells, lymphocytes = (_rows(members, name) for name in ("t_cells", "lymphocytes"))
    if t_cells is None or lymphocytes is None or not len(lymphocytes):
        return
    values = DisplayValues(sample, strategy.spillover, strategy.matrices)
    cd19 = _inside(CD19_GATES, strategy, values, t_cells)
    if cd19 is not None:
        yield Check(f"{OVERLAP_B} of lymphocytes", 100 * float(cd19.sum()) / len(lymphocytes), None, "")
    nk = _inside(NK_GATES, strategy, values, t_cells)
    if nk is not None:
        both = nk if cd19 is None else nk & ~cd19
        yield Check(f"{OVERLAP_NK} of lymphocytes", 100 * float(both.sum()) / len(lymphocytes), None, "")


def _recovery(members: Members) -> Iterator[Check]:
    """Yield the share of the T cells by CD3 and side scatter that is among lymphocytes, at times that count."""
    seeds, settled, lymphocytes = (_rows(members, name) for name in ("t_seed", "settled", "lymphocytes"))
    if seeds is None or lymphocytes is None:
        return
    wanted = seeds if settled is None else np.intersect1d(seeds, settled, assume_unique=True)
    if len(wanted):
        found = np.isin(wanted, lymphocytes, assume_unique=True)
        yield Check(f"{RECOVERY} of T cells by CD3 and side scatter", 100 * float(found.mean()), None, "")


def _rows(members: Members, population: str) -> NDArray[np.intp] | None:
    return members.rows(population) if population in members else None


def _inside(
    names: tuple[str, ...], strategy: GatingStrategy, values: DisplayValues, rows: NDArray[np.intp]
) -> NDArray[np.bool_] | None:
    """Say which of some events the first of these gates that is plain geometry holds; None where there is none."""
    by_id = {population.id: population for population in strategy.populations}
    gates = (by_id[name].gate for name in names if name in by_id)
    gate = next((gate for gate in gates if gate is not None and not isinstance(gate, BooleanGate)), None)
    return None if gate is None else gate.contains(values.of(gate.dimensions, rows))
