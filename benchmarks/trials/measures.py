"""Numbers of a table of concentrations beside the truth."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.trials.rows import LOUD, OURS, PEERS, Frame, held, lower, upper

#: Expected events from which on a count is not few.
MANY = 20.0
#: Edges of the bins of expected events.
EDGES = (0.0, 1.0, 5.0, 20.0, 50.0, 100.0, 200.0, 400.0, 1000.0, np.inf)
_DRAWS, _SEED = 2_000, 7


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often intervals hold the truth.

    Attributes
    ----------
    n : int
        Intervals.
    share, error : float
        Of those that hold it, and the standard error: lots are drawn anew with all their tubes.
    low, high : float
        Of those that lie below the truth, and above it.
    """

    n: int
    share: float
    error: float
    low: float
    high: float


def coverage(rows: Frame, method: str = OURS) -> Coverage:
    """Count what holds the truth, and what is below or above it."""
    if not len(rows):
        return Coverage(0, np.nan, np.nan, np.nan, np.nan)
    below, above = rows[upper(method)] < rows["truth"], rows[lower(method)] > rows["truth"]
    holds = held(rows, method)
    share, low, high = (float(each.mean()) for each in (holds, below, above))
    return Coverage(len(rows), share, cluster_error(rows, holds), low, high)


def cluster_error(rows: Frame, values: Any) -> float:
    """Return the standard error of a mean, by a bootstrap of lots with all their tubes.

    Tubes of one lot are wrong together, and so are not so many observations as there are tubes (Davison and Hinkley,
    Bootstrap Methods and their Application, 1997, section 3.8).
    """
    sums = values.astype(float).groupby([rows["trial"], rows["lot"]]).agg(["sum", "count"]).to_numpy()
    if len(sums) < 2:
        return float("nan")
    times = np.random.default_rng(_SEED).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=_DRAWS)
    total, n = (times @ sums).T
    return float(np.std(total[n > 0] / n[n > 0], ddof=1))


@dataclass(frozen=True, slots=True)
class Spread:
    """How far estimates are from the truth, natural log units.

    Attributes
    ----------
    n : int
        Concentrations above 0.
    bias, error : float
        Mean log ratio to the truth, and its standard error, by lots.
    observed, told : float
        Standard deviation around that mean, and root mean square of what the budgets say.
    """

    n: int
    bias: float
    error: float
    observed: float
    told: float


def spread(rows: Frame) -> Spread:
    """Compare errors with what was told of them, where there are cells."""
    some = rows[(rows["estimate"] > 0) & (rows["truth"] > 0)]
    ratio = np.log(some["estimate"] / some["truth"])
    return Spread(
        len(some), ratio.mean(), cluster_error(some, ratio), ratio.std(), float(np.sqrt((some["log_sd"] ** 2).mean()))
    )


def bin_name(start: float, end: float) -> str:
    """Return 20–50, or 1,000 up."""
    return f"{start:,.0f} up" if np.isinf(end) else f"{start:,.0f}–{end:,.0f}"


def many(rows: Frame) -> Frame:
    """Return where enough cells are expected."""
    return rows[rows["expected"] >= MANY]


def few(rows: Frame) -> Frame:
    """Return the others."""
    return rows[rows["expected"] < MANY]


def width_ratios(rows: Frame) -> dict[str, float]:
    """Return the width of each peer's intervals over that of ours, mean of all tubes."""
    ours = rows[upper(OURS)] - rows[lower(OURS)]
    return {peer: float(((rows[upper(peer)] - rows[lower(peer)]) / ours).mean()) for peer in PEERS}


def reasons(rows: Frame) -> Counter[str]:
    """Count specimens that are for review by each flag that stands on loud concentrations alone."""
    loud = rows["severity"].isin(LOUD)
    quiet = {flag for text in rows.loc[~loud, "flags"] for flag in text.split(";")}
    found: dict[str, set[tuple[int, str]]] = {}
    for trial, specimen, text in rows.loc[loud, ["trial", "specimen", "flags"]].itertuples(index=False):
        for flag in set(text.split(";")) - quiet:
            found.setdefault(flag, set()).add((trial, specimen))
    return Counter({flag: len(which) for flag, which in sorted(found.items())})
