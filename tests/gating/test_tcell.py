"""The templates tcell and hipc_tcell: on simulated tubes, on labelled cells, on panels that lack markers."""

import csv
import gzip

import numpy as np
import pytest
from simulated_tubes import stated_spillover
from toys import counts_of

from nti7flow.events.fcs import read_fcs, write_events
from nti7flow.events.spillover import Spillover, spillover_for
from nti7flow.gating.resolve import Resolution
from nti7flow.gating.template import load_template
from nti7flow.simulation import HEALTHY, POPULATIONS, Stop, simulate_tube
from nti7flow.simulation.panels import TCELL_FORTESSA
from nti7flow.simulation.preparation import Preparation

MATURATION = tuple(f"{lineage}_{stage}" for lineage in ("cd4", "cd8") for stage in ("naive", "cm", "em", "temra"))
CLASSES = {
    "cd4_naive": "CD4 Naive",
    "cd4_cm": "CD4 Central Memory",
    "cd4_em": "CD4 Effector Memory",
    "cd8_naive": "CD8 Naive",
    "cd8_cm": "CD8 Central Memory",
    "cd8_em": "CD8 Effector Memory",
    "cd8_temra": "CD8 Effector",
}
STAINED = ("cd4_cd31_naive", "cd4_treg", "cd4_ki67", "cd8_ki67", "cd4_pd1", "cd8_pd1")


def gate(name, sample, spillover):
    resolution = Resolution.start(load_template(name), sample, spillover)
    assert resolution.run_wave(0, {}) == {}
    return resolution


def write_tube(path, tube, *, without=()):
    """Write a simulated tube; of some markers nothing but the detector."""
    markers = ["" if name in without else name for name in tube.markers]
    write_events(path, tube.events, tube.detectors, markers=markers, keywords={"$SPILLOVER": stated_spillover(tube)})
    sample = read_fcs(path)
    return sample, spillover_for(sample, "keyword")


@pytest.fixture(scope="module")
def tube():
    """Blood of a healthy adult, after a density gradient."""
    return simulate_tube(
        np.random.default_rng(11),
        cells_per_ul=HEALTHY,
        stop=Stop(events=25_000),
        cytometer=TCELL_FORTESSA,
        preparation=Preparation(gradient=True),
    )


@pytest.fixture(scope="module")
def gated(tube, tmp_path_factory):
    return gate("tcell@1.0.0", *write_tube(tmp_path_factory.mktemp("tcell") / "healthy.fcs", tube))


def truth(tube, population):
    """Single living cells of a population."""
    alive = np.isin(tube.labels, ["cd4_t", "cd8_t", "dn_t", "dp_t"])
    lineage, _, stain = population.partition("_")
    if stain in ("ki67", "pd1"):
        marked = tube.cycling if stain == "ki67" else tube.pd1
        return alive & marked & np.isin(tube.cell_types, POPULATIONS[f"{lineage}_t"])
    return alive & np.isin(tube.cell_types, POPULATIONS[population])


class TestSimulatedBlood:
    @pytest.mark.parametrize(
        ("population", "f1", "error"),
        [
            ("t_cells", 0.98, 0.03),
            ("cd4_t", 0.98, 0.03),
            ("cd8_t", 0.95, 0.07),  # some of the gamma-delta cells are CD8 dim
            ("cd4_naive", 0.92, 0.08),
            ("cd4_cm", 0.88, 0.10),
            ("cd8_naive", 0.92, 0.08),
            ("cd4_cd31_naive", 0.85, 0.12),
            ("cd4_pd1", 0.85, 0.15),
            ("cd8_pd1", 0.85, 0.20),
        ],
    )
    def test_is_counted_as_it_was_made(self, gated, tube, population, f1, error):
        found, expected = gated.members.mask(population), truth(tube, population)
        assert 2 * (found & expected).sum() / (found.sum() + expected.sum()) > f1
        assert found.sum() == pytest.approx(expected.sum(), rel=error)

    def test_stages_are_parts_of_their_lineage(self, gated):
        """Not all of CD8: its lines are placed on all T cells, but whatever they are, they tile the plane."""
        for lineage in ("cd4", "cd8"):
            stages = [gated.members.mask(name) for name in MATURATION if name.startswith(lineage)]
            assert (np.sum(stages, axis=0) == gated.members.mask(f"{lineage}_t")).all()

    def test_every_population_is_placed(self, gated):
        counts = counts_of(gated)
        for name in ("t_cells", "cd4_t", "cd8_t", *MATURATION, "cd4_ki67", "cd8_ki67"):
            assert (name, counts[name].status) == (name, "ok")

    def test_dead_cells_are_no_t_cells(self, gated, tube):
        assert tube.dead.sum() > 100
        assert gated.members.mask("t_cells")[tube.labels == "dead"].mean() < 0.05


class TestPanelsThatLackMarkers:
    @pytest.mark.parametrize(
        ("marker", "missing"),
        [
            ("CD31", {"cd4_cd31_naive"}),
            ("Ki-67", {"cd4_ki67", "cd8_ki67"}),
            ("PD-1", {"cd4_pd1", "cd8_pd1"}),
            ("CD25", {"cd4_treg"}),
            ("CCR7", set(MATURATION)),
        ],
    )
    def test_what_is_not_stained_is_not_in_the_panel(self, tube, gated, tmp_path, marker, missing):
        lacking = counts_of(gate("tcell@1.0.0", *write_tube(tmp_path / "lacking.fcs", tube, without=(marker,))))
        for name in missing:
            assert (name, lacking[name].status, lacking[name].n_events) == (name, "not_in_panel", None)
        assert lacking["cd4_t"].n_events == counts_of(gated)["cd4_t"].n_events

    def test_without_a_viability_dye_dead_cells_are_gated_with_the_living(self, tube, gated, tmp_path):
        counts = counts_of(gate("tcell@1.0.0", *write_tube(tmp_path / "lacking.fcs", tube, without=("Viability",))))
        assert counts["live"].status == "not_in_panel"
        assert counts["t_cells"].n_events > counts_of(gated)["t_cells"].n_events

    def test_three_markers_are_enough_for_lineages(self, tube, tmp_path):
        others = set(tube.markers) - {"CD3", "CD4", "CD8"}
        counts = counts_of(gate("tcell@1.0.0", *write_tube(tmp_path / "few.fcs", tube, without=others)))
        assert {counts[name].status for name in (*MATURATION, *STAINED)} == {"not_in_panel"}
        assert counts["cd4_t"].n_events == pytest.approx(truth(tube, "cd4_t").sum(), rel=0.06)


@pytest.fixture(scope="module")
def labelled(shared_data):
    folder = shared_data / "hipc_tcell_labelled" / "converted"
    path = folder / "HIPC_Stanford_1228_1A.fcs"
    if not path.is_file():
        pytest.skip("no labelled HIPC file")
    with gzip.open(folder / "HIPC_Stanford_1228_1A.labels.csv.gz", "rt") as stream:
        labels = np.array([row["label"] for row in csv.DictReader(stream)])
    return gate("hipc_tcell@1.0.0", read_fcs(path), Spillover.none()), labels


class TestLabelledCells:
    """HIPC Lyoplate panel, with the class that experts gave each cell."""

    def test_classes_are_found(self, labelled):
        """Activated cells are left out: their labels cannot be told from the markers (see the notes on the data)."""
        gated, labels = labelled
        scored = ~np.char.endswith(labels, "Activated")
        f1 = {}
        for name, label in CLASSES.items():
            found, expected = gated.members.mask(name) & scored, labels == label
            f1[name] = 2 * (found & expected).sum() / (found.sum() + expected.sum())
        assert np.mean(list(f1.values())) >= 0.92, f1
        assert min(f1.values()) >= 0.82, f1

    def test_lineages_are_found(self, labelled):
        gated, labels = labelled
        for name, start in (("cd4_t", "CD4"), ("cd8_t", "CD8")):
            assert (gated.members.mask(name) == np.char.startswith(labels, start)).mean() > 0.99
