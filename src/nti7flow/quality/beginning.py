"""Carry-over: cells of the tube before, washed in at the beginning.

They are too few to shift any channel's signal, and yet may be a tenth of the lymphocytes where these are rare. What
shows them is that a population makes up more of the first events than of all later ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nti7flow.quality.findings import Finding

Floats = NDArray[np.float64]

#: Name of the finding.
CARRY_OVER = "time_carry_over"
#: The beginning is at most this share of the events.
LONGEST = 0.15
#: Steps in which its end is looked for, events: cells come in at random, single ones tell nothing.
STEP = 100
#: Carry-over fades out: where a burst with an even rate would end, a quarter of it is still to come.
FADING = 2.0
#: Twice the log-likelihood ratio that chance does not reach in one clean tube of a thousand, over all ends.
EVIDENCE = 13.0
#: An excess of a smaller share of the population changes no count by what counting does not.
LEAST_SHARE = 0.01
#: Leaving out more than this share of the events is for review.
MUCH = 0.05


@dataclass(frozen=True, slots=True)
class Burst:
    """A beginning with too many events of a population.

    Attributes
    ----------
    end_s : float
        When it is over, seconds.
    n_excess : float
        Events of the population beyond what its later share lets expect.
    n_events : int
        Events of any kind before its end.
    evidence : float
        Twice the log-likelihood ratio against an even share.
    """

    end_s: float
    n_excess: float
    n_events: int
    evidence: float

    def finding(self, population: str, n_total: int) -> Finding:
        """Say so: for review where more than a few percent of the tube are left out for it."""
        return Finding(
            CARRY_OVER,
            round(self.n_excess, 1),
            None,
            "review" if self.n_events > MUCH * n_total else "info",
            self.n_events,
            note=f"{population} until {self.end_s:.2f} s",
        )


def find_burst(seconds: Floats, in_population: NDArray[np.bool_]) -> Burst | None:
    """Find whether a population is over-represented among the first events of a tube.

    For every end of the beginning the share of the population before and after is compared (a binomial likelihood
    ratio); the end with the largest one is taken, and the beginning extended by as much again: carry-over fades out.

    Parameters
    ----------
    seconds : ndarray of float64, shape (n_events,)
        Time of every event, in any order.
    in_population : ndarray of bool, shape (n_events,)
        Which of them are in the population.

    Returns
    -------
    Burst or None
        None where nothing speaks for one.
    """
    order = np.argsort(seconds, kind="stable")
    times, inside = seconds[order], in_population[order]
    n, total = len(times), int(inside.sum())
    ends = np.arange(STEP, int(LONGEST * n) + 1, STEP)
    if not len(ends) or total == 0:
        return None
    before = np.cumsum(inside)[ends - 1].astype(np.float64)
    after = total - before
    share_before, share_after = before / ends, after / (n - ends)
    evidence = 2 * (
        _log_likelihood(before, ends) + _log_likelihood(after, n - ends) - _log_likelihood(before + after, n)
    )
    evidence[share_before <= share_after] = 0.0
    best = int(evidence.argmax())
    n_excess = float(before[best] - share_after[best] * ends[best])
    if evidence[best] < EVIDENCE or n_excess < LEAST_SHARE * total:
        return None
    n_events = min(int(FADING * ends[best]), n - 1)
    return Burst(float(times[n_events]), n_excess, n_events, float(evidence[best]))


def _log_likelihood(found: Floats, of: NDArray[np.int_] | int) -> Floats:
    """Largest log-likelihood of so many events found among so many."""
    from scipy.special import xlogy

    return np.asarray(xlogy(found, found / of) + xlogy(of - found, 1 - found / of))
