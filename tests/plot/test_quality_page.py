"""The page of a tube's course."""

import sys
from pathlib import Path

import numpy as np
import pytest

from nti7flow.plot import quality_page, save_png
from nti7flow.quality.report import check_quality

sys.path.insert(0, str(Path(__file__).parents[1] / "quality"))
from quality_tubes import DETECTORS, between, even_tube, sample_of


def clogged():
    values = even_tube(3)
    values[between(values, 48, 60), 3:6] *= 0.5
    return sample_of(values)


def words_of(figure):
    return [text.get_text() for text in figure.texts]


def test_every_channel_is_drawn_and_what_is_left_out_is_shaded():
    sample = clogged()
    quality = check_quality(sample)
    assert quality.n_excluded
    figure = quality_page(sample, quality, title="tube 7")
    words = words_of(figure)
    assert words[0] == "tube 7"
    assert f"{quality.n_excluded:,} left out" in words[1]
    assert words[1].startswith("review")
    assert {"Flow rate", "Ends of scale", "FSC-A", "SSC-A", "CD3", "CD19", "CD4"} <= set(words)
    (start, end), *_ = quality.steady
    for axes in [axes for axes in figure.axes if axes.get_xlim()[1] > 50]:
        spans = [patch.get_extents().transformed(axes.transData.inverted()) for patch in axes.patches
                 if patch.get_alpha() == 0.16]  # fmt: skip
        assert [(span.x0, span.x1) for span in spans] == [pytest.approx((end, 60), abs=0.1)]
        low, high = axes.get_xlim()
        assert (low, high) == pytest.approx((start, 60), abs=0.1)


def test_the_medians_are_those_of_the_events():
    values = even_tube(4)
    values[:, 0] = np.random.default_rng(1).normal(60e3, 6e3, len(values))
    sample = sample_of(values)
    figure = quality_page(sample, check_quality(sample))
    axes = next(axes for axes in figure.axes if axes.images)  # channels come in their order
    (line,) = axes.lines
    area = np.median(sample.columns(["FSC-A"])) / 262144
    assert np.nanmedian(line.get_ydata()) == pytest.approx(area, rel=0.01)


def test_a_tube_without_time_and_one_without_events_are_drawn(tmp_path):
    values = even_tube(5)
    for sample in (
        sample_of(values[:, :-1], DETECTORS[:-1], [""] * 6),
        sample_of(values[:0]),
        sample_of(np.full((5000, 7), 3.0)),
    ):
        figure = quality_page(sample, check_quality(sample))
        assert any("Time tells nothing" in words for words in words_of(figure))
        save_png(figure, tmp_path / "page.png")


def test_the_same_tube_gives_the_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        sample = clogged()
        save_png(quality_page(sample, check_quality(sample)), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_names_are_drawn_as_they_are():
    markers = ["", "", "", "$CD3$", "<b>\x1b[31mCD19", "CD4", ""]
    sample = sample_of(even_tube(6, n=4000), markers=markers)
    figure = quality_page(sample, check_quality(sample), title="a\x1b[31m $x$")
    words = words_of(figure)
    assert words[0] == "a\\x1b[31m $x$"
    assert "$CD3$" in words
    assert not any("\x1b" in text for text in words)
    assert not any(text.get_parse_math() for text in figure.texts)
