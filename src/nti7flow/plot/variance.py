"""What makes concentrations uncertain: the share of each component, from the smallest to the largest count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log10
from typing import TYPE_CHECKING, Any

import numpy as np

from nti7flow.counting.fractions import ALC
from nti7flow.errors import ConfigError
from nti7flow.plot.counted import CountedRun, Measured, measured, places
from nti7flow.plot.figure import Picture, blank
from nti7flow.plot.placing import Rect
from nti7flow.plot.style import FRAME, HAIRLINE, INK, MUTED, PANEL_TITLE, SMALL, SUBTITLE, TICK, TITLE, font
from nti7flow.plot.text import write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Inches: width of the page, margin, heights of head, panel and foot, and of the strip of CVs at the top of a panel.
WIDTH, EDGE, HEAD, PANEL, FOOT, STRIP = 16.0, 0.2, 1.2, 3.1, 0.75, 0.85
LEFT, RIGHT, ABOVE, BELOW = 0.62, 0.2, 0.38, 0.48
COLUMNS = 3
#: Components from the bottom of a bar to its top, their names and colours: counting in blue, the reference in yellow
#: and orange, gates and doublets in red. After Okabe & Ito; the lightness alternates, so neighbours differ in grey.
COMPONENTS = {
    "cells": ("cells: counting them", "#0b5c8a"),
    "beads": ("beads: counting them", "#a6d4ee"),
    "bead_lot": ("beads per tube (lot)", "#d98200"),
    "pipetting": ("pipetting", "#f6e58d"),
    "volume": ("volume acquired", "#8a6d00"),
    "hematology": ("haematology", "#cfcfcf"),
    "anchor": ("the other tube's count", "#7a7a7a"),
    "gating": ("places of the gates", "#b23c00"),
    "doublets": ("doublets", "#f4b8a0"),
}
OTHER = ("other", "#ffffff")
READING = (
    "Bars are stacked in this order, from below. The strips above them say how uncertain each concentration is in all: "
    "its coefficient of variation, logarithmic."
)
#: Percent, the ends of the strip of coefficients of variation, and what it marks.
CV_ENDS, CV_MARKED = (2.0, 150.0), (3, 10, 30, 100)


@dataclass(frozen=True, slots=True)
class _Bar:
    """One concentration: its events, and the log-variance share and CV of its components, percent."""

    n_events: int
    cv_percent: float
    shares: Mapping[str, float]


def budget_figure(
    concentrations: Iterable[Mapping[str, Any]],
    budget: Iterable[Mapping[str, Any]],
    *,
    title: str,
    populations: Mapping[str, str] | None = None,
) -> Picture:
    """Draw what share of the variance each component has, a bar per concentration, sorted by events.

    Parameters
    ----------
    concentrations, budget : iterable of mapping
        Rows of the tables of these names.
    title : str
        Heading.
    populations : mapping, optional
        Populations that have a panel, and its heading; by default those of a TBNK tube, else the first of any.

    Returns
    -------
    Picture
        A Matplotlib figure that notebooks display. Above the bars of a population, how uncertain each is in all.

    Raises
    ------
    ConfigError
        There is no concentration with events.
    """
    found = measured(concentrations)
    bars = _bars(found, budget)
    shown = places([each for each in found if each.population in bars], populations)
    if not shown:
        raise ConfigError(f"{title}: no concentrations to draw.")
    n_rows = -(-len(shown) // COLUMNS)
    height = HEAD + n_rows * PANEL + FOOT
    picture = blank(WIDTH, height)
    write(picture, EDGE, height - 0.36, title, TITLE, weight="bold")
    words = "Share of the variance, percent, that each component has; one bar per specimen, from few events to many"
    write(picture, EDGE, height - 0.62, words, SUBTITLE)
    cell = (WIDTH - 2 * EDGE) / COLUMNS
    for number, (name, heading) in enumerate(shown.items()):
        row, column = divmod(number, COLUMNS)
        left, top = EDGE + column * cell, height - HEAD + 0.25 - row * PANEL
        _panel(picture, Rect(left, top - PANEL, left + cell, top), heading, bars[name])
    _foot(picture, [bar for name in shown for bar in bars[name]])
    return picture


def budget(run: CountedRun) -> Picture:
    """Draw what makes the concentrations of a run uncertain.

    Parameters
    ----------
    run : Run
        A run that was counted.

    Raises
    ------
    ConfigError
        It has no concentration with events.

    Examples
    --------
    >>> import nti7flow as nf
    >>> nf.plot.budget(nf.open_run("runs/march"))  # doctest: +SKIP
    """
    tables = (run.arrow(table).to_pylist() for table in ("concentrations", "budget"))
    return budget_figure(*tables, title="What makes the concentrations uncertain")


def _bars(found: Iterable[Measured], parts: Iterable[Mapping[str, Any]]) -> dict[str, list[_Bar]]:
    """Return the bars of each population, from few events to many."""
    shares: dict[tuple[str, str], dict[str, float]] = {}
    squares: dict[tuple[str, str], float] = {}
    for part in parts:
        key = part["specimen"], part["population"]
        component = part["component"] if part["component"] in COMPONENTS else OTHER[0]
        own = shares.setdefault(key, {})
        own[component] = own.get(component, 0.0) + part["share_percent"]
        squares[key] = squares.get(key, 0.0) + float(np.log1p((part["cv_percent"] / 100) ** 2))
    bars: dict[str, list[_Bar]] = {}
    for each in found:
        key = each.specimen, each.population
        if each.value is not None and each.n_events is not None and key in shares and each.population != ALC:
            cv = 100 * float(np.sqrt(np.expm1(squares[key])))
            bars.setdefault(each.population, []).append(_Bar(each.n_events, cv, shares[key]))
    return {name: sorted(own, key=lambda bar: (bar.n_events, bar.cv_percent)) for name, own in bars.items()}


def _panel(picture: Picture, cell: Rect, heading: str, bars: Sequence[_Bar]) -> None:
    """Draw the bars of a population, and above them how uncertain each concentration is in all."""
    name = f"{len(bars)} specimen{'' if len(bars) == 1 else 's'}"
    write(picture, cell.left + LEFT, cell.top - 0.24, heading, PANEL_TITLE, weight="bold")
    write(picture, cell.right - RIGHT, cell.top - 0.24, name, SMALL, color=MUTED, ha="right")
    split = cell.top - ABOVE - STRIP
    strip = _axes(picture, Rect(cell.left + LEFT, split + 0.1, cell.right - RIGHT, cell.top - ABOVE))
    whole = _axes(picture, Rect(cell.left + LEFT, cell.bottom + BELOW, cell.right - RIGHT, split))
    edges = np.arange(len(bars) + 1) - 0.5
    base = np.zeros(len(bars))
    for component, (_, colour) in (COMPONENTS | {OTHER[0]: OTHER}).items():
        share = np.array([bar.shares.get(component, 0.0) for bar in bars])
        if share.any():
            whole.stairs(base + share, edges, baseline=base, fill=True, color=colour, linewidth=0, antialiased=False)
            base = base + share
    whole.set(xlim=(edges[0], edges[-1]), ylim=(0, 100))
    whole.yaxis.set_ticks([0, 25, 50, 75, 100], labels=["0", "25", "50", "75", "100 %"], font_properties=font(TICK))
    places = _ticks(bars)
    whole.xaxis.set_ticks(list(places), labels=[f"{bars[at].n_events:,}" for at in places], font_properties=font(TICK))
    words = "events of the population, in order"
    write(
        picture, (cell.left + LEFT + cell.right - RIGHT) / 2, cell.bottom + 0.1, words, SMALL, color=MUTED, ha="center"
    )
    cvs = np.clip([bar.cv_percent for bar in bars], *CV_ENDS)
    strip.plot(np.arange(len(bars)), np.log10(cvs), marker=".", markersize=3.0, color=INK, linewidth=0.8)
    strip.set(xlim=(edges[0], edges[-1]), ylim=tuple(log10(end) for end in CV_ENDS))
    strip.yaxis.set_ticks(
        [log10(cv) for cv in CV_MARKED], labels=[f"{cv}" for cv in CV_MARKED], font_properties=font(TICK)
    )
    strip.xaxis.set_ticks([])
    strip.grid(visible=True, axis="y", color=HAIRLINE, linewidth=0.6)
    strip.set_axisbelow(True)
    write(
        picture, cell.left + 0.12, (split + cell.top - ABOVE) / 2, "CV, %", SMALL, color=MUTED, rotation=90, va="center"
    )


def _axes(picture: Picture, frame: Rect) -> Axes:
    width, height = picture.get_size_inches()
    size = (frame.right - frame.left) / width, (frame.top - frame.bottom) / height
    axes = picture.add_axes((frame.left / width, frame.bottom / height, *size), facecolor="white")
    for spine in axes.spines.values():
        spine.set(color=FRAME, linewidth=0.8)
    axes.tick_params(length=3.0, width=0.8, pad=2, color=FRAME)
    return axes


def _ticks(bars: Sequence[_Bar]) -> list[int]:
    """Return the bars whose events are said: about six, the first and the last among them."""
    return sorted({round(at) for at in np.linspace(0, len(bars) - 1, min(6, len(bars)))})


def _foot(picture: Picture, bars: Sequence[_Bar]) -> None:
    """Name the components that are drawn, in the order of the bars from below."""
    from matplotlib.patches import Rectangle

    x = EDGE + LEFT
    for component, (words, colour) in (COMPONENTS | {OTHER[0]: OTHER}).items():
        if not any(component in bar.shares for bar in bars):
            continue
        patch = Rectangle((x, 0.36), 0.22, 0.15, transform=picture.dpi_scale_trans, facecolor=colour, edgecolor=FRAME)
        picture.add_artist(patch)
        text = write(picture, x + 0.3, 0.435, words, SMALL, va="center_baseline")
        x += 0.3 + text.get_window_extent().width / picture.dpi + 0.3
    write(picture, EDGE + LEFT, 0.12, READING, SMALL, color=MUTED)
