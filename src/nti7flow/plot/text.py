"""Letters: a name with something small beside it, and texts that are cut to a width."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from nti7flow.plot.style import INK, font

if TYPE_CHECKING:
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Text


def renderer_of(figure: Figure) -> RendererAgg:
    """Return what measures texts in pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    return canvas.get_renderer()


def size_of(text: Text, renderer: RendererAgg) -> tuple[float, float]:
    """Width and height, pixels."""
    box = text.get_window_extent(renderer)
    return float(box.width), float(box.height)


def write(figure: Figure, x: float, y: float, words: str, size: float, **how: Any) -> Text:
    """Write into a figure, at inches from its lower left corner."""
    weight = how.pop("weight", "normal")
    return figure.text(
        x, y, words, font_properties=font(size, weight), transform=figure.dpi_scale_trans, parse_math=False, **{"color": INK} | how
    )


def shorten(text: Text, width: float, renderer: RendererAgg) -> None:
    """Cut a text to a width in pixels, with an ellipsis."""
    words = text.get_text()
    while size_of(text, renderer)[0] > width and len(words) > 1:
        words = words[:-1].rstrip()
        text.set_text(words + "…")


def wrapped(words: str, n_letters: int) -> str:
    """Break into lines of at most so many letters, within words only where they are longer than that."""
    return "\n".join(textwrap.wrap(words, n_letters, break_on_hyphens=False)) or words
