"""What moves the counts of a person who is not dosed: the hour, the day, an infection, steroids."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nti7flow.simulation.kinetics import SENSITIVITIES

#: Hour at which a baseline is meant: most draws are near it.
REFERENCE_HOUR = 9.0
#: Log amplitude of the daily rhythm with its peak in the night (negative: peak by day) when a person's rhythm is 1.
#: Cortisol sends naive and central memory T cells, B cells and eosinophils out of the blood in the morning; adrenaline
#: brings NK and end-stage CD8 T cells in.
_RHYTHM: Mapping[str, float] = {
    "cd4_naive_rte": 0.21,
    "cd4_naive_cd31neg": 0.21,
    "cd4_scm": 0.19,
    "cd4_cm": 0.17,
    "cd4_em": 0.13,
    "cd4_temra": -0.03,
    "cd4_treg": 0.15,
    "cd8_naive": 0.20,
    "cd8_scm": 0.17,
    "cd8_cm": 0.13,
    "cd8_em": 0.05,
    "cd8_temra": -0.12,
    "dn_t": -0.05,
    "dp_t": 0.10,
    "b_cells": 0.14,
    "nk_cells": -0.13,
    "nk_bright": 0.08,
    "monocytes": 0.08,
    "neutrophils": 0.06,
    "eosinophils": 0.18,
    "basophils": 0.08,
}
_NADIR_HOUR = 11.0

#: Log-normal variation between two days: common to all lymphocytes, and of each lineage. Together 13 % for CD4.
_SHARED = 0.10
_LINEAGE: Mapping[str, float] = {
    "cd4": 0.075,
    "cd8": 0.09,
    "dn": 0.10,
    "dp": 0.10,
    "b": 0.11,
    "nk": 0.17,
    "monocytes": 0.17,
    "neutrophils": 0.22,
    "eosinophils": 0.28,
    "basophils": 0.22,
}
_SUBSET = 0.04
#: Days in which two draws become independent of each other.
_MEMORY_DAYS = 1.0

#: Log of the fold change at the height of an illness or a treatment, by lineage.
_EFFECTS: Mapping[str, Mapping[str, float]] = {
    # Redistribution to marrow and spleen within hours, demargination of neutrophils.
    "steroid": {
        "cd4": -0.85,
        "cd8": -0.55,
        "dn": -0.5,
        "dp": -0.6,
        "b": -0.45,
        "nk": -0.25,
        "monocytes": -0.45,
        "neutrophils": 0.60,
        "eosinophils": -2.2,
        "basophils": -1.0,
    },
    # The acute phase of a bacterial infection.
    "infection": {
        "cd4": -0.40,
        "cd8": -0.30,
        "dn": -0.45,
        "dp": -0.3,
        "b": -0.25,
        "nk": -0.35,
        "monocytes": 0.35,
        "neutrophils": 0.75,
        "eosinophils": -1.3,
        "basophils": -0.4,
    },
}
_ONSET_DAYS = {"steroid": 0.3, "infection": 0.7}
_RECOVERY_DAYS = {"steroid": 1.5, "infection": 4.0}


@dataclass(frozen=True, slots=True)
class Disturbance:
    """An illness or a treatment that moves the counts for a while.

    Attributes
    ----------
    kind : str
        ``steroid`` or ``infection``.
    start, end : float
        Days on the clock of the trial of that person; recovery begins at the end.
    size : float
        Factor on the logarithm of the effect.
    """

    kind: str
    start: float
    end: float
    size: float = 1.0


def lineage(cell_type: str) -> str:
    """Return the lineage of a cell type: the part of its name before the first underscore."""
    return cell_type.split("_", 1)[0]


def rhythm_factor(cell_type: str, hour: float, *, amplitude: float = 1.0) -> float:
    """Return the factor of the time of day on a concentration, 1 at `REFERENCE_HOUR`.

    CD4 T cells are fewest in the late morning and most at night.
    """
    swing = math.cos(2 * math.pi * (REFERENCE_HOUR - _NADIR_HOUR) / 24) - math.cos(
        2 * math.pi * (hour - _NADIR_HOUR) / 24
    )
    return math.exp(amplitude * _RHYTHM[cell_type] * swing)


def disturbance_factor(cell_type: str, day: float, disturbances: Sequence[Disturbance]) -> float:
    """Return the factor of all illnesses and treatments on a concentration on some day."""
    log_fold = 0.0
    for cause in disturbances:
        effect = _EFFECTS[cause.kind].get(lineage(cell_type), 0.0)
        log_fold += cause.size * effect * _height(cause, day)
    return math.exp(log_fold)


def _height(cause: Disturbance, day: float) -> float:
    if day <= cause.start:
        return 0.0
    onset = -math.expm1(-(min(day, cause.end) - cause.start) / _ONSET_DAYS[cause.kind])
    return onset * math.exp(-max(0.0, day - cause.end) / _RECOVERY_DAYS[cause.kind])


class DayToDay:
    """The random variation of one person's counts from draw to draw.

    Log-normal with mean 1, forgotten within days, so that two draws of one day differ little.

    Parameters
    ----------
    rng : numpy.random.Generator
        The person's own stream.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._day: float | None = None
        self._lineages = tuple(_LINEAGE)
        self._state = np.zeros(1 + len(self._lineages) + len(SENSITIVITIES))

    def factors(self, day: float) -> dict[str, float]:
        """Return the factor of every leukocyte type on a day no earlier than the one asked for before."""
        kept = 0.0 if self._day is None else math.exp(-(day - self._day) / _MEMORY_DAYS)
        fresh = self._rng.standard_normal(len(self._state))
        self._state = kept * self._state + math.sqrt(1 - kept**2) * fresh
        self._day = day
        shared, of_lineage, of_subset = np.split(self._state, [1, 1 + len(self._lineages)])
        factors = {}
        for name, own in zip(SENSITIVITIES, of_subset, strict=True):
            key = lineage(name)
            common = 0.0 if key in _MYELOID else _SHARED
            spread = _LINEAGE[key]
            log = common * shared[0] + spread * of_lineage[self._lineages.index(key)] + _SUBSET * own
            factors[name] = math.exp(log - (common**2 + spread**2 + _SUBSET**2) / 2)
        return factors


_MYELOID = frozenset({"monocytes", "neutrophils", "eosinophils", "basophils"})
