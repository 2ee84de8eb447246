"""Judging a placement by replicates of its data."""

import math

import numpy as np
import pytest
from toys import dimensions, place_and_judge

from nti7flow.events.transforms import Linear, Logicle
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.fit import N_REPLICATES, fit_gate, make_gate, make_replicates, seed_for, thresholds_of
from nti7flow.gating.gates import PolygonGate, RectangleGate
from nti7flow.gating.histogram import Histogram, fit_axis
from nti7flow.gating.methods.registry import Method, Parameters, Placement

AXIS = fit_axis("X", 1)


def two_heaps(n, *, seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(0.3, 0.04, n), rng.normal(0.65, 0.04, n)])


def judged(placements, *, counts=None, tolerance=0.05):
    """Judge a method that places as told: first on the data, then on each replicate."""
    answers = iter(placements)
    told = Method("told", 1, 1, Parameters, lambda histogram, parameters: next(answers))
    histogram = Histogram((AXIS,), np.full(AXIS.n_bins, 1) if counts is None else counts)
    replicates = [histogram] * (len(placements) - 1)
    return fit_gate(histogram, told, Parameters(), dimensions(1), replicates, tolerance=tolerance)


def at(bin_number):
    return Placement(lower=float(AXIS.low + bin_number * AXIS.width))


def test_worked_by_hand():
    """1,024 bins of one event; the gate keeps 512, and of four replicates two lie 10 bins lower: 5 events moved."""
    fitted = judged([at(512), at(512), at(502), at(512), at(502)])
    assert fitted.placement == at(512)
    assert fitted.n_fitted == 1024
    assert fitted.flags == ()
    assert fitted.diagnostics == {"replicates_placed": 4, "events_moved": 5.0, "events_inside": 512}
    assert fitted.spread == pytest.approx(5 * AXIS.width)


@pytest.mark.parametrize(
    ("moved", "flags", "reason"),
    [
        (27, (), ""),  # 27 - 2 forgiven = 25 of 512: 4.9 %
        (28, ("unstable_gate",), ""),  # 26 of 512: 5.1 %
        (53, ("unstable_gate",), ""),  # 51 of 512: 9.96 %
        (54, (), "10 % of its events change sides between replicates of the data"),
        (400, (), "78 % of its events change sides between replicates of the data"),
    ],
)
def test_a_gate_that_the_data_hold_less_and_less(moved, flags, reason):
    fitted = judged([at(512), *[at(512 + moved)] * 4])
    assert (fitted.flags, fitted.placement.reason) == (flags, reason)
    assert fitted.placement.placed == (reason == "")
    assert math.isnan(fitted.spread) == (reason != "")


def test_the_tolerance_is_the_templates():
    assert judged([at(512), *[at(552)] * 4], tolerance=0.05).flags == ("unstable_gate",)
    assert judged([at(512), *[at(552)] * 4], tolerance=0.1).flags == ()
    assert judged([at(512), *[at(552)] * 4], tolerance=0.03).placement.reason.startswith("7 % of its events")


def test_a_gate_that_too_few_replicates_can_place_is_refused():
    refusal = Placement(reason="one mode: no valley")
    assert judged([at(512), *[at(512)] * 15, *[refusal] * 5]).placement.placed
    fitted = judged([at(512), *[at(512)] * 14, *[refusal] * 6])
    assert fitted.placement.reason == "only 14 of 20 replicates of the data place it"
    assert judged([at(512), *[refusal] * 20]).placement.reason == "only 0 of 20 replicates of the data place it"


def test_two_events_are_forgiven_in_a_small_population():
    counts = np.zeros(AXIS.n_bins, np.int64)
    counts[600:620] = 1
    assert judged([at(600), *[at(602)] * 4], counts=counts).flags == ()
    assert judged([at(600), *[at(604)] * 4], counts=counts).flags == ("unstable_gate",)
    assert not judged([at(600), *[at(605)] * 4], counts=counts).placement.placed


def test_a_method_that_refuses_is_not_asked_again():
    fitted = judged([Placement(reason="only 3 events, 20 are needed", diagnostics={"n_modes": 1})])
    assert fitted.placement.reason == "only 3 events, 20 are needed"
    assert fitted.diagnostics == {"n_modes": 1}
    assert math.isnan(fitted.spread)


def test_the_spread_shrinks_with_the_number_of_events():
    spreads = [place_and_judge("density_valley@1", two_heaps(n)).spread for n in (50, 500, 50_000)]
    assert spreads[0] > spreads[1] > spreads[2] > 0


def test_the_spread_is_that_of_fresh_samples():
    """What the bootstrap says of one sample is about the scatter of thresholds over many."""
    fits = [place_and_judge("quantile@1", two_heaps(400, seed=seed), seed=seed, q=0.2) for seed in range(60)]
    scatter = np.std([fit.placement.lower for fit in fits])
    assert np.median([fit.spread for fit in fits]) == pytest.approx(scatter, rel=0.35)


def test_the_spread_of_an_outline_is_per_point():
    values = np.random.default_rng(0).normal((0.7, 0.2), 0.03, (2000, 2))
    fitted = place_and_judge("density_cluster_2d@1", values, anchor=(0.5, 0.5), alone=True)
    assert 0 < fitted.spread < 0.03


def test_the_same_seed_gives_the_same_verdict():
    one, two = (place_and_judge("density_valley@1", two_heaps(100), seed=7) for _ in range(2))
    assert one == two
    assert place_and_judge("density_valley@1", two_heaps(100), seed=8).spread != one.spread


def test_replicates_are_as_many_and_as_large_as_they_should():
    counts = np.zeros(AXIS.n_bins, np.int64)
    counts[500] = 10_000
    replicates = make_replicates(Histogram((AXIS,), counts), np.random.default_rng(0))
    assert len(replicates) == N_REPLICATES == 20
    assert np.mean([r.n_events for r in replicates]) == pytest.approx(10_000, abs=150)
    assert len({r.n_events for r in replicates}) > 10


def test_seeds_depend_on_every_part_and_on_nothing_else():
    def draw(*parts):
        return seed_for(*parts).integers(2**62)

    assert draw("recipe", "CD3", "file") == draw("recipe", "CD3", "file")
    assert len({draw("a", "b"), draw("ab"), draw("b", "a"), draw("a", "b", ""), draw("a")}) == 5


def test_a_placement_becomes_the_plain_gate():
    x, y = dimensions(2)
    assert make_gate(Placement(lower=0.5), (x,)) == RectangleGate((x,), (0.5,), (None,))
    assert make_gate(Placement(upper=0.5), (x,)) == RectangleGate((x,), (None,), (0.5,))
    vertices = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
    assert make_gate(Placement(vertices=vertices), (x, y)) == PolygonGate((x, y), vertices)


def test_thresholds_are_told_on_the_display_and_on_the_scale():
    cd3 = Dimension("FL1-A", "CD3", True, Logicle(262144.0, 0.5, 4.5, 0.0))
    time = Dimension("Time", "", False, Linear(100.0))
    told = thresholds_of(RectangleGate((cd3, time), (0.5, None), (None, 0.25)))
    assert set(told) == {"CD3", "Time"}
    assert told["Time"] == {"upper": 0.25, "upper_scale": 25.0}
    assert set(told["CD3"]) == {"lower", "lower_scale"}
    assert cd3.transform.apply(told["CD3"]["lower_scale"]) == pytest.approx(0.5)
    outline = thresholds_of(PolygonGate((cd3, time), ((0.0, 0.12345678), (1.0, 0.0), (0.0, 1.0))))
    assert outline == {"x": "CD3", "y": "Time", "vertices": [[0.0, 0.1235], [1.0, 0.0], [0.0, 1.0]]}
