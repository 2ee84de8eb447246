"""The two panels: T-cell subsets lie where immunology says, drugs and lots move what they should and nothing else."""

from dataclasses import fields, replace

import numpy as np
import pytest

from nti7flow.simulation import (
    HEALTHY,
    POPULATIONS,
    TBNK_CANTO,
    TCELL_FORTESSA,
    CellState,
    Preparation,
    Stop,
    simulate_tube,
)
from nti7flow.simulation.panels import day_of, lot_of

PANELS = pytest.mark.parametrize("cytometer", [TBNK_CANTO, TCELL_FORTESSA], ids=lambda cytometer: cytometer.name)
GRADIENT = Preparation(gradient=True, specimen_ul=2000, suspension_ul=400, doublets=0.0)
#: Every T-cell subset often enough to look at.
MANY_OF_EACH = dict.fromkeys(POPULATIONS["t_cells"], 100.0) | {"b_cells": 100.0, "nk_cells": 100.0, "nk_bright": 100.0}


def simulate(cytometer=TCELL_FORTESSA, *, cells_per_ul=MANY_OF_EACH, events=25_000, seed=1, **options):
    options = {"preparation": GRADIENT, "cytometer": cytometer} | options
    return simulate_tube(np.random.default_rng(seed), cells_per_ul=cells_per_ul, stop=Stop(events=events), **options)


def compensated(tube):
    """Values by marker, compensated with the true matrix."""
    at = [tube.detectors.index(detector) for detector in tube.cytometer.detectors]
    values = tube.events[:, at] @ np.linalg.inv(tube.cytometer.measured_spillover)
    return dict(zip(tube.cytometer.markers, values.T, strict=True))


class Subsets:
    """Compensated values of single live cells by cell type and marker."""

    def __init__(self, tube):
        self.tube, self.values = tube, compensated(tube)
        self.live = np.isin(tube.labels, list(POPULATIONS))

    def of(self, name, marker):
        return self.values[marker][self.live & (self.tube.cell_types == name)]

    def median(self, name, marker):
        return float(np.median(self.of(name, marker)))

    def parted(self, high, low, marker):
        """Chance that a cell of one type is brighter than one of another."""
        bright, dim = self.of(high, marker), np.sort(self.of(low, marker))
        return float(np.searchsorted(dim, bright).mean() / len(dim))


@pytest.fixture(scope="module")
def subsets():
    return Subsets(simulate())


#: Marker, and which types carry more of it than which others.
MATURATION = [
    ("CD4", ["cd4_naive_rte", "cd4_em", "cd4_treg", "dp_t"], ["cd8_naive", "cd8_temra", "dn_t", "b_cells", "nk_cells"]),
    ("CD8", ["cd8_naive", "cd8_em", "dp_t"], ["cd4_naive_rte", "cd4_em", "b_cells"]),
    ("CD3", ["cd4_cm", "cd8_temra", "dn_t"], ["b_cells", "nk_cells"]),
    ("CCR7", ["cd4_naive_rte", "cd4_scm", "cd4_cm"], ["cd4_em", "cd4_temra"]),
    ("CCR7", ["cd8_naive", "cd8_scm", "cd8_cm"], ["cd8_em", "cd8_temra"]),
    ("CD45RA", ["cd4_naive_rte", "cd4_naive_cd31neg", "cd4_scm", "cd4_temra"], ["cd4_cm", "cd4_em", "cd4_treg"]),
    ("CD45RA", ["cd8_naive", "cd8_scm", "cd8_temra"], ["cd8_cm", "cd8_em"]),
    ("CD27", ["cd4_naive_rte", "cd4_cm", "cd8_naive", "cd8_cm"], ["cd4_temra", "cd8_temra"]),
    ("CD28", ["cd4_naive_rte", "cd4_cm", "cd8_naive", "cd8_cm"], ["cd4_temra", "cd8_temra", "nk_cells"]),
    ("CD95", ["cd4_scm", "cd4_cm", "cd4_em", "cd8_scm", "cd8_em"], ["cd4_naive_rte", "cd4_naive_cd31neg", "cd8_naive"]),
    ("CD31", ["cd4_naive_rte"], ["cd4_naive_cd31neg", "cd4_cm"]),
    ("CD127", ["cd4_naive_rte", "cd4_cm"], ["cd4_treg", "cd8_temra", "nk_cells", "b_cells"]),
    ("CD127", ["nk_bright"], ["cd4_treg", "nk_cells", "b_cells"]),
    ("CD25", ["cd4_treg"], ["cd4_naive_rte", "cd4_cm", "cd4_em", "cd8_em"]),
]


@pytest.mark.parametrize(("marker", "high", "low"), MATURATION, ids=lambda part: part if isinstance(part, str) else "")
def test_subsets_lie_where_immunology_says(subsets, marker, high, low):
    for bright in high:
        for dim in low:
            assert subsets.parted(bright, dim, marker) > 0.88, (bright, dim)
            assert subsets.median(bright, marker) > 2 * subsets.median(dim, marker), (bright, dim)


def test_stages_overlap_as_in_life(subsets):
    """Differentiation goes by degrees: no marker parts neighbours without error."""
    for marker, high, low in (
        ("CCR7", "cd4_cm", "cd4_em"),
        ("CD45RA", "cd8_naive", "cd8_cm"),
        ("CD127", "cd4_cm", "cd4_treg"),
        ("CD25", "cd4_treg", "cd4_cm"),
        ("CD31", "cd4_naive_rte", "cd4_naive_cd31neg"),
    ):
        bright, dim = subsets.of(high, marker), subsets.of(low, marker)
        cuts = np.quantile(np.r_[bright, dim], np.linspace(0, 1, 400))
        best = min(((bright < cut).mean() + (dim >= cut).mean()) / 2 for cut in cuts)
        assert 0.002 < best < 0.2, marker


def test_exhaustion_marks_some_memory_cells(subsets):
    negative = np.percentile(subsets.of("cd4_naive_rte", "PD1"), 99)
    shares = {name: (subsets.of(name, "PD1") > negative).mean() for name in ("cd4_em", "cd8_em", "cd4_temra")}
    assert 0.15 < shares["cd4_temra"] < shares["cd4_em"] < 0.6
    assert 0.25 < shares["cd8_em"] < 0.6
    tube = subsets.tube
    assert tube.pd1[tube.cell_types == "cd8_em"].mean() == pytest.approx(0.5, abs=0.06)
    assert not tube.pd1[tube.cell_types == "b_cells"].any()


def test_negatives_spread_below_zero():
    dark = replace(TCELL_FORTESSA, glow=np.zeros(14), sticky=np.zeros(14))
    subsets = Subsets(simulate(dark))
    for name, markers in {
        "b_cells": ("CD3", "CD4", "CD8", "CD28", "CD127"),
        "nk_cells": ("CD3", "CD28", "CD25"),
        "cd4_naive_rte": ("CD8", "PD1"),
        "cd8_naive": ("CD4", "PD1"),
    }.items():
        for marker in markers:
            values = subsets.of(name, marker)
            error = 1.25 * np.subtract(*np.percentile(values, [75, 25])) / 1.35 / np.sqrt(len(values))
            assert abs(np.median(values)) < 4 * error + 4, (name, marker)
            assert np.percentile(values, 20) < 0, (name, marker)
    bright = Subsets(simulate())  # with autofluorescence and unspecific antibody too
    assert all(np.percentile(bright.of("b_cells", marker), 5) < 0 for marker in ("CD3", "CD4", "CD8"))


def test_only_the_dead_take_up_the_viability_dye():
    tube = simulate(preparation=replace(GRADIENT, hours_to_stain=48))
    dye, dead = compensated(tube)["Viability"], tube.labels == "dead"
    live = np.isin(tube.labels, list(POPULATIONS))
    assert dead.mean() == pytest.approx(tube.preparation.dead, abs=0.01)
    assert np.median(dye[dead]) > 20 * np.median(dye[live])
    assert (dye[live] > np.percentile(dye[dead], 10)).mean() < 0.01


LEFT_OUT = [(cytometer, marker) for cytometer in (TBNK_CANTO, TCELL_FORTESSA) for marker in cytometer.markers]


@pytest.mark.parametrize(("cytometer", "left_out"), LEFT_OUT, ids=lambda part: getattr(part, "name", part))
def test_an_fmo_tube_lacks_one_dye_and_only_that(cytometer, left_out):
    preparation = GRADIENT if cytometer is TCELL_FORTESSA else Preparation()
    cycling = CellState(cycling=dict.fromkeys(HEALTHY, 0.2))
    full, fmo = (
        simulate(cytometer, cells_per_ul=HEALTHY, state=cycling, preparation=replace(preparation, left_out=marker))
        for marker in ("", left_out)
    )
    bright = {}
    for tube in (full, fmo):
        lymphocytes = np.isin(tube.labels, ["cd4_t", "cd8_t", "b_cells", "nk_cells"])
        bright[tube] = {marker: np.percentile(of[lymphocytes], 98) for marker, of in compensated(tube).items()}
    for marker, high in bright[full].items():
        if marker == left_out:
            assert bright[fmo][marker] < 0.75 * high
        else:
            assert bright[fmo][marker] == pytest.approx(high, rel=0.15), marker
    assert fmo.markers == full.markers  # the file calls it as in the full tube


def test_a_gradient_removes_granulocytes():
    blood = simulate(cells_per_ul=HEALTHY, preparation=replace(GRADIENT, gradient=False))
    gradient = simulate(cells_per_ul=HEALTHY)
    of_lymphocytes = [tube.counts()["granulocytes"] / tube.counts()["lymphocytes"] for tube in (blood, gradient)]
    assert of_lymphocytes[1] < 0.05 * of_lymphocytes[0]
    monocytes = [tube.counts()["monocytes"] / tube.counts()["lymphocytes"] for tube in (blood, gradient)]
    assert monocytes[1] == pytest.approx(monocytes[0], rel=0.25)
    assert gradient.counts()["debris"] < 0.2 * blood.counts()["debris"]


def test_cycling_cells_carry_ki67_more_cd25_and_less_cd127():
    tube = simulate(state=CellState(cycling={"cd4_cm": 0.4, "cd8_em": 0.8}))
    values = compensated(tube)
    live = np.isin(tube.labels, list(POPULATIONS))
    for name, share in {"cd4_cm": 0.4, "cd8_em": 0.8, "cd4_em": 0.01}.items():
        rows = live & (tube.cell_types == name)
        assert tube.cycling[rows].mean() == pytest.approx(share, abs=4 * np.sqrt(share / rows.sum()))
    rows = live & (tube.cell_types == "cd4_cm")
    cycling, resting = rows & tube.cycling, rows & ~tube.cycling
    ratio = {marker: np.median(values[marker][cycling]) / np.median(values[marker][resting]) for marker in values}
    assert ratio["Ki67"] > 10
    assert 1.2 < ratio["CD25"] < 3
    assert 0.5 < ratio["CD127"] < 0.95
    assert ratio["CD4"] == pytest.approx(1, abs=0.2)
    fsc = tube.events[:, tube.detectors.index("FSC-A")]
    assert np.median(fsc[cycling]) > 1.05 * np.median(fsc[resting])  # and is larger


def test_a_drug_changes_the_antigens_of_t_cells_only():
    usual, treated = (
        Subsets(simulate(state=CellState(density=density))) for density in ({}, {"CD127": 0.3, "CD25": 2.0})
    )
    for name in ("cd4_cm", "cd8_naive", "cd4_naive_rte"):
        assert treated.median(name, "CD127") < 0.45 * usual.median(name, "CD127"), name
    assert treated.median("cd4_treg", "CD25") == pytest.approx(2 * usual.median("cd4_treg", "CD25"), rel=0.1)
    assert treated.median("nk_bright", "CD127") == pytest.approx(usual.median("nk_bright", "CD127"), rel=0.1)
    for marker in ("CD3", "CD4", "CCR7", "CD45RA"):
        assert treated.median("cd4_cm", marker) == pytest.approx(usual.median("cd4_cm", marker), rel=0.1, abs=30), (
            marker
        )


# --- lots and days --------------------------------------------------------------------------------------------------


def changed(before, after):
    """Names of the settings that differ."""
    return {
        field.name
        for field in fields(before)
        if not np.array_equal(getattr(before, field.name), getattr(after, field.name))
    }


@PANELS
def test_a_lot_changes_dyes_and_the_matrix(cytometer):
    lot = lot_of(np.random.default_rng(5), cytometer)
    assert changed(cytometer, lot) == {"brightness", "spillover", "keyword"}
    assert (np.abs(np.log(lot.brightness / cytometer.brightness)) < 0.5).all()
    tandem = np.array(["-" in dye for dye in cytometer.fluorochromes])
    assert tandem.any()
    np.testing.assert_array_equal(lot.spillover[~tandem], cytometer.spillover[~tandem])  # no other dye falls apart
    for matrix in (lot.spillover, lot.keyword):
        np.testing.assert_array_equal(np.diag(matrix), 1)
        assert ((matrix == 0) >= (cytometer.spillover == 0)).all()
        assert (matrix >= 0).all()
    error = lot.keyword - lot.spillover
    assert 0 < np.abs(error).max() < 0.06
    np.testing.assert_array_equal(lot.keyword, np.round(lot.keyword, 4))


@PANELS
def test_a_day_changes_gains_a_little(cytometer):
    days = [day_of(np.random.default_rng(day), cytometer) for day in range(200)]
    assert all(changed(cytometer, day) == {"gain", "scatter_gain"} for day in days)
    drift = np.log([day.gain for day in days])
    assert np.abs(drift).max() < 0.15
    assert 0.01 < drift.std() < 0.04
    assert len({day.scatter_gain for day in days}) == 200


def test_a_gain_shifts_one_channel_of_the_tube():
    gain = np.ones(6)
    gain[2] = 1.5
    usual, shifted = (
        simulate(cytometer, cells_per_ul=HEALTHY, preparation=Preparation())
        for cytometer in (TBNK_CANTO, replace(TBNK_CANTO, gain=gain))
    )
    for name in ("CD3", "CD4", "CD45", "SSC-A", "FSC-A"):
        medians = []
        for tube in (usual, shifted):
            column = tube.markers.index(name) if name in tube.markers else tube.detectors.index(name)
            medians.append(np.median(tube.events[tube.labels == "cd4_t", column]))
        assert medians[1] == pytest.approx((1.5 if name == "CD45" else 1) * medians[0], rel=0.05), name
