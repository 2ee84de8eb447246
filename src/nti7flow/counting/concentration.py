"""Counts of a specimen as cells per microlitre, each with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nti7flow.counting.budget import Error, Part, budget, cv_percent, log_sd, pooled_errors, total_sd
from nti7flow.counting.detection import Limits, detection_limits
from nti7flow.counting.intervals import central_interval, log_likelihood
from nti7flow.counting.reference import Reference
from nti7flow.counting.settings import CountingSettings
from nti7flow.gating.strategy import Severity, Status, worst

#: Flag of a concentration that is too low to be quantified in this tube.
BELOW_LLOQ = "below_lloq"
#: Flag of tubes of one specimen whose concentrations differ by more than their errors explain.
REPLICATES_DIFFER = "replicates_differ"
#: Probability below which a difference between tubes is no chance.
HETEROGENEITY = 0.01


@dataclass(frozen=True, slots=True)
class Tally:
    """Events of one population in one tube, and what they are counted against.

    Attributes
    ----------
    sample : str
        The tube.
    n_events : int
        Events of the population.
    reference : Reference
        What they are counted against.
    gating_sd : float
        Events that the places of the gates leave open, standard deviation.
    background : float
        Events that may be of something else.
    flags, severity, status
        Of the count.
    """

    sample: str
    n_events: int
    reference: Reference
    gating_sd: float = 0.0
    background: float = 0.0
    flags: tuple[str, ...] = ()
    severity: Severity = ""
    status: Status = "ok"

    @property
    def gating(self) -> Error:
        """The places of the gates as a multiplicative error of this tube alone."""
        return gating_error(self.gating_sd, self.n_events)

    @property
    def errors(self) -> tuple[Error, ...]:
        """All errors but counting."""
        return (*self.reference.errors, self.gating)


def gating_error(gating_sd: float, n_events: int) -> Error:
    """Return events that the places of the gates leave open, out of so many, as a multiplicative error."""
    return Error("gating", log_sd(gating_sd / max(n_events, 1)))


@dataclass(frozen=True)
class Concentration:
    """Cells per microlitre of one population in one specimen, with interval, or why there is none.

    Attributes
    ----------
    cells_per_ul, lower, upper : float or None
        Estimate and limits of the interval; None where there is nothing to count against, or no count.
    level : float
        Of the interval.
    method : str
        How it was found; empty where it was not.
    samples : tuple of str
        Tubes that it rests on.
    n_events : int or None
        Events of the population in them.
    reference : Reference or None
        What they were counted against, pooled over the tubes.
    background : float
        Events among them that may be of something else.
    limits : Limits or None
        Of blank, detection and quantification; events.
    parts : tuple of Part
        Budget of the uncertainty.
    heterogeneity : float or None
        Probability of tubes as different as these by their errors; None for a single tube.
    flags, severity, status
        Worst of its tubes, and its own.
    """

    population: str
    cells_per_ul: float | None
    lower: float | None
    upper: float | None
    level: float
    method: str = ""
    samples: tuple[str, ...] = ()
    n_events: int | None = None
    reference: Reference | None = None
    background: float = 0.0
    limits: Limits | None = None
    parts: tuple[Part, ...] = ()
    heterogeneity: float | None = None
    flags: tuple[str, ...] = ()
    severity: Severity = ""
    status: Status = "ok"
    errors: tuple[Error, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        values = (self.lower, self.cells_per_ul, self.upper)
        if None in values:
            if any(value is not None for value in values):
                raise ValueError(f"{self.population}: a concentration has an interval, and an interval a concentration")
            return
        lower, value, upper = (float(v) for v in values if v is not None)
        if not 0 <= lower <= value <= upper < math.inf:
            raise ValueError(f"{self.population}: expected 0 <= lower <= cells/µL <= upper, found {values}")

    @property
    def below_lloq(self) -> bool:
        """Whether it is too low to be quantified."""
        return BELOW_LLOQ in self.flags

    @property
    def log_sd(self) -> float:
        """Standard deviation on the natural log scale, counting included: what it brings to whatever rests on it."""
        return math.sqrt(math.fsum(part.variance for part in self.parts))

    @property
    def cv_percent(self) -> float | None:
        """Coefficient of variation of all components together, %; None where there are none."""
        return cv_percent(self.log_sd**2) if self.parts else None

    def in_cells_per_ul(self, n_events: float) -> float | None:
        """Return what so many events would stand for."""
        return None if self.reference is None else n_events * self.reference.cells_per_ul_of_one


def concentrate(tallies: Mapping[str, Sequence[Tally]], settings: CountingSettings) -> dict[str, Concentration]:
    """Return the concentration of every population of a specimen out of what its tubes counted.

    Tubes are pooled by likelihood: events are Poisson with the volume of blood that each tube looked at as exposure, so
    that the estimate is all events over all volumes. Errors of one tube cancel in part, those of a shared lot do not.

    Parameters
    ----------
    tallies : Mapping of str to sequence of Tally
        By population; all tubes of a population are counted by one method.
    settings : CountingSettings
        Level, and what is quantified.
    """
    pooled = {population: pool(each) for population, each in tallies.items()}
    errors = {population: errors_of(each) for population, each in tallies.items()}
    found = {}
    for kind in {tally.reference.kind for tally in pooled.values()}:
        names = [name for name, tally in pooled.items() if tally.reference.kind == kind]
        lower, upper = central_interval(
            [pooled[name].n_events for name in names],
            [pooled[name].reference.amount for name in names],
            [total_sd(errors[name]) for name in names],
            kind=kind,
            level=settings.level,
            background=[pooled[name].background for name in names],
        )
        for name, low, high in zip(names, lower.tolist(), upper.tolist(), strict=True):
            found[name] = _concentration(name, tallies[name], pooled[name], errors[name], (low, high), settings)
    return {name: found[name] for name in tallies}


def pool(tallies: Sequence[Tally]) -> Tally:
    """Return several tubes as one: events and what they are counted against are added up."""
    if len(tallies) == 1:
        return tallies[0]
    first = tallies[0].reference
    volumes = [tally.reference.amount / tally.reference.cells_per_ul for tally in tallies]
    amount = math.fsum(tally.reference.amount for tally in tallies)
    reference = Reference(first.method, amount, amount / math.fsum(volumes), (), _inputs(tallies))
    return Tally(
        ";".join(tally.sample for tally in tallies),
        sum(tally.n_events for tally in tallies),
        reference,
        math.sqrt(math.fsum(tally.gating_sd**2 for tally in tallies)),
        math.fsum(tally.background for tally in tallies),
        tuple(dict.fromkeys(flag for tally in tallies for flag in tally.flags)),
        worst(*(tally.severity for tally in tallies)),
        next((tally.status for tally in tallies if tally.status != "ok"), "ok"),
    )


def _inputs(tallies: Sequence[Tally]) -> dict[str, float | str]:
    """Return the inputs of pooled tubes: what is the same in all once, the others by tube."""
    every = [tally.reference.inputs for tally in tallies]
    same = {key: value for key, value in every[0].items() if all(each.get(key) == value for each in every)}
    others = {
        f"{tally.sample}:{key}": value
        for tally, each in zip(tallies, every, strict=True)
        for key, value in each.items()
        if key not in same
    }
    return {**same, **others}


def errors_of(tallies: Sequence[Tally]) -> tuple[Error, ...]:
    """Return the errors of tubes that are pooled: each weighs as much as the blood that it looked at.

    What the gates leave open is known in events, and adds up as events do.
    """
    volumes = np.array([tally.reference.amount / tally.reference.cells_per_ul for tally in tallies])
    of_references = pooled_errors([tally.reference.errors for tally in tallies], (volumes / volumes.sum()).tolist())
    return (*of_references, pool(tallies).gating)


def _concentration(
    population: str,
    tallies: Sequence[Tally],
    pooled: Tally,
    errors: tuple[Error, ...],
    limits_of_rate: tuple[float, float],
    settings: CountingSettings,
) -> Concentration:
    reference, n_events = pooled.reference, pooled.n_events
    parts = budget(n_events, reference.amount, errors, kind=reference.kind)
    of_reference = 1 / reference.amount if reference.kind == "beads" else 0.0
    sd = math.sqrt(total_sd(errors) ** 2 + of_reference)
    limits = _limits(pooled, sd, settings)
    probability = heterogeneity(tallies)
    flags, severity = list(pooled.flags), pooled.severity
    if n_events < limits.quantification:
        flags.append(BELOW_LLOQ)
        severity = worst(severity, "info")
    if probability is not None and probability < HETEROGENEITY:
        flags.append(REPLICATES_DIFFER)
        severity = worst(severity, "review")
    estimate = n_events * reference.cells_per_ul_of_one
    lower, upper = (rate * reference.cells_per_ul for rate in limits_of_rate)
    return Concentration(
        population,
        estimate,
        min(lower, estimate),
        max(upper, estimate),
        settings.level,
        reference.method,
        tuple(tally.sample for tally in tallies),
        n_events,
        reference,
        pooled.background,
        limits,
        parts,
        probability,
        tuple(flags),
        severity,
        pooled.status,
        errors,
    )


def _limits(pooled: Tally, sd: float, settings: CountingSettings) -> Limits:
    """Return the limits of detection and quantification.

    How many events the gates would leave open of another count is not known. Either as many, or as large a part: of
    this count both say the same, that it is below the limit or not. The lower limit is given; the other may be infinite
    where there are few events and the gates leave open all of them.
    """
    options = {"cv": settings.lloq_cv, "least": settings.lloq_events}
    as_part = detection_limits(pooled.background, sd, **options)
    without = math.sqrt(max(sd**2 - pooled.gating.sd**2, 0.0))
    as_events = detection_limits(pooled.background, without, gating_sd=pooled.gating_sd, **options)
    return min(as_part, as_events, key=lambda limits: limits.quantification)


def heterogeneity(tallies: Sequence[Tally]) -> float | None:
    """Return the probability of tubes at least as different by their own errors; None for a single one.

    Twice the log ratio of the likelihood of one concentration for each tube to that of one for all, which is
    chi-squared with one degree of freedom less than there are tubes (Wilks, Ann. Math. Stat. 1938). Errors that the
    tubes share cancel.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import chdtrc

    if len(tallies) < 2 or not any(tally.n_events for tally in tallies):
        return None
    shared = _shared(tallies)

    def loss(u: float, of: Sequence[Tally]) -> float:
        return -math.fsum(_log_likelihood(tally, u, shared) for tally in of)

    ends = [math.log((tally.n_events + 1) * tally.reference.cells_per_ul_of_one) for tally in tallies]
    bounds = (min(ends) - 10, max(ends) + 3)

    def best(of: Sequence[Tally]) -> float:
        return float(minimize_scalar(loss, bounds=bounds, args=(of,), method="bounded", options={"xatol": 1e-7}).fun)

    ratio = best(tallies) - math.fsum(best([tally]) for tally in tallies)
    return float(chdtrc(len(tallies) - 1, max(2 * ratio, 0.0)))


def _shared(tallies: Sequence[Tally]) -> set[tuple[str, str]]:
    """Errors that all tubes have in common."""
    every = [{(error.component, error.shared) for error in tally.errors if error.shared} for tally in tallies]
    return set.intersection(*every)


def _log_likelihood(tally: Tally, log_cells_per_ul: float, shared: set[tuple[str, str]]) -> float:
    reference = tally.reference
    own = [error for error in tally.errors if (error.component, error.shared) not in shared]
    rate = math.exp(log_cells_per_ul) / reference.cells_per_ul
    likelihood = log_likelihood(tally.n_events, reference.amount, total_sd(own), rate, kind=reference.kind)
    return float(likelihood[0])
