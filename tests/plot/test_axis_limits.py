"""Axes show events and gates, and no more."""

import numpy as np
import pytest

from nti7flow.events.transforms import Arcsinh, Linear, Log, Logicle
from nti7flow.gating.histogram import Axis
from nti7flow.plot.view import LEAST_DECADES, axis_limits


def limits(counts, transform, *, low=0.0, high=1.0, bounds=(), ends=(), padding=(0.05, 0.05)):
    axis = Axis("x", low, high, len(counts))
    return axis_limits(axis, np.array(counts), transform, bounds=bounds, ends=ends, padding=padding)


def events(first, last, n_bins=100):
    counts = np.zeros(n_bins, int)
    counts[first:last] = 100
    return counts


def test_padding_is_a_share_of_the_range_of_the_events():
    assert limits(events(20, 80), Logicle(), padding=(0.1, 0.2)) == pytest.approx((0.2 - 0.06, 0.8 + 0.12))


def test_a_few_stray_events_below_do_not_stretch_the_axis_those_above_do():
    stray = events(50, 99)
    stray[2] = 10
    assert limits(stray, Logicle())[0] > 0.4
    stray = events(1, 50)
    stray[97] = 10
    assert limits(stray, Logicle())[1] > 0.97


def test_end_bins_hold_what_lies_beyond_and_do_not_count():
    beyond = events(40, 95)
    beyond[[0, -1]] = 1_000
    assert limits(beyond, Logicle()) == pytest.approx(limits(events(40, 95), Logicle()))


@pytest.mark.parametrize(("transform", "decade"), [(Logicle(), 1 / 4.5), (Arcsinh(m=4, a=1), 1 / 5), (Log(m=5), 1 / 5)])
def test_a_narrow_population_is_shown_on_two_decades(transform, decade):
    low, high = limits(events(60, 65), transform)
    assert high - low == pytest.approx(LEAST_DECADES * decade)
    assert low < 0.6 and high > 0.65


def test_linear_axes_begin_at_zero_unless_there_are_events_below():
    transform = Linear(1e5, 2e4)
    zero = float(transform.apply(0))
    assert limits(events(40, 80), transform)[0] == zero
    assert limits(events(2, 80), transform)[0] < 0.02


def test_thresholds_keep_their_distance_from_the_ends():
    low, high = limits(events(20, 60), Logicle(), bounds=[0.9])
    assert low < 0.2 and (high - 0.9) / (high - low) > 0.15


def test_polygons_are_seen_whole():
    low, high = limits(events(20, 60), Logicle(), ends=[0.1, 0.7])
    assert low < 0.1 and high > 0.7


def test_no_events_show_the_whole_axis():
    low, high = limits(np.zeros(100, int), Logicle())
    assert low < 0 and high > 1
