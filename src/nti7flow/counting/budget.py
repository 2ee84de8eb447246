"""What makes a concentration uncertain, part by part."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

#: Components that come of counting.
CELLS, BEADS = "cells", "beads"


@dataclass(frozen=True, slots=True)
class Error:
    """A multiplicative error.

    Attributes
    ----------
    component : str
        What it is of: ``bead_lot``, ``pipetting``, ``volume``, ``hematology``, ``gating``, ``bead_gating``,
        ``doublets``, ``anchor``.
    sd : float
        Standard deviation, natural log units: about the coefficient of variation.
    shared : str
        What it is shared with: measurements with the same component and the same text here are wrong together, such as
        those with beads of one lot. Empty for an error of one tube alone.
    """

    component: str
    sd: float
    shared: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.sd) and self.sd >= 0):
            raise ValueError(f"the error of {self.component} has the standard deviation {self.sd}; expected 0 or more")


@dataclass(frozen=True, slots=True)
class Part:
    """A row of the table ``budget``: a component, its coefficient of variation and its share of the log-variance."""

    component: str
    cv_percent: float
    share_percent: float

    @property
    def variance(self) -> float:
        """Variance on the natural log scale."""
        return log_variance(self.cv_percent / 100)


def log_sd(cv: float) -> float:
    """Return the standard deviation on the natural log scale of a log-normal with a coefficient of variation."""
    return math.sqrt(log_variance(cv))


def log_variance(cv: float) -> float:
    """Return the variance on the natural log scale of a log-normal with a coefficient of variation."""
    return math.log1p(cv * cv)


def cv_percent(variance: float) -> float:
    """Return the coefficient of variation, %, of a log-normal with a variance on the natural log scale."""
    return 100 * math.sqrt(math.expm1(variance))


def total_sd(errors: Iterable[Error]) -> float:
    """Return the standard deviation of all errors together, natural log units."""
    return math.sqrt(math.fsum(error.sd * error.sd for error in errors))


def pooled_errors(errors: Sequence[Sequence[Error]], weights: Sequence[float]) -> tuple[Error, ...]:
    """Return the errors of a weighted mean of measurements.

    Errors of one tube alone partly cancel (variances add with squared weights); shared ones do not.

    Parameters
    ----------
    errors : sequence of sequences of Error
        Of each measurement.
    weights : sequence of float
        Of each measurement; their sum is 1.
    """
    together: dict[tuple[str, str, int], float] = {}
    for number, (each, weight) in enumerate(zip(errors, weights, strict=True)):
        for error in each:
            alone = -1 if error.shared else number
            key = (error.component, error.shared, alone)
            together[key] = together.get(key, 0.0) + weight * error.sd
    variances: dict[tuple[str, str], float] = {}
    for (component, shared, _), sd in together.items():
        variances[component, shared] = variances.get((component, shared), 0.0) + sd * sd
    return tuple(Error(component, math.sqrt(v), shared) for (component, shared), v in variances.items())


def by_component(errors: Iterable[Error]) -> Mapping[str, float]:
    """Return the standard deviation of each component, natural log units."""
    variances: dict[str, float] = {}
    for error in errors:
        variances[error.component] = variances.get(error.component, 0.0) + error.sd**2
    return {component: math.sqrt(variance) for component, variance in variances.items()}


def budget(n_events: int, reference: float, errors: Iterable[Error], *, kind: str) -> tuple[Part, ...]:
    """Return the components of the uncertainty of a concentration, the largest first.

    The parts of counting are those of the delta method, 1/n for Poisson counts and (1 − p)/(n p) for a share; with no
    event at all, one is taken: the interval does not use them, they only say what dominates.

    Parameters
    ----------
    n_events : int
        Events of the population.
    reference : float
        What they are counted against, as in `central_interval`.
    errors : iterable of Error
        All others.
    kind : {"beads", "volume", "share"}
        What the reference is.
    """
    n = max(n_events, 1)
    variances = {CELLS: 1 / n - 1 / reference if kind == "share" else 1 / n}
    if kind == "beads":
        variances[BEADS] = 1 / reference
    variances = {name: max(variance, 0.0) for name, variance in variances.items()}
    variances |= {name: sd * sd for name, sd in by_component(errors).items()}
    total = math.fsum(variances.values())
    parts = [
        Part(name, cv_percent(variance), 100 * variance / total if total else 0.0)
        for name, variance in variances.items()
    ]
    return tuple(sorted(parts, key=lambda part: (-part.share_percent, part.component)))
