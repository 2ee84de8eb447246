"""Histograms: what fits see. Nothing is lost, and merging is exact."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from toys import histogram_of

from nti7flow.gating.histogram import Axis, Histogram, fit_axis

AXIS = Axis("X", 0.0, 1.0, 4)
values = st.floats(-3, 3) | st.sampled_from([np.nan, np.inf, -np.inf])
columns = st.integers(1, 2).flatmap(
    lambda k: st.lists(
        arrays(float, st.tuples(st.integers(0, 20), st.just(k)), elements=values), min_size=2, max_size=4
    )
)


def test_worked_by_hand():
    counted = Histogram.of(np.array([[0.0], [0.2], [0.25], [0.9], [1.0], [7.0], [-1.0], [np.nan], [np.inf]]), [AXIS])
    assert counted.counts.tolist() == [4, 1, 0, 4]  # beyond the ends counts at the ends, NaN at the low one
    assert counted.n_events == 9
    centres, counts = counted.cells()
    assert centres.ravel().tolist() == [0.125, 0.375, 0.875]
    assert counts.tolist() == [4, 1, 4]


def test_two_dimensions_worked_by_hand():
    counted = Histogram.of(np.array([[0.1, 0.9], [0.1, 0.8], [0.6, 0.3]]), [AXIS, AXIS])
    assert np.argwhere(counted.counts).tolist() == [[0, 3], [2, 1]]
    centres, counts = counted.cells()
    assert centres.tolist() == [[0.125, 0.875], [0.625, 0.375]]
    assert counts.tolist() == [2, 1]


@given(columns)
def test_merging_is_counting_all_events_at_once_in_any_order(parts):
    axes = [fit_axis("X", parts[0].shape[1])] * parts[0].shape[1]
    histograms = [Histogram.of(part, axes) for part in parts]
    together = Histogram.of(np.concatenate(parts), axes)
    forward, backward = histograms[0], histograms[-1]
    for other in histograms[1:]:
        forward = forward.merged(other)
    for other in histograms[-2::-1]:
        backward = backward.merged(other)
    assert forward.n_events == sum(len(part) for part in parts)
    assert (forward.counts == together.counts).all()
    assert (backward.counts == together.counts).all()


@given(arrays(float, st.tuples(st.integers(1, 50), st.just(2)), elements=values), st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter(y, random):
    order = list(range(len(y)))
    random.shuffle(order)
    assert (histogram_of(y[order]).counts == histogram_of(y).counts).all()


def test_different_axes_are_not_merged():
    one, other = (Histogram(axes, np.zeros(axes[0].n_bins, int)) for axes in ((AXIS,), (fit_axis("X", 1),)))
    with pytest.raises(ValueError, match="only histograms on the same axes can be merged"):
        one.merged(other)


@pytest.mark.parametrize("n", [1, 2])
def test_every_bin_contains_its_centre(n):
    axis = fit_axis("X", n)
    assert axis.index(axis.centres).tolist() == list(range(axis.n_bins))
    assert np.allclose(np.diff(axis.centres), axis.width)


def test_replicates_are_poisson_around_the_counts():
    histogram = Histogram((AXIS,), np.array([0, 1, 100, 10_000]))
    rng = np.random.default_rng(0)
    drawn = np.array([histogram.resampled(rng).counts for _ in range(2000)])
    assert not drawn[:, 0].any()
    assert np.allclose(drawn.mean(axis=0), histogram.counts, rtol=0.05)
    assert np.allclose(drawn.var(axis=0), histogram.counts, rtol=0.15)
