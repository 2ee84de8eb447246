"""What one dose of interleukin-7 does to blood, hour by hour and month by month.

Pure functions of the days since a dose. Effects of successive doses add on the logarithm, so that counts stay positive
and a second dose works on what the first has left. The shapes follow what was published about recombinant IL-7 (CYT107)
and NT-I7: T cells leave the blood within a day and are back on day 3 to 4, cycle about day 6, peak in week 3, and
decay over months; naive cells and recent thymic emigrants gain most, regulatory and end-stage cells least; B and NK
cells hardly move; the receptor (CD127) is taken in at once and comes back in weeks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nti7flow.simulation.cells import RESTING, CellState


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How one cell type takes part, relative to a central memory CD4 T cell.

    Attributes
    ----------
    expansion : float
        Factor on the logarithm of the rise.
    homing : float
        Factor on the logarithm of the fall on day 1.
    resting : float
        Share of Ki-67+ cells at rest.
    burst : float
        Factor on the rise of the log odds of Ki-67.
    """

    expansion: float
    homing: float
    resting: float = RESTING
    burst: float = 0.0


#: Leukocytes of blood by cell type; a lymphopenic person's memory cells cycle more at rest than a healthy one's.
SENSITIVITIES: Mapping[str, Sensitivity] = {
    "cd4_naive_rte": Sensitivity(1.20, 1.05, 0.008, 1.40),
    "cd4_naive_cd31neg": Sensitivity(1.10, 1.05, 0.010, 1.35),
    "cd4_scm": Sensitivity(1.15, 1.05, 0.030, 1.10),
    "cd4_cm": Sensitivity(1.00, 1.00, 0.032, 1.00),
    "cd4_em": Sensitivity(0.78, 0.90, 0.055, 0.90),
    "cd4_temra": Sensitivity(0.55, 0.70, 0.020, 0.90),
    "cd4_treg": Sensitivity(0.42, 0.90, 0.120, 0.45),  # little CD127, and no rise in healthy volunteers
    "cd8_naive": Sensitivity(1.12, 1.05, 0.008, 1.50),
    "cd8_scm": Sensitivity(1.10, 1.05, 0.030, 1.20),
    "cd8_cm": Sensitivity(1.06, 1.00, 0.035, 1.15),
    "cd8_em": Sensitivity(0.97, 0.90, 0.040, 1.05),
    "cd8_temra": Sensitivity(0.80, 0.75, 0.018, 1.05),
    "dn_t": Sensitivity(0.55, 0.80, 0.030, 0.60),
    "dp_t": Sensitivity(0.90, 0.90, 0.030, 0.95),
    "b_cells": Sensitivity(0.0, 0.30, 0.015, 0.10),
    "nk_cells": Sensitivity(0.0, 0.35, 0.050, 0.15),
    "nk_bright": Sensitivity(0.25, 0.55, 0.040, 0.50),  # carries CD127
    "monocytes": Sensitivity(0.0, 0.25),
    "neutrophils": Sensitivity(0.0, -0.15),  # a little fever
    "eosinophils": Sensitivity(0.0, 0.40),
    "basophils": Sensitivity(0.0, 0.20),
}
#: Types that follow the individual, small change of B and of NK cells instead of an expansion.
_FLAT = {"b_cells": "b_cells", "nk_cells": "nk_cells", "nk_bright": "nk_cells"}

#: Part of the rise that outlasts the year: slowly, for what homeostasis keeps.
_LASTING = 0.10
_LASTING_HALF_LIFE_DAYS = 1500.0
#: The rise begins late and is steep: 8 % of it on day 3, half on day 7, all of it in week 3 (scale 9 days).
_RISE_POWER = 2.5
#: A weak responder still feels the dose: receptors need little of it, cycling more, survival most.
_RECEPTOR_POWER, _BURST_POWER = 0.3, 0.6


@dataclass(frozen=True, slots=True)
class Reaction:
    """How one person reacts to a first dose of full effect; the ranges are those of `draw_reaction`'s people.

    Attributes
    ----------
    expansion : float
        Log of the fold change that central memory CD4 T cells would peak at if nothing decayed.
    cd8 : float
        Factor on it for CD8 T cells.
    b_cells, nk_cells : float
        Log of the fold change of B and NK cells after weeks.
    homing : float
        Log of the fall of T cells at its deepest.
    nadir_day, rise_day, burst_day : float
        Day of the fewest cells, time scale of the rise, and day of the most cycling cells.
    half_life_days : float
        In which half of the gained cells are gone.
    burst : float
        Rise of the log odds of Ki-67 at its peak.
    cd127, cd25, pd1, cd31 : float
        Factor on the density of the antigen at its extreme.
    growth : float
        Factor on the diameter of T and NK cells at the peak of cycling.
    """

    expansion: float = 1.40
    cd8: float = 1.0
    b_cells: float = 0.0
    nk_cells: float = 0.0
    homing: float = 0.75
    nadir_day: float = 0.95
    rise_day: float = 9.0
    burst_day: float = 6.0
    half_life_days: float = 85.0
    burst: float = 2.75
    cd127: float = 0.32
    cd25: float = 1.9
    pd1: float = 1.3
    cd31: float = 0.85
    growth: float = 1.045


@dataclass(frozen=True, slots=True)
class Stimulus:
    """One dose.

    Attributes
    ----------
    day : float
        When, days on any clock.
    strength : float
        Factor on the log response: 1 for a full first dose, less for a later one, near 0 in a non-responder.
    """

    day: float
    strength: float


def fold_change(cell_type: str, day: float, reaction: Reaction, doses: Sequence[Stimulus]) -> float:
    """Return the factor on the concentration of a cell type.

    Parameters
    ----------
    cell_type : str
        One of `SENSITIVITIES`.
    day : float
        When, days on the clock of the doses.
    reaction : Reaction
        Whose.
    doses : sequence of Stimulus
        All doses; those still to come have no effect.

    Returns
    -------
    float
        Above 0; 1 before the first dose.
    """
    kind = SENSITIVITIES[cell_type]
    expansion = reaction.expansion * kind.expansion * (reaction.cd8 if cell_type.startswith("cd8") else 1.0)
    log_fold = 0.0
    for dose in doses:
        since = day - dose.day
        if since <= 0:
            continue
        felt = dose.strength**_RECEPTOR_POWER
        # The gained cells decay, not the logarithm: half of them are gone after a half-life.
        gained = math.expm1(dose.strength * expansion) * _rise(since, reaction) * _decay(since, reaction)
        log_fold += math.log1p(gained) - felt * reaction.homing * kind.homing * _dip(since, reaction)
        if cell_type in _FLAT:
            change = getattr(reaction, _FLAT[cell_type])
            log_fold += felt * change * _rise(since, reaction) * _decay(since, reaction)
    return math.exp(log_fold)


def cell_state(
    day: float, reaction: Reaction, doses: Sequence[Stimulus], *, resting: Mapping[str, float] | float = 1.0
) -> CellState:
    """Return how the cells differ from resting ones.

    Parameters
    ----------
    day, reaction, doses
        As in `fold_change`.
    resting : float or Mapping of str to float
        Factor on the resting share of Ki-67+ cells, of all types or by type (1 where absent).

    Returns
    -------
    CellState
        Cycling share of every leukocyte type that can cycle in blood, antigen densities and growth.
    """
    felt = [(day - dose.day, dose.strength) for dose in doses if day > dose.day]
    bursts = sum(strength**_BURST_POWER * _burst(since, reaction) for since, strength in felt)
    early = sum(strength**_RECEPTOR_POWER * _receptor(since) for since, strength in felt)
    weeks = sum(strength**_RECEPTOR_POWER * _activation(since) for since, strength in felt)
    months = sum(strength * _rise(since, reaction) * _decay(since, reaction) for since, strength in felt)
    cycling = {}
    for name, kind in SENSITIVITIES.items():
        if kind.burst:
            factor = resting if isinstance(resting, float) else resting.get(name, 1.0)
            odds = math.log(kind.resting * factor / (1 - kind.resting * factor))
            cycling[name] = 1 / (1 + math.exp(-odds - reaction.burst * kind.burst * bursts))
    density = {
        "CD127": reaction.cd127**early,
        "CD25": reaction.cd25**weeks,
        "PD1": reaction.pd1**weeks,
        "CD95": 1.15**weeks,
        "CD31": reaction.cd31**months,  # diluted as naive cells divide, while there are more of them
    }
    return CellState(cycling, density, growth=reaction.growth**bursts)


def _dip(since: float, reaction: Reaction) -> float:
    """Depth of the fall after the dose, 1 at the nadir: within hours down, nearly gone on day 4."""
    time = since / reaction.nadir_day
    return time**2 * math.exp(2 * (1 - time))


def _rise(since: float, reaction: Reaction) -> float:
    return -math.expm1(-((since / reaction.rise_day) ** _RISE_POWER))


def _decay(since: float, reaction: Reaction) -> float:
    fading = float(2.0 ** (-since / reaction.half_life_days))
    return (1 - _LASTING) * fading + _LASTING * float(2.0 ** (-since / _LASTING_HALF_LIFE_DAYS))


def _burst(since: float, reaction: Reaction) -> float:
    """Cycling, 1 at its peak about day 6, a quarter of it on day 14, gone by day 28."""
    time = since / reaction.burst_day
    return time**3 * math.exp(3 * (1 - time))


def _receptor(since: float) -> float:
    """Loss of CD127: within a day, full to the end of week 1, a tenth of it left on day 21."""
    return -math.expm1(-((since / 0.4) ** 1.5)) / (1 + (since / 13) ** 5)


def _activation(since: float) -> float:
    """Gain of CD25 and PD-1: from day 2, waning from week 2 on."""
    return -math.expm1(-((since / 2) ** 2)) / (1 + (since / 15) ** 5)
