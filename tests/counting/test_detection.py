"""Limits of blank, detection and quantification: against the Poisson of SciPy, and against simulated tubes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nti7flow.counting.detection import detection_limits

backgrounds = st.floats(0, 500)


@pytest.mark.parametrize("background", [0.0, 0.02, 0.5, 1.0, 3.3, 20.0, 250.0])
def test_blank_and_detection_are_quantiles_of_the_poisson(background):
    limits = detection_limits(background, 0.03, cv=0.2)
    assert limits.blank == (stats.poisson.ppf(0.95, background) if background else 0)
    assert stats.poisson.sf(limits.blank, limits.detection) == pytest.approx(0.95, abs=1e-9)


def test_quantification_by_hand():
    """No other error: 25 events have a CV of 20 %. With one of 10 %, 1 / (0.04 - 0.01) = 33.3 are needed."""
    assert detection_limits(0.0, 0.0, cv=0.20).quantification == pytest.approx(25)
    assert detection_limits(0.0, 0.1, cv=0.20).quantification == pytest.approx(100 / 3)


def test_background_is_among_the_events_that_are_asked_for():
    """Twelve cells of background: 33.9 of its own, for (33.9 + 12) / 33.9² = 0.04, are 45.9 events in the gate.

    A count of 35 would be 23 cells with a standard deviation of 5.9, a CV of 26 %.
    """
    limits = detection_limits(12.0, 0.0, cv=0.20)
    own = limits.quantification - 12
    assert (own + 12) / own**2 == pytest.approx(0.04)
    assert limits.quantification == pytest.approx(45.9, abs=0.05)


@pytest.mark.parametrize(("background", "sd", "gating_sd"), [(0, 0.05, 0), (4, 0.05, 0), (15, 0.1, 0), (4, 0.05, 6)])
def test_at_the_limit_simulated_tubes_have_the_coefficient_of_variation(background, sd, gating_sd):
    limits = detection_limits(background, sd, cv=0.20, gating_sd=gating_sd)
    rng = np.random.default_rng(11)
    events = rng.poisson(limits.quantification, 400_000) + rng.normal(0, gating_sd, 400_000)
    own = (events - background) * rng.lognormal(0, sd, 400_000)
    assert own.std() / own.mean() == pytest.approx(0.20, rel=0.03)


def test_errors_beyond_what_is_asked_leave_nothing_to_quantify():
    assert math.isinf(detection_limits(0.0, 0.2, cv=0.2).quantification)
    assert math.isinf(detection_limits(3.0, 0.5, cv=0.2).quantification)


def test_least_events_go_before_the_coefficient_of_variation():
    assert detection_limits(0.0, 0.0, cv=0.2, least=50).quantification == 50
    assert detection_limits(0.0, 0.0, cv=0.2, least=10).quantification == pytest.approx(25)


@given(backgrounds, backgrounds, st.floats(0, 0.3), st.floats(0, 0.3), st.floats(0, 30), st.floats(0.05, 0.5))
def test_limits_are_in_order_and_rise_with_every_error(b, more_b, sd, more_sd, gating_sd, cv):
    limits = detection_limits(b, sd, cv=cv)
    assert 0 <= limits.blank < limits.detection <= limits.quantification
    worse = detection_limits(b + more_b, sd + more_sd, cv=cv, gating_sd=gating_sd)
    assert worse.blank >= limits.blank
    assert worse.detection >= limits.detection - 1e-9
    assert worse.quantification >= limits.quantification - 1e-9
