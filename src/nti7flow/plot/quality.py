"""The course of a tube on one page: flow rate, every channel over time, what is left out, and ends of scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nti7flow.events.panel import Channel
from nti7flow.events.sample import Sample
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import Linear, Transform
from nti7flow.gating.values import DisplayValues
from nti7flow.plot.figure import Picture, blank
from nti7flow.plot.placing import Rect
from nti7flow.plot.shown import dimension_of, plain_scales
from nti7flow.plot.style import ALERT, FRAME, HAIRLINE, INK, MUTED, PANEL_TITLE, SMALL, SUBTITLE, TICK, TITLE, font
from nti7flow.plot.text import shorten, write
from nti7flow.plot.ticks import make_ticks
from nti7flow.quality.bins import signals
from nti7flow.quality.findings import Interval
from nti7flow.quality.report import Quality, within

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
#: Inches: the page, its margin, the heights of its parts, and the room around axes.
WIDTH, EDGE, HEADER, TOP_ROW, ROW, FOOT = 16.0, 0.2, 0.95, 2.35, 2.05, 0.45
LEFT, RIGHT, ABOVE, BELOW = 0.62, 0.12, 0.34, 0.3
#: Small multiples side by side, and bins of their densities over time and value.
COLUMNS, N_TIME, N_VALUE = 4, 150, 90
#: Line of the medians, and what marks events that lie in steady stretches.
LINE, BAR = "#0b5c8a", "#5b8fb0"
SHADE = 0.16
READING = (
    "Grey: density of events, each moment to its own maximum. Blue: median of each moment. Shaded: left out. "
    "Raw values, not compensated."
)


def quality_page(sample: Sample, quality: Quality, *, title: str | None = None) -> Picture:
    """Draw the course of a tube: flow rate over time, each channel over time, and events at the ends of scale.

    Parameters
    ----------
    sample : Sample
        The tube.
    quality : Quality
        What `check_quality` found in it.
    title : str, optional
        Heading; the name of the file where left out.

    Returns
    -------
    Picture
        A Matplotlib figure that notebooks display.
    """
    channels = signals(sample.panel)
    n_rows = ceil(len(channels) / COLUMNS)
    height = HEADER + TOP_ROW + n_rows * ROW + FOOT
    picture = blank(WIDTH, height)
    _head(picture, sample, quality, title or sample.path.stem, height)
    time = _time_of(sample, quality)
    split = EDGE + 0.72 * (WIDTH - 2 * EDGE)
    bottom = height - HEADER - TOP_ROW
    if time is not None:
        _rate(picture, Rect(EDGE, bottom, split, height - HEADER), quality, time)
    else:
        words = "Time tells nothing here: see the findings."
        write(picture, EDGE + LEFT, bottom + TOP_ROW / 2, words, SUBTITLE, color=MUTED)
    _margins(picture, Rect(split + 0.1, bottom, WIDTH - EDGE, height - HEADER), quality)
    values = DisplayValues(sample, Spillover.none())
    cell = (WIDTH - 2 * EDGE) / COLUMNS
    for i, channel in enumerate(channels):
        row, column = divmod(i, COLUMNS)
        left, top = EDGE + column * cell, bottom - row * ROW
        _channel(picture, Rect(left, top - ROW, left + cell, top), values, channel, time)
    write(picture, EDGE, 0.15, READING if time is not None else READING.split(" Blue")[0], SMALL, color=MUTED)
    return picture


@dataclass(frozen=True, eq=False)
class _Time:
    """Times of the events, which of them are kept, and what is not, for all axes alike."""

    seconds: Floats
    low: float
    high: float
    kept: NDArray[np.bool_]
    gone: tuple[Interval, ...]


def _time_of(sample: Sample, quality: Quality) -> _Time | None:
    """Take the time channel, where it told something."""
    if quality.course is None or not quality.steady:
        return None
    name = next(channel.detector for channel in sample.panel.channels if channel.role == "time")
    begins = quality.course.bins.begins
    low, high = float(begins[0]), float(begins[-1])
    edges = [low, *(edge for stretch in quality.steady for edge in stretch), high]
    gone = tuple((a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a)
    seconds = sample.columns([name])[:, 0]
    return _Time(seconds, low, high, within(seconds, quality.steady), gone)


def _head(picture: Picture, sample: Sample, quality: Quality, title: str, height: float) -> None:
    """Name, verdict, and what was found, on three lines."""
    heading = write(picture, EDGE, height - 0.36, title, TITLE, weight="bold")
    shorten(heading, (WIDTH - 2 * EDGE) * picture.dpi)
    share = quality.n_excluded / max(quality.n_events, 1)
    left_out = f"{quality.n_excluded:,} left out ({100 * share:.1f} %)" if quality.steady else "time not judged"
    facts = f"{quality.severity or 'steady'} · {quality.n_events:,} events · {left_out} · {sample.path.name}"
    serious = quality.severity in ("review", "invalid")
    write(picture, EDGE, height - 0.6, facts, SUBTITLE, color=ALERT if serious else INK)
    told = [f for f in quality.findings if f.severity]
    told.sort(key=lambda f: f.severity == "info")
    words = [" ".join(part for part in (f.check.replace("_", " "), f.channel, f.note) if part) for f in told]
    line = write(picture, EDGE, height - 0.81, "; ".join(words), SMALL, color=MUTED)
    shorten(line, (WIDTH - 2 * EDGE) * picture.dpi)


def _axes(picture: Picture, cell: Rect, *, heading: str, detail: str = "") -> Axes:
    """Axes within a cell of the page, with a heading."""
    width, height = picture.get_size_inches()
    frame = Rect(cell.left + LEFT, cell.bottom + BELOW, cell.right - RIGHT, cell.top - ABOVE)
    size = (frame.right - frame.left) / width, (frame.top - frame.bottom) / height
    axes = picture.add_axes((frame.left / width, frame.bottom / height, *size), facecolor="white")
    for spine in axes.spines.values():
        spine.set(color=FRAME, linewidth=0.8)
    name = write(picture, frame.left, frame.top + 0.08, heading, PANEL_TITLE, weight="bold")
    shorten(name, 0.6 * (frame.right - frame.left) * picture.dpi)
    if detail:
        write(picture, frame.right, frame.top + 0.08, detail, SMALL, color=MUTED, ha="right")
    return axes


def _ticks(axes: Axes, transform: Transform, *, which: str, gap: float) -> None:
    side = axes.xaxis if which == "x" else axes.yaxis
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    ticks = make_ticks(transform, low, high, gap=gap)
    side.set_ticks(ticks.major, labels=ticks.labels, font_properties=font(TICK), color=INK)
    look: dict[str, Any] = {"length": 4.0, "width": 0.8, "pad": 2, "color": FRAME}
    axes.tick_params(axis="x" if which == "x" else "y", **look)


def _shade(axes: Axes, gone: Sequence[Interval]) -> None:
    """Mark what is left out."""
    for begin, end in gone:
        axes.axvspan(begin, end, color=ALERT, alpha=SHADE, linewidth=0, zorder=4)
        for edge in (begin, end):
            axes.axvline(edge, color=ALERT, linewidth=0.7, alpha=0.7, zorder=4)


def _rate(picture: Picture, cell: Rect, quality: Quality, time: _Time) -> None:
    """Draw the events per second over time."""
    assert quality.course is not None
    rate = quality.course.rate
    axes = _axes(picture, cell, heading="Flow rate", detail="events per second, over seconds")
    per_second = rate.per_second
    usual = rate.usual / float(rate.edges[1] - rate.edges[0])
    axes.stairs(per_second, rate.edges, color=LINE, linewidth=1.1, zorder=3)
    axes.stairs(per_second, rate.edges, fill=True, color=BAR, alpha=0.25, zorder=2)
    axes.axhline(usual, color=MUTED, linewidth=0.7, linestyle=(0, (4, 3)), zorder=2)
    axes.set(xlim=(time.low, time.high), ylim=(0, 1.1 * max(float(per_second.max()), 1e-9)))
    _shade(axes, time.gone)
    _ticks(axes, Linear(1.0), which="x", gap=0.05)
    _ticks(axes, Linear(1.0), which="y", gap=0.1)


def _margins(picture: Picture, cell: Rect, quality: Quality) -> None:
    """Draw the share of events at the upper and lower end of each channel, the largest ten."""
    shown = sorted(quality.margins, key=lambda margin: -max(margin.top, margin.bottom))[:10]
    axes = _axes(picture, Rect(cell.left + 0.75, cell.bottom, cell.right, cell.top), heading="Ends of scale",
                 detail="%: ■ top  □ bottom")  # fmt: skip
    places = np.arange(len(shown))
    top, bottom = (np.array([100 * getattr(margin, end) for margin in shown]) for end in ("top", "bottom"))
    colours = [ALERT if f else BAR for f in (_flagged(quality, margin.channel) for margin in shown)]
    axes.barh(places - 0.19, top, 0.36, color=colours, zorder=3)
    axes.barh(places + 0.19, bottom, 0.36, facecolor="white", edgecolor=BAR, linewidth=1.0, zorder=3)
    axes.set(ylim=(max(len(shown), 4) - 0.4, -0.6), xlim=(0, max(1.0, 1.1 * float(np.max([*top, *bottom, 0.0])))))
    axes.grid(visible=True, axis="x", color=HAIRLINE, linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)
    names = [margin.channel if len(margin.channel) < 16 else margin.channel[:15] + "…" for margin in shown]
    axes.yaxis.set_ticks(places, labels=names, font_properties=font(TICK), color=INK, parse_math=False)
    axes.tick_params(axis="y", length=0)
    _ticks(axes, Linear(1.0), which="x", gap=0.1)


def _flagged(quality: Quality, detector: str) -> bool:
    return any(f.check == "saturated" and f.channel == detector and f.severity == "review" for f in quality.findings)


def _channel(picture: Picture, cell: Rect, values: DisplayValues, channel: Channel, time: _Time | None) -> None:
    """Draw one channel over time: density, and the median of each moment."""
    title = channel.marker or channel.detector
    detail = channel.detector if channel.marker else ""
    axes = _axes(picture, cell, heading=title, detail=detail)
    dimension = dimension_of(values, plain_scales(channel.detector), channel.detector)
    rows = np.arange(values.sample.n_events)
    shown = values.of((dimension,), rows)[:, 0]
    place = time.seconds if time is not None else np.asarray(rows, np.float64)
    kept = np.ones(len(shown), np.bool_) if time is None else time.kept
    sound = np.isfinite(shown) & np.isfinite(place)
    shown, place = shown[sound], place[sound]
    if len(shown):
        view = _view(shown, kept[sound])
        span = (time.low, time.high) if time is not None else (0.0, float(max(len(rows), 1)))
        _image(axes, place, shown, span, view)
        axes.set(xlim=span, ylim=view)
        _ticks(axes, dimension.transform, which="y", gap=0.16)
        _ticks(axes, Linear(1.0), which="x", gap=0.1)
    if time is not None:
        _shade(axes, time.gone)


def _view(shown: Floats, kept: NDArray[np.bool_]) -> Interval:
    """Limits that show the kept events, and of what is left out as much as leaves them half of the height."""
    inner = np.quantile(shown[kept] if kept.any() else shown, [0.002, 0.999])
    outer = np.quantile(shown, [0.002, 0.999])
    span = max(float(inner[1] - inner[0]), 1e-6)
    low, high = max(outer[0], inner[0] - span / 2), min(outer[1], inner[1] + span / 2)
    return float(min(low, inner[0])) - 0.06 * span, float(max(high, inner[1])) + 0.06 * span


def _image(axes: Axes, place: Floats, shown: Floats, span: Interval, view: Interval) -> None:
    """Density over time and value, each moment to its own maximum, and the median of each moment."""
    n = int(np.clip(len(place) // 60, 8, N_TIME))
    counts, edges, _ = np.histogram2d(place, shown, (n, N_VALUE), (span, view))
    peak = counts.max(axis=1, keepdims=True)
    level = np.sqrt(counts / np.maximum(peak, 1.0))
    level *= np.minimum(1.0, np.sqrt(counts.sum(axis=1, keepdims=True) / 30.0))
    axes.imshow(level.T, extent=(*span, *view), origin="lower", aspect="auto", cmap="Greys", vmin=0, vmax=1.5,
                interpolation="nearest", zorder=1)  # fmt: skip
    which = np.clip(np.digitize(place, edges) - 1, 0, n - 1)
    order = np.argsort(which, kind="stable")
    begins = np.searchsorted(which[order], np.arange(n + 1))
    medians = [float(np.median(shown[order[a:b]])) if b - a >= 5 else np.nan for a, b in pairwise(begins)]
    axes.plot((edges[:-1] + edges[1:]) / 2, medians, color=LINE, linewidth=1.1, zorder=3)
