"""The figure that drawing functions return. Only imported when something is drawn: it loads Matplotlib."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from nti7flow.plot.style import DPI


class Picture(Figure):
    """A Matplotlib figure of its own: no pyplot, no global state, so it can be drawn in any thread or worker.

    A notebook shows a bare `Figure` only after pyplot was set up; this one says itself what it looks like.
    """

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        _write(self, buffer, DPI)
        return buffer.getvalue()


def blank(width: float, height: float) -> Picture:
    """Return an empty white picture, inches."""
    picture = Picture(figsize=(width, height), dpi=DPI, facecolor="white", edgecolor="white")
    picture.set_layout_engine("none")
    FigureCanvasAgg(picture)
    return picture


@contextmanager
def boxes_for_missing_letters() -> Iterator[None]:
    """Let a name in a script that the font lacks have boxes for letters, without a warning for each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
        yield


def save_png(figure: Figure, path: str | Path, *, dpi: float = DPI) -> None:
    """Write a picture as PNG. The same picture gives the same bytes: no date, no version is written.

    Parameters
    ----------
    figure : Figure
        As returned by the functions of this room; any Matplotlib figure will do.
    path : str or Path
        File to write; an existing one is replaced.
    dpi : float
        Pixels per inch; at 100 a gating tree is 1,600 px wide.
    """
    with Path(path).open("wb") as stream:
        _write(figure, stream, dpi)


def _write(figure: Figure, stream: IO[bytes], dpi: float) -> None:
    """Draw at ``dpi``. Not by ``savefig``, whose cropping and colours depend on the reader's settings."""
    before = figure.dpi
    figure.set_dpi(dpi)
    try:
        FigureCanvasAgg(figure).print_png(stream, metadata={"Software": None})  # type: ignore[no-untyped-call]
    finally:
        figure.set_dpi(before)
