"""A threshold on a scale that Gating-ML lacks becomes one of scale values, to the last bit."""

from math import inf, nan, nextafter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from writer_cases import FLOWJO, SCALES

from nti7flow.events.transforms import FlowJoBiex, FlowJoLog, Linear, Log
from nti7flow.interop.gatingml.thresholds import first_double, raw_bounds

DOUBLES = st.floats(allow_nan=False)


@given(limit=DOUBLES, guess=st.floats())
def test_the_first_double_is_found_whatever_it_is(limit, guess):
    assert first_double(lambda x: x >= limit, guess) == limit
    assert first_double(lambda x: x > limit, guess) == (None if limit == inf else nextafter(limit, inf))


def test_no_double_and_every_double():
    assert first_double(lambda x: x > inf) is None
    assert first_double(lambda x: x >= -inf) == -inf
    assert str(first_double(lambda x: x >= -0.0)) == "0.0"
    assert first_double(lambda x: x >= 1.0, nan) == 1.0


@given(scale=st.sampled_from((*SCALES, *FLOWJO)), low=st.floats(0.05, 0.5), width=st.floats(0.01, 0.4))
def test_the_same_values_lie_within(scale, low, width):
    """Also right at the bounds: at each, the double below it is on the other side."""
    top = 4096.0 if isinstance(scale, FlowJoBiex) else 1.0
    low, high = low * top, (low + width) * top
    raw_low, raw_high = raw_bounds(scale, low, high)
    assert scale.apply([raw_low])[0] >= low > scale.apply([nextafter(raw_low, -inf)])[0]
    assert scale.apply([raw_high])[0] >= high > scale.apply([nextafter(raw_high, -inf)])[0]


def test_worked_by_hand():
    """FlowJo's log scale shows all below its offset at 0: 10^(4 y) x 10, and y = 0.5 lies at 1000."""
    scale = FlowJoLog(10.0, 4.0)
    assert raw_bounds(scale, 0.5, 0.75) == pytest.approx((1000.0, 10000.0), rel=1e-15)
    assert raw_bounds(scale, None, 0.5) == (None, pytest.approx(1000.0, rel=1e-15))
    assert raw_bounds(scale, None, None) == (None, None)
    assert raw_bounds(scale, 0.0, 0.5)[0] == -inf  # whatever is a number
    assert raw_bounds(scale, -1.0, 0.0) is None  # nothing lies below 0


def test_beyond_the_ends_of_a_table():
    scale = FlowJoBiex()
    assert raw_bounds(scale, 4097.0, None) is None
    assert raw_bounds(scale, 100.0, 5000.0)[1] is None
    assert raw_bounds(scale, None, 5000.0) == (-inf, None)  # all but what is no number


def test_what_has_no_place_on_the_scale_is_below():
    """A logarithm of a negative value is no number, and within no bounds."""
    low, high = raw_bounds(Log(1000.0, 3.0), None, 0.5)
    assert -1e-300 < low <= 0.0  # what is so near 0 that a thousandth of it is 0
    assert high == pytest.approx(1000.0 * 10**-1.5, rel=1e-14)
    assert raw_bounds(Linear(1.0, 0.0), 2.0, 3.0) == (2.0, 3.0)


def test_bounds_between_which_no_double_lies():
    assert raw_bounds(Linear(1e-300, 0.0), 1e-20, np.nextafter(1e-20, 1.0)) is None
