"""Simulated tubes: truth adds up, and light behaves like light."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chisquare, spearmanr

from nti7flow.simulation import CELL_TYPES, Donor, draw_donor, simulate_tube
from nti7flow.simulation.cytometer import TBNK_CANTO

BLOOD = {
    "cd4_t": 900,
    "cd8_t": 400,
    "dn_t": 60,
    "dp_t": 12,
    "b_cells": 330,
    "nk_cells": 400,
    "monocytes": 520,
    "neutrophils": 3800,
    "eosinophils": 330,
    "basophils": 50,
    "debris": 4500,
}


def simulate(seed=1, **options):
    options = {"n_events": 8000, "composition": BLOOD} | options
    return simulate_tube(np.random.default_rng(seed), **options)


@pytest.fixture(scope="module")
def tube():
    return simulate(n_events=20_000)


@pytest.fixture(scope="module")
def column(tube):
    """Values of one channel, by detector or marker."""
    names = dict(zip(tube.detectors, tube.events.T, strict=True))
    return names | {marker: values for marker, values in zip(tube.markers, tube.events.T, strict=True) if marker}


def compensated(tube, matrix):
    """Compensated values by marker."""
    at = [tube.detectors.index(detector) for detector in tube.fluorescence]
    values = tube.events[:, at] @ np.linalg.inv(matrix)
    return {tube.markers[i]: values[:, k] for k, i in enumerate(at)}


def test_same_seed_same_tube():
    first, again, other = simulate(7), simulate(7), simulate(8)
    np.testing.assert_array_equal(first.events, again.events)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert not np.array_equal(first.events, other.events)


def test_truth_adds_up(tube):
    counts = tube.counts()
    assert len(tube.events) == len(tube.labels) == len(tube.cell_types) == len(tube.partners) == 20_000
    assert counts["singlets"] + counts["doublets"] == 20_000
    leaves = set(tube.labels.tolist())
    assert sum(counts[leaf] for leaf in leaves) == 20_000
    assert counts["t_cells"] == sum(counts[name] for name in ("cd4_t", "cd8_t", "dn_t", "dp_t"))
    assert counts["lymphocytes"] == counts["t_cells"] + counts["b_cells"] + counts["nk_cells"]
    np.testing.assert_array_equal(tube.labels == "doublets", tube.partners != "")


def test_cells_come_in_the_proportions_of_the_blood(tube):
    # Debris is left out: most of it stays below the threshold.
    types = [name for name in CELL_TYPES if name != "debris"]
    found = np.array([(tube.cell_types == name).sum() for name in types])
    expected = np.array([BLOOD[name] for name in types], float)
    assert chisquare(found, expected / expected.sum() * found.sum()).pvalue > 0.001


def test_a_type_that_is_absent_stays_absent():
    tube = simulate(composition={"cd8_t": 1.0}, doublets=0.0)
    assert set(tube.labels.tolist()) == {"cd8_t"}
    assert tube.counts()["b_cells"] == 0


def test_time_and_threshold(column):
    assert (np.diff(column["Time"]) >= 0).all()
    assert 15 < column["Time"][-1] / 100 < 60  # 20,000 events at about 700/s
    assert column["FSC-A"].min() > TBNK_CANTO.threshold


def test_values_are_digitised(tube):
    assert tube.events.max() == 262_143
    np.testing.assert_array_equal(tube.events, np.round(tube.events, 2))
    fitc = tube.events[:, tube.detectors.index("FITC-A")]
    np.testing.assert_allclose(fitc / 1.2, np.round(fitc / 1.2), atol=1e-9)


def test_true_matrix_removes_spillover():
    # Without autofluorescence and unspecific antibody nothing but spillover reaches a negative channel.
    dark = replace(TBNK_CANTO, glow=(0.0,) * 6, sticky=(0.0,) * 6)
    tube = simulate(n_events=20_000, cytometer=dark, doublets=0.0)
    values = compensated(tube, tube.spillover)
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


def test_the_keyword_is_slightly_off(tube):
    difference = np.abs(tube.keyword_spillover - tube.spillover)
    assert 0 < difference.max() < 0.01
    np.testing.assert_array_equal(np.diag(tube.keyword_spillover), 1)


def test_spillover_noise_grows_with_the_spilling_dye():
    tube = simulate(n_events=20_000, doublets=0.0)
    values = compensated(tube, tube.spillover)
    spread = {name: values["CD19"][tube.labels == name].std() for name in ("cd4_t", "cd8_t")}
    assert spread["cd8_t"] > 1.2 * spread["cd4_t"]  # APC-Cy7 spills into APC


def test_markers_say_what_the_cells_are(tube):
    values = compensated(tube, tube.keyword_spillover)
    median = {
        (name, marker): np.median(values[marker][tube.labels == name])
        for name in ("cd4_t", "cd8_t", "b_cells", "nk_cells", "monocytes", "granulocytes", "debris")
        for marker in values
    }
    assert median["cd4_t", "CD4"] > 3 * median["monocytes", "CD4"] > 3 * 2 * median["b_cells", "CD4"]
    assert median["cd8_t", "CD8"] > 10 * median["cd4_t", "CD8"]
    assert median["b_cells", "CD19"] > 10 * median["cd4_t", "CD19"]
    assert median["nk_cells", "CD16+56"] > 10 * median["b_cells", "CD16+56"]
    assert median["cd4_t", "CD45"] > 1.5 * median["granulocytes", "CD45"] > 20 * median["debris", "CD45"]


def test_size_ties_scatter_to_antigen(tube, column):
    rows = tube.labels == "cd4_t"
    assert spearmanr(column["SSC-A"][rows], column["CD45"][rows]).statistic > 0.2
    assert spearmanr(column["FSC-A"][rows], column["SSC-A"][rows]).statistic > 0.3


def test_doublets_are_longer_not_higher(tube, column):
    ratio = column["FSC-H"] / column["FSC-A"]
    cells = tube.cell_types != "debris"
    pairs = (tube.labels == "doublets") & cells & (tube.partners != "debris")
    singles = (tube.labels != "doublets") & cells
    assert pairs.sum() > 150
    assert np.median(ratio[pairs]) < np.percentile(ratio[singles], 1)
    assert np.median(column["FSC-A"][pairs]) > 1.4 * np.median(column["FSC-A"][singles])


def test_donor_and_growth_shift_the_cells():
    usual = simulate(doublets=0.0)
    bright = simulate(doublets=0.0, donor=Donor({"CD4": 1.5}))
    blasting = simulate(doublets=0.0, growth=1.1)

    def median(tube, name, population):
        values = tube.events[:, tube.detectors.index(name)]
        return np.median(values[tube.labels == population])

    assert median(bright, "PE-Cy7-A", "cd4_t") > 1.3 * median(usual, "PE-Cy7-A", "cd4_t")
    assert median(blasting, "FSC-A", "cd4_t") > 1.15 * median(usual, "FSC-A", "cd4_t")
    assert median(blasting, "FSC-A", "granulocytes") < 1.05 * median(usual, "FSC-A", "granulocytes")


def test_donors_differ():
    first, second = (draw_donor(np.random.default_rng(seed), TBNK_CANTO.markers) for seed in (1, 2))
    assert first != second
    assert set(first.antigens) == set(TBNK_CANTO.markers)
    assert all(0.5 < factor < 2 for factor in first.antigens.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"composition": {"cd4": 1.0}}, r"unknown cell type 'cd4'.*Did you mean 'cd4_t'"),
        ({"composition": {"debris": 1.0}}, "holds no cells"),
        ({"composition": {"cd4_t": -1.0}}, "finite number from 0"),
        ({"n_events": 0}, "n_events from 1"),
        ({"doublets": 1.0}, "doublets from 0 to below 1"),
        ({"events_per_s": 0.0}, "events_per_s above 0"),
    ],
)
def test_impossible_tubes(options, message):
    with pytest.raises(ValueError, match=message):
        simulate(**options)
