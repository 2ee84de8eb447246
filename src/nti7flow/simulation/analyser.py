"""The haematology laboratory: leukocytes, share of lymphocytes and ALC, with errors of their own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime

import numpy as np

from nti7flow.simulation.kinetics import SENSITIVITIES
from nti7flow.simulation.physiology import lineage
from nti7flow.trial.hematology import Hematology

#: Leukocytes that a haematology analyser calls lymphocytes.
LYMPHOCYTES = tuple(name for name in SENSITIVITIES if lineage(name) in {"cd4", "cd8", "dn", "dp", "b", "nk"})
#: Calibration: the same error for everybody until the next calibrator lot.
_PERIOD_DAYS = 120
_CALIBRATION_CV = 0.02
_FIRST_PERIOD = date(2021, 1, 1)
#: Precision of a leukocyte count: 4 % where there are enough, 7 % where there are few.
_WBC_CV, _WBC_CV_MORE_AT_ZERO = 0.04, 0.03
#: Cells in the analyser's differential at 4,000 leukocytes/µL, and in one made by eye.
_COUNTED, _COUNTED_BY_EYE = 8000, 400
_FLAGGED_BELOW_PER_UL = 1500.0
_FLAGGED_ANYWAY = 0.05
#: What the gates of the analyser make of large or odd lymphocytes.
_CLASSIFICATION_CV = 0.03


def calibration_factor(seed: int, on: date) -> float:
    """Return the factor on every leukocyte count of the laboratory on a day."""
    period = (on - _FIRST_PERIOD).days // _PERIOD_DAYS
    rng = np.random.default_rng([seed, 0, 50, period])
    return math.exp(_CALIBRATION_CV * rng.standard_normal())


def measure(
    rng: np.random.Generator,
    cells_per_ul: Mapping[str, float],
    *,
    subject: str,
    collected_at: datetime,
    calibration: float,
    timepoint: str | None = None,
) -> tuple[Hematology, Hematology, Hematology]:
    """Measure one blood draw.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the errors.
    cells_per_ul : Mapping of str to float
        The truth, by leukocyte type.
    subject, collected_at, timepoint
        As they go into the sheet.
    calibration : float
        From `calibration_factor`.

    Returns
    -------
    tuple of Hematology
        WBC (10^9/L), lymphocyte percent and ALC (cells/µL), rounded as a laboratory does; the ALC agrees with the
        other two up to their rounding. ``cv`` is what the laboratory states for a count of that size.
    """
    total = sum(cells_per_ul.values())
    share = sum(cells_per_ul[name] for name in LYMPHOCYTES) / total
    precision = _WBC_CV + _WBC_CV_MORE_AT_ZERO * math.exp(-total / 2000)
    wbc = total * calibration * math.exp(precision * rng.standard_normal())
    by_eye = bool(total < _FLAGGED_BELOW_PER_UL or rng.random() < _FLAGGED_ANYWAY)
    counted = _COUNTED_BY_EYE if by_eye else round(min(_COUNTED, _COUNTED * total / 4000))
    called = min(share * math.exp(_CLASSIFICATION_CV * rng.standard_normal()), 0.99)
    percent = 100 * int(rng.binomial(counted, called)) / counted
    stated_wbc = math.hypot(precision, _CALIBRATION_CV)
    stated_percent = math.hypot(_CLASSIFICATION_CV, math.sqrt((1 - share) / (counted * share)))
    values = (
        ("WBC", round(wbc / 1000, 2), "10^9/L", stated_wbc),
        ("lymphocyte_percent", round(percent, 1), "%", stated_percent),
        ("ALC", float(round(wbc * percent / 100)), "cells/uL", math.hypot(stated_wbc, stated_percent)),
    )
    wbc_row, percent_row, alc_row = (
        Hematology(subject, collected_at, analyte, value, unit, round(cv, 2), timepoint)
        for analyte, value, unit, cv in values
    )
    return wbc_row, percent_row, alc_row
