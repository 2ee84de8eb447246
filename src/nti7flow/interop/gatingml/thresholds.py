"""Bounds on a scale that Gating-ML does not have, as bounds on scale values that hold exactly the same events."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import numpy as np
from numpy.typing import NDArray

from nti7flow.events.transforms import Transform

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
#: A double's bits, in the order of the numbers: of those below zero all but the sign are turned.
_REST = (1 << 63) - 1
#: Doubles that are asked for at a time: nine rounds are enough for all there are.
_ASKED = 255
#: Doubles at either side of a guess that are looked at first.
_NEAR = 1 << 15


def _doubles(places: list[int]) -> Floats:
    return np.array([p if p >= 0 else p ^ _REST for p in places], np.int64).view(np.float64)


def _place(value: float) -> int:
    bits = int(np.float64(value).view(np.int64))
    return bits if bits >= 0 else bits ^ _REST


def first_double(holds: Callable[[Floats], Bools], guess: float = 0.0) -> float | None:
    """Return the smallest double for which a condition holds that holds for all larger ones; None where for none.

    Found among all doubles from minus to plus infinity, by dividing them into equal parts over and over. A good guess
    saves most of that.
    """
    low, high = _place(-inf), _place(inf)
    near = min(max(_place(guess), low), high)  # NaN lies beyond infinity
    around = [max(near - _NEAR, low), min(near + _NEAR, high)]
    below, above, somewhere = holds(np.append(_doubles(around), inf))
    if not somewhere:
        return None
    if above and not below:
        low, high = around
    while low < high:
        places = sorted({low + (high - low) * i // _ASKED for i in range(_ASKED)})
        answers = holds(_doubles(places))
        first = int(np.argmax(answers)) if answers.any() else len(places)
        low, high = (low if first == 0 else places[first - 1] + 1), (high if first == len(places) else places[first])
    found = float(_doubles([low])[0])
    return 0.0 if found == 0.0 else found  # not -0.0, which is the same number


def raw_bounds(transform: Transform, low: float | None, high: float | None) -> tuple[float | None, float | None] | None:
    """Return bounds of scale values x with ``low <= transform(x) < high``; None where there is no such x.

    Parameters
    ----------
    transform : Transform
        Rises or stays; what is NaN on it lies below what is not.
    low, high : float or None
        Display units. None is no bound.
    """

    def at(x: Floats) -> Floats:
        with np.errstate(all="ignore"):  # the largest doubles overflow
            return transform.apply(x)

    if low is None and high is None:
        return None, None
    # Without a lower bound only NaN has to be kept out, which is outside of any bound.
    with np.errstate(all="ignore"):
        guesses = [float(v) for v in transform.inverse([0.0 if bound is None else bound for bound in (low, high)])]
    raw_low = first_double(lambda x: at(x) >= low if low is not None else ~np.isnan(at(x)), guesses[0])
    if raw_low is None:
        return None
    raw_high = None if high is None else first_double(lambda x: at(x) >= high, guesses[1])
    if raw_high is not None and raw_low >= raw_high:
        return None
    if low is None and raw_low == -inf and raw_high is not None:
        return None, raw_high
    return raw_low, raw_high
