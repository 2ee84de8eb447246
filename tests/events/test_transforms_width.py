"""The width that suits a logicle scale, chosen from a channel's negative values."""

from math import log10

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nti7flow.events.transforms import Logicle, logicle_width


def test_width_by_hand():
    """100 negatives from -1 to -100: the 5th percentile is -95.05.

    w = (4.5 - log10(262144 / 95.05)) / 2 = (4.5 - 3.4406) / 2 = 0.530, rounded up to 0.75.
    """
    negatives = -np.arange(1.0, 101.0)
    assert (4.5 - log10(262144 / 95.05)) / 2 == pytest.approx(0.5297, abs=1e-4)
    assert logicle_width(negatives, 262144.0, 4.5) == 0.75


@pytest.mark.parametrize(
    ("reference", "width"),
    [(1.0, 0.5), (80.0, 0.5), (200.0, 0.75), (1000.0, 1.25), (5000.0, 1.5), (100_000.0, 2.0), (1e9, 2.0)],
)
def test_width_follows_the_negatives(reference, width):
    """Between 0.5 and m / 2 - 0.25 in steps of 0.25."""
    assert logicle_width(np.full(50, -reference), 262144.0, 4.5) == width


def test_few_or_no_negatives_leave_the_width_alone():
    assert logicle_width(np.empty(0), 262144.0, 4.5) == 0.5
    assert logicle_width(np.full(19, -1e4), 262144.0, 4.5) == 0.5
    assert logicle_width(np.full(20, -0.0), 262144.0, 4.5) == 0.5


@given(
    negatives=arrays(np.float64, st.integers(0, 60), elements=st.floats(-1e6, 0.0)),
    t=st.floats(1.0, 1e8),
    m=st.floats(0.5, 8.0),
)
def test_any_width_makes_a_logicle(negatives, t, m):
    assert 0.0 <= Logicle(t, logicle_width(negatives, t, m), m).w <= m / 2
