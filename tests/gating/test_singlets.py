"""singlets: a band around the line of single cells in area against height."""

import numpy as np
import pytest
from scipy.stats import theilslopes
from simulated_tubes import simulated_tube
from toys import dimensions, histogram_of, place, place_and_judge

from nti7flow.events.fcs import read_fcs
from nti7flow.gating.fit import make_gate

N = 6000


def tube(seed=0, slope=1.0, spread=0.02, doublets=0.05):
    """Area, height, and which events are two cells: twice the area at one height."""
    rng = np.random.default_rng(seed)
    area = np.clip(rng.lognormal(np.log(0.25), 0.3, N), 0.02, 0.5)
    height = slope * area * rng.normal(1, spread, N)
    double = rng.random(N) < doublets
    return np.column_stack([np.where(double, 2 * area, area), height]), double


def inside(placement, values):
    return make_gate(placement, dimensions(2)).contains(values)


def test_worked_by_hand():
    """Heights equal to areas exactly: the band is its least width, 4 x 1 % of the height, and 0.01 for debris."""
    area = np.repeat(np.linspace(0.1, 0.9, 200), 5)
    placement = place("singlets@1", np.column_stack([area, area]))
    assert placement.diagnostics["slope"] == pytest.approx(1, abs=0.01)
    assert placement.diagnostics["intercept"] == pytest.approx(0, abs=0.01)
    points = [(0.5, 0.5), (0.5, 0.525), (0.5, 0.475), (0.5, 0.55), (0.5, 0.45), (0.8, 0.4), (0.005, 0.005)]
    assert inside(placement, np.array(points)).tolist() == [True, True, True, False, False, False, True]


@pytest.mark.parametrize("slope", [0.5, 1.0, 1.6])
@pytest.mark.parametrize("spread", [0.01, 0.04])
def test_keeps_single_cells_and_drops_doublets(slope, spread):
    values, double = tube(slope=slope, spread=spread)
    kept = inside(place("singlets@1", values), values)
    assert kept[~double].mean() > 0.998
    assert kept[double].mean() < 0.02


def test_the_band_is_in_standard_deviations():
    """Of normal heights 95.4 % lie within two; the 0.01 for debris adds a third of one here."""
    rng = np.random.default_rng(0)
    area = rng.uniform(0.5, 0.9, N)
    values = np.column_stack([area, area * rng.normal(1, 0.04, N)])
    assert inside(place("singlets@1", values, distance=2.0), values).mean() == pytest.approx(0.98, abs=0.012)


def test_the_line_is_the_robust_line_of_the_events():
    values, _ = tube()
    slope, intercept, _, _ = theilslopes(values[:1500, 1], values[:1500, 0])
    placement = place("singlets@1", values)
    areas = np.array([0.15, 0.3, 0.45])
    line = placement.diagnostics["intercept"] + placement.diagnostics["slope"] * areas
    assert line == pytest.approx(intercept + slope * areas, rel=0.06)


def test_a_simulated_tube_loses_few_single_cells():
    simulated = simulated_tube(3)
    values = simulated.events[:, :2] / 262144
    fitted = place_and_judge("singlets@1", values)
    assert fitted.placement.placed
    assert fitted.flags == ()
    kept = inside(fitted.placement, values)
    double = simulated.labels == "doublets"
    assert kept[~double].mean() > 0.99
    assert kept[double].mean() < 0.4


def test_the_order_of_events_and_of_merging_does_not_matter():
    values, _ = tube()
    shuffled = np.random.default_rng(1).permutation(values)
    one, two = histogram_of(shuffled[:2500]), histogram_of(shuffled[2500:])
    assert place("singlets@1", one.merged(two)) == place("singlets@1", values) == place("singlets@1", two.merged(one))


def test_few_events_never_yield_a_gate():
    assert place("singlets@1", tube()[0][:199]).reason == "only 199 events, 200 are needed"


def test_a_height_that_does_not_grow_with_area_is_refused():
    area = np.random.default_rng(0).uniform(0.1, 0.9, 1000)
    assert place("singlets@1", np.column_stack([area, 0.9 - 0.8 * area])).reason == "height does not grow with area"
    assert place("singlets@1", np.full((1000, 2), 0.4)).reason == "height does not grow with area"


def test_events_that_are_all_off_scale_are_refused():
    assert place("singlets@1", np.full((1000, 2), -0.1)).reason == "height does not grow with area"


def test_cells_that_a_person_gated_as_single_are_kept(shared_data):
    """A mouse spleen gated by hand in FlowJo; its cell types lie inside a singlet gate on height and width."""
    folder = shared_data / "flowsom_wsp" / "inst" / "extdata"
    labels = np.array([line.strip('"') for line in (folder / "gatingResult.csv").read_text().splitlines()])
    values = read_fcs(folder / "68983.fcs").columns(["FSC-A", "FSC-H"]) / 262144
    fitted = place_and_judge("singlets@1", values)
    kept = inside(fitted.placement, values)
    cells = labels != "Unlabeled"
    assert cells.sum() == 13_671
    assert kept[cells].mean() > 0.995
    assert kept[~cells].mean() < 0.95  # not only doublets: whatever the person left out
