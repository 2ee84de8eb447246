"""Drafted templates: each loads as it is and gates the tube it is from; names are found exactly or asked for."""

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toys import TUBES, counts_of

from nti7flow.errors import AmbiguousMarker, InputError, Nti7flowError
from nti7flow.events.fcs import read_fcs, write_events
from nti7flow.events.spillover import Spillover, spillover_for
from nti7flow.gating.draft import draft_template
from nti7flow.gating.resolve import Resolution
from nti7flow.gating.template import load_template

SAMPLE_FCS = TUBES.parents[1] / "sample_fcs" / "tubes"
TBNK, TCELL = SAMPLE_FCS / "CTRL-L26A_tbnk.fcs", SAMPLE_FCS / "CTRL-L26A_tcell.fcs"


def load(text, folder):
    path = folder / "drafted.yaml"
    path.write_text(text, encoding="utf-8")
    return load_template(path)


def make_tube(path, markers, *, detectors=None, events=None):
    """Write and read a tube with scatter and these markers; without events every channel is noise."""
    detectors = detectors or [f"FL{i + 1}-A" for i in range(len(markers))]
    light = np.random.default_rng(1).normal(100, 30, (300, len(markers))) if events is None else events
    scatter = np.random.default_rng(2).normal(60_000, 9_000, (len(light), 3))
    names = ["FSC-A", "FSC-H", "SSC-A", *detectors]
    write_events(path, np.hstack([scatter, light]), names, markers=["", "", "", *markers])
    return read_fcs(path)


def ids(template):
    return [population.id for population in template.populations]


def gate(template, sample):
    try:
        matrix = spillover_for(sample, "keyword")
    except InputError:
        matrix = Spillover.none()
    resolution = Resolution.start(template, sample, matrix)
    resolution.run_wave(0, {})
    return counts_of(resolution)


class TestSimulatedTubes:
    @pytest.mark.parametrize(
        "path", sorted([*TUBES.glob("*.fcs"), *SAMPLE_FCS.glob("CTRL*.fcs")]), ids=lambda p: p.stem
    )
    def test_every_draft_loads_and_gates_the_tube_it_is_from(self, path, tmp_path):
        sample = read_fcs(path)
        counts = gate(load(draft_template(sample), tmp_path), sample)
        if "fmo" not in path.stem:  # a control lacks what some gates look for
            assert "failed" not in {counts[name].status for name in ("lymphocytes", "t_cells", "cd4_t", "cd8_t")}

    def test_a_tbnk_panel_is_drafted_as_the_released_template_gates_it(self, tmp_path):
        sample = read_fcs(TBNK)
        drafted = load(draft_template(sample), tmp_path)
        mine, released = gate(drafted, sample), gate(load_template("tbnk@1.1.0"), sample)
        shared = [name for name in released if name in mine]
        assert {"beads", "singlets", "lymphocytes", "cd4_t", "cd8_t", "b_cells", "nk_cells"} <= set(shared)
        assert {name: mine[name].n_events for name in shared} == {name: released[name].n_events for name in shared}

    def test_a_t_cell_panel_has_memory_and_every_other_marker(self, tmp_path):
        template = load(draft_template(read_fcs(TCELL)), tmp_path)
        expected = {"live", "cd4_naive", "cd8_temra", "cd4_treg", "cd4_cd31_naive", "pd_1_positive", "ki_67_positive"}
        assert expected <= set(ids(template))
        assert template.population("lymphocytes").parent == "live"
        assert template.population("pd_1_positive").parent == "t_cells"
        assert not {"beads", "nk_cells", "b_cells"} & set(ids(template))


class TestPanel:
    def test_one_subset_marker_is_the_subset(self, tmp_path):
        template = load(draft_template(make_tube(tmp_path / "a.fcs", ["CD3", "CD8"])), tmp_path)
        assert ids(template) == ["singlets", "lymphocytes", "t_cells", "non_t", "cd8_t"]

    def test_without_cd3_subset_markers_are_markers_like_others(self, tmp_path):
        template = load(draft_template(make_tube(tmp_path / "a.fcs", ["CD4", "CD8"])), tmp_path)
        assert ids(template)[-2:] == ["cd4_positive", "cd8_positive"]
        assert template.population("cd4_positive").parent == "lymphocytes"

    def test_without_scatter_the_lineage_is_of_all_events(self, tmp_path):
        path = tmp_path / "a.fcs"
        write_events(
            path, np.random.default_rng(1).normal(100, 30, (300, 2)), ["FL1-A", "FL2-A"], markers=["CD3", "CD4"]
        )
        template = load(draft_template(read_fcs(path)), tmp_path)
        assert ids(template) == ["t_cells", "non_t", "cd4_t"]
        assert template.population("t_cells").parent is None

    def test_two_markers_on_one_channel_are_one_population(self, tmp_path):
        """CD4+CD20 is CD4 among T cells; B cells need a channel of their own."""
        template = load(draft_template(make_tube(tmp_path / "a.fcs", ["CD3", "CD4+CD20", "CD8"])), tmp_path)
        assert "cd4_t" in ids(template)
        assert "b_cells" not in ids(template)

    def test_markers_of_b_cells_and_of_myeloid_cells_have_their_parents(self, tmp_path):
        template = load(draft_template(make_tube(tmp_path / "a.fcs", ["CD19", "IgD", "CD14"])), tmp_path)
        assert template.population("igd_positive").parent == "b_cells"
        assert template.population("cd14_positive").parent == "singlets"

    def test_compensated_channels_hold_no_raw_beads(self, tmp_path):
        markers = ["CD3", "CD4", "CD8", "CD19"]
        named = [f"Comp-FL{i}-A" for i in range(4)]
        beads = ["beads" in draft_template(make_tube(tmp_path / "a.fcs", markers)).split()]
        beads += ["beads" in draft_template(make_tube(tmp_path / "a.fcs", markers, detectors=named)).split()]
        assert beads == [True, False]

    def test_what_is_not_used_is_said_with_the_reason(self, tmp_path):
        markers = ["CD3", "", "EMPTY", "CD4 FMO", "CD28", "CD28"]
        text = draft_template(make_tube(tmp_path / "a.fcs", markers))
        said = re.findall(r"^#   (FL\S+).*?: (.+)$", text, re.MULTILINE)
        assert [name for name, _ in said] == ["FL2-A", "FL3-A", "FL4-A", "FL5-A", "FL6-A"]
        assert "--marker" in said[0][1]
        assert "no marker" in said[1][1]
        assert "not to be stained" in said[2][1]
        assert "FL5-A, FL6-A" in said[3][1]

    def test_ambiguous_lineage_lists_its_candidates_until_one_is_named(self, tmp_path):
        sample = make_tube(tmp_path / "a.fcs", ["CD3", "CD8a", "CD8b"])
        with pytest.raises(AmbiguousMarker, match=r"FL2-A \(CD8a\), FL3-A \(CD8b\)"):
            draft_template(sample)
        text = draft_template(sample, markers={"CD8": "FL2-A"})
        assert "--marker 'CD8=FL2-A'" in text
        assert "cd8_t" in ids(load(text, tmp_path))

    @pytest.mark.parametrize(
        ("detectors", "message"),
        [([], "no fluorescence channel to gate on; the panel has FSC-A"), (["FL1-A"], "no channel says which marker")],
    )
    def test_nothing_to_gate_on_is_an_error(self, tmp_path, detectors, message):
        with pytest.raises(InputError, match=message):
            draft_template(make_tube(tmp_path / "a.fcs", [""] * len(detectors), detectors=detectors))


class TestScales:
    def test_values_on_a_display_scale_stay_on_it(self, tmp_path):
        shown = np.random.default_rng(1).normal(2000, 300, (500, 2))
        text = draft_template(make_tube(tmp_path / "a.fcs", ["CD3", "CD4"], events=shown))
        assert "fluorescence: {kind: linear, top: " in text
        load(text, tmp_path)

    def test_values_of_a_detector_are_on_a_logicle(self):
        assert "fluorescence: {kind: logicle, decades: 4.5, top: auto, width: auto}" in draft_template(read_fcs(TBNK))

    def test_zeros_without_negatives_are_mass_cytometry(self, tmp_path):
        rng = np.random.default_rng(1)
        counts = np.where(rng.random((500, 2)) < 0.4, 0.0, rng.gamma(2.0, 40.0, (500, 2)))
        text = draft_template(make_tube(tmp_path / "a.fcs", ["CD3", "CD4"], events=counts))
        assert "fluorescence: {kind: arcsinh" in text
        load(text, tmp_path)

    def test_a_range_that_is_nearly_empty_is_not_the_scale(self, tmp_path):
        low = np.random.default_rng(1).lognormal(2.0, 1.0, (500, 2))
        assert "top: 1000, width: auto" in draft_template(make_tube(tmp_path / "a.fcs", ["CD3", "CD4"], events=low))


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    markers=st.lists(
        st.one_of(
            st.text(max_size=8),
            st.sampled_from(["CD3", "CD4", "no", "Dead", "κ", "1e5", "\U00010000", "a: b", "\u2028"]),
        ),
        max_size=5,
    )
)
def test_whatever_channels_are_called_the_draft_loads_or_is_refused(tmp_path, markers):
    path = tmp_path / "a.fcs"
    try:
        sample = make_tube(path, markers)
    except (Nti7flowError, ValueError):
        return  # no file can have such names
    try:
        text = draft_template(sample, name="".join(markers))
    except InputError as error:
        assert re.search("no channel|no fluorescence|could be any", str(error))
        return
    assert load(text, tmp_path).spec.name
    assert "\x1b" not in text


def test_readable_tubes_of_other_laboratories(shared_data, tmp_path):
    """Every draft loads and gates without refusal; what is refused names what to do."""
    seen, loaded = set(), 0
    for path in sorted(path for path in shared_data.rglob("*.fcs") if path.stat().st_size < 1_500_000):
        try:
            sample = read_fcs(path)
        except Nti7flowError:
            continue
        panel = tuple((c.detector, c.marker) for c in sample.panel.channels)
        if panel in seen or (
            not {"CD3", "CD4", "CD19", "CD45"} & {marker for _, marker in panel} and sample.n_events > 6000
        ):
            continue
        seen.add(panel)
        try:
            text = draft_template(sample)
        except InputError as error:
            assert "--marker" in str(error)
            continue
        assert gate(load(text, tmp_path), sample)
        loaded += 1
    assert loaded >= 10
