"""The gating tree of a simulated tube: what it shows, and where."""

from dataclasses import replace

import numpy as np
import pytest
from reading import assert_labels_are_apart_and_inside, centre_of, gate_lines, label_words, texts_of

from nti7flow.counting.fractions import count_populations
from nti7flow.gating.gates import BooleanGate, Operand, RectangleGate
from nti7flow.plot import gating_tree


@pytest.fixture(scope="module")
def tree(tube):
    return gating_tree(tube.strategy, tube.panels, tube.counts)


@pytest.fixture(scope="module")
def plots(tree, tube):
    """Axes by the first population gated on them."""
    return {panel.populations[0]: axes for panel, axes in zip(tube.panels, tree.axes, strict=True)}


def with_status(tube, status, *ids):
    changed = [replace(p, status=status) if p.id in ids else p for p in tube.strategy.populations]
    strategy = replace(tube.strategy, populations=tuple(changed))
    return gating_tree(strategy, tube.panels, count_populations(strategy, tube.members))


def test_one_plot_per_panel_1600_pixels_wide(tree, tube):
    assert len(tree.axes) == len(tube.panels) == 6
    assert tree.get_size_inches()[0] * tree.dpi == 1600


def test_each_plot_says_whose_events_it_shows(plots, tube):
    assert {"All events", "· 11,500 events"} <= set(texts_of(plots["singlets"]))
    n_lymphocytes = tube.count("lymphocytes").n_events
    assert {"Lymphocytes", f"· {n_lymphocytes:,} events"} <= set(texts_of(plots["t_cells"]))


def test_axes_name_marker_and_detector(plots):
    assert {"CD3", "(FITC-A)", "SSC-A"} <= set(texts_of(plots["t_cells"]))
    assert {"CD4", "(PE-Cy7-A)", "CD8", "(APC-Cy7-A)"} <= set(texts_of(plots["cd4_positive"]))
    assert "(SSC-A)" not in texts_of(plots["t_cells"])


def test_every_gate_has_its_percentage(plots, tube):
    for population, axes in [("singlets", "singlets"), ("lymphocytes", "lymphocytes"), ("monocytes", "lymphocytes")]:
        count = tube.count(population)
        words = label_words(plots[axes])
        assert count.label in words and f"{count.percent_parent:.1f} %" in words


def test_quadrants_tell_their_shares_and_helpers_do_not(plots, tube):
    axes = plots["cd4_positive"]
    expected = {"cd4_t": (1, 0), "cd8_t": (0, 1), "dp_t": (1, 1), "dn_t": (0, 0)}
    thresholds = [
        axes.transData.transform((gate_lines(axes)["cd4_positive"][0].get_xdata()[0], 0))[0],
        axes.transData.transform((0, gate_lines(axes)["cd8_positive"][0].get_ydata()[0]))[1],
    ]
    split = axes.transAxes.inverted().transform(thresholds)
    for population, corner in expected.items():
        count = tube.count(population)
        assert f"{count.percent_parent:.1f} %" in label_words(axes)
        assert tuple(int(a > b) for a, b in zip(centre_of(axes, count.label), split, strict=True)) == corner
    assert not {"CD4+ of T", "CD8+ of T"} & set(label_words(axes))


def test_thresholds_are_drawn_where_they_are(plots, tube):
    for axes in plots.values():
        for name, lines in gate_lines(axes).items():
            gate = tube.strategy.population(name).gate
            if isinstance(gate, RectangleGate):
                (line,) = lines
                across = gate.dimensions[0].detector != "APC-Cy7-A"  # CD8 is on the y axis
                along = line.get_xdata() if across else line.get_ydata()
                assert list(along) == [gate.lower[0]] * 2
                assert line.get_linestyle() == "-"


def test_every_gate_is_drawn_once(plots, tube):
    drawn = [name for axes in plots.values() for name in gate_lines(axes)]
    geometric = [p.id for p in tube.strategy.populations if p.gate and not isinstance(p.gate, BooleanGate)]
    assert sorted(drawn) == sorted(geometric)


def test_major_ticks_are_decades_through_the_transform(plots, tube):
    panel = next(panel for panel in tube.panels if "t_cells" in panel.populations)
    axes = plots["t_cells"]
    labels = {text.get_text(): x for text, x in zip(axes.get_xticklabels(), axes.get_xticks(), strict=True)}
    assert {"0", "10³", "10⁴"} <= labels.keys()
    assert [labels["0"], labels["10³"], labels["10⁴"]] == list(panel.x.transform.apply([0, 1e3, 1e4]))
    assert [text.get_text() for text in plots["singlets"].get_xticklabels()][:3] == ["0", "50k", "100k"]


def test_all_gates_and_nearly_all_events_are_in_sight(plots, tube):
    for panel, axes in zip(tube.panels, plots.values(), strict=True):
        (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
        ix, iy = np.divmod(panel.cells, panel.y_axis.n_bins)
        x, y = panel.x_axis.centres[ix], panel.y_axis.centres[iy]
        inside = (x > x0) & (x < x1) & (y > y0) & (y < y1)
        assert panel.counts[inside].sum() >= 0.98 * panel.counts.sum()
        for name in gate_lines(axes):
            gate = tube.strategy.population(name).gate
            if isinstance(gate, RectangleGate):
                low, high = (x0, x1) if gate.dimensions[0] == panel.x else (y0, y1)
                assert low < gate.lower[0] < high


def test_labels_neither_overlap_nor_leave_their_plot(plots):
    for axes in plots.values():
        assert_labels_are_apart_and_inside(axes)


def test_no_text_of_the_figure_is_on_another(tree):
    """Headings, names of axes, table and foot: every text that is not a tick or a label in a plot."""
    boxes = [text.get_window_extent() for text in tree.texts]
    boxes += [text.get_window_extent() for axes in tree.axes for text in axes.texts if text.get_text()]
    boxes += [t.get_window_extent() for a in tree.axes for t in (*a.get_xticklabels(), *a.get_yticklabels())]
    boxes = np.array([[box.x0, box.y0, box.x1, box.y1] for box in boxes])
    a, b = boxes[:, None], boxes[None, :]
    shared = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    assert not np.triu((shared > 1.0).all(axis=2), 1).any()
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= tree.bbox.size).all()


def test_table_and_title_tell_the_sample(tree, tube):
    words = texts_of(tree)
    assert {"SIM-001_day00_tbnk", "tbnk@1.0.0  ·  11,500 events  ·  compensated with the matrix in the file"} <= set(
        words
    )
    for count in tube.counts:
        assert count.label in words and f"{count.n_events:,}" in words
    assert f"{tube.count('unassigned').percent_lymphocytes:.1f}" in words


def test_title_and_subtitle_can_be_given(tube):
    words = texts_of(gating_tree(tube.strategy, tube.panels, tube.counts, title="Patient 1", subtitle=""))
    assert "Patient 1" in words and "SIM-001_day00_tbnk" not in words


def test_a_result_brings_its_own_parts(tube, tree):
    assert texts_of(gating_tree(tube)) == texts_of(tree)
    with pytest.raises(TypeError, match="together with its panels"):
        gating_tree(tube.strategy)


def test_counts_can_be_rows_of_a_table(tube, tree):
    import pandas as pd

    table = pd.DataFrame([{name: getattr(c, name) for name in c.__dataclass_fields__} for c in tube.counts])
    assert table.percent_lymphocytes.isna().any()
    rows = list(table.itertuples(index=False))
    assert texts_of(gating_tree(tube.strategy, tube.panels, rows)) == texts_of(tree)


def test_gates_that_are_not_ok_are_dashed_and_named(tube):
    tree = with_status(tube, "fell_back", "t_cells", "monocytes")
    axes = next(axes for axes in tree.axes if "t_cells" in gate_lines(axes))
    assert gate_lines(axes)["t_cells"][0].get_linestyle() == "--"
    assert "fell_back" in label_words(axes)
    assert "▲ fell_back" in texts_of(tree) and "▲ review" in texts_of(tree)
    assert any("Dashed:" in words for words in texts_of(tree))
    for axes in tree.axes:
        assert_labels_are_apart_and_inside(axes)


def test_populations_without_a_gate_are_listed_in_words(tube):
    lost = {"nk_cells": ("not_in_panel", ()), "b_cells": ("failed", ()), "monocytes": ("absent", ())}
    lost["granulocytes"] = ("failed", ("parent_failed",))
    populations = tuple(
        replace(p, gate=None, status=lost[p.id][0], flags=lost[p.id][1]) if p.id in lost else p
        for p in tube.strategy.populations
    )
    strategy = replace(tube.strategy, populations=populations)
    panels = [panel for panel in tube.panels if not set(panel.populations) & {"nk_cells", "b_cells"}]
    panels = [replace(p, populations=tuple(name for name in p.populations if name not in lost)) for p in panels]
    tree = gating_tree(strategy, panels, count_populations(strategy, strategy.apply(tube.sample)))
    foot = next(words for words in texts_of(tree) if "Gate could not be placed" in words)
    assert "Marker not in the panel: NK cells (CD16/56+)." in foot
    assert "Gate could not be placed: B cells (CD19+)." in foot
    assert "Absent: Monocytes." in foot
    assert "Parent has no gate: Granulocytes." in foot
    # NK cells are gated from what is not B: without a gate for those, their count is invalid whatever the panel.
    assert {"▲ failed", "absent", "▲ not_in_panel"} <= set(texts_of(tree))


def test_a_tube_in_which_nothing_could_be_gated_still_has_a_picture(tube):
    populations = tuple(replace(p, gate=None, status="failed") for p in tube.strategy.populations)
    strategy = replace(tube.strategy, populations=populations)
    tree = gating_tree(strategy, [], count_populations(strategy, strategy.apply(tube.sample)))
    assert tree.axes == [] and "▲ failed" in texts_of(tree)


def test_long_names_are_broken_or_cut_but_never_run_over(tube):
    words = "activated, recently emigrated and otherwise remarkable"
    labels = {"cd8_t": f"CD8 T, {words} cells", "b_cells": "B" * 70, "lymphocytes": f"Lymphocytes, {words}"}
    strategy = replace(
        tube.strategy,
        sample="a tube with a name " * 12,
        populations=tuple(replace(p, label=labels.get(p.id, p.label)) for p in tube.strategy.populations),
    )
    tree = gating_tree(strategy, tube.panels, count_populations(strategy, tube.members))
    test_no_text_of_the_figure_is_on_another(tree)
    for axes in tree.axes:
        assert_labels_are_apart_and_inside(axes)
    assert any(words.endswith("…") for words in texts_of(tree))


def test_what_finds_no_room_or_no_axes_is_named_at_the_foot(tube):
    either = BooleanGate("or", (Operand("cd4_positive"), Operand("cd8_positive")))
    changed = {"dp_t": {"gate": either}, "cd4_t": {"label": " ".join(["CD4"] * 150)}}
    populations = tuple(replace(p, **changed.get(p.id, {})) for p in tube.strategy.populations)
    strategy = replace(tube.strategy, populations=populations)
    tree = gating_tree(strategy, tube.panels, count_populations(strategy, strategy.apply(tube.sample)))
    words = texts_of(tree)
    assert "Gate not on the axes of its plot: DP T (CD4+CD8+)." in words
    assert any("No room for a label: CD4 CD4" in line and line.endswith("…") for line in words)
    for axes in tree.axes:
        assert_labels_are_apart_and_inside(axes)


def test_real_tubes(gate_tube, shared_data):
    for name, spillover in [("tbnk_auto/1.fcs", "keyword"), ("healthy_donor_hd/converted/A_1_1.fcs", "none")]:
        gated = gate_tube(shared_data / name, spillover)
        tree = gating_tree(gated)
        test_no_text_of_the_figure_is_on_another(tree)
        for axes in tree.axes:
            assert_labels_are_apart_and_inside(axes)
        for population in ("lymphocytes", "t_cells", "cd4_t", "cd8_t", "dp_t", "dn_t", "b_cells"):
            share = f"{gated.count(population).percent_parent:.1f} %"
            assert any(share in label_words(axes) for axes in tree.axes)
