"""Intervals of a count: exact where nothing else errs, and one smooth method with everything else averaged in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from nti7flow.counting.intervals import _ROWS, MOST_LEVEL, central_interval, log_likelihood

KINDS = ("beads", "volume", "share")
TAIL = 0.025

counts = st.integers(0, 3_000)
beads = st.integers(1, 20_000)
spreads = st.one_of(st.just(0.0), st.floats(0.001, 0.3))
kinds = st.sampled_from(KINDS)
few = settings(max_examples=40, deadline=None)


def one(n, per, sd=0.0, **arguments):
    lower, upper = central_interval([n], [per], sd, **arguments)
    return lower[0], upper[0]


def reference(kind, n, per):
    """A reference that goes with a count of its kind: no share is above 1."""
    return n + per if kind == "share" else per


# --- against others' truth ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "lower", "upper", "digits"),
    [  # DOMAIN.md §2
        (0, 0, 3.69, 2),
        (1, 0.03, 5.57, 2),
        (5, 1.62, 11.67, 2),
        (10, 4.80, 18.39, 2),
        (25, 16.2, 36.9, 1),
        (100, 81.4, 121.6, 1),
    ],
)
def test_exact_poisson_intervals_as_published(n, lower, upper, digits):
    found = one(n, 1.0, kind="volume")
    assert [round(float(x), digits) for x in found] == [lower, upper]


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95, 0.99, MOST_LEVEL])
def test_volume_is_garwood(level):
    n = np.array([0, 1, 2, 3, 7, 20, 50, 333, 2500, 100_000])
    tail = (1 - level) / 2
    lower, upper = central_interval(n, 4.0, kind="volume", level=level)
    np.testing.assert_allclose(lower[1:], stats.chi2.ppf(tail, 2 * n[1:]) / 8, rtol=1e-8)
    np.testing.assert_allclose(upper, stats.chi2.isf(tail, 2 * (n + 1)) / 8, rtol=1e-8)
    assert lower[0] == 0


@pytest.mark.parametrize("level", [0.5, 0.95, MOST_LEVEL])
def test_beads_are_the_conditional_binomial(level):
    """The ratio of two Poisson means by quantiles of F, and by the share of one of them with beta's."""
    n, b = (x.ravel() for x in np.meshgrid([0, 1, 2, 5, 30, 400, 2500, 40_000], [1, 2, 10, 200, 5000, 20_000]))
    tail = (1 - level) / 2
    lower, upper = central_interval(n, b, kind="beads", level=level)
    some = n > 0
    by_f = n[some] / (b[some] + 1) * stats.f.ppf(tail, 2 * n[some], 2 * (b[some] + 1))
    np.testing.assert_allclose(lower[some], by_f, rtol=1e-7)
    np.testing.assert_allclose(upper, (n + 1) / b * stats.f.isf(tail, 2 * (n + 1), 2 * b), rtol=1e-7)
    share = stats.beta.ppf(tail, n[some], b[some] + 1)
    np.testing.assert_allclose(lower[some] / (1 + lower[some]), share, rtol=1e-7)
    assert not lower[~some].any()


@pytest.mark.parametrize("level", [0.5, 0.95, MOST_LEVEL])
def test_share_is_clopper_pearson(level):
    n, per = np.array([(0, 1), (1, 1), (0, 50), (3, 50), (25, 50), (49, 50), (50, 50), (520, 1000), (9, 90_000)]).T
    lower, upper = central_interval(n, per, kind="share", level=level)
    for k, m, low, high in zip(n, per, lower, upper, strict=True):
        theirs = stats.binomtest(int(k), int(m)).proportion_ci(level, method="exact")
        assert (low, high) == pytest.approx((theirs.low, theirs.high), rel=1e-7)


@pytest.mark.parametrize(("n", "percent"), [(70, 12.5), (200, 8.0), (1000, 4.9)])
def test_coefficients_of_variation_as_published(n, percent):
    """DOMAIN.md §2: 10,000 beads, 2 % lot, 3 % pipetting. What is exact is wider, by half an event on each side."""
    cv = np.sqrt(1 / n + 1 / 10_000 + 0.02**2 + 0.03**2)
    assert round(100 * cv, 1) == percent
    lower, upper = one(n, 10_000, np.hypot(0.02, 0.03), kind="beads")
    assert np.log(upper / lower) / 2 == pytest.approx(1.959964 * cv + 0.5 / n, rel=1e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sd", [0.01, 0.036, 0.15])
def test_large_counts_come_to_the_delta_method_on_the_log_scale(kind, sd):
    n, per = 1_000_000, 4_000_000
    variance = {"beads": 1 / n + 1 / per, "volume": 1 / n, "share": 1 / n - 1 / per}[kind]
    lower, upper = one(n, per, sd, kind=kind)
    half = 1.959964 * np.sqrt(variance + sd**2)
    assert np.log([lower * per / n, upper * per / n]) == pytest.approx([-half, half], rel=1e-3)


def slow_interval(n, per, sd, kind, background):
    """The definition, with adaptive quadrature over the log-normal and a root by bisection; a minute for a plate."""
    distribution = {
        "beads": lambda rate: stats.binom(n + per, rate / (1 + rate)),
        "volume": lambda rate: stats.poisson(rate * per),
        "share": lambda rate: stats.binom(per, min(rate, 1.0)),
    }[kind]

    def averaged(tail, rate):
        bend = [-np.log(rate) / sd] if kind == "share" and abs(np.log(rate)) < 8 * sd else None
        return integrate.quad(
            lambda z: stats.norm.pdf(z) * tail(rate * np.exp(sd * z)), -9, 9, points=bend, epsabs=1e-11, limit=400
        )[0]

    def at_least(rate):
        return averaged(lambda r: distribution(r + background / per).sf(n - 1), rate)

    def at_most(rate):  # a share above 1 cannot be
        return averaged(lambda r: 0.0 if kind == "share" and r > 1 else distribution(r).cdf(n), rate)

    def solve(tail, low, high):
        return np.exp(optimize.brentq(lambda u: tail(np.exp(u)) - TAIL, np.log(low), np.log(high), xtol=1e-9))

    span = 30 * np.exp(6 * sd)
    estimate = max(n, 1) / per
    nothing = n == 0 or at_least(1e-9 / per) >= TAIL
    lower = 0.0 if nothing else solve(at_least, estimate / span / 1e3, estimate * span)
    return lower, solve(at_most, estimate / span, estimate * span)


@pytest.mark.parametrize(
    ("kind", "n", "per", "sd", "background"),
    [
        ("beads", 0, 500, 0.2, 0.0),
        ("beads", 3, 200, 0.03, 0.0),
        ("beads", 12, 8_000, 0.06, 4.5),
        ("beads", 70, 5_000, 0.0283, 0.0),
        ("beads", 900, 40, 0.12, 100.0),
        ("volume", 0, 30.0, 0.5, 0.0),
        ("volume", 5, 30.0, 0.05, 1.5),
        ("volume", 2, 30.0, 0.05, 1.5),
        ("volume", 2_500, 30.0, 0.08, 0.0),
        ("share", 520, 1_000, 0.05, 0.0),
        ("share", 6, 1_000, 0.07, 2.0),
        ("share", 970, 1_000, 0.05, 30.0),
        ("share", 0, 25, 0.05, 0.0),
    ],
)
def test_against_a_slow_independent_computation(kind, n, per, sd, background):
    found = one(n, per, sd, kind=kind, background=background)
    assert found == pytest.approx(slow_interval(n, per, sd, kind, background), rel=1e-6)


def test_all_of_the_lymphocytes():
    """Nothing but the other errors bounds the share from above; the step at 1 is summed over, not integrated."""
    _, upper = one(1_000, 1_000, 0.05, kind="share")
    assert upper == pytest.approx(np.exp(1.959964 * 0.05), rel=1e-3)
    assert one(1_000, 1_000, kind="share")[1] == pytest.approx(1.0)


# --- by hand --------------------------------------------------------------------------------------


def test_worked_by_hand():
    # No cell, one bead: (1/(1+r))^1 = 0.025, so r = 39. No cell in 2 µL: exp(-2c) = 0.025, so c = ln(40)/2.
    assert one(0, 1, kind="beads") == (0, pytest.approx(39))
    assert one(0, 2.0, kind="volume") == (0, pytest.approx(np.log(40) / 2))
    # One cell, one bead. Of two events at least one is a cell: 1 - (1-p)² = 0.025, p = 1 - √0.975 = 0.012579,
    # r = p/(1-p) = 0.012739. At most one: 1 - p² = 0.025, p = √0.975 = 0.987421, r = 78.497.
    assert one(1, 1, kind="beads") == (pytest.approx(0.012739, abs=1e-6), pytest.approx(78.497, abs=1e-3))
    # One of one lymphocyte: p = 0.025 from below.
    assert one(1, 1, kind="share") == (pytest.approx(0.025), pytest.approx(1.0))


def test_few_beads_reach_far():
    """One bead beside a thousand cells says little, and the limits are still found."""
    lower, upper = one(1_000, 1, kind="beads")
    assert lower == pytest.approx(1_000 / 2 * stats.f.ppf(TAIL, 2_000, 4))
    assert upper == pytest.approx(1_001 * stats.f.isf(TAIL, 2_002, 2))


# --- properties -----------------------------------------------------------------------------------


@few
@given(counts, beads, spreads, kinds)
def test_limits_bracket_the_estimate(n, per, sd, kind):
    per = reference(kind, n, per)
    lower, upper = one(n, per, sd, kind=kind)
    assert 0 <= lower <= n / per * (1 + 1e-9)
    assert n / per * (1 - 1e-9) <= upper < np.inf
    assert (lower == 0) == (n == 0)


@few
@given(counts, st.integers(1, 500), beads, spreads, kinds)
def test_more_cells_are_more(n, more, per, sd, kind):
    per = reference(kind, n + more, per)
    lower, upper = central_interval([n, n + more], per, sd, kind=kind)
    assert lower[0] < lower[1]
    assert upper[0] < upper[1] * (1 + 1e-9)


@few
@given(counts, beads, st.integers(2, 50), spreads)
def test_more_beads_are_narrower(n, per, times, sd):
    lower, upper = central_interval(n, [per, times * per], sd, kind="beads")
    assert lower[0] * per <= lower[1] * times * per * (1 + 1e-9)
    assert upper[0] > upper[1] * times


@few
@given(st.integers(1, 3_000), beads, st.integers(2, 50), spreads, kinds)
def test_longer_acquisition_is_narrower(n, per, times, sd, kind):
    per = reference(kind, n, per)
    lower, upper = central_interval([n, times * n], [per, times * per], sd, kind=kind)
    ratio = upper / lower
    assert ratio[1] < ratio[0]


@few
@given(counts, beads, spreads, st.floats(0.01, 0.3), kinds)
def test_other_errors_make_it_wider(n, per, sd, more, kind):
    per = reference(kind, n, per)
    lower, upper = central_interval(n, per, [sd, np.hypot(sd, more)], kind=kind)
    assert lower[1] < lower[0] or n == 0
    # Of a share, errors beyond the whole are impossible, and then the upper limit has them from above alone.
    assert upper[1] > upper[0] or (kind == "share" and upper[0] > 0.5)


@few
@given(counts, beads, spreads, st.floats(0.001, 4_000.0), st.floats(0.001, 4_000.0), kinds)
def test_background_lowers_the_lower_limit_alone(n, per, sd, some, more, kind):
    per = reference(kind, n, per)
    lower, upper = central_interval(n, per, sd, kind=kind, background=[0.0, some, some + more])
    assert upper == pytest.approx(upper[0], rel=1e-9)
    assert lower[0] * (1 + 1e-9) >= lower[1]
    assert lower[1] * (1 + 1e-9) >= lower[2]
    if n and some >= n:
        assert lower[1] == 0


@few
@given(counts, st.floats(0.01, 500.0), spreads, st.floats(0.001, 1_000.0))
def test_a_volume_only_scales(n, volume, sd, times):
    lower, upper = central_interval(n, [volume, times * volume], sd, kind="volume")
    assert lower[0] == pytest.approx(times * lower[1], rel=1e-8)
    assert upper[0] == pytest.approx(times * upper[1], rel=1e-8)


@few
@given(counts, beads, spreads, kinds, st.floats(0.1, 0.99), st.floats(0.001, 0.0099))
def test_a_higher_level_is_wider(n, per, sd, kind, level, more):
    per = reference(kind, n, per)
    inner, outer = (one(n, per, sd, kind=kind, level=x) for x in (level, level + more))
    assert outer[0] < inner[0] or n == 0
    assert outer[1] > inner[1] * (1 - 1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_do_not_depend_on_their_neighbours(kind):
    """Rows are sorted and worked on in chunks; neither the order nor the company may show."""
    random = np.random.default_rng(5)
    n = random.integers(0, 3_000, _ROWS + 107)
    per = n + random.integers(1, 10_000, len(n))
    sd, background = random.choice([0.0, 0.02, 0.06, 0.2], len(n)), random.choice([0.0, 0.5, 20.0], len(n))
    lower, upper = central_interval(n, per, sd, kind=kind, background=background)
    order = random.permutation(len(n))
    parts = np.array_split(order, [1, 5, 40, _ROWS + 20])
    split = [central_interval(n[i], per[i], sd[i], kind=kind, background=background[i]) for i in parts]
    again = np.hstack(split)
    np.testing.assert_allclose(again[0], lower[order], rtol=1e-7)
    np.testing.assert_allclose(again[1], upper[order], rtol=1e-7)


@pytest.mark.parametrize(("kind", "per"), [("beads", 1_000), ("beads", 20_000), ("volume", 50.0), ("share", 30_000)])
@pytest.mark.parametrize("sd", [0.0, 0.0283, 0.06])
def test_nothing_jumps_between_small_and_large_counts(kind, per, sd):
    """The width relative to the count falls with every event, and ever more slowly."""
    lower, upper = central_interval(np.arange(1, 2_500), per, sd, kind=kind)
    fall = -np.diff(np.log(upper / lower))
    assert (fall > 0).all()
    assert (np.diff(fall) < 1e-7).all()
    assert (fall[1:] > fall[:-1] * 0.3).all()  # never all at once


def test_shapes():
    lower, upper = central_interval([], [], kind="beads")
    assert lower.shape == upper.shape == (0,)
    lower, upper = central_interval(5, [100, 200, 300], 0.02, kind="beads")
    assert lower.shape == upper.shape == (3,)
    assert central_interval(5, 100, kind="beads")[0].shape == (1,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(n_events=[-1], reference=[5]), "events >= 0"),
        (dict(n_events=[np.nan], reference=[5]), "finite"),
        (dict(n_events=[1], reference=[0]), "reference > 0"),
        (dict(n_events=[1], reference=[np.inf]), "finite"),
        (dict(n_events=[1], reference=[5], sd=-0.1), "sd >= 0"),
        (dict(n_events=[1], reference=[5], background=-1), "background >= 0"),
        (dict(n_events=[1], reference=[0.5]), "at least one bead"),
        (dict(n_events=[6], reference=[5], kind="share"), "more events than those of which they are a share"),
        (dict(n_events=[1], reference=[5], kind="weight"), "expected one of beads, volume, share"),
        (dict(n_events=[1], reference=[5], level=0), "level is 0"),
        (dict(n_events=[1], reference=[5], level=95), "level is 95"),
        (dict(n_events=[1, 2], reference=[5, 6, 7]), "broadcast"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        central_interval(**{"kind": "beads", **arguments})


# --- likelihood -----------------------------------------------------------------------------------

RATES = np.array([0.001, 0.01, 0.3, 0.52, 0.9])


@pytest.mark.parametrize(("n", "per"), [(0, 40), (5, 900), (480, 1_000)])
@pytest.mark.parametrize("sd", [0.0, 0.04, 0.3])
def test_log_likelihood_against_mass_functions(n, per, sd):
    mass = {
        "beads": lambda r: stats.binom.pmf(n, n + per, r / (1 + r)),
        "volume": lambda r: stats.poisson.pmf(n, r * per),
        "share": lambda r: stats.binom.pmf(n, per, r) if r <= 1 else 0.0,
    }
    for kind, of in mass.items():
        found = log_likelihood(n, per, sd, RATES, kind=kind)
        if not sd:
            np.testing.assert_allclose(np.exp(found), [of(r) for r in RATES], rtol=1e-9, atol=1e-300)
            continue
        for rate, value in zip(RATES, found, strict=True):
            # Where it has its weight: at the prior, and where the rate would be the one that was counted.
            peak = np.clip(np.log(max(n, 0.5) / per / rate) / sd, -5, 5)
            truth = integrate.quad(
                lambda z, rate=rate, of=of: stats.norm.pdf(z) * of(rate * np.exp(sd * z)),
                *(-5.5, 5.5),
                points=[peak, min(max(-np.log(rate) / sd, -5.4), 5.4)],
                limit=400,
                epsabs=0,
            )[0]
            if truth > 1e-6:
                assert value == pytest.approx(np.log(truth), abs=1e-3)


@pytest.mark.parametrize("sd", [0.0, 0.05, 0.4])
def test_likelihoods_of_all_counts_add_up_to_one(sd):
    by_volume = [log_likelihood(n, 10.0, sd, 1.2, kind="volume")[0] for n in range(200)]
    by_share = [log_likelihood(n, 60, sd, 0.1, kind="share")[0] for n in range(61)]
    assert np.exp(by_volume).sum() == pytest.approx(1, abs=1e-6)
    assert np.exp(by_share).sum() == pytest.approx(1, abs=1e-6)


def test_log_likelihood_is_highest_at_the_estimate():
    rates = np.geomspace(0.001, 0.9, 4_001)
    for kind in KINDS:
        best = rates[log_likelihood(100, 5_000, 0.02, rates, kind=kind).argmax()]
        assert best == pytest.approx(0.02, rel=5e-3)
