"""Pictures of concentrations, and of what makes them uncertain."""

import numpy as np
import pytest

import nti7flow as nf
from nti7flow.plot import budget_figure, counts_figure, save_png
from nti7flow.plot.forest import MARKS

BLANK = dict(
    subject="S1", samples="a", collected_at="2026-03-01T08:00:00+00:00", label="", level=0.95, method="beads",
    n_beads=4000, lloq=10.0, below_lloq="no", flags="", severity="", status="ok",
)  # fmt: skip
FEW = dict(below_lloq="yes", severity="info", flags="below_lloq", reported="<LLOQ (10)")


def row(specimen, population, value, lower, upper, n_events=100, **more):
    reported = more.pop("reported", "" if value is None else f"{value:g}")
    known = dict(cells_per_ul=value, lower=lower, upper=upper, n_events=n_events, reported=reported)
    return BLANK | dict(specimen=specimen, population=population) | known | more


ROWS = [
    row("day0", "alc", 171.0, 146.0, 200.0, None, method="hematology", lloq=None),
    row("day0", "lymphocytes", 179.0, 156.0, 205.0),
    row("day0", "cd4_t", 88.0, 74.0, 105.0),
    row("day0", "b_cells", 0.0, 0.0, 3.7, 0, **FEW),
    row("day7", "lymphocytes", 300.0, 280.0, 320.0, severity="review", flags="bead_lot_differs"),
    row("day7", "cd4_t", 150.0, 130.0, 170.0, severity="invalid", flags="bead_lot_differs;saturated"),
    row("day7", "b_cells", 2.0, 0.002, 5.0, 2, **FEW),
    row("day21", "lymphocytes", None, None, None, severity="invalid", flags="beads_missing", method="", lloq=None),
    row("day21", "dn_t", 5.0, 4.0, 6.0),
]  # fmt: skip
PARTS = [
    dict(specimen=specimen, population="cd4_t", component=component, cv_percent=cv, share_percent=share)
    for specimen, component, cv, share in (
        ("day0", "cells", 10.0, 80.0), ("day0", "beads", 5.0, 20.0), ("day7", "cells", 4.0, 50.0),
        ("day7", "bead_lot", 2.0, 30.0), ("day7", "of_tomorrow", 1.0, 20.0),
    )
]  # fmt: skip


def words_of(figure):
    return [text.get_text() for text in figure.texts]


def column(figure, number):
    return figure.axes[number]


def marks(axes, shapes="os^XD"):
    """Places and faces of the markers that are concentrations."""
    found = [line for line in axes.lines if line.get_linestyle() == "None" and line.get_marker() in list(shapes)]
    return [(line.get_xdata()[0], line.get_marker(), line.get_markerfacecolor()) for line in found]


def test_every_specimen_has_a_line_and_every_population_a_column():
    figure = counts_figure(ROWS, title="S1")
    words = words_of(figure)
    assert words[0] == "S1"
    assert words[1] == "Cells per µL of blood with 95 % intervals  ·  3 specimens  ·  beads"
    assert {"day0", "day7", "day21", "2026-03-01", "Lymphocytes", "CD4", "CD19", "171", "179", "<10", "–"} <= set(words)
    assert "CD8" not in words
    assert len(figure.axes) == 3
    assert "bead lot differs, saturated" in words
    assert "beads missing" in words


def test_shapes_tell_severities_apart_and_hollow_marks_are_below_the_lloq():
    assert len({shape for _, shape, _ in MARKS.values()}) == len(MARKS) == 4
    figure = counts_figure(ROWS, title="S1")
    lymphocytes, cd4, cd19 = (marks(column(figure, n)) for n in range(3))
    assert [shape for _, shape, _ in lymphocytes] == ["D", "o", "^"]
    assert [shape for _, shape, _ in cd4] == ["o", "X"]
    assert [(shape, face) for _, shape, face in cd19] == [("s", "white"), ("s", "white")]
    assert all(face != "white" for _, _, face in lymphocytes + cd4)


def test_nothing_found_stands_at_0_beside_the_logarithmic_axis():
    axes = column(counts_figure(ROWS, title="S1"), 2)
    labels = {label.get_text(): x for label, x in zip(axes.get_xticklabels(), axes.get_xticks(), strict=True)}
    zero, some = (place for place, _, _ in marks(axes))
    assert zero == labels["0"] < some
    assert "1" in labels
    lines = [line.get_xdata() for line in axes.lines if line.get_linestyle() == "-" and line.get_ydata()[0] == 0]
    intervals = [x for x in lines if len(x) == 2 and x[0] != x[1]]
    assert [x[0] for x in intervals] == [zero]  # it begins at 0 …
    decade = labels["10"] - labels["1"]
    assert intervals[0][1] == pytest.approx(labels["1"] + decade * np.log10(3.7))  # … and ends at the upper limit
    arrows = [line for line in axes.lines if line.get_marker() == 4]
    assert len(arrows) == 1  # the lower limit of day 7 is far below what the axis shows
    assert arrows[0].get_ydata()[0] == 1


def test_intervals_are_where_they_belong_on_the_logarithmic_axis():
    axes = column(counts_figure(ROWS, title="S1"), 1)
    ticks = {float(label.get_text().replace(",", "")): x
             for label, x in zip(axes.get_xticklabels(), axes.get_xticks(), strict=True)}  # fmt: skip
    (low, at_low), *_, (high, at_high) = sorted(ticks.items())
    drawn = [line.get_xdata() for line in axes.lines if line.get_linestyle() == "-" and line.get_zorder() == 2]
    for value, line in zip((74.0, 130.0), drawn, strict=True):
        share = np.log(value / low) / np.log(high / low)
        assert line[0] == pytest.approx(at_low + share * (at_high - at_low))


@pytest.mark.parametrize("value", [1e-3, 1.0, 25_000.0])
def test_a_single_specimen_of_any_size_is_drawn(tmp_path, value):
    figure = counts_figure([row("a", "cd4_t", value, value / 2, value * 2)], title="one")
    save_png(figure, tmp_path / "one.png")
    assert f"{value:g}" in words_of(figure)
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels
    assert "0" not in labels


def test_specimens_without_any_number_are_drawn(tmp_path):
    figure = counts_figure([row("a", "cd4_t", None, None, None, None, method="", lloq=None)], title="none")
    save_png(figure, tmp_path / "none.png")
    assert "nothing to count against" in words_of(figure)[1]


def test_texts_do_not_overlap_and_stay_on_the_page():
    named = [r | {"specimen": f"{r['specimen']} with a name that is far too long for its place"} for r in ROWS]
    figure = counts_figure(named, title="S1 " * 100)
    save_png_of_nowhere(figure)
    boxes = [text.get_window_extent() for text in figure.texts]
    width, height = figure.get_size_inches() * figure.dpi
    assert all(box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height for box in boxes)
    overlaps = [
        (a.get_text(), b.get_text())
        for i, (a, one) in enumerate(zip(figure.texts, boxes, strict=True))
        for b, two in zip(figure.texts[i + 1 :], boxes[i + 1 :], strict=True)
        if one.x0 < two.x1 and two.x0 < one.x1 and one.y0 + 2 < two.y1 and two.y0 + 2 < one.y1
    ]
    assert overlaps == []


def save_png_of_nowhere(figure):
    import io

    figure.canvas.print_png(io.BytesIO())


def test_names_are_drawn_as_they_are():
    figure = counts_figure([row("$\\frac{", "cd4_t", 5.0, 4.0, 6.0)], title="<b>\x1b[31m $x$")
    assert words_of(figure)[0] == "<b>\\x1b[31m $x$"
    assert "$\\frac{" in words_of(figure)
    assert not any(text.get_parse_math() for text in figure.texts)


def test_bars_are_sorted_by_events_and_fill_the_whole():
    rows = [r | {"n_events": {"day0": 20, "day7": 400}.get(r["specimen"], 1)} for r in ROWS]
    figure = budget_figure(rows[::-1], PARTS, title="all")
    assert "CD4" in words_of(figure)
    assert "2 specimens" in words_of(figure)
    strip, whole = figure.axes
    assert [label.get_text() for label in whole.get_xticklabels()] == ["20", "400"]
    shares = {patch.get_facecolor(): patch.get_data() for patch in whole.patches}
    cells = next(iter(shares.values()))
    assert cells.values.tolist() == [80.0, 50.0]
    assert list(shares.values())[-1].values.tolist() == [100.0, 100.0]
    cvs = 10 ** strip.lines[0].get_ydata()
    assert cvs[0] == pytest.approx(100 * np.sqrt(1.01 * 1.0025 - 1))  # CVs of factors that are multiplied
    assert {"cells: counting them", "beads: counting them", "beads per tube (lot)", "other"} <= set(words_of(figure))
    assert "pipetting" not in words_of(figure)


def test_nothing_to_draw_is_said():
    with pytest.raises(nf.Nti7flowError, match="no concentrations to draw"):
        counts_figure([], title="S1")
    with pytest.raises(nf.Nti7flowError, match="no concentrations to draw"):
        budget_figure(ROWS, [], title="all")


def test_the_same_rows_give_the_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        save_png(counts_figure(iter(ROWS), title="S1"), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_populations_of_other_names_are_drawn_and_the_alc_beside_them():
    rows = [row("a", "alc", 900.0, 800.0, 1000.0, None, method="hematology", lloq=None)]
    rows += [row("a", f"Gate {n}", 10.0 * n, 9.0 * n, 11.0 * n, label=f"my gate {n}") for n in range(1, 10)]
    parts = [dict(specimen="a", population=f"Gate {n}", component="cells", cv_percent=5.0, share_percent=100.0)
             for n in range(1, 10)]  # fmt: skip
    figure = counts_figure(rows, title="S1")
    assert [words for words in words_of(figure) if words == "ALC" or words.startswith("my gate")] == [
        "ALC", *(f"my gate {n}" for n in range(1, 7))
    ]  # fmt: skip
    assert [shape for _, shape, _ in marks(column(figure, 0))] == ["D"]
    assert "my gate 6" in words_of(budget_figure(rows, parts, title="all"))
    only = counts_figure(rows, title="S1", populations={"Gate 9": "nine"})
    assert {"nine", "90"} <= set(words_of(only))
