"""density_valley, tail and quantile: thresholds on one axis."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError
from scipy.stats import norm
from toys import histogram_of, place, place_and_judge

from nti7flow.gating.histogram import Axis, Histogram, fit_axis
from nti7flow.gating.methods.thresholds import QuantileParameters, ValleyParameters, excess, find_modes

BIN = fit_axis("X", 1).width


def mixture(rng, n, *parts):
    """Draw display values from normal components (weight, mean, standard deviation)."""
    weights = np.array([weight for weight, _, _ in parts])
    which = rng.choice(len(parts), n, p=weights / weights.sum())
    means, spreads = (np.array([part[i] for part in parts])[which] for i in (1, 2))
    return rng.normal(means, spreads)


def moved(histogram, bins):
    margin = abs(bins) + 1
    assert not histogram.counts[-margin:].any()
    assert not histogram.counts[:margin].any()
    return Histogram(histogram.axes, np.roll(histogram.counts, bins))


def mirrored(histogram):
    """The histogram seen in a mirror at display value 0.5, which maps the axis on itself."""
    return Histogram(histogram.axes, histogram.counts[::-1])


class TestModes:
    def test_worked_by_hand(self):
        # 9 over a saddle of 1: 2(√9.375 − √1.375) = 3.78 standard deviations; 4 over 1: 1.84.
        density = np.array([0, 16, 1, 9, 1, 4, 0.0])
        assert excess(9, 1) == pytest.approx(3.778, abs=1e-3)
        assert excess(4, 1) == pytest.approx(1.838, abs=1e-3)
        assert find_modes(density, 1.0, 3.0) == [1, 3]
        assert find_modes(density, 1.0, 1.8) == [1, 3, 5]
        assert find_modes(density, 1.0, 4.0) == [1]

    @pytest.mark.parametrize("dip", [29.0, 29.999])
    def test_two_equal_peaks_with_a_shallow_dip_are_one_mode(self, dip):
        """Neither is higher than the other, yet the dip between them is no valley."""
        assert find_modes(np.array([0, 10, 30, dip, 30, 10, 0.0]), 1.0, 3.0) == [2]

    @given(arrays(float, st.integers(3, 25), elements=st.integers(0, 60).map(float)), st.floats(0.5, 4))
    def test_agrees_with_the_definition(self, inner, significance):
        """A peak is a mode if every way to higher ground leads significantly downhill first."""
        density = np.concatenate([[0.0], inner, [0.0]])
        expected = []
        for i in range(1, len(density) - 1):
            if not density[i - 1] < density[i] >= density[i + 1]:
                continue
            ways = [density[i : j + 1].min() for j in range(i + 1, len(density)) if density[j] > density[i]][:1]
            ways += [density[j : i + 1].min() for j in range(i - 1, -1, -1) if density[j] >= density[i]][:1]
            saddle = max(ways, default=0.0)
            if 2 * (np.sqrt(density[i] + 0.375) - np.sqrt(saddle + 0.375)) >= significance:
                expected.append(i)
        assert find_modes(density, 1.0, significance) == expected


class TestDensityValley:
    def test_worked_by_hand(self):
        """Two heaps of equal width and height: the threshold is midway, and the events above it are one heap."""
        values = np.concatenate([np.linspace(0.19, 0.21, 100), np.linspace(0.59, 0.61, 100)])
        placement = place("density_valley@1", values)
        assert placement.lower == pytest.approx(0.4, abs=BIN)
        assert placement.upper is None
        assert placement.diagnostics["mode_below"] == pytest.approx(0.2, abs=0.01)
        assert placement.diagnostics["mode_above"] == pytest.approx(0.6, abs=0.01)
        assert placement.diagnostics["valley_to_lower_mode"] == pytest.approx(0, abs=1e-3)
        assert place("density_valley@1", values, keep="below").upper == placement.lower

    @pytest.mark.parametrize(
        "parts",
        [
            [(0.5, 0.3, 0.05), (0.5, 0.6, 0.05)],
            [(0.9, 0.3, 0.05), (0.1, 0.6, 0.05)],
            [(0.1, 0.3, 0.05), (0.9, 0.6, 0.05)],
            [(0.5, 0.3, 0.03), (0.5, 0.65, 0.08)],
            [(0.7, 0.3, 0.05), (0.3, 0.5, 0.05)],
        ],
    )
    def test_errs_hardly_more_than_the_best_threshold_of_a_known_mixture(self, parts):
        def error(threshold):
            (w, m, s), (v, n, t) = parts
            return w * norm.sf(threshold, m, s) + v * norm.cdf(threshold, n, t)

        best = min(error(threshold) for threshold in np.linspace(0.3, 0.65, 1401))
        rng = np.random.default_rng(0)
        for _ in range(5):
            threshold = place("density_valley@1", mixture(rng, 5000, *parts)).lower
            assert error(threshold) <= best + 0.004

    @pytest.mark.parametrize(
        ("name", "draw"),
        [
            ("normal", lambda rng, n: rng.normal(0.4, 0.06, n)),
            ("wide", lambda rng, n: rng.normal(0.4, 0.15, n)),
            ("skewed", lambda rng, n: 0.2 + 0.05 * rng.gamma(2, 1, n)),
            ("heavy-tailed", lambda rng, n: 0.4 + 0.06 * rng.standard_t(5, n)),
        ],
    )
    def test_one_peak_never_yields_a_gate(self, name, draw):
        rng = np.random.default_rng(0)
        for n in (20, 60, 300, 3000, 30_000):
            for seed in range(4):
                fitted = place_and_judge("density_valley@1", draw(rng, n), seed=seed)
                assert fitted.placement.reason, (name, n)
                assert fitted.placement.lower is None

    def test_one_peak_says_so(self):
        placement = place("density_valley@1", np.random.default_rng(0).normal(0.4, 0.05, 1000))
        assert placement.reason.startswith("one mode at 0.4")

    @given(st.integers(0, 19), st.integers(0, 2**32 - 1))
    def test_few_events_never_yield_a_gate(self, n, seed):
        values = mixture(np.random.default_rng(seed), n, (0.5, 0.2, 0.02), (0.5, 0.8, 0.02))
        assert place("density_valley@1", values).reason == f"only {n} events, 20 are needed"

    def test_no_events_at_all(self):
        assert place("density_valley@1", np.empty(0)).reason == "only 0 events, 20 are needed"

    @given(st.integers(0, 2**32 - 1), st.integers(-150, 150))
    def test_moves_with_the_data(self, seed, bins):
        histogram = histogram_of(mixture(np.random.default_rng(seed), 600, (0.6, 0.3, 0.04), (0.4, 0.65, 0.05)))
        here, there = place("density_valley@1", histogram), place("density_valley@1", moved(histogram, bins))
        assert there.lower == pytest.approx(here.lower + bins * BIN, abs=1e-9)

    @given(st.integers(0, 2**32 - 1))
    def test_the_mirror_image_is_gated_at_the_mirrored_place(self, seed):
        histogram = histogram_of(mixture(np.random.default_rng(seed), 600, (0.6, 0.3, 0.04), (0.4, 0.65, 0.05)))
        here = place("density_valley@1", histogram, keep="above")
        there = place("density_valley@1", mirrored(histogram), keep="below")
        assert there.upper == pytest.approx(1.0 - here.lower, abs=1.5 * BIN)

    def test_the_window_holds_the_threshold(self):
        three = mixture(np.random.default_rng(0), 9000, (1, 0.1, 0.03), (1, 0.4, 0.03), (1, 0.8, 0.03))
        low = place("density_valley@1", three, window=(None, 0.4)).lower
        high = place("density_valley@1", three, window=(0.4, None)).lower
        assert low == pytest.approx(0.25, abs=0.02)
        assert high == pytest.approx(0.6, abs=0.02)
        assert place("density_valley@1", three, window=(0.9, 1.2)).reason == "no valley inside the window"

    @pytest.mark.parametrize("n_debris", [5, 20, 60])
    def test_a_little_debris_at_an_end_does_not_draw_the_threshold(self, n_debris):
        rng = np.random.default_rng(0)
        cells = mixture(rng, 4000, (0.6, 0.3, 0.04), (0.4, 0.6, 0.04))
        debris = rng.normal(-0.2, 0.01, n_debris)
        clean = place("density_valley@1", cells).lower
        assert place("density_valley@1", np.concatenate([cells, debris])).lower == pytest.approx(clean, abs=0.02)

    @pytest.mark.parametrize("keep", ["above", "below"])
    def test_more_debris_than_positives_does_not_draw_it_either(self, keep):
        """1.5 % debris at one end, 0.5 % of the population sought at the other: keeping 98 % parts off debris."""
        rng = np.random.default_rng(0)
        values = np.concatenate([rng.normal(0.1, 0.02, 150), rng.normal(0.4, 0.04, 9800), rng.normal(0.8, 0.03, 50)])
        placement = place("density_valley@1", values if keep == "above" else 1.0 - values, keep=keep)
        threshold = placement.lower if keep == "above" else 1.0 - placement.upper
        assert 0.55 < threshold < 0.72

    def test_a_shoulder_does_not_draw_it(self):
        """Half of the events on either side of a shallow dip, a tenth beyond a deep valley."""
        values = mixture(np.random.default_rng(0), 60_000, (45, 0.2, 0.05), (45, 0.33, 0.05), (10, 0.7, 0.05))
        placement = place("density_valley@1", values)
        assert placement.diagnostics["n_modes"] == 3
        assert 0.5 < placement.lower < 0.6

    def test_where_no_valley_is_deep_it_is_the_deepest(self):
        rng = np.random.default_rng(0)
        values = mixture(rng, 200_000, (1, 0.2, 0.05), (1, 0.325, 0.05), (1, 0.46, 0.05))
        placement = place("density_valley@1", values)
        assert placement.diagnostics["n_modes"] == 3
        assert placement.diagnostics["valley_to_lower_mode"] > 0.5
        assert 0.38 < placement.lower < 0.41

    def test_the_window_must_be_open(self):
        with pytest.raises(ValidationError, match="lower end 500 is not below upper end 100"):
            ValleyParameters(window=(500, 100))


class TestTail:
    @pytest.mark.parametrize(("n", "margin"), [(300, 0.06), (3000, 0.03), (30_000, 0.015)])
    def test_is_four_standard_deviations_above_a_normal_population(self, n, margin):
        rng = np.random.default_rng(0)
        found = [place("tail@1", rng.normal(0.4, 0.05, n)).lower for _ in range(10)]
        assert np.mean(found) == pytest.approx(0.6, abs=margin / 2)
        assert found == pytest.approx([0.6] * 10, abs=margin)

    def test_worked_by_hand(self):
        """A triangle of 100, 99, 98 … events: of 5,050 in its lower half 68.27 % (3,448) lie within 44 bins."""
        axis = fit_axis("X", 1)
        counts = np.maximum(100 - np.abs(np.arange(axis.n_bins) - 500), 0)
        placement = place("tail@1", Histogram((axis,), counts), distance=2.0)
        assert placement.lower == pytest.approx(axis.centres[500] + 2.0 * 43.5 * axis.width)
        assert placement.diagnostics["spread"] == pytest.approx(43.5 * axis.width, abs=1e-4)

    def test_positives_on_the_other_side_do_not_move_it(self):
        rng = np.random.default_rng(0)
        negatives = rng.normal(0.4, 0.05, 5000)
        alone = place("tail@1", negatives).lower
        with_positives = place("tail@1", np.concatenate([negatives, rng.normal(0.9, 0.05, 1500)])).lower
        assert with_positives == pytest.approx(alone, abs=0.02)

    @given(st.integers(0, 2**32 - 1), st.integers(-150, 150))
    def test_moves_with_the_data(self, seed, bins):
        histogram = histogram_of(np.clip(np.random.default_rng(seed).normal(0.4, 0.05, 500), 0, 1))
        here, there = place("tail@1", histogram), place("tail@1", moved(histogram, bins))
        assert there.lower == pytest.approx(here.lower + bins * BIN, abs=1e-9)

    @given(st.integers(0, 2**32 - 1))
    def test_the_mirror_image_is_gated_at_the_mirrored_place(self, seed):
        histogram = histogram_of(np.random.default_rng(seed).normal(0.4, 0.05, 500))
        here = place("tail@1", histogram, keep="above")
        there = place("tail@1", mirrored(histogram), keep="below")
        assert there.upper == pytest.approx(1.0 - here.lower, abs=1.5 * BIN)

    def test_few_events_never_yield_a_gate(self):
        assert place("tail@1", np.full(19, 0.4)).reason == "only 19 events, 20 are needed"
        one_sided = np.concatenate([np.full(200, -0.5), np.linspace(-0.4, 1.0, 50)])  # all of it off scale below
        assert place("tail@1", one_sided, keep="above", min_events=300).reason == "only 250 events, 300 are needed"

    def test_a_mode_with_nothing_behind_it_has_no_spread(self):
        heap = np.concatenate([np.full(15, 0.40), 0.41 + 0.004 * np.arange(80)])
        placement = place("tail@1", heap, min_events=80, keep="above")
        assert "events on the far side of the mode" in placement.reason


class TestQuantile:
    def test_worked_by_hand(self):
        """Ten bins hold ten events each: the 35 % quantile lies halfway through the fourth."""
        axis = Axis("X", 0.0, 1.0, 10)
        placement = place("quantile@1", Histogram((axis,), np.full(10, 10)), q=0.35)
        assert placement.lower == pytest.approx(0.35)
        assert place("quantile@1", Histogram((axis,), np.full(10, 10)), q=0.35, keep="below").upper == pytest.approx(
            0.35
        )

    @given(
        arrays(float, st.integers(20, 300), elements=st.floats(-0.4, 1.4)),
        st.floats(0.01, 0.99),
    )
    def test_parts_the_events_as_asked(self, values, q):
        """Up to the width of a bin, so many events lie below, as in any definition of a quantile."""
        threshold = place("quantile@1", values, q=q).lower
        n = len(values)
        assert (values < threshold - BIN).sum() <= q * n + 1e-9
        assert (values <= threshold + BIN).sum() >= q * n - 1e-9

    def test_agrees_with_numpy_where_events_are_dense(self):
        values = np.random.default_rng(0).normal(0.4, 0.1, 50_000)
        for q in (0.005, 0.25, 0.5, 0.995):
            expected = np.quantile(values, q)
            assert place("quantile@1", values, q=q).lower == pytest.approx(expected, abs=1.5 * BIN)

    @given(st.floats(0.01, 0.98), st.floats(0.001, 0.01))
    def test_grows_with_q(self, q, more):
        histogram = histogram_of(np.random.default_rng(0).normal(0.4, 0.1, 2000))
        assert place("quantile@1", histogram, q=q).lower <= place("quantile@1", histogram, q=q + more).lower

    def test_few_events_never_yield_a_gate(self):
        assert place("quantile@1", np.full(19, 0.4), q=0.5).reason == "only 19 events, 20 are needed"

    @pytest.mark.parametrize("q", [0.0, 1.0, -0.1, float("nan")])
    def test_q_is_a_fraction(self, q):
        with pytest.raises(ValidationError):
            QuantileParameters(q=q)


@pytest.mark.parametrize("method", ["density_valley@1", "tail@1", "quantile@1"])
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_events_and_of_merging_does_not_matter(method, seed):
    rng = np.random.default_rng(seed)
    values = mixture(rng, 400, (0.6, 0.3, 0.04), (0.4, 0.65, 0.05))
    parameters = {"q": 0.9} if method == "quantile@1" else {}
    expected = place(method, values, **parameters)
    shuffled = rng.permutation(values)
    one, two = histogram_of(shuffled[:150]), histogram_of(shuffled[150:])
    assert place(method, shuffled, **parameters) == expected
    assert place(method, one.merged(two), **parameters) == place(method, two.merged(one), **parameters) == expected
