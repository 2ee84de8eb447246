"""Density plots for a look into a tube."""

import numpy as np
import pytest
from reading import assert_labels_are_apart_and_inside, gate_lines, label_words, texts_of

from nti7flow.errors import UnknownMarker
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import Linear
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.gates import RectangleGate
from nti7flow.plot import density


def test_any_two_channels(tube):
    (axes,) = density(tube.sample, "CD4", "CD8").axes
    assert {"SIM-001_day00_tbnk", "· 11,500 events", "CD4", "(PE-Cy7-A)", "CD8"} <= set(texts_of(axes))
    assert {"0", "10²", "10³"} <= {text.get_text() for text in axes.get_xticklabels()}


def test_scatter_is_linear_and_fills_the_axes(tube):
    (axes,) = density(tube.sample, "FSC", "Time", spillover="none").axes
    assert [text.get_text() for text in axes.get_xticklabels()][:3] == ["0", "50k", "100k"]
    seconds = tube.sample.columns(["Time"])[:, 0]
    top = Linear().inverse(axes.get_ylim()[1])
    assert seconds.max() <= top <= 1.3 * seconds.max()


def test_compensation_moves_events(tube):
    keyword, given, none = (
        density(tube.sample, "CD4", "CD8", spillover=s).axes[0]
        for s in ("keyword", tube.strategy.spillover, Spillover.none())
    )
    image = np.asarray(keyword.images[0].get_array())
    assert np.array_equal(image, np.asarray(given.images[0].get_array()))
    assert not np.array_equal(image, np.asarray(none.images[0].get_array()))


def test_a_template_lends_scales_and_aliases(tube):
    (axes,) = density(tube.sample, "NK", "SSC", template="tbnk").axes
    assert "CD16+56" in texts_of(axes)
    assert "10⁵" in {text.get_text() for text in axes.get_yticklabels()}
    with pytest.raises(UnknownMarker):
        density(tube.sample, "NK", "SSC")


def test_gates_are_applied_to_the_events_shown(tube):
    ids = ("cd4_positive", "cd8_positive", "cd4_t", "cd8_t", "dp_t", "dn_t", "lymphocytes")
    gates = [tube.strategy.population(name) for name in ids]
    picture = density(tube.sample, "CD4", "CD8", gates=gates, parent_rows=tube.members.rows("t_cells"))
    (axes,) = picture.axes
    for name in ids[2:6]:
        assert f"{tube.count(name).percent_parent:.1f} %" in label_words(axes)
    assert set(gate_lines(axes)) == {"cd4_positive", "cd8_positive"}
    assert "Not on these axes: Lymphocytes." in texts_of(picture)
    assert_labels_are_apart_and_inside(axes)


def test_a_bare_gate_has_a_percentage_only(tube):
    sample = tube.sample
    gate = RectangleGate((Dimension("FSC-A", "", False, Linear()),), (0.25,), (0.5,))
    (axes,) = density(sample, "FSC-A", "SSC-A", gates=[gate], title="Size").axes
    values = sample.columns(["FSC-A"])[:, 0] / 262144
    share = 100 * np.mean((values >= 0.25) & (values < 0.5))
    assert label_words(axes) == [f"{share:.1f} %"]
    assert [list(line.get_xdata()) for line in gate_lines(axes)["gate_1"]] == [[0.25, 0.25], [0.5, 0.5]]
    assert "Size" in texts_of(axes)


def test_events_are_chosen_by_index_or_mask(tube):
    rows = tube.members.rows("b_cells")
    by_rows, by_mask = (
        density(tube.sample, "CD19", "CD3", parent_rows=chosen) for chosen in (rows[::-1], tube.members.mask("b_cells"))
    )
    assert f"· {len(rows)} events" in texts_of(by_rows)
    assert by_rows._repr_png_() == by_mask._repr_png_()
    with pytest.raises(ValueError, match="one value for each of 11,500 events"):
        density(tube.sample, "CD19", "CD3", parent_rows=np.ones(3, bool))


def test_no_events_and_one_event(tube):
    nothing = density(tube.sample, "CD4", "CD8", parent_rows=[], gates=[tube.strategy.population("cd4_positive")])
    assert {"no events", "· 0 events", "–"} <= set(texts_of(nothing))
    assert "· 1 event" in texts_of(density(tube.sample, "CD4", "CD8", parent_rows=[17]))


def test_a_boolean_needs_what_it_combines(tube):
    with pytest.raises(ValueError, match="cd4_t combines cd4_positive, cd8_positive"):
        density(tube.sample, "CD4", "CD8", gates=[tube.strategy.population("cd4_t")])
