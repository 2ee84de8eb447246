"""Colours, sizes and fonts of all pictures, stated here so that no reader's matplotlibrc changes them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.font_manager import FontProperties

INK = "#16202b"
MUTED = "#66717d"
HAIRLINE = "#d9dee3"
FRAME = "#9aa5b1"
#: Whatever a person should look at: a gate that is not ``ok``, a count under review. Okabe & Ito's vermilion, darkened.
ALERT = "#b23c00"
#: Pixels per inch at which all sizes were chosen; 16 inches are 1,600 px.
DPI = 100

#: Points.
TITLE, SUBTITLE, PANEL_TITLE, AXIS, SMALL, TICK, VALUE = 15.0, 10.5, 11.0, 10.5, 9.0, 9.0, 11.0


@cache
def font(size: float, weight: str = "normal") -> FontProperties:
    """Return the DejaVu Sans that Matplotlib ships, by its file: no lookup, and the same on every machine."""
    from pathlib import Path

    import matplotlib
    from matplotlib.font_manager import FontProperties

    name = "DejaVuSans-Bold.ttf" if weight == "bold" else "DejaVuSans.ttf"
    return FontProperties(fname=str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size=size)


def density_colours() -> Colormap:
    """Return Matplotlib's viridis: even steps of lightness, and safe for colour-blind readers.

    Its dark end is for few events, so that even a lone one is seen on white.
    """
    import matplotlib

    return matplotlib.colormaps["viridis"]


def colour_of(severity: str) -> str:
    """Return the colour of words and lines: what a person should look at stands out."""
    return ALERT if severity in ("review", "invalid") else INK
