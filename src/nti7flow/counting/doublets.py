"""Leukocytes that passed two at a time: how many, and by what factor counts are too low for it.

The singlet gate leaves doublets out, and a bead that a cell sticks to counts as a bead. Both lose cells that were in
the blood, where beads lose only those that stick to each other. How many follows from the doublets of leukocytes alone,
if particles meet, or stick, at random: of ``C`` leukocytes there are C² / 2 pairs, of ``B`` beads B² / 2, and B C of
one each. Where ``D`` events are two leukocytes, 2 D B / C are therefore one and a bead, and D B² / C² two beads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from nti7flow.counting.checks import Check
from nti7flow.counting.fractions import ROOT, Count
from nti7flow.counting.plausibility import CD45, Light
from nti7flow.events.sample import Sample
from nti7flow.events.spillover import Spillover
from nti7flow.gating.strategy import Members, Severity
from nti7flow.gating.values import scale_values

#: First word of the check: `Check.value` is the share of leukocytes in doublets, `Check.n_excluded` their events.
DOUBLETS = "doublets_of_leukocytes"
#: Leukocytes have at least this share of the CD45 of lymphocytes: neutrophils a sixth to a half, debris a hundredth.
LEAST_CD45 = 0.1
#: Fewer leukocytes than this do not tell how many are in doublets.
LEAST_LEUKOCYTES = 200


def check_doublets(
    sample: Sample,
    spillover: Spillover,
    members: Members,
    counts: Sequence[Count],
    *,
    limit: float,
    not_light: Collection[str] = (),
) -> Iterator[Check]:
    """Yield how many leukocytes of a gated tube are in doublets; nothing where that cannot be said.

    Doublets are the events with CD45 that the gate ``singlets`` leaves out; beads are none. A tube without CD45,
    without such a gate, or with fewer than 200 leukocytes has no such check, and its counts are not corrected.

    Parameters
    ----------
    sample, spillover, members, counts, not_light
        As for `nti7flow.counting.plausibility.check_plausible`.
    limit : float
        Share above which a person should look: blood that clots sticks together.
    """
    light = Light(sample, spillover, members, frozenset(not_light))
    detector, brightness = light.detector(CD45), light.of(CD45, CD45.positive)
    singlets = members.mask("singlets") if "singlets" in members else None
    if detector is None or brightness is None or brightness <= 0 or singlets is None:
        return
    parent = next(count.parent for count in counts if count.population == "singlets")
    rows = members.rows(None if parent == ROOT else parent)
    beads = members.mask("beads") if "beads" in members else None
    if rows is None:
        return
    rows = rows if beads is None else rows[~beads[rows]]
    cd45 = scale_values(sample, spillover, detector, rows, compensated=True)
    single = singlets[rows[cd45 >= LEAST_CD45 * brightness]]
    n_singlets = int(np.count_nonzero(single))
    n_doublets = len(single) - n_singlets
    if n_singlets + n_doublets < LEAST_LEUKOCYTES:
        return
    share = 2 * n_doublets / (n_singlets + 2 * n_doublets)
    severity: Severity = "review" if share > limit else ""
    yield Check(f"{DOUBLETS} share of the cells; n_excluded are events", share, limit, severity, n_doublets)


def doublet_factors(share: float, n_doublets: int, n_beads: int) -> tuple[float, float]:
    """Return by what a count of single cells, and one of beads, is to be multiplied for what passed in pairs.

    With S = D (2 / share - 2) leukocytes that passed alone and C = S + 2 D in all, single cells stand for
    1 + 2 D / S + 2 D B / (C S) cells each: those in doublets and those that a bead hides. Beads stand for
    1 + D B / C² beads each: two that pass together are counted once.

    Parameters
    ----------
    share : float
        Share of the leukocytes that are in doublets, from 0 to below 1.
    n_doublets : int
        Doublets of leukocytes, events.
    n_beads : int
        Beads, events.

    Returns
    -------
    (float, float)
        The factor for cells and that for beads, both at least 1.

    Examples
    --------
    4,900 leukocytes alone, 50 doublets and 1,000 beads: 2 % of the cells are in doublets, and 20 behind beads.

    >>> doublet_factors(0.02, 50, 1000)
    (1.0244897959183674, 1.002)
    """
    if not 0 <= share < 1 or n_doublets < 0 or n_beads < 0 or (share == 0) != (n_doublets == 0):
        raise ValueError(f"share {share}, {n_doublets} doublets and {n_beads} beads do not go together")
    if n_doublets == 0:
        return 1.0, 1.0
    n_singlets = n_doublets * (2 / share - 2)
    n_cells = n_singlets + 2 * n_doublets
    behind_beads = 2 * n_doublets * n_beads / n_cells
    return 1 + (2 * n_doublets + behind_beads) / n_singlets, 1 + n_doublets * n_beads / n_cells**2
