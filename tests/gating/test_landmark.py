"""A reference gate that follows its mode."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from toys import histogram_of, place, place_and_judge

from nti7flow.gating.histogram import Histogram
from nti7flow.gating.methods.landmark import find_landmarks

SQUARE = ((0.4, 0.3), (0.6, 0.3), (0.6, 0.5), (0.4, 0.5))
REFERENCE = {"landmark": (0.5, 0.4), "max_shift": 0.15, "vertices": SQUARE}


def cloud(n, x, y, *, seed=1, spread=0.03):
    return np.random.default_rng(seed).normal((x, y), spread, (n, 2))


class TestByHand:
    """Even counts around a centre: the mode is there, and the gate moves by the difference."""

    def test_one_dimension(self):
        values = 0.55 + np.repeat(np.arange(-10, 11) * 0.01, 11 - np.abs(np.arange(-10, 11)))
        placed = place("landmark@1", values, landmark=0.5, max_shift=0.1, bounds=(0.35, None))
        assert placed.lower == pytest.approx(0.40, abs=0.002) and placed.upper is None
        both = place("landmark@1", values, landmark=0.5, max_shift=0.1, bounds=(0.35, 0.6))
        assert (both.lower, both.upper) == pytest.approx((0.40, 0.65), abs=0.002)

    def test_two_dimensions(self):
        steps = np.arange(-6, 7) * 0.01
        grid = np.array([(0.45 + a, 0.47 + b) for a in steps for b in steps if abs(a) + abs(b) < 0.065])
        placed = place("landmark_2d@1", grid, **REFERENCE)
        assert np.array(placed.vertices) - np.array(SQUARE) == pytest.approx(np.tile([-0.05, 0.07], (4, 1)), abs=0.004)
        assert placed.diagnostics["shift"] == pytest.approx([-0.05, 0.07], abs=0.004)


@settings(max_examples=30)
@given(dx=st.integers(-20, 20), dy=st.integers(-20, 20), n=st.sampled_from([60, 500, 2000]), seed=st.integers(0, 10))
def test_a_shifted_histogram_shifts_the_gate_as_far(dx, dy, n, seed):
    """Both by whole bins: the gate moves exactly with the events, as long as the mode stays within reach."""
    histogram = histogram_of(np.concatenate([cloud(n, 0.5, 0.4, seed=seed), cloud(2 * n, 0.1, 0.9, seed=seed + 50)]))
    moved = Histogram(histogram.axes, np.roll(histogram.counts, (dx, dy), axis=(0, 1)))
    shift = np.array([dx, dy]) * histogram.axes[0].width
    home = place("landmark_2d@1", histogram, **(REFERENCE | {"max_shift": 0.2}))
    away = place(
        "landmark_2d@1", moved, **(REFERENCE | {"max_shift": 0.2, "landmark": tuple(np.add((0.5, 0.4), shift))})
    )
    assert home.placed and away.placed
    # The reference itself moved, so the gate stays where it is relative to it: vertices differ by rounding only.
    assert np.array(away.vertices) == pytest.approx(np.array(home.vertices), abs=1e-9)
    followed = place("landmark_2d@1", moved, **(REFERENCE | {"max_shift": 0.2}))
    assume(followed.placed)
    assert np.array(followed.vertices) - np.array(home.vertices) == pytest.approx(np.tile(shift, (4, 1)), abs=0.004)


@given(d=st.integers(-40, 40), n=st.sampled_from([60, 500, 5000]))
def test_bounds_move_as_far_as_the_events(d, n):
    histogram = histogram_of(np.random.default_rng(n).normal(0.5, 0.04, n))
    moved = Histogram(histogram.axes, np.roll(histogram.counts, d))
    options = {"landmark": 0.5, "max_shift": 0.2, "bounds": (0.4, None)}
    home, away = (place("landmark@1", h, **options).lower for h in (histogram, moved))
    assert away - home == pytest.approx(d * histogram.axes[0].width, abs=1e-5)


class TestAgainstAnotherEstimate:
    """The maximum of SciPy's kernel density estimate of the values themselves, never binned."""

    @pytest.mark.parametrize("seed", range(3))
    def test_the_mode_is_where_the_density_is_highest(self, seed):
        from scipy.optimize import minimize
        from scipy.stats import gaussian_kde

        values = np.random.default_rng(seed).gamma(9.0, 0.01, (400, 2)) + np.array([0.4, 0.3])
        histogram = histogram_of(values)
        (mode,) = find_landmarks(histogram, (0.48, 0.38), 0.1, 3.0)
        sigma = float(np.clip(0.045 * (len(values) / 100.0) ** -0.2, 0.015, 0.055))
        density = gaussian_kde(values.T)
        covariance = np.eye(2) * sigma**2
        density.covariance, density.cho_cov = covariance, np.linalg.cholesky(covariance)
        density.log_det = 2 * np.log(np.diag(density.cho_cov * np.sqrt(2 * np.pi))).sum()
        best = minimize(lambda p: -density(p)[0], mode.position, method="Nelder-Mead").x
        assert np.array(mode.position) == pytest.approx(best, abs=histogram.axes[0].width / 2)


class TestWhichMode:
    def test_one_beyond_its_reach_is_another_population(self):
        placed = place("landmark_2d@1", cloud(1000, 0.75, 0.4), **REFERENCE)
        assert "near the landmark" in placed.reason and placed.vertices is None

    def test_a_rare_population_keeps_its_mode_beside_an_abundant_one(self):
        events = np.concatenate([cloud(60, 0.55, 0.45, seed=2), cloud(60_000, 0.2, 0.2, seed=3)])
        fitted = place_and_judge("landmark_2d@1", events, **REFERENCE)
        assert fitted.placement.diagnostics["shift"] == pytest.approx([0.05, 0.05], abs=0.015)
        assert not fitted.flags

    def test_of_two_within_reach_it_is_the_one_with_most_events(self):
        events = np.concatenate([cloud(2000, 0.62, 0.40, spread=0.02), cloud(200, 0.42, 0.40, seed=4, spread=0.02)])
        placed = place("landmark_2d@1", events, **REFERENCE)
        assert placed.diagnostics["n_modes"] == 2
        assert placed.diagnostics["shift"] == pytest.approx([0.12, 0.0], abs=0.01)

    def test_a_slope_is_no_mode(self):
        events = cloud(50_000, 0.95, 0.4, seed=5, spread=0.12)
        assert place("landmark_2d@1", events, **(REFERENCE | {"landmark": (0.6, 0.4)})).reason

    def test_few_events_are_refused_and_counted(self):
        assert place("landmark_2d@1", cloud(10, 0.5, 0.4), **REFERENCE).reason.startswith("only 10 events")
        assert place("landmark@1", np.full(3, 0.5), landmark=0.5, max_shift=0.1, bounds=(0.4, None)).reason

    def test_an_empty_histogram_is_refused(self):
        empty = histogram_of(np.zeros((1, 2)))
        assert place("landmark_2d@1", Histogram(empty.axes, empty.counts * 0), **REFERENCE).reason


class TestParameters:
    @pytest.mark.parametrize("bounds", [(None, None), (0.6, 0.4), (0.5, 0.5)])
    def test_bounds_are_a_range(self, bounds):
        with pytest.raises(ValidationError, match="bounds"):
            place("landmark@1", np.zeros(50), landmark=0.5, max_shift=0.1, bounds=bounds)

    def test_an_outline_has_an_inside(self):
        with pytest.raises(ValidationError, match="vertices"):
            place("landmark_2d@1", np.zeros((50, 2)), landmark=(0, 0), max_shift=0.1, vertices=((0, 0), (1, 1)))
