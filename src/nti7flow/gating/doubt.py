"""How many events are worth a second look, and how many are none at all."""

from __future__ import annotations

import math

#: No more events than the background explains with this probability: the population is absent, not hard to place.
ABSENT_PROBABILITY = 0.99
#: Fewer events than this beyond the edge of the negative are no population: a few stray ones are in any tube.
LEAST_POSITIVE = 5
#: What may be left open of a count without a second look: this share of it, what counting itself leaves open (its
#: square root), and a few events.
SHARE, FEWEST = 0.05, 3


def allowance(n_events: int) -> float:
    """Events that may be in doubt, of so many, before a person should look."""
    return max(SHARE * n_events, math.sqrt(n_events), FEWEST)


def poisson_quantile(probability: float, mean: float) -> int:
    """Return the smallest count that a Poisson variable does not exceed with this probability."""
    from scipy.special import pdtr

    low, high = -1, math.ceil(mean + 10 * math.sqrt(mean)) + 10  # far beyond any quantile asked for
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if pdtr(middle, mean) >= probability else (middle, high)
    return high
