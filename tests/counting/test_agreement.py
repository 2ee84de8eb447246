"""Agreement of two methods: published numbers, other people's code, symmetry, and examples by hand."""

from math import inf, log, sqrt

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import ks_2samp, pearsonr, t, theilslopes

from nti7flow.counting.agreement import bland_altman, differences, has_ratio, passing_bablok
from nti7flow.errors import ConfigError

#: Peak expiratory flow by two meters, l/min, first measurements (Bland & Altman, Lancet 1986).
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(8, 30)


def methods(seed, n, *, cv=0.1):
    """Two methods on the same specimens, which span decades."""
    rng = np.random.default_rng(seed)
    truth = rng.lognormal(5, 0.8, n)
    return tuple(truth * np.exp(rng.normal(0, cv, n)) for _ in range(2))


def line_of(x, y):
    """The line, of values that rise together: a few that are drawn close together need not."""
    try:
        return passing_bablok(x, y)
    except ConfigError:
        assume(False)


def ends(estimate):
    return estimate.value, estimate.lower, estimate.upper


def test_bland_and_altmans_peak_flow():
    found = bland_altman(MINI, WRIGHT)
    assert found.n == 17
    assert found.bias.value == pytest.approx(-2.1, abs=0.05)
    assert found.sd == pytest.approx(38.8, abs=0.05)
    # The paper rounds 1.96 to 2 and the sd to 38.8.
    assert found.bias.value - 2 * found.sd == pytest.approx(-79.7, abs=0.1)
    assert found.bias.value + 2 * found.sd == pytest.approx(75.5, abs=0.1)
    assert (found.upper_limit.value - found.bias.value) / found.sd == pytest.approx(1.959964)
    assert (found.bias.lower, found.bias.upper) == pytest.approx((-22.0, 17.8), abs=0.1)
    assert found.slope_p == pytest.approx(pearsonr(np.add(MINI, WRIGHT), np.subtract(WRIGHT, MINI)).pvalue)


def test_four_pairs_by_hand():
    found = bland_altman([100, 200, 300, 400], [102, 198, 306, 402])  # differences 2, -2, 6, 2
    assert found.bias.value == 2
    assert found.sd == pytest.approx(sqrt(32 / 3))
    assert found.bias.upper == pytest.approx(2 + 3.18245 * sqrt(32 / 3) / 2, rel=1e-5)
    assert found.lower_limit.value == pytest.approx(2 - 1.959964 * sqrt(32 / 3))
    assert found.slope.value == pytest.approx(416 / 50408)  # averages 101, 199, 303, 401
    percent = bland_altman([90, 100, 200], [110, 100, 200], scale="percent")
    assert percent.bias.value == pytest.approx(20 / 3)
    ratio = bland_altman([100, 10, 50], [200, 20, 50], scale="log")
    assert ratio.bias.value == pytest.approx(2 * log(2) / 3)


@pytest.mark.parametrize("n", [5, 20])
def test_intervals_of_bias_and_limits_hold_the_truth_as_often_as_they_say(n):
    rng = np.random.default_rng(n)
    held = np.zeros(4)
    for _ in range(1000):
        x = rng.uniform(100, 1000, n)
        found = bland_altman(x, x + rng.normal(3, 2, n), level=0.9)
        limits = found.lower_limit.holds(3 - 1.959964 * 2), found.upper_limit.holds(3 + 1.959964 * 2)
        held += [found.bias.holds(3), *limits, found.slope_p < 0.1]
    assert held[:3] / 1000 == pytest.approx(0.9, abs=0.03)
    assert held[3] / 1000 == pytest.approx(0.1, abs=0.03)


def test_intervals_of_the_limits_are_bland_and_altmans_where_there_are_many_pairs():
    x, y = methods(1, 3000)
    found = bland_altman(x, y, scale="log")
    approximate = found.sd * sqrt(1 / 3000 + 1.96**2 / (2 * 2999)) * t.ppf(0.975, 2999)  # 1999, section 3
    for limit in (found.lower_limit, found.upper_limit):
        assert (limit.upper - limit.lower) / 2 == pytest.approx(approximate, rel=0.01)


@given(seeds, sizes, st.floats(-1e4, 1e4))
def test_a_shift_moves_the_bias_and_nothing_else(seed, n, shift):
    x, y = methods(seed, n)
    before, after = bland_altman(x, y), bland_altman(x, y + shift)
    size = max(1.0, abs(shift))
    for name in ("bias", "lower_limit", "upper_limit"):
        moved = np.subtract(ends(getattr(after, name)), ends(getattr(before, name)))
        assert moved == pytest.approx(shift, abs=1e-9 * size)
    assert after.sd == pytest.approx(before.sd, rel=1e-6)
    assert ends(after.slope) == pytest.approx(ends(before.slope), rel=1e-5, abs=1e-9)


@given(seeds, sizes, st.sampled_from(["absolute", "percent", "log"]))
def test_exchanging_the_methods_turns_differences_round(seed, n, scale):
    x, y = methods(seed, n)
    one, other = bland_altman(x, y, scale=scale), bland_altman(y, x, scale=scale)
    assert ends(one.bias) == pytest.approx([-other.bias.value, -other.bias.upper, -other.bias.lower])
    limit = other.upper_limit
    assert ends(one.lower_limit) == pytest.approx([-limit.value, -limit.upper, -limit.lower])
    assert one.slope_p == pytest.approx(other.slope_p)


@given(seeds, sizes, st.floats(0.01, 100))
def test_a_factor_is_a_shift_of_logarithms(seed, n, factor):
    x, y = methods(seed, n)
    moved = bland_altman(x, factor * y, scale="log").bias.value - bland_altman(x, y, scale="log").bias.value
    assert moved == pytest.approx(log(factor), abs=1e-9)


def test_five_points_by_hand():
    # Slopes 2, 1/2, 1, 5/4 from the first; -1 (left out), 1/2, 1 from the second; 2, 2; 2.
    found = passing_bablok([1, 2, 3, 4, 5], [1, 3, 2, 4, 6], level=0.8, fewest=5)
    assert (found.n, found.n_slopes, found.shift) == (5, 9, 0)
    assert ends(found.slope) == (1.25, 0.5, 2.0)  # C = 1.2816 root(5 4 15 / 18) = 5.23, M = 2
    assert ends(found.intercept) == (-0.25, -4.0, 2.0)


def test_five_points_by_hand_of_which_two_are_above_each_other():
    # Slopes -4 -2 | 1/3 1/2 1 1 1 2 5/2 inf: two are below -1.
    found = passing_bablok([0, 0, 1, 3, 4], [0, 2, -2, 3, 4], level=0.5, fewest=5)
    assert (found.n_slopes, found.shift) == (10, 2)
    assert ends(found.slope) == (1.5, 1.0, 2.5)  # C = 0.6745 root(16.7) = 2.75, M = 4
    assert found.intercept.value == -1.5


def test_points_that_coincide_have_no_slope():
    x, y = [1, 1, 2, 3, 4, 5, 6, 7, 8], [1, 1, 2.5, 2.8, 4.1, 5, 6.3, 6.9, 8.2]
    assert passing_bablok(x, y).n_slopes == 9 * 8 / 2 - 1


@given(seeds, sizes)
def test_without_a_shift_it_is_theil_sen(seed, n):
    x, y = methods(seed, n)
    found = line_of(x, y)
    slopes = [(b - a) / (q - p) for i, (p, a) in enumerate(zip(x, y, strict=True)) for q, b in
              zip(x[:i], y[:i], strict=True)]  # fmt: skip
    assert found.shift == np.sum(np.array(slopes) < -1)
    if not found.shift:
        other = theilslopes(y, x, method="joint")
        assert ends(found.slope) == pytest.approx((other.slope, other.low_slope, other.high_slope))
        assert found.intercept.value == pytest.approx(other.intercept)


@given(seeds, sizes)
def test_exchanging_the_methods_inverts_the_slope(seed, n):
    x, y = methods(seed, n)
    one, other = line_of(x, y), line_of(y, x)
    assert (1 / other.slope.upper, 1 / other.slope.lower) == pytest.approx((one.slope.lower, one.slope.upper))
    # Of an even number of slopes the median is the mean of two, whose inverse is not quite that of their inverses.
    assert one.slope.value == pytest.approx(1 / other.slope.value, rel=1e-9 if one.n_slopes % 2 else 0.05)
    assert one.slope.holds(1 / other.slope.value)


@given(seeds, sizes, st.floats(0.001, 1000), st.floats(-1000, 1000))
def test_the_line_moves_with_units_and_blanks(seed, n, factor, blank):
    x, y = methods(seed, n)
    before, after = line_of(x, y), line_of(factor * x, factor * (y + blank))
    assert ends(after.slope) == pytest.approx(ends(before.slope), rel=1e-6)
    assert ends(after.intercept) == pytest.approx(factor * (np.array(ends(before.intercept)) + blank), rel=1e-4,
                                                  abs=1e-6 * factor)  # fmt: skip


@given(seeds, sizes, st.randoms(use_true_random=False))
def test_the_order_of_the_pairs_is_nothing(seed, n, random):
    x, y = (np.round(values, -1) for values in methods(seed, n))  # with ties
    order = list(range(n))
    random.shuffle(order)
    assert line_of(x, y) == line_of(x[order], y[order])


def test_the_slope_holds_the_truth_as_often_as_its_docstring_says():
    rng = np.random.default_rng(5)
    held = []
    for _ in range(800):
        truth = rng.uniform(100, 1000, 40)
        held.append(passing_bablok(*(truth + rng.normal(0, 20, 40) for _ in range(2))).slope.holds(1))
    assert np.mean(held) == pytest.approx(0.95, abs=0.025)
    held = [passing_bablok(*methods(seed, 40, cv=0.08)).slope.holds(1) for seed in range(800)]
    assert np.mean(held) == pytest.approx(0.91, abs=0.03)


def test_the_cusum_is_that_of_the_signs_along_the_line():
    x, y = methods(7, 41)
    found = passing_bablok(x, y)
    b, a = found.slope.value, found.intercept.value
    residuals = y - a - b * x
    assert sorted(residuals)[20] == pytest.approx(0, abs=1e-9)  # the median is on the line
    above, below = int(np.sum(residuals > 1e-9)), int(np.sum(residuals < -1e-9))
    steps = np.select([residuals > 1e-9, residuals < -1e-9], [sqrt(below / above), -sqrt(above / below)])
    distance = (y + x / b - a) / sqrt(1 + 1 / b**2)  # as in the paper
    sums = np.cumsum(steps[np.argsort(distance)])
    apart = ks_2samp(distance[steps > 0], distance[steps < 0]).statistic
    assert np.max(np.abs(sums)) == pytest.approx(sqrt(above * below) * apart)
    assert found.cusum == pytest.approx(np.max(np.abs(sums)) / sqrt((above + below) / 2 + 1))


def test_a_bent_relation_is_not_linear():
    rng = np.random.default_rng(9)
    x = np.linspace(10, 1000, 60)
    straight, bent = x * np.exp(rng.normal(0, 0.03, 60)), x / (1 + x / 1500) * np.exp(rng.normal(0, 0.03, 60))
    assert passing_bablok(x, straight).linear_p > 0.2
    assert passing_bablok(x, bent).linear_p < 0.001


def test_a_method_agrees_with_itself():
    found, line = bland_altman(MINI, MINI), passing_bablok(MINI, MINI)
    assert (found.sd, ends(found.bias), ends(found.upper_limit), ends(found.slope), found.slope_p) == (
        *(0, (0, 0, 0), (0, 0, 0), (0, 0, 0), 1),
    )
    assert (ends(line.slope), ends(line.intercept), line.cusum, line.linear_p) == ((1, 1, 1), (0, 0, 0), 0, 1)
    assert bland_altman(MINI, 2 * np.array(MINI)).slope_p < 1e-12


@pytest.mark.parametrize("fit", [bland_altman, passing_bablok])
@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        ([1.0, 2], [1.0, 2], "found 2 pairs; expected at least"),
        (MINI, [*WRIGHT[:-1], np.nan], "1 of 17 pairs have a value that is missing"),
        ([*MINI[:-2], inf, -inf], WRIGHT, "2 of 17 pairs have a value that is missing"),
        ([5.0] * 17, WRIGHT, "all 17 values of x are 5"),
        (MINI, [0.0] * 17, "all 17 values of y are 0"),
        (MINI, WRIGHT[1:], r"found \(17,\) values beside \(16,\)"),
    ],
)
def test_what_cannot_be_compared_is_refused(fit, x, y, words):
    with pytest.raises(ConfigError, match=words):
        fit(x, y)


def test_too_few_for_a_line_are_enough_for_differences():
    assert bland_altman(MINI[:7], WRIGHT[:7]).n == 7
    with pytest.raises(ConfigError, match="found 7 pairs; expected at least 8"):
        passing_bablok(MINI[:7], WRIGHT[:7])


def test_methods_that_do_not_rise_together_give_no_line():
    x = np.arange(20.0)
    with pytest.raises(ConfigError, match="the 20 pairs do not rise together firmly enough"):
        passing_bablok(x, -1.7 * x)
    noise = np.random.default_rng(3).normal(size=(2, 12))
    with pytest.raises(ConfigError, match="over a wider range, or more of them"):
        passing_bablok(noise[0], noise[0] * 0.01 + 50 * noise[1])
    with pytest.raises(ConfigError, match="may be 0, negative or infinite"):
        passing_bablok(noise[0], 0.01 * noise[1])


def test_what_has_no_ratio_is_refused_and_can_be_told_before():
    x, y = np.array([0.0, 5, 0, 7]), np.array([0.0, 6, 3, 8])
    assert has_ratio(x, y, scale="log").tolist() == [False, True, False, True]
    assert has_ratio(x, y, scale="percent").tolist() == [False, True, True, True]
    assert has_ratio(x, y, scale="absolute").all()
    with pytest.raises(ConfigError, match="2 of 4 pairs are not above 0 in one method or both"):
        bland_altman(x, y, scale="log")
    with pytest.raises(ConfigError, match="1 of 4 pairs are negative, or 0 in both methods"):
        bland_altman(x, y, scale="percent")
    assert differences(x[1:], y[1:], scale="percent")[1] == 200
    with pytest.raises(ConfigError, match="scale: found 'ratio'; expected absolute, percent, log"):
        bland_altman(x, y, scale="ratio")
    with pytest.raises(ConfigError, match="level: found 95"):
        bland_altman(MINI, WRIGHT, level=95)
    with pytest.raises(ConfigError, match="all 4 pairs have the same average"):
        bland_altman([1, 2, 3, 4], [4, 3, 2, 1])
