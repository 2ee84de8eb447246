"""The pages on which two methods are compared."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from reading import texts_of

from nti7flow.counting.agreement import bland_altman, has_ratio, passing_bablok
from nti7flow.plot import Compared, agreement_overview, agreement_page, save_png


def compared(n=40, *, factor=1.1, zeros=0, scale="log", title="CD4 T cells"):
    rng = np.random.default_rng(n)
    truth = rng.lognormal(5, 1, n)
    x, y = truth * np.exp(rng.normal(0, 0.05, n)), factor * truth * np.exp(rng.normal(0, 0.05, n))
    x[:zeros] = 0
    ratio = has_ratio(x, y, scale=scale)
    differences = bland_altman(x[ratio], y[ratio], scale=scale) if ratio.sum() > 2 else None
    line = passing_bablok(x, y) if n > 7 else None
    review = np.arange(n) % 7 == 0
    return Compared(
        title, "cells/µL", "new", "manual.csv", x, y, review, differences, line, ("proportional difference",)
    )


def dots_of(axes):
    """Places of the pairs: those that are sound, those for review."""
    return [
        np.asarray(collection.get_offsets()) for collection in axes.collections if len(collection.get_offsets()) > 1
    ]


def level_lines(axes):
    return sorted(line.get_ydata()[0] for line in axes.lines if len(set(line.get_ydata())) == 1)


def test_bias_limits_and_their_intervals_are_where_they_were_found():
    one = compared()
    left, right = agreement_page(one).axes
    found = one.differences
    heights = [0.0, found.bias.value, found.lower_limit.value, found.upper_limit.value]
    assert level_lines(left) == pytest.approx(sorted(heights))
    bands = sorted(
        patch.get_extents().transformed(left.transData.inverted()).intervaly.tolist() for patch in left.patches
    )
    expected = [(e.lower, e.upper) for e in (found.lower_limit, found.bias, found.upper_limit)]
    assert np.array(bands) == pytest.approx(np.array(expected))
    (sound, review), (sound_right, review_right) = dots_of(left), dots_of(right)
    assert (len(sound), len(review)) == (34, 6) == (len(sound_right), len(review_right))
    d = np.log(one.y / one.x)
    assert np.sort([*sound[:, 1], *review[:, 1]]) == pytest.approx(np.sort(d))
    assert review[:, 0] == pytest.approx(np.log10(np.sqrt(one.x * one.y))[one.review])
    words = texts_of(left)
    assert "bias\n" + f"+{100 * np.expm1(found.bias.value):.1f} %" in words
    assert "+20 %" in words


def test_the_line_is_the_fit_and_its_band_holds_it():
    one = compared()
    right = agreement_page(one).axes[1]
    identity, line = right.lines
    assert identity.get_xdata().tolist() == identity.get_ydata().tolist()
    x = 10 ** line.get_xdata()
    assert 10 ** line.get_ydata() == pytest.approx(one.line.intercept.value + one.line.slope.value * x)
    (words,) = [text.get_text() for text in right.texts]
    assert f"slope {one.line.slope.value:.3f} ({one.line.slope.lower:.3f} to {one.line.slope.upper:.3f})" in words
    band = right.collections[-1].get_paths()[0].vertices
    middle = float(np.interp(2.0, line.get_xdata(), line.get_ydata()))
    inside = band[np.abs(band[:, 0] - 2.0) < 0.02][:, 1]
    assert inside.min() < middle < inside.max()


def test_pairs_with_a_zero_are_on_the_edge_and_said_to_be_on_the_right_alone():
    one = compared(zeros=2)
    page = agreement_page(one)
    left, right = page.axes
    assert sum(map(len, dots_of(left))) == 38
    places = np.vstack(dots_of(right))
    assert len(places) == 40
    assert np.sum(places[:, 0] == right.get_xlim()[0]) == 2
    assert any("2 with a 0 have no ratio" in text for text in texts_of(page))


@pytest.mark.parametrize("scale", ["percent", "absolute"])
def test_other_scales(scale):
    one = compared(scale=scale)
    left = agreement_page(one).axes[0]
    assert one.differences.bias.value in level_lines(left)
    assert ("A − B, % of the average" in texts_of(left.figure)) == (scale == "percent")
    assert ("A − B, cells/µL" in texts_of(left.figure)) == (scale == "absolute")


def test_large_ratios_are_told_as_such():
    one = compared(factor=12)
    words = texts_of(agreement_page(one).axes[0])
    assert "× 10" in words
    assert any(text.startswith("bias\n× 1") for text in words)


def test_few_pairs_and_none_that_can_be_compared_are_drawn(tmp_path):
    few = replace(compared(5), line=None, notes=("No line: found 5 pairs.",))
    nothing = replace(compared(1), line=None, differences=None, verdict=("not compared",))
    for one in (few, nothing, compared(9, factor=1.0001), replace(few, x=few.x * 0 + 7.0, differences=None)):
        save_png(agreement_page(one), tmp_path / "page.png")
    assert any("No line: found 5 pairs." in text for text in texts_of(agreement_page(few)))
    assert any("too few pairs" in text for text in texts_of(agreement_page(nothing)))


def test_identical_methods_are_drawn(tmp_path):
    x = np.arange(10.0, 100.0, 5)
    one = Compared("all", "events", "a", "b", x, x, np.zeros(18, bool), bland_altman(x, x, scale="log"),
                   passing_bablok(x, x), ("none shown",))  # fmt: skip
    left = agreement_page(one).axes[0]
    assert len({round(y, 9) for y in level_lines(left)}) == 1
    save_png(agreement_page(one), tmp_path / "page.png")


def test_words_beside_lines_are_apart_and_on_the_page():
    one = compared(200, factor=1.0)
    narrow = replace(one, differences=bland_altman(one.x, one.x * (1 + 1e-3 * (one.y / one.x - 1)), scale="log"))
    for page in (agreement_page(one), agreement_page(narrow), agreement_overview([one, narrow])):
        width = page.bbox.width
        for axes in page.axes:
            boxes = [t.get_window_extent() for t in axes.texts if t.get_position()[0] > 1]
            assert all(box.x1 <= width for box in boxes)
            boxes.sort(key=lambda box: box.y0)
            assert all(low.y1 <= high.y0 + 1 for low, high in pairwise(boxes))


def test_an_overview_has_a_plot_for_each_population():
    several = [compared(10 + i, title=f"population {i}") for i in range(5)]
    page = agreement_overview(several)
    assert len(page.axes) == 5
    assert {f"population {i}" for i in range(5)} <= set(texts_of(page))
    assert "Nothing to compare" in texts_of(agreement_overview([]))


def test_the_same_counts_give_the_same_bytes_and_names_are_drawn_as_they_are(tmp_path):
    one = replace(compared(), title="$CD4$ \x1b[31m", a="$x$")
    for name in ("a.png", "b.png"):
        save_png(agreement_page(one), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    page = agreement_page(one)
    assert "$CD4$ \\x1b[31m" in texts_of(page)
    assert not any("\x1b" in text for text in texts_of(page))
    assert not any(text.get_parse_math() for text in [*page.texts, *(t for a in page.axes for t in a.texts)])
