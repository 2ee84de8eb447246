"""mixture: thresholds between populations of a mixture of normal components."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.optimize import brentq
from scipy.stats import norm, skewnorm
from toys import histogram_of, place, place_and_judge

from nti7flow.gating.histogram import Histogram, fit_axis
from nti7flow.gating.methods.mixture import COARSE, NARROWEST, MixtureParameters, fit_mixture

METHOD = "mixture@1"
BIN = fit_axis("X", 1).width


def draw(rng, n, *parts):
    """Draw display values from normal components (weight, mean, standard deviation)."""
    weights = np.array([weight for weight, _, _ in parts])
    which = rng.choice(len(parts), n, p=weights / weights.sum())
    means, spreads = (np.array([part[i] for part in parts])[which] for i in (1, 2))
    return rng.normal(means, spreads)


def skewed(rng, n, location, scale, shape):
    return skewnorm.rvs(shape, location, scale, size=n, random_state=rng)


def zero_inflated(rng, n, mean, spread, share):
    """Values of which some are lost: exactly 0; and none is negative."""
    values = np.maximum(rng.normal(mean, spread, n), 0)
    values[rng.random(n) < share] = 0.0
    return values


class TestByHand:
    def test_two_heaps(self):
        """Forty events at 0.2 and ten at 0.6, each in one bin: the components are heaps, the threshold is midway."""
        histogram = histogram_of([0.2] * 40 + [0.6] * 10)
        fit = fit_mixture(histogram, 6)
        coarse = BIN * COARSE
        assert fit.weights == pytest.approx([0.8, 0.2])
        assert fit.means == pytest.approx([0.2, 0.6], abs=coarse / 2)
        assert fit.spreads == pytest.approx([NARROWEST, NARROWEST])
        placement = place(METHOD, histogram, zero_inflation=False)
        # Where 0.8 exp(-z²/2) of one meets 0.2 exp(-z²/2) of the other the density is lowest, but all around it is next
        # to nothing: the threshold is the middle of the floor, halfway between the edges of the heaps.
        assert placement.lower == pytest.approx(0.4, abs=coarse)
        assert placement.upper is None
        assert placement.diagnostics["n_components"] == 2
        assert placement.diagnostics["share_below"] == pytest.approx(0.8, abs=1e-3)
        assert placement.diagnostics["separation"] == pytest.approx(0.4 / NARROWEST, rel=0.03)
        assert place(METHOD, histogram, keep="below", zero_inflation=False).upper == placement.lower

    def test_bic_of_one_component(self):
        """Of n events with standard deviation s: n ln s² + n + 2 ln n, but for a constant."""
        values = 0.5 + 0.1 * norm.ppf((np.arange(1000) + 0.5) / 1000)
        histogram = histogram_of(values)
        fit = fit_mixture(histogram, 2)
        expected = 1000 * math.log(values.var()) + 1000 + 2 * math.log(1000)
        assert fit.bic[0] == pytest.approx(
            expected, abs=3.0
        )  # Sheppard: binning widens s² by a twelfth of a bin squared
        assert len(fit.means) == 1

    @pytest.mark.parametrize(("distance", "apart"), [(3.1, False), (3.5, True)])
    def test_half_as_deep_as_the_modes_are_high_is_two_populations(self, distance, apart):
        """Midway between two equal normal populations at a distance d the density is 2 exp(-d²/8) of either mode's."""
        assert (2 * math.exp(-(distance**2) / 8) < 0.5) is apart
        quantiles = norm.ppf((np.arange(20_000) + 0.5) / 20_000) * 0.05
        histogram = histogram_of(np.concatenate([quantiles + 0.3, quantiles + 0.3 + 0.05 * distance]))
        assert place(METHOD, histogram).placed is apart
        assert place(METHOD, histogram, depth=1.0).placed

    def test_posterior_of_two_populations_of_one_spread(self):
        """(m₁ + m₂) / 2 + s² ln(w₁ / w₂) / (m₂ − m₁) = 0.5 + 0.0025 ln 9 / 0.4 = 0.5137."""
        quantiles = norm.ppf((np.arange(9000) + 0.5) / 9000) * 0.05
        histogram = histogram_of(np.concatenate([quantiles + 0.3, quantiles[4::9] + 0.7]))
        assert place(METHOD, histogram, boundary="posterior").lower == pytest.approx(0.5137, abs=2 * BIN)


class TestAgainstOthers:
    """scikit-learn fits the events themselves, from several starts; this method their histogram, from one."""

    @pytest.mark.parametrize(
        "parts",
        [
            [(0.5, 0.3, 0.05), (0.5, 0.6, 0.05)],
            [(0.9, 0.3, 0.05), (0.1, 0.65, 0.06)],
            [(0.03, 0.25, 0.03), (0.97, 0.65, 0.08)],
            [(0.5, 0.2, 0.04), (0.3, 0.45, 0.05), (0.2, 0.8, 0.04)],
        ],
    )
    def test_components_and_threshold_are_those_of_scikit_learn(self, parts):
        sklearn_mixture = pytest.importorskip("sklearn.mixture")
        values = draw(np.random.default_rng(0), 6000, *parts)
        estimators = [
            sklearn_mixture.GaussianMixture(k, n_init=3, tol=1e-6, max_iter=1000, random_state=0) for k in (1, 2, 3, 4)
        ]
        bic = [estimator.fit(values[:, None]).bic(values[:, None]) for estimator in estimators]
        theirs = estimators[int(np.argmin(bic))]
        order = np.argsort(theirs.means_[:, 0])
        ours = fit_mixture(histogram_of(values), 4)
        assert len(ours.means) == theirs.n_components == len(parts)
        assert ours.weights == pytest.approx(theirs.weights_[order], abs=0.003)
        assert ours.means == pytest.approx(theirs.means_[order, 0], abs=0.002)
        assert ours.spreads == pytest.approx(np.sqrt(theirs.covariances_[order, 0, 0]), abs=0.002)
        assert ours.bic[0] - min(ours.bic) == pytest.approx(bic[0] - min(bic), rel=0.01)

        first, second = order[:2]
        between = np.linspace(theirs.means_[first, 0], theirs.means_[second, 0], 2001)
        density = np.exp(theirs.score_samples(between[:, None]))
        likelier = theirs.predict_proba(between[:, None])[:, second] >= 0.5
        window = (None, float(between[-1]))
        # The floor is what lies within 2 % of the lower mode of the minimum.
        floor = between[density <= density.min() + 0.02 * min(density[0], density[-1])]
        placement = place(METHOD, histogram_of(values), window=window, max_components=4)
        assert placement.lower == pytest.approx((floor[0] + floor[-1]) / 2, abs=0.01)
        placement = place(METHOD, histogram_of(values), window=window, max_components=4, boundary="posterior")
        assert placement.lower == pytest.approx(between[likelier.argmax()], abs=0.01)

    @pytest.mark.parametrize(
        "parts",
        [
            [(0.5, 0.3, 0.06, 4), (0.5, 0.7, 0.06, -4)],
            [(0.9, 0.1, 0.10, 6), (0.1, 0.8, 0.15, -4)],
            [(0.3, 0.05, 0.12, 8), (0.7, 0.6, 0.05, 0)],
            [(0.98, 0.1, 0.08, 5), (0.02, 0.6, 0.08, 0)],
        ],
    )
    @pytest.mark.parametrize(("boundary", "margin"), [("valley", 0.006), ("posterior", 0.003)])
    def test_skewed_populations_are_parted_nearly_as_well_as_they_can_be(self, parts, boundary, margin):
        def error(threshold):
            (w, m, s, a), (v, n, t, b) = parts
            return w * skewnorm.sf(threshold, a, m, s) + v * skewnorm.cdf(threshold, b, n, t)

        best = min(error(threshold) for threshold in np.linspace(0.1, 0.8, 1401))
        rng = np.random.default_rng(0)
        for _ in range(3):
            values = np.concatenate([skewed(rng, round(20_000 * w), m, s, a) for w, m, s, a in parts])
            assert error(place(METHOD, values, boundary=boundary).lower) <= best + margin

    def test_posterior_is_where_the_densities_cross(self):
        parts = ((0.8, 0.25, 0.04), (0.2, 0.6, 0.09))
        crossing = brentq(lambda x: 0.8 * norm.pdf(x, 0.25, 0.04) - 0.2 * norm.pdf(x, 0.6, 0.09), 0.3, 0.5)
        values = draw(np.random.default_rng(0), 50_000, *parts)
        assert place(METHOD, values, boundary="posterior").lower == pytest.approx(crossing, abs=0.006)


class TestOnePopulation:
    @pytest.mark.parametrize(
        ("name", "sample"),
        [
            ("normal", lambda rng, n: rng.normal(0.4, 0.06, n)),
            ("wide", lambda rng, n: rng.normal(0.4, 0.15, n)),
            ("skewed", lambda rng, n: 0.2 + 0.05 * rng.gamma(2, 1, n)),
            ("exponential", lambda rng, n: 0.05 * rng.exponential(1, n)),
            ("heavy-tailed", lambda rng, n: 0.4 + 0.06 * rng.standard_t(5, n)),
            ("flat", lambda rng, n: rng.uniform(0.2, 0.7, n)),
            ("with a shoulder", lambda rng, n: draw(rng, n, (0.7, 0.3, 0.05), (0.3, 0.42, 0.05))),
            ("half of it lost", lambda rng, n: zero_inflated(rng, n, 0.3, 0.06, 0.5)),
            ("a little of it lost", lambda rng, n: zero_inflated(rng, n, 0.3, 0.06, 0.05)),
            ("small counts", lambda rng, n: np.arcsinh(rng.poisson(1.5, n) / 5) / math.asinh(2400)),
        ],
    )
    def test_never_yields_a_gate(self, name, sample):
        rng = np.random.default_rng(0)
        for n in (20, 60, 300, 3000, 30_000):
            for seed in range(3):
                fitted = place_and_judge(METHOD, sample(rng, n), seed=seed)
                assert fitted.placement.reason, (name, n)
                assert fitted.placement.lower is None

    def test_says_so(self):
        placement = place(METHOD, np.random.default_rng(0).normal(0.4, 0.05, 1000))
        assert placement.reason == "one population at 0.40"
        assert placement.diagnostics["n_populations"] == 1
        lost = place(METHOD, zero_inflated(np.random.default_rng(0), 5000, 0.4, 0.05, 0.3))
        assert lost.reason == "one population at 0.40 beside 30 % of values at zero"
        assert lost.diagnostics["share_at_zero"] == pytest.approx(0.3, abs=0.01)

    @given(st.integers(0, 19), st.integers(0, 2**32 - 1))
    def test_few_events_never_yield_a_gate(self, n, seed):
        values = draw(np.random.default_rng(seed), n, (0.5, 0.2, 0.02), (0.5, 0.8, 0.02))
        assert place(METHOD, values).reason == f"only {n} events, 20 are needed"

    def test_all_events_in_one_bin(self):
        assert place(METHOD, np.full(500, 0.3)).reason == "one population at 0.30"


class TestZeroInflation:
    @pytest.mark.parametrize("share", [0.05, 0.3, 0.6])
    @pytest.mark.parametrize("positive", [0.02, 0.4])
    def test_lost_values_do_not_draw_the_threshold(self, share, positive):
        """Whichever are more, lost values or positive cells: the threshold is between negative and positive ones."""
        rng = np.random.default_rng(0)
        values = np.concatenate(
            [
                zero_inflated(rng, round(20_000 * (1 - positive)), 0.2, 0.04, share),
                zero_inflated(rng, round(20_000 * positive), 0.6, 0.05, share),
            ]
        )
        assert 0.34 < place(METHOD, values).lower < 0.48

    def test_unless_they_are_negative_cells(self):
        """Cells without the marker read nothing but zero: no spread, and a population nevertheless."""
        values = np.concatenate([np.zeros(3000), np.random.default_rng(0).normal(0.4, 0.05, 2000)])
        assert place(METHOD, values).reason == "one population at 0.40 beside 60 % of values at zero"
        assert 0.05 < place(METHOD, values, zero_inflation=False).lower < 0.28

    def test_negative_cells_of_few_counts_are_a_population(self):
        """Poisson counts of mean 1.5 on the scale arcsinh(x / 5), a quarter of them zero."""
        rng = np.random.default_rng(0)
        counts = np.concatenate([rng.poisson(1.5, 6000), rng.poisson(rng.gamma(5, 20, 4000))])
        placement = place(METHOD, np.arcsinh(counts / 5) / math.asinh(2400))
        threshold = 5 * math.sinh(placement.lower * math.asinh(2400))
        assert 5 < threshold < 30


class TestWhichValley:
    THREE = ((1, 0.1, 0.03), (1, 0.4, 0.03), (1, 0.8, 0.03))

    def test_the_bottom_of_the_valley_must_lie_in_the_window(self):
        values = draw(np.random.default_rng(0), 9000, *self.THREE)
        assert place(METHOD, values, window=(None, 0.4)).lower == pytest.approx(0.25, abs=0.03)
        assert place(METHOD, values, window=(0.4, None)).lower == pytest.approx(0.6, abs=0.03)
        assert place(METHOD, values, window=(0.9, 1.2)).reason == "no valley inside the window"

    def test_and_so_must_the_threshold(self):
        values = draw(np.random.default_rng(0), 9000, (1, 0.2, 0.03), (1, 0.7, 0.03))
        floor = place(METHOD, values).lower
        bottom = place(METHOD, values, window=(None, floor)).lower or floor
        assert bottom <= floor

    @pytest.mark.parametrize("share", [0.003, 0.01, 0.05])
    def test_a_rare_population_is_found(self, share):
        values = draw(np.random.default_rng(0), 20_000, (1 - share, 0.2, 0.05), (share, 0.7, 0.04))
        assert 0.38 < place(METHOD, values).lower < 0.6

    @pytest.mark.parametrize("keep", ["above", "below"])
    def test_more_debris_than_positives_does_not_draw_it(self, keep):
        """1.5 % debris at one end, 0.5 % of the population sought at the other: keeping 98 % parts off debris."""
        rng = np.random.default_rng(0)
        values = np.concatenate([rng.normal(0.1, 0.03, 150), rng.normal(0.4, 0.04, 9800), rng.normal(0.8, 0.03, 50)])
        placement = place(METHOD, values if keep == "above" else 1.0 - values, keep=keep)
        threshold = placement.lower if keep == "above" else 1.0 - placement.upper
        assert 0.53 < threshold < 0.74

    def test_chance_is_no_valley(self):
        """Six stray events are fewer than three standard deviations ask for."""
        rng = np.random.default_rng(0)
        values = np.concatenate([rng.normal(0.3, 0.05, 500), rng.normal(0.8, 0.05, 6)])
        assert not place(METHOD, values, significance=5.0).placed
        assert place(METHOD, values, significance=0.5).placed


class TestSymmetries:
    PARTS = ((0.6, 0.3, 0.04), (0.4, 0.65, 0.05))

    @given(st.integers(0, 2**32 - 1), st.sampled_from(["valley", "posterior"]))
    def test_the_mirror_image_is_gated_at_the_mirrored_place(self, seed, boundary):
        histogram = histogram_of(draw(np.random.default_rng(seed), 600, *self.PARTS))
        mirror = Histogram(histogram.axes, histogram.counts[::-1])
        here = place(METHOD, histogram, keep="above", boundary=boundary)
        there = place(METHOD, mirror, keep="below", boundary=boundary)
        assert there.upper == pytest.approx(1.0 - here.lower, abs=2 * BIN)

    @given(st.integers(0, 2**32 - 1), st.integers(-37, 37))
    def test_moves_with_the_data(self, seed, steps):
        """By whole bins of the fit."""
        histogram = histogram_of(draw(np.random.default_rng(seed), 600, *self.PARTS))
        moved = Histogram(histogram.axes, np.roll(histogram.counts, COARSE * steps))
        expected = place(METHOD, histogram).lower + COARSE * steps * BIN
        assert place(METHOD, moved).lower == pytest.approx(expected, abs=1e-6)

    @given(st.integers(0, 2**32 - 1), st.integers(2, 50))
    def test_more_of_the_same_hardly_moves_it(self, seed, times):
        """More events may earn more components, but the valley is where it was."""
        histogram = histogram_of(draw(np.random.default_rng(seed), 2000, *self.PARTS))
        more = Histogram(histogram.axes, histogram.counts * times)
        assert place(METHOD, more).lower == pytest.approx(place(METHOD, histogram).lower, abs=0.03)

    @given(st.integers(0, 2**32 - 1))
    def test_the_order_of_events_and_of_merging_does_not_matter(self, seed):
        rng = np.random.default_rng(seed)
        values = draw(rng, 400, *self.PARTS)
        expected = place(METHOD, values)
        shuffled = rng.permutation(values)
        one, two = histogram_of(shuffled[:150]), histogram_of(shuffled[150:])
        assert place(METHOD, shuffled) == expected
        assert place(METHOD, one.merged(two)) == place(METHOD, two.merged(one)) == expected

    @given(st.integers(0, 2**32 - 1))
    def test_weights_are_shares(self, seed):
        fit = fit_mixture(histogram_of(draw(np.random.default_rng(seed), 300, *self.PARTS)), 6)
        assert fit.weights.sum() == pytest.approx(1.0)
        assert (fit.spreads >= NARROWEST).all()
        assert (np.diff(fit.means) >= 0).all()


@pytest.mark.parametrize(
    "wrong", [{"max_components": 1}, {"depth": 0.0}, {"depth": 1.5}, {"boundary": "midpoint"}, {"window": (500, 100)}]
)
def test_parameters_are_checked(wrong):
    with pytest.raises(ValidationError):
        MixtureParameters(**wrong)
