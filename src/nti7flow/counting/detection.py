"""From which count on a population is told from nothing, and from which on its concentration is firm (CLSI EP17-A2)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nti7flow.gating.doubt import poisson_quantile

#: Probability of a blank below the limit of blank, and of a population at the limit of detection above it.
PROBABILITY = 0.95


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one population in one tube: events in its gate, those of the background among them.

    Attributes
    ----------
    blank : float
        No more events than this come of the background alone, in 95 of 100 tubes.
    detection : float
        Expected events with a population that is above the limit of blank in 95 of 100 tubes.
    quantification : float
        Expected events from which on the coefficient of variation of the concentration is within what is asked;
        infinite where the other errors alone are larger.
    """

    blank: float
    detection: float
    quantification: float


def detection_limits(background: float, sd: float, *, cv: float, least: float = 0.0, gating_sd: float = 0.0) -> Limits:
    """Return the limits of blank, of detection and of quantification.

    Parameters
    ----------
    background : float
        Events expected without a single cell of the population.
    sd : float
        Standard deviation of everything but the count of cells, natural log units.
    cv : float
        Largest coefficient of variation of a quantified concentration, as a fraction.
    least : float, optional
        Events below which nothing is quantified, whatever the coefficient of variation.
    gating_sd : float, optional
        Events that the places of the gates leave open, standard deviation, where it is no part of ``sd``.

    Examples
    --------
    Without background and other errors: 3.0 expected events are seen in 95 of 100 tubes, and 25 have a CV of 20 %.

    >>> limits = detection_limits(0.0, 0.0, cv=0.20)
    >>> limits.blank, round(limits.detection, 2), round(limits.quantification, 1)
    (0, 3.0, 25.0)
    """
    from scipy.special import gammaincinv

    blank = poisson_quantile(PROBABILITY, background) if background > 0 else 0
    detection = float(gammaincinv(blank + 1, PROBABILITY))
    left = cv * cv - sd * sd
    # What is in the gate scatters with its own n cells and with those of the background: (n + b + g²)/n² + sd² = cv².
    others = background + gating_sd * gating_sd
    by_cv = background + (1 + math.sqrt(1 + 4 * left * others)) / (2 * left) if left > 0 else math.inf
    return Limits(blank, detection, max(by_cv, detection, least))
