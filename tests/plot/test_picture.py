"""Pictures are the same bytes every time, anywhere, and show themselves in a notebook."""

import struct
from concurrent.futures import ThreadPoolExecutor

import matplotlib
import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import select_figure_formats
from matplotlib.figure import Figure

from nti7flow.gating.picture import Panel2D
from nti7flow.plot import density, gating_tree, save_png

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def png(tube):
    return gating_tree(tube)._repr_png_()


def chunks(data):
    """Names of the chunks of a PNG."""
    at, names = 8, []
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        names.append(data[at + 4 : at + 8].decode())
        at += 12 + length
    return names


def test_the_same_input_gives_the_same_bytes_without_dates_or_versions(tube, png):
    assert gating_tree(tube)._repr_png_() == png
    assert set(chunks(png)) == {"IHDR", "pHYs", "IDAT", "IEND"}


def test_panels_read_back_from_a_store_give_the_same_picture(tube, png):
    panels = [Panel2D.from_parts(p.parent, p.populations, p.axes_to_dict(), p.cells, p.counts) for p in tube.panels]
    assert gating_tree(tube.strategy, panels, tube.counts)._repr_png_() == png


def test_the_reader_s_settings_change_nothing(tube, png):
    settings = {
        "font.family": "monospace",
        "axes.grid": True,
        "axes.facecolor": "red",
        "figure.facecolor": "black",
        "text.color": "yellow",
        "axes.spines.top": False,
        "xtick.direction": "in",
        "xtick.top": True,
        "xtick.labelsize": 20,
        "lines.linestyle": ":",
        "lines.marker": "o",
        "image.interpolation": "nearest",
        "image.origin": "upper",
        "savefig.bbox": "tight",
        "savefig.transparent": True,
        "figure.constrained_layout.use": True,
    }
    with matplotlib.rc_context(settings):
        assert gating_tree(tube)._repr_png_() == png


def test_threads_draw_the_same(tube, png):
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda _: gating_tree(tube)._repr_png_(), range(4)))
    assert all(data == png for data in drawn)


def test_save_png_at_any_resolution(tube, png, tmp_path):
    tree = gating_tree(tube)
    save_png(tree, tmp_path / "at_200.png", dpi=200)
    save_png(tree, str(tmp_path / "at_100.png"))
    assert (tmp_path / "at_100.png").read_bytes() == png
    large = (tmp_path / "at_200.png").read_bytes()
    assert large.startswith(PNG) and struct.unpack(">I", large[16:20]) == (3200,)


def test_white_where_there_are_no_events_and_on_the_edge(tube, tmp_path):
    from PIL import Image

    save_png(density(tube.sample, "CD4", "CD8"), tmp_path / "plot.png")
    pixels = np.asarray(Image.open(tmp_path / "plot.png").convert("RGB"))
    assert (pixels[0] == 255).all() and (pixels[-1] == 255).all()
    assert (pixels == 255).all(axis=2).mean() > 0.5


def test_a_notebook_shows_it_with_and_without_inline_pyplot(tube):
    picture = density(tube.sample, "CD4", "CD8")
    assert isinstance(picture, Figure)
    data, _ = DisplayFormatter().format(picture)
    assert data["image/png"].startswith(PNG)
    shell = InteractiveShell()
    select_figure_formats(shell, {"png"})
    data, _ = shell.display_formatter.format(picture)
    assert set(data) == {"text/plain", "image/png"}
