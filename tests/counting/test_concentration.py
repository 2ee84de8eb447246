"""Concentrations of pooled tubes: against maximum likelihood, Monte Carlo and a parametric bootstrap."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from nti7flow.counting.budget import total_sd
from nti7flow.counting.concentration import (
    BELOW_LLOQ,
    REPLICATES_DIFFER,
    Concentration,
    Tally,
    concentrate,
    errors_of,
    heterogeneity,
    pool,
)
from nti7flow.counting.reference import by_beads, by_lymphocytes, by_volume
from nti7flow.counting.settings import CountingSettings

SETTINGS = CountingSettings()


def beads(n_beads=10_000, *, lot="L1", per_tube=50_000.0, ul=50.0, bead_cv=0.02, pipetting_cv=0.02):
    return by_beads(
        n_beads,
        beads_per_tube=per_tube,
        specimen_ul=ul,
        dilution=1.0,
        bead_lot=lot,
        bead_cv=bead_cv,
        pipetting_cv=pipetting_cv,
        doublets=None,
    )


def volume(ul, *, cv=0.03):
    return by_volume(ul, dilution=1.0, volume_cv=cv, source="sample sheet", doublets=None)


def share(of, *, draw="P1"):
    return by_lymphocytes(of, alc_per_ul=1000.0, cv=0.05, shared=draw, source="ALC")


def one(*tallies, settings=SETTINGS):
    return concentrate({"x": tallies}, settings)["x"]


def test_one_tube_by_hand():
    """870 cells and 10,000 beads of 50,000 in 50 µL: 87/µL; Poisson of both, lot and pipette are 4.5 % together."""
    found = one(Tally("a", 870, beads()))
    assert found.cells_per_ul == pytest.approx(87)
    sd = math.sqrt(1 / 870 + 1 / 10_000 + 2 * math.log1p(0.02**2))
    assert found.log_sd == pytest.approx(sd)
    # The usual interval on the log scale; the exact one is a little wider, by half an event or so.
    assert found.lower == pytest.approx(87 * math.exp(-1.96 * sd), rel=0.005)
    assert found.upper == pytest.approx(87 * math.exp(1.96 * sd), rel=0.005)
    assert (found.method, found.samples, found.n_events, found.flags) == ("beads", ("a",), 870, ())
    assert found.heterogeneity is None


def test_no_event_is_zero_with_an_upper_limit():
    """Of Poisson counts alone 3.69 events (Garwood), in 10 µL of blood."""
    found = one(Tally("a", 0, volume(10.0, cv=0.0)))
    assert (found.cells_per_ul, found.lower) == (0.0, 0.0)
    assert found.upper == pytest.approx(stats.chi2.ppf(0.975, 2) / 2 / 10)
    assert (found.flags, found.severity) == ((BELOW_LLOQ,), "info")


@pytest.mark.parametrize(
    ("n_events", "ul"), [((12, 30, 7), (5.0, 11.0, 3.0)), ((0, 4), (8.0, 9.0)), ((900, 1), (50, 1))]
)
def test_pooled_estimate_is_the_maximum_of_the_poisson_likelihood(n_events, ul):
    tallies = [Tally(str(i), n, volume(v)) for i, (n, v) in enumerate(zip(n_events, ul, strict=True))]

    def loss(log_rate):
        return -sum(stats.poisson.logpmf(n, math.exp(log_rate) * v) for n, v in zip(n_events, ul, strict=True))

    best = optimize.minimize_scalar(loss, bounds=(-5, 8), method="bounded", options={"xatol": 1e-9})
    assert one(*tallies).cells_per_ul == pytest.approx(math.exp(best.x), rel=1e-5)


def test_pooled_beads_are_the_maximum_of_the_binomial_likelihood():
    """Tubes with other volumes and beads: cells among cells and beads are binomial given both."""
    counts, made = [(140, 9000), (33, 2500), (300, 18_000)], [(50_000, 50.0), (50_000, 50.0), (50_000, 50.0)]
    tallies = [
        Tally(str(i), n, beads(b, per_tube=per, ul=ul))
        for i, ((n, b), (per, ul)) in enumerate(zip(counts, made, strict=True))
    ]

    def loss(log_c):
        odds = [math.exp(log_c) * ul / per for per, ul in made]
        return -sum(stats.binom.logpmf(n, n + b, o / (1 + o)) for (n, b), o in zip(counts, odds, strict=True))

    best = optimize.minimize_scalar(loss, bounds=(0, 8), method="bounded", options={"xatol": 1e-10})
    assert one(*tallies).cells_per_ul == pytest.approx(math.exp(best.x), rel=1e-6)


def test_pooled_tubes_by_hand():
    """10 and 20 µL of blood with 50 and 130 cells: 180 in 30 µL are 6/µL, not the mean of 5 and 6.5."""
    found = one(Tally("a", 50, volume(10.0)), Tally("b", 130, volume(20.0)))
    assert found.cells_per_ul == pytest.approx(6.0)
    assert (found.n_events, found.samples) == (180, ("a", "b"))
    sd = 0.03 * math.sqrt((10 / 30) ** 2 + (20 / 30) ** 2)
    assert total_sd(found.errors) == pytest.approx(sd, rel=1e-3)


def test_tubes_of_other_beads_and_volumes_by_hand():
    """1,000 of 50,000 beads in 50 µL are 1 µL of blood, 2,000 of 50,000 in 100 µL are 4: 80 and 400 cells are 96/µL."""
    first, second = Tally("a", 80, beads(1000)), Tally("b", 400, beads(2000, ul=100.0))
    assert one(first).cells_per_ul == pytest.approx(80)
    assert one(second).cells_per_ul == pytest.approx(100)
    assert one(first, second).cells_per_ul == pytest.approx(96)


def test_a_shared_lot_does_not_average_out_and_a_pipette_does():
    """Against 200,000 simulated pairs of tubes: one lot for both, or a lot each."""
    rng = np.random.default_rng(3)
    n = 200_000
    for lots in (("A", "A"), ("A", "B")):
        tallies = [Tally(lot, 4000, beads(20_000, lot=lot, bead_cv=0.04, pipetting_cv=0.03)) for lot in lots]
        by_lot = {lot: rng.normal(0, 0.04, n) for lot in set(lots)}
        exposure = [np.exp(by_lot[lot] + rng.normal(0, 0.03, n)) for lot in lots]
        cells = sum(rng.poisson(4000 * e) for e in exposure)
        seen = sum(rng.poisson(20_000, n) for _ in lots)
        spread = np.log(cells / seen).std()
        assert one(*tallies).log_sd == pytest.approx(spread, rel=0.02)


def test_what_gates_leave_open_adds_up_in_events():
    """Two of no cells in one tube and none of a hundred in the other: two of a hundred, 2 %, and not half of 127 %."""
    tallies = [Tally("a", 0, beads(), gating_sd=2.0), Tally("b", 100, beads())]
    (gating,) = (error for error in errors_of(tallies) if error.component == "gating")
    assert gating.sd == pytest.approx(0.02, rel=1e-3)


def test_heterogeneity_is_that_of_a_parametric_bootstrap():
    """Tubes with 5 % of their own error each: how often are three as different as these, if they are the same?"""
    tallies = [Tally(str(i), n, volume(20.0, cv=0.05)) for i, n in enumerate((200, 250, 262))]
    rng = np.random.default_rng(5)
    mean = sum(t.n_events for t in tallies) / 3
    drawn = rng.poisson(mean * rng.lognormal(0, 0.05, (500, 3)))
    observed = heterogeneity(tallies)
    each = [heterogeneity([Tally(str(i), int(n), volume(20.0, cv=0.05)) for i, n in enumerate(row)]) for row in drawn]
    as_different = np.mean([p <= observed for p in each])
    assert as_different == pytest.approx(observed, abs=3.5 * math.sqrt(observed * (1 - observed) / 500))
    assert stats.kstest(each, "uniform").pvalue > 0.01


def test_replicates_that_differ_by_more_than_chance_are_flagged():
    found = one(Tally("a", 400, beads()), Tally("b", 600, beads()))
    assert found.heterogeneity < 0.001
    assert found.flags == (REPLICATES_DIFFER,)
    assert found.severity == "review"
    assert one(Tally("a", 400, beads()), Tally("b", 420, beads())).flags == ()


def test_a_wrong_lot_count_of_both_tubes_is_no_difference_between_them():
    """The error of a shared lot cancels: lots of their own would explain a difference that one lot does not."""
    counts = (2000, 2300)
    shared = heterogeneity([Tally(str(i), n, beads(20_000, bead_cv=0.1)) for i, n in enumerate(counts)])
    own = heterogeneity([Tally(str(i), n, beads(20_000, bead_cv=0.1, lot=str(i))) for i, n in enumerate(counts)])
    assert shared < 0.01 < own


def test_nobody_in_any_tube_is_no_difference():
    assert heterogeneity([Tally("a", 0, beads()), Tally("b", 0, beads())]) is None
    assert heterogeneity([Tally("a", 0, beads()), Tally("b", 3, beads())]) > 0.01


def test_all_lymphocytes_are_the_haematology_count():
    found = one(Tally("a", 300, share(300)), Tally("b", 500, share(500)))
    assert found.cells_per_ul == pytest.approx(1000)
    assert found.heterogeneity == pytest.approx(1)
    assert found.upper == pytest.approx(1000 * math.exp(1.96 * math.sqrt(math.log1p(0.05**2))), rel=1e-3)
    assert found.lower < 1000


def test_limit_of_blank_does_not_depend_on_what_was_found():
    limits = [one(Tally("a", n, beads(), background=5.0)).limits for n in (0, 3, 40)]
    assert [each.blank for each in limits] == [stats.poisson.ppf(0.95, 5)] * 3
    assert [each.detection for each in limits] == [limits[0].detection] * 3


@pytest.mark.parametrize(("n_events", "gating_sd"), [(0, 1.0), (5, 1.5), (3, 4.0), (40, 5.0)])
def test_few_events_in_doubt_have_a_limit_of_quantification_all_the_same(n_events, gating_sd):
    found = one(Tally("a", n_events, beads(), gating_sd=gating_sd))
    assert math.isfinite(found.limits.quantification)
    assert (BELOW_LLOQ in found.flags) == (n_events < found.limits.quantification)


def test_below_the_limit_of_quantification_is_where_the_cv_is_larger_than_asked_for():
    for n_events in range(1, 80):
        for gating_sd in (0.0, 2.0, 6.0):
            found = one(Tally("a", n_events, beads(), gating_sd=gating_sd))
            beyond = math.expm1(found.log_sd**2) > 0.2**2
            if abs(found.log_sd - 0.2) > 0.01:  # of log and plain scale, which differ by 1 % at a CV of 20 %
                assert (BELOW_LLOQ in found.flags) == beyond, (n_events, gating_sd)


def test_worst_of_the_tubes_goes_with_the_pool():
    first = Tally("a", 50, beads(), flags=("gate_borrowed",), severity="review", status="borrowed")
    second = Tally("b", 52, beads(), flags=("saturated",), severity="info")
    found = one(second, first)
    assert set(found.flags) == {"gate_borrowed", "saturated"}
    assert (found.severity, found.status) == ("review", "borrowed")
    same = {key: value for key, value in found.reference.inputs.items() if ":" not in key}
    assert same == dict(beads().inputs)
    other = one(second, replace(first, reference=beads(8000)))
    assert (other.reference.inputs["b:n_beads"], other.reference.inputs["a:n_beads"]) == (10_000, 8000)
    assert "n_beads" not in other.reference.inputs


def test_an_interval_has_a_concentration_and_holds_it():
    with pytest.raises(ValueError, match="an interval a concentration"):
        Concentration("x", None, 1.0, 2.0, 0.95)
    with pytest.raises(ValueError, match="lower <= cells/µL <= upper"):
        Concentration("x", 3.0, 1.0, 2.0, 0.95)


tallies_of_beads = st.builds(
    lambda n, b, g, lot: Tally(f"{n}-{b}-{g}-{lot}", n, beads(b, lot=lot), gating_sd=g),
    st.integers(0, 3000),
    st.integers(20, 20_000),
    st.floats(0, 20),
    st.sampled_from(["L1", "L2"]),
)


@given(tallies_of_beads)
def test_one_tube_is_its_own_pool(tally):
    assert pool([tally]) is tally
    assert errors_of([tally]) == tally.errors


@settings(max_examples=40)
@given(st.lists(tallies_of_beads, min_size=2, max_size=4, unique_by=lambda tally: tally.sample), st.randoms())
def test_order_of_the_tubes_never_matters(tallies, random):
    first, second = one(*tallies), one(*random.sample(tallies, len(tallies)))
    assert (first.n_events, first.severity) == (second.n_events, second.severity)
    assert set(first.flags) == set(second.flags)
    for name in ("cells_per_ul", "lower", "upper", "log_sd"):
        assert getattr(first, name) == pytest.approx(getattr(second, name), rel=1e-7)
    if first.heterogeneity is not None:
        assert first.heterogeneity == pytest.approx(second.heterogeneity, abs=1e-5)


@settings(max_examples=40)
@given(st.integers(0, 800), st.integers(10, 5000), st.floats(0, 0.1))
def test_a_tube_in_two_halves_is_the_tube_where_all_errors_are_shared(n_events, n_beads, bead_cv):
    whole = one(Tally("a", 2 * n_events, beads(2 * n_beads, bead_cv=bead_cv, pipetting_cv=0.0)))
    half = beads(n_beads, bead_cv=bead_cv, pipetting_cv=0.0)
    halves = one(Tally("a", n_events, half), Tally("b", n_events, half))
    for name in ("cells_per_ul", "lower", "upper", "log_sd"):
        assert getattr(halves, name) == pytest.approx(getattr(whole, name), rel=1e-7, abs=1e-12)
    assert halves.limits.quantification == pytest.approx(whole.limits.quantification, rel=1e-7)


@settings(max_examples=40)
@given(tallies_of_beads, st.floats(0, 30), st.floats(0, 0.2), st.floats(0, 50))
def test_a_larger_error_never_narrows(tally, gating, lot, background):
    assume(tally.n_events > 0 or gating == 0)
    before = one(tally)
    worse = replace(
        tally,
        gating_sd=tally.gating_sd + gating,
        background=background,
        reference=beads(int(tally.reference.amount), bead_cv=0.02 + lot),
    )
    after = one(worse)
    assert after.cells_per_ul == before.cells_per_ul
    assert after.lower <= before.lower * (1 + 1e-9)
    assert after.upper >= before.upper * (1 - 1e-9)
