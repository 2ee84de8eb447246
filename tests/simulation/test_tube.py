"""Simulated tubes: truth adds up, light behaves like light, and what happens at the bench shows in the events."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chisquare, spearmanr

from nti7flow.simulation import (
    CELL_TYPES,
    HEALTHY,
    POPULATIONS,
    TBNK_CANTO,
    CellState,
    Clog,
    Donor,
    Flow,
    Preparation,
    Stop,
    draw_donor,
    simulate_tube,
)
from nti7flow.simulation.preparation import tube_particles
from nti7flow.simulation.tube import TIME_STEP_S

TOP = 262_143
#: Nothing but the cells, one at a time.
CLEAN = Preparation(debris_per_ul=0, ghosts_per_ul=0, doublets=0)
BEADS = Preparation(beads=50_000)
CELLS = {name for name, cell in CELL_TYPES.items() if cell.is_cell}
LEAVES = {cell.population for cell in CELL_TYPES.values() if cell.is_cell}
OTHERS = {"debris", "dead", "doublets", "beads", "bead_doublets", "carry_over"}


def simulate(seed=1, events=8000, **options):
    """A tube of healthy blood, if nothing else is said."""
    return simulate_tube(np.random.default_rng(seed), **({"stop": Stop(events=events)} | options))


@pytest.fixture(scope="module")
def tube():
    return simulate(events=20_000, preparation=BEADS)


def column(tube, name):
    """Values of one channel, by detector or marker."""
    at = tube.markers.index(name) if name in tube.markers else tube.detectors.index(name)
    return tube.events[:, at]


def compensated(tube, matrix=None):
    """Values by marker, compensated with the true matrix."""
    at = [tube.detectors.index(detector) for detector in tube.cytometer.detectors]
    values = tube.events[:, at] @ np.linalg.inv(tube.cytometer.measured_spillover if matrix is None else matrix)
    return dict(zip(tube.cytometer.labels, values.T, strict=True))


def median(tube, name, population):
    return np.median(column(tube, name)[tube.labels == population])


# --- truth --------------------------------------------------------------------------------------------------------


def test_same_seed_same_tube():
    first, other = simulate(7), simulate(8)
    again = simulate_tube(np.random.default_rng(7), stop=Stop(events=8000))
    np.testing.assert_array_equal(first.events, again.events)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert (first.acquired_ul, first.seconds) == (again.acquired_ul, again.seconds)
    assert not np.array_equal(first.events, other.events)


def test_truth_adds_up(tube):
    counts, cells = tube.counts(), tube.cells()
    assert {len(values) for values in (tube.labels, tube.cell_types, tube.partners, tube.dead)} == {20_000}
    assert len(tube.events) == 20_000
    assert set(tube.labels.tolist()) <= LEAVES | OTHERS
    assert sum(counts[name] for name in LEAVES | OTHERS) == 20_000
    assert counts["t_cells"] == sum(counts[name] for name in ("cd4_t", "cd8_t", "dn_t", "dp_t"))
    assert counts["lymphocytes"] == counts["t_cells"] + counts["b_cells"] + counts["nk_cells"]
    # Dead cells and those in doublets are not single live ones, and are cells of the specimen nonetheless.
    assert all(cells[name] >= counts[name] for name in POPULATIONS)
    more = sum(cells[name] - counts[name] for name in LEAVES)
    with_cell = np.isin(tube.partners, [name for name, cell in CELL_TYPES.items() if cell.is_cell])
    first_cell = (tube.labels == "doublets") & (tube.cell_types != "beads")
    assert more == counts["dead"] + with_cell.sum() + first_cell.sum()
    assert cells["beads"] == (tube.cell_types == "beads").sum() + (tube.partners == "beads").sum()


def test_a_label_is_the_most_disturbing_thing_about_an_event(tube):
    assert set(tube.partners[tube.labels == "bead_doublets"].tolist()) == {"beads"}
    assert set(tube.cell_types[tube.labels == "bead_doublets"].tolist()) == {"beads"}
    assert tube.dead[tube.labels == "dead"].all()
    assert not tube.dead[np.isin(tube.labels, list(LEAVES))].any()
    # A cell with debris in its pulse is that cell.
    beside_debris = np.isin(tube.partners, ["debris", "red_cell_ghosts"])
    assert beside_debris.sum() > 50
    assert "doublets" not in tube.labels[beside_debris]


def test_populations_are_made_of_cell_types():
    for name, types in POPULATIONS.items():
        assert set(types) <= CELLS, name
        assert len(set(types)) == len(types)
    for leaf in LEAVES:  # what a cell type calls its population is where it is listed
        assert {name for name, cell in CELL_TYPES.items() if cell.population == leaf} == set(POPULATIONS[leaf])
    assert sorted(name for leaf in LEAVES for name in POPULATIONS[leaf]) == sorted(CELLS)
    assert set(HEALTHY) <= CELLS
    for lineage in ("cd4", "cd8"):  # quadrants part a lineage
        parts = [POPULATIONS[f"{lineage}_{stage}"] for stage in ("naive", "cm", "em", "temra")]
        assert sorted(sum(parts, ())) == sorted(POPULATIONS[f"{lineage}_t"])
        assert set(POPULATIONS[f"{lineage}_scm"]) < set(POPULATIONS[f"{lineage}_naive"])
    assert set(POPULATIONS["cd4_cd31_naive"]) < set(POPULATIONS["cd4_naive"])
    assert set(POPULATIONS["cd4_treg"]) < set(POPULATIONS["cd4_t"])
    for whole, parts in {
        "t_cells": ("cd4_t", "cd8_t", "dn_t", "dp_t"),
        "lymphocytes": ("t_cells", "b_cells", "nk_cells"),
    }.items():
        assert sorted(sum((POPULATIONS[name] for name in parts), ())) == sorted(POPULATIONS[whole])


def test_cells_come_in_the_proportions_of_the_blood():
    tube = simulate(events=20_000, preparation=CLEAN)
    blood = {name: n for name, n in tube_particles(HEALTHY, CLEAN).items() if n > 0}
    types = list(blood)
    found = np.array([(tube.cell_types == name).sum() for name in types])
    expected = np.array([blood[name] for name in types])
    assert chisquare(found, expected / expected.sum() * found.sum()).pvalue > 0.001


def test_a_type_that_is_absent_stays_absent():
    tube = simulate(cells_per_ul={"cd8_em": 900.0}, preparation=replace(CLEAN, hours_to_stain=0))
    assert set(tube.labels.tolist()) == {"cd8_t", "dead"}
    assert set(tube.cell_types.tolist()) == {"cd8_em"}
    assert (tube.counts()["b_cells"], tube.cells()["b_cells"], tube.expected()["b_cells"]) == (0, 0, 0)


# --- pulses -------------------------------------------------------------------------------------------------------


def test_time_and_threshold(tube):
    seconds = column(tube, "Time") * TIME_STEP_S
    assert (np.diff(seconds) >= 0).all()
    assert seconds[-1] == pytest.approx(tube.seconds, abs=0.002)
    assert 15 < seconds[-1] < 60  # 20,000 events at several hundred a second
    assert column(tube, "FSC-A").min() >= TBNK_CANTO.threshold


def test_arrivals_are_a_poisson_process():
    tube = simulate(events=20_000, flow=Flow(wander=0.0))
    per_second = np.bincount((column(tube, "Time") * TIME_STEP_S - 0.4).astype(int))[:-1]
    assert chisquare(per_second).pvalue > 0.001
    assert per_second.var() > 0.4 * per_second.mean()  # nor are they evenly spaced


def test_values_are_whole_numbers_up_to_the_top_of_scale(tube):
    np.testing.assert_array_equal(tube.events, np.rint(tube.events))
    assert tube.events[:, :-1].max() == TOP
    bright = simulate(cytometer=replace(TBNK_CANTO, gain=np.array([1, 1, 30, 1, 1, 1.0])))
    lymphocytes = bright.labels == "cd4_t"
    assert (column(bright, "CD45")[lymphocytes] == TOP).mean() > 0.3
    assert (column(simulate(), "CD45")[simulate().labels == "cd4_t"] < TOP / 4).all()


def test_size_ties_scatter_to_antigen(tube):
    rows = tube.labels == "cd4_t"
    assert spearmanr(column(tube, "SSC-A")[rows], column(tube, "CD45")[rows]).statistic > 0.2
    assert spearmanr(column(tube, "FSC-A")[rows], column(tube, "SSC-A")[rows]).statistic > 0.3


def test_doublets_are_longer_not_higher():
    tube = simulate(events=20_000, preparation=replace(CLEAN, doublets=0.05))
    ratio = column(tube, "FSC-H") / column(tube, "FSC-A")
    pairs, singles = tube.labels == "doublets", tube.partners == ""
    assert pairs.sum() == pytest.approx(1000, abs=4 * np.sqrt(1000))
    assert np.median(ratio[pairs]) < np.percentile(ratio[singles], 2)
    assert np.median(column(tube, "FSC-A")[pairs]) > 1.4 * np.median(column(tube, "FSC-A")[singles])
    both = pairs & (tube.cell_types == "b_cells") & np.isin(tube.partners, POPULATIONS["cd4_t"])
    assert np.median(column(tube, "CD19")[both]) > 0.6 * median(tube, "CD19", "b_cells")
    assert np.median(column(tube, "CD3")[both]) > 0.6 * median(tube, "CD3", "cd4_t")


def test_more_pairs_mean_fewer_pulses_and_as_many_cells():
    found = {}
    for doublets in (0.0, 0.3):
        tubes = [
            simulate(seed, stop=Stop(volume_ul=20), preparation=replace(CLEAN, doublets=doublets)) for seed in range(6)
        ]
        found[doublets] = [sum(len(tube.events) for tube in tubes), sum(tube.cells()["lymphocytes"] for tube in tubes)]
    assert found[0.3][0] == pytest.approx(found[0.0][0] / 1.3, rel=0.02)
    assert found[0.3][1] == pytest.approx(found[0.0][1], rel=0.03)


# --- light --------------------------------------------------------------------------------------------------------


def test_true_matrix_removes_spillover():
    # Without autofluorescence and unspecific antibody nothing but spillover reaches a negative channel.
    dark = replace(TBNK_CANTO, glow=np.zeros(6), sticky=np.zeros(6), gain=np.array([1.1, 0.9, 1, 1.2, 0.8, 1]))
    tube = simulate(events=20_000, cytometer=dark, preparation=CLEAN)
    values = compensated(tube)
    negatives = {
        "cd4_t": ("CD19", "CD8", "CD16+56"),
        "cd8_t": ("CD19", "CD4"),
        "b_cells": ("CD3", "CD4", "CD8", "CD16+56"),
        "nk_cells": ("CD3", "CD4", "CD19"),
    }
    for population, markers in negatives.items():
        rows = tube.labels == population
        for marker in markers:
            found = values[marker][rows]
            # The standard error of a median, from the quartiles; photon counts are a little skewed.
            error = 1.25 * np.subtract(*np.percentile(found, [75, 25])) / 1.35 / np.sqrt(rows.sum())
            assert abs(np.median(found)) < 4 * error + 4, (population, marker)
            assert np.percentile(found, 20) < 0, (population, marker)  # negatives spread below zero


def test_the_keyword_is_slightly_off():
    difference = np.abs(TBNK_CANTO.keyword - TBNK_CANTO.measured_spillover)
    assert 0.002 < difference.max() < 0.1
    np.testing.assert_array_equal(np.diag(TBNK_CANTO.keyword), 1)


def test_spillover_noise_grows_with_the_spilling_dye():
    tube = simulate(events=20_000, preparation=CLEAN)
    values = compensated(tube)
    spread = {name: values["CD19"][tube.labels == name].std() for name in ("cd4_t", "cd8_t")}
    assert spread["cd8_t"] > 1.2 * spread["cd4_t"]  # APC-Cy7 spills into APC


def test_the_gain_amplifies_light_and_not_the_noise_of_the_electronics():
    gain = np.array([1, 1, 1, 1, 0.25, 1])
    tube, low = simulate(preparation=CLEAN), simulate(preparation=CLEAN, cytometer=replace(TBNK_CANTO, gain=gain))
    values, dimmed = compensated(tube)["CD19"], compensated(low)["CD19"]
    bright, dim = np.median(values[tube.labels == "b_cells"]), np.median(dimmed[low.labels == "b_cells"])
    assert dim == pytest.approx(bright / 4, rel=0.06)
    # Negatives do not shrink as much: their noise is partly the electronics', which has no gain.
    assert dimmed[low.labels == "cd4_t"].std() > 1.1 * values[tube.labels == "cd4_t"].std() / 4


def test_markers_say_what_the_cells_are(tube):
    values = compensated(tube, tube.cytometer.keyword)
    names = ("cd4_t", "cd8_t", "b_cells", "nk_cells", "monocytes", "granulocytes", "debris")
    typical = {(name, marker): np.median(of[tube.labels == name]) for name in names for marker, of in values.items()}
    assert typical["cd4_t", "CD4"] > 3 * typical["monocytes", "CD4"] > 3 * 1.5 * abs(typical["b_cells", "CD4"])
    assert typical["cd8_t", "CD8"] > 10 * typical["cd4_t", "CD8"]
    assert typical["b_cells", "CD19"] > 10 * typical["cd4_t", "CD19"]
    assert typical["nk_cells", "CD16+56"] > 10 * typical["b_cells", "CD16+56"]
    assert typical["cd4_t", "CD45"] > 1.5 * typical["granulocytes", "CD45"] > 10 * typical["debris", "CD45"]


def test_donor_and_growth_shift_the_cells():
    usual = simulate(preparation=CLEAN)
    bright = simulate(preparation=CLEAN, donor=Donor({"CD4": 1.5}))
    blasting = simulate(preparation=CLEAN, state=CellState(growth=1.1))
    grainy = simulate(preparation=CLEAN, donor=Donor(granularity=1.3))
    assert median(bright, "PE-Cy7-A", "cd4_t") > 1.3 * median(usual, "PE-Cy7-A", "cd4_t")
    assert median(bright, "FITC-A", "cd4_t") < 1.05 * median(usual, "FITC-A", "cd4_t")
    for population in ("cd4_t", "nk_cells"):
        assert median(blasting, "FSC-A", population) > 1.15 * median(usual, "FSC-A", population)
    for population in ("granulocytes", "b_cells"):
        assert median(blasting, "FSC-A", population) < 1.05 * median(usual, "FSC-A", population)
    assert median(grainy, "SSC-A", "granulocytes") > 1.2 * median(usual, "SSC-A", "granulocytes")


def test_donors_differ():
    first, second = (draw_donor(np.random.default_rng(seed), TBNK_CANTO.markers) for seed in (1, 2))
    assert first != second
    assert set(first.antigens) == set(TBNK_CANTO.markers)
    assert all(0.5 < factor < 2 for factor in first.antigens.values())


# --- beads, the dead and the tube before --------------------------------------------------------------------------


def test_beads_are_bright_in_every_channel_and_off_scale_in_some(tube):
    beads, cells = tube.labels == "beads", np.isin(tube.labels, list(LEAVES))
    off_scale = []
    for detector in TBNK_CANTO.detectors:
        values = column(tube, detector)
        assert np.median(values[beads]) > np.percentile(values[cells & (values < TOP)], 99.5), detector
        off_scale.append(np.median(values[beads]) == TOP)
    assert 1 <= sum(off_scale) < len(off_scale)
    on_scale = TBNK_CANTO.detectors[off_scale.index(False)]
    # Even, but for the few that are chipped: a narrow peak with a tail to the left.
    values = column(tube, on_scale)[beads]
    assert np.subtract(*np.percentile(values, [75, 25])) < 0.15 * np.median(values)
    assert values.min() < 0.8 * np.median(values)


def test_beads_count_the_volume(tube):
    share = tube.acquired_ul / tube.preparation.suspension_ul
    assert tube.cells()["beads"] == pytest.approx(50_000 * share, abs=4 * np.sqrt(50_000 * share))
    assert tube.expected()["beads"] == pytest.approx(50_000 * share)
    assert simulate().counts()["beads"] == 0


def test_bead_doublets_are_two_beads_in_one_pulse():
    only_beads = replace(CLEAN, beads=200_000, doublets=0.1)
    tube = simulate(cells_per_ul={}, preparation=only_beads)
    assert set(tube.labels.tolist()) == {"beads", "bead_doublets"}
    pairs = tube.labels == "bead_doublets"
    assert pairs.sum() == pytest.approx(800, abs=4 * np.sqrt(800))
    assert tube.cells()["beads"] == len(tube.events) + pairs.sum()
    fsc, low = column(tube, "FSC-A"), column(tube, "FITC-A")
    assert np.median(fsc[pairs]) == pytest.approx(2 * np.median(fsc[~pairs]), rel=0.03)
    assert np.median(low[pairs]) == pytest.approx(2 * np.median(low[~pairs]), rel=0.03)


def test_dead_cells_shrink_and_bind_every_antibody():
    tube = simulate(events=20_000, preparation=replace(CLEAN, hours_to_stain=72))
    share = (tube.labels == "dead").mean()
    assert share == pytest.approx(tube.preparation.dead, abs=0.01)
    values, b_cells = compensated(tube), tube.cell_types == "b_cells"
    dead, live = b_cells & tube.dead, b_cells & ~tube.dead
    assert dead.sum() > 50
    for marker in ("CD3", "CD4", "CD8", "CD16+56"):
        assert np.median(values[marker][dead]) > np.percentile(values[marker][live], 75), marker
    assert np.median(column(tube, "FSC-A")[dead]) < 0.75 * np.median(column(tube, "FSC-A")[live])


def test_older_blood_holds_more_dead_cells_and_debris():
    fresh, old = (simulate(preparation=Preparation(hours_to_stain=hours)) for hours in (1, 60))
    assert old.counts()["dead"] > 3 * fresh.counts()["dead"]
    assert old.counts()["debris"] > 1.5 * fresh.counts()["debris"]


def test_the_tube_before_is_washed_out_in_the_first_seconds():
    tube = simulate(cells_per_ul={"b_cells": 500.0}, flow=Flow(carry_over=400.0), preparation=CLEAN)
    carried = tube.labels == "carry_over"
    assert carried.sum() == pytest.approx(400, abs=4 * 20)
    seconds = column(tube, "Time") * TIME_STEP_S
    assert np.median(seconds[carried]) < 2
    assert seconds[carried].max() < 12 < seconds[-1]
    assert len(set(tube.cell_types[carried].tolist())) > 8  # another person's blood, cells of all kinds
    assert tube.cells()["t_cells"] == tube.counts()["t_cells"] == 0  # and no cells of this specimen


@pytest.mark.parametrize("seed", range(5))
def test_acquisition_does_not_end_on_the_tube_before(seed):
    """A dense tube: the first block of pulses passes before the needle is clean."""
    tube = simulate(seed, stop=Stop(events=5280), flow=Flow(ul_per_s=6.0, carry_over=300), preparation=CLEAN)
    assert tube.cells()["lymphocytes"] == pytest.approx(tube.expected()["lymphocytes"], rel=0.1)
    assert (tube.labels == "carry_over")[-50:].mean() < 0.5


# --- the stream ---------------------------------------------------------------------------------------------------


def test_a_clog_slows_the_flow_and_dims_the_light():
    left, dimmed = [], []
    for seed in range(8):
        tube = simulate(seed, events=20_000, flow=Flow(clog=Clog(at_s=10, lasts_s=8)), preparation=CLEAN)
        seconds, light = column(tube, "Time") * TIME_STEP_S - 0.4, column(tube, "CD45")
        before, within, after = ((seconds > start) & (seconds < start + 5) for start in (4, 11, 19))
        t_cells = tube.labels == "cd4_t"
        left.append(within.sum() / before.sum())
        dimmed.append(np.median(light[within & t_cells]) / np.median(light[before & t_cells]))
        assert after.sum() == pytest.approx(before.sum(), rel=0.2)
        assert np.median(light[after & t_cells]) == pytest.approx(np.median(light[before & t_cells]), rel=0.1)
        # The volume is what counts: a clog takes time, not cells.
        assert tube.cells()["lymphocytes"] == pytest.approx(tube.expected()["lymphocytes"], rel=0.06)
    assert max(left) < 0.9 and np.median(left) < 0.6
    assert max(dimmed) < 1.02 and np.median(dimmed) < 0.95


def test_a_turned_knob_changes_the_flow():
    tube = simulate(events=20_000, flow=Flow(steps=((8.0, 2.0), (12.0, 0.5))), preparation=CLEAN)
    seconds = column(tube, "Time") * TIME_STEP_S - 0.4
    rates = [((seconds >= start) & (seconds < start + 4)).sum() for start in (4, 8, 12)]
    assert rates[1] == pytest.approx(2 * rates[0], rel=0.15)
    assert rates[2] == pytest.approx(rates[0], rel=0.15)


@pytest.mark.parametrize(
    "flow",
    [Flow(2.0, steps=((5.0, 0.2),)), Flow(2.0, steps=((5.0, 0.5), (9.0, 0.3))), Flow(20.0, clog=Clog(2.0, 300.0))],
    ids=["step", "steps", "clog"],
)
def test_a_slow_stream_still_passes_all_of_the_tube(flow):
    tube = simulate(stop=Stop(events=10**6), flow=flow, preparation=replace(CLEAN, specimen_ul=3))
    assert (tube.stopped_by, tube.acquired_ul) == ("dry", 470)
    seconds = column(tube, "Time") * TIME_STEP_S
    assert (seconds == seconds[-1]).mean() < 0.01
    assert tube.seconds > 1.3 * 470 / flow.ul_per_s


# --- the end of acquisition ---------------------------------------------------------------------------------------


def test_stopped_at_events():
    for events in (1, 2777, 12_000):
        tube = simulate(events=events)
        assert (len(tube.events), tube.stopped_by) == (events, "events")


def test_stopped_at_beads(tube):
    tube = simulate(stop=Stop(beads=900), preparation=BEADS)
    assert tube.stopped_by == "beads"
    assert (tube.cell_types == "beads").sum() == 900  # pulses that a bead opens
    assert tube.cell_types[-1] == "beads"


def test_stopped_at_seconds():
    tube = simulate(stop=Stop(seconds=12.0))
    assert (tube.stopped_by, tube.seconds) == ("seconds", pytest.approx(12.0, abs=0.01))
    assert 11.8 < column(tube, "Time")[-1] * TIME_STEP_S <= 12.0


def test_stopped_at_volume():
    tube = simulate(stop=Stop(volume_ul=10.0))
    per_ul = sum(HEALTHY[name] for name in POPULATIONS["lymphocytes"])
    assert (tube.stopped_by, tube.acquired_ul) == ("volume_ul", 10.0)
    assert tube.cells()["lymphocytes"] == pytest.approx(50 * 10 / 500 * per_ul, rel=0.1)


@pytest.mark.parametrize(
    "stop", [Stop(events=10**6), Stop(beads=10**6), Stop(seconds=1e5), Stop(volume_ul=490.0)], ids=lambda s: s.rule
)
def test_a_tube_runs_dry(stop):
    tube = simulate(stop=stop, preparation=Preparation(specimen_ul=0.5, beads=2000))
    assert tube.stopped_by == "dry"
    assert tube.acquired_ul == 470.0  # what the needle cannot reach stays behind
    assert 0 < len(tube.events) < 10_000


@pytest.mark.parametrize("rules", [{}, {"events": 1, "beads": 1}, {"events": 0}, {"seconds": -1.0}])
def test_exactly_one_stop_rule(rules):
    with pytest.raises(ValueError, match="one stop rule above 0"):
        Stop(**rules)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cells_per_ul": {"cd4_em_": 1.0}}, r"unknown cell type 'cd4_em_'.*Did you mean 'cd4_em'"),
        ({"cells_per_ul": {"debris": 1.0}}, "unknown cell type 'debris'"),
        ({"cells_per_ul": {"b_cells": -1.0}}, "finite number from 0"),
        ({"cells_per_ul": {"b_cells": float("nan")}}, "finite number from 0"),
        ({"cells_per_ul": {}, "preparation": CLEAN}, "holds nothing"),
        ({"preparation": Preparation(doublets=1.0)}, "doublets from 0 to below 1"),
        ({"preparation": Preparation(specimen_ul=0.0, beads=9.0)}, "volumes above 0"),
        ({"preparation": Preparation(suspension_ul=30.0)}, "more than 30.0 µL"),
        ({"preparation": Preparation(left_out="CD25")}, "no CD25 to leave out: CD3, CD16_56"),
        ({"flow": Flow(ul_per_s=0.0)}, "a flow above 0"),
    ],
)
def test_impossible_tubes(options, message):
    with pytest.raises(ValueError, match=message):
        simulate_tube(np.random.default_rng(1), **options)
