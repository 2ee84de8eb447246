"""Letters: texts on a figure and on axes, measured in pixels and cut where there is no room."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Literal

from nti7flow.errors import printable
from nti7flow.plot.style import AXIS, INK, MUTED, PANEL_TITLE, SMALL, font

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

#: Letters beyond which a word may be broken.
LONG_WORD = 20


def size_of(text: Text) -> tuple[float, float]:
    """Width and height of a text, pixels."""
    box = text.get_window_extent()
    return float(box.width), float(box.height)


def write(figure: Figure, x: float, y: float, words: str, size: float, *, weight: str = "normal", **how: Any) -> Text:
    """Write into a figure, at inches from its lower left corner."""
    look: dict[str, Any] = {"color": INK, "font_properties": font(size, weight), "parse_math": False} | how
    return figure.text(x, y, _legible(words), transform=figure.dpi_scale_trans, **look)


def write_on(axes: Axes, x: float, y: float, words: str, size: float, *, weight: str = "normal", **how: Any) -> Text:
    """Write at pixels from the lower left corner of some axes."""
    look: dict[str, Any] = {"color": INK, "font_properties": font(size, weight), "parse_math": False, "zorder": 6} | how
    return axes.text(x / axes.bbox.width, y / axes.bbox.height, _legible(words), transform=axes.transAxes, **look)


def _legible(words: str) -> str:
    """Spell out what fonts have no letters for, line breaks of our own apart: names come from files."""
    return "\n".join(map(printable, words.split("\n")))


def write_beside(axes: Axes, name: str, detail: str, where: Literal["above", "below", "left"]) -> None:
    """Write a name and, smaller beside it, a detail: as heading above axes, or as the name of an axis."""
    look: dict[str, Any] = {"va": "baseline", "ha": "left"}
    if where == "left":
        look |= {"rotation": 90, "rotation_mode": "anchor"}
    upright = where == "left"
    length = axes.bbox.height if upright else axes.bbox.width
    size = PANEL_TITLE if where == "above" else AXIS
    texts = [
        write_on(axes, 0, 0, printable(name), size, weight="bold", **look),
        write_on(axes, 0, 0, printable(detail), SMALL, color=MUTED, **look),
    ]
    along = 1 if upright else 0
    gap = 5.0 if detail else 0.0
    shorten(texts[0], length - gap - size_of(texts[1])[along], along)
    lengths = [size_of(text)[along] if text.get_text() else 0.0 for text in texts]
    start = 0.0 if where == "above" else max(0.0, (length - sum(lengths) - gap) / 2)
    across = {"above": axes.bbox.height + 8.0, "below": -43.0, "left": -47.0}[where]
    for text, begin in zip(texts, (start, start + lengths[0] + gap), strict=True):
        position = (across, begin) if upright else (begin, across)
        text.set_position((position[0] / axes.bbox.width, position[1] / axes.bbox.height))


def shorten(text: Text, length: float, along: int = 0) -> None:
    """Fit a text into a length in pixels: somewhat smaller, then with an ellipsis; ``along`` is 1 for upright text."""
    words, size = text.get_text(), float(text.get_fontsize())
    weight = "bold" if text.get_fontproperties() == font(size, "bold") else "normal"
    while size > SMALL and size_of(text)[along] > length:
        size -= 0.5
        text.set_fontproperties(font(size, weight))
    while len(words) > 1 and (found := size_of(text)[along]) > length:
        kept = min(len(words) - 1, int(1.2 * len(words) * length / found))  # most of what is too much at once
        words = words[: max(kept, 1)].rstrip()
        text.set_text(words + "…")


def wrap(text: Text, width: float) -> None:
    """Break a text into lines no wider than so many pixels; never within a word, unless that is very long."""
    words = text.get_text()
    longest = min(max((len(word) for word in words.split()), default=0), LONG_WORD)
    most = int(1.5 * len(words) * width / max(size_of(text)[0], 1.0))  # more letters than this surely do not fit
    for n_letters in range(min(len(words) - 1, max(most, longest)), longest - 1, -1):
        if size_of(text)[0] <= width:
            break
        text.set_text("\n".join(textwrap.wrap(words, n_letters, break_on_hyphens=False)))
