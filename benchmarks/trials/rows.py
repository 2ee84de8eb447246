"""Concentrations beside the truth: one row for each specimen of a patient and population."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

Frame = pd.DataFrame
#: Populations by name in the tables, as they are called; the bars are for those after the first.
POPULATIONS = {
    "lymphocytes": "lymphocytes",
    "t_cells": "CD3",
    "cd4_t": "CD4",
    "cd8_t": "CD8",
    "b_cells": "CD19",
    "nk_cells": "NK",
}
JUDGED = tuple(name for name in POPULATIONS if name != "lymphocytes")
OURS, WALD, DELTA, CORRECTED = "nti7flow", "N ± 1.96 √N", "log, lot and pipette", "the same, doublets corrected"
PEERS = (WALD, DELTA, CORRECTED)
#: What a person is told to look at.
LOUD = ("review", "invalid")
_Z = float(stats.norm.isf(0.025))


def score_rows(
    concentrations: Iterable[Mapping[str, Any]],
    patients: Iterable[Mapping[str, str]],
    *,
    truth: Iterable[Mapping[str, str]],
    expected: Iterable[Mapping[str, str]],
    awkward: Collection[str],
) -> Frame:
    """Put concentrations beside the truth.

    Parameters
    ----------
    concentrations : iterable of dict
        Rows of the table ``concentrations``.
    patients : iterable of dict
        Lines of the sheet of samples, patients only; one tube a specimen.
    truth, expected : iterable of dict
        Rows of truth/concentrations.csv and of truth/counts.csv.
    awkward : collection of str
        Samples that something was done to, or whose blood or file is in another.

    Returns
    -------
    DataFrame
        ``specimen, sample, population, lot, awkward, severity, flags``; ``truth, estimate`` (cells/µL),
        ``expected, n_events`` (events), ``log_sd`` (as told); lower and upper limit of each method, as
        ``<method> lower`` and ``<method> upper`` (cells/µL). A specimen of which nothing was counted has no row.
    """
    tubes = {row["specimen"]: row for row in patients}
    true = {(row["specimen"], row["population"]): float(row["cells_per_ul"]) for row in truth}
    cells = {(row["sample"], row["population"]): float(row["expected_cells"] or 0) for row in expected}
    rows = []
    for found in concentrations:
        tube, population = tubes.get(found["specimen"]), found["population"]
        if tube is None or population not in POPULATIONS:
            continue
        n_events = found["n_events"]
        cv = found["cv_percent"]
        rows.append(
            {
                "specimen": found["specimen"],
                "sample": tube["sample"],
                "population": population,
                "lot": tube["bead_lot"],
                "awkward": tube["sample"] in awkward,
                "severity": found["severity"],
                "flags": found["flags"],
                "truth": true[found["specimen"], population],
                "estimate": _number(found["cells_per_ul"]),
                "expected": cells[tube["sample"], population],
                "n_events": _number(n_events),
                "log_sd": np.nan if cv is None else float(np.sqrt(np.log1p((cv / 100) ** 2))),
                **_limits(found),
            }
        )
    return pd.DataFrame(rows)


def clean(rows: Frame) -> Frame:
    """Return what nothing was done to, and nobody is told to look at."""
    return rows[~rows["awkward"] & ~rows["severity"].isin(LOUD)]


def lower(method: str) -> str:
    """Return the name of a column."""
    return f"{method} lower"


def upper(method: str) -> str:
    """Return the name of a column."""
    return f"{method} upper"


def held(rows: Frame, method: str = OURS) -> Any:
    """Say of each row whether an interval holds the truth; one that is not there does not."""
    return (rows[lower(method)] <= rows["truth"]) & (rows["truth"] <= rows[upper(method)])


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _limits(found: Mapping[str, Any]) -> dict[str, float]:
    """Return the limits of every method; none where there are no beads."""
    pairs = {method: (np.nan, np.nan) for method in PEERS}
    told = json.loads(found["inputs"])
    if "n_beads" in told and found["n_events"] is not None:
        n, beads = float(found["n_events"]), told["n_beads"]
        one = told["beads_per_tube"] / beads / told["specimen_ul"] * told["dilution"]
        pairs[WALD] = (max(n - _Z * np.sqrt(n), 0) * one, (n + _Z * np.sqrt(n)) * one)
        of_reference = sum(np.log1p(told[name] ** 2) for name in ("bead_cv", "pipetting_cv"))
        factor = np.exp(_Z * np.sqrt(1 / n + 1 / beads + of_reference)) if n else 1.0
        pairs[DELTA] = (n * one / factor, n * one * factor)
        estimate = float(found["cells_per_ul"])
        pairs[CORRECTED] = (estimate / factor, estimate * factor)
    pairs[OURS] = (_number(found["lower"]), _number(found["upper"]))
    return {name: float(x) for method, pair in pairs.items() for name, x in zip(_names(method), pair, strict=True)}


def _names(method: str) -> tuple[str, str]:
    return lower(method), upper(method)
