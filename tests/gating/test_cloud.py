"""The ellipse around a population that is nearly all there is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import dimensions, histogram_of, place, place_and_judge

from nti7flow.gating.fit import make_gate
from nti7flow.gating.histogram import Histogram

COVARIANCE = np.array([[0.0016, 0.0006], [0.0006, 0.0009]])


def normal(n, seed=1, mean=(0.5, 0.4), covariance=COVARIANCE):
    return np.random.default_rng(seed).multivariate_normal(mean, covariance, n)


def inside(placement, points):
    return make_gate(placement, dimensions(2)).contains(np.asarray(points, float))


def test_four_corners_by_hand():
    """Events at the corners of a square: the mean is in the middle, the spread half its side in either direction."""
    corners = np.repeat([(0.4, 0.4), (0.6, 0.4), (0.4, 0.6), (0.6, 0.6)], 25, axis=0) + 1e-4
    placed = place("cloud_2d@1", corners, radius=2)
    kept = 1 - 0.01 / 0.99 * -np.log(0.01)  # of a normal covariance within its 99 % ellipse, which keeps all corners
    assert placed.diagnostics["centre"] == pytest.approx([0.5, 0.5], abs=0.003)
    assert placed.diagnostics["spread"] == pytest.approx([0.1 / np.sqrt(kept)] * 2, abs=0.003)
    assert max(x for x, _ in placed.vertices) == pytest.approx(0.5 + 2 * 0.1 / np.sqrt(kept), abs=0.006)


class TestAgainstAnotherEstimate:
    """Scikit-learn's minimum covariance determinant, on the events themselves."""

    @pytest.mark.parametrize("outliers", [0, 300])
    def test_mean_and_spread_are_its(self, outliers):
        covariance = pytest.importorskip("sklearn.covariance")
        points = np.concatenate([normal(3000), np.random.default_rng(2).uniform(0, 1, (outliers, 2))])
        theirs = covariance.MinCovDet(random_state=0).fit(points)
        ours = place("cloud_2d@1", points).diagnostics
        assert ours["centre"] == pytest.approx(theirs.location_, abs=0.003)
        assert ours["spread"] == pytest.approx(np.sqrt(np.diag(theirs.covariance_)), rel=0.06)


class TestWhatItHolds:
    def test_as_many_as_the_distribution_says(self):
        points = normal(50_000)
        for radius in (1.0, 2.0, 3.0):
            share = inside(place("cloud_2d@1", points, radius=radius), points).mean()
            assert share == pytest.approx(1 - np.exp(-(radius**2) / 2), abs=0.01)

    def test_two_subsets_a_little_apart_are_one_cloud(self):
        """A density may have two modes here, and a contour around either would lose the other."""
        points = np.concatenate(
            [normal(3000, covariance=COVARIANCE / 4), normal(2000, 2, (0.56, 0.46), COVARIANCE / 4)]
        )
        assert place("density_cluster_2d@1", points, anchor=(0.5, 0.5), max_distance=1).diagnostics["n_modes"] == 2
        fitted = place_and_judge("cloud_2d@1", points)
        assert inside(fitted.placement, points).mean() > 0.99 and not fitted.flags

    def test_debris_on_one_side_does_not_widen_it(self):
        clean = place("cloud_2d@1", normal(5000)).diagnostics
        debris = np.random.default_rng(3).uniform((0.0, 0.0), (0.3, 0.9), (500, 2))
        dirty = place("cloud_2d@1", np.concatenate([normal(5000), debris])).diagnostics
        assert dirty["spread"] == pytest.approx(clean["spread"], rel=0.05)
        assert dirty["share_outside"] == pytest.approx(500 / 5500, abs=0.015)

    @pytest.mark.parametrize("n", [15, 30, 100])
    def test_few_events_are_kept(self, n):
        points = normal(n)
        assert inside(place("cloud_2d@1", points), points).mean() >= 0.9

    def test_much_outside_is_for_a_person_to_look_at(self):
        scattered = np.random.default_rng(4).uniform(0, 1, (900, 2))
        assert place("cloud_2d@1", np.concatenate([normal(1100), scattered])).flags == ("impure_gate",)
        assert place("cloud_2d@1", normal(1100)).flags == ()


@settings(max_examples=30)
@given(dx=st.integers(-30, 30), dy=st.integers(-30, 30), n=st.sampled_from([20, 200, 2000]))
def test_it_moves_with_the_events(dx, dy, n):
    histogram = histogram_of(normal(n))
    moved = Histogram(histogram.axes, np.roll(histogram.counts, (dx, dy), axis=(0, 1)))
    home, away = (np.array(place("cloud_2d@1", h).vertices) for h in (histogram, moved))
    shift = np.array([dx, dy]) * histogram.axes[0].width
    assert away - home == pytest.approx(np.tile(shift, (len(home), 1)), abs=1e-6)


def test_the_count_of_each_event_does_not_matter():
    """Every event ten times over: the same ellipse."""
    histogram = histogram_of(normal(300))
    tenfold = Histogram(histogram.axes, histogram.counts * 10)
    one, ten = (np.array(place("cloud_2d@1", h).vertices) for h in (histogram, tenfold))
    assert ten == pytest.approx(one)


def test_too_few_are_refused():
    empty = histogram_of(np.zeros((1, 2)))
    assert place("cloud_2d@1", Histogram(empty.axes, empty.counts * 0)).reason.startswith("only 0 events")
    assert place("cloud_2d@1", normal(9)).reason.startswith("only 9 events")


def test_events_on_one_spot_have_the_width_of_a_bin():
    placed = place("cloud_2d@1", np.full((50, 2), 0.5))
    assert placed.placed and inside(placed, [(0.5, 0.5)]).all()
