"""Two methods compared: differences over their average, and one over the other with the line between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any

import numpy as np

from nti7flow.counting.agreement import BlandAltman, Estimate, Floats, PassingBablok, averages, differences, has_ratio
from nti7flow.plot.figure import Picture, blank
from nti7flow.plot.placing import Rect
from nti7flow.plot.style import ALERT, FRAME, INK, MUTED, PANEL_TITLE, SMALL, SUBTITLE, TICK, TITLE, font
from nti7flow.plot.text import shorten, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Inches: a page of one population, its margins, and a cell of the overview.
WIDTH, HEIGHT, EDGE, HEADER, FOOT = 13.0, 6.6, 0.25, 1.0, 0.35
LEFT, RIGHT, ABOVE, BELOW = 0.85, 0.95, 0.42, 0.6
#: Room at the right of axes beside which nothing is written.
BARE = 0.15
CELL, CELL_HEIGHT, COLUMNS, OVERVIEW_HEADER = 5.3, 3.9, 3, 0.55
#: Points and lines.
DOT, LINE, BAND = "#5b8fb0", "#0b5c8a", 0.16
IN_REVIEW = "▲ one of both counts is for review"
#: Ratios that an axis may name, in percent more or less.
RATIOS = (1, 2, 5, 10, 20, 30, 50, 75, 100, 200, 400, 900, 1900, 4900, 9900, 99900, 999900,
          -1, -2, -5, -10, -20, -30, -40, -50, -65, -80, -90, -95, -98)  # fmt: skip
#: Logarithmic differences over which even steps of percent would crowd.
WIDE = 0.7
FEWEST_TICKS = 3
#: Spread, in decades, from which an axis of counts is logarithmic.
DECADES = 1.0


@dataclass(frozen=True, eq=False)
class Compared:
    """One population by two methods.

    Attributes
    ----------
    title, unit : str
        Population, and unit of its values.
    a, b : str
        Names of the method judged (y) and of that compared with (x).
    x, y : (n,) of float
        Values of B and A.
    review : (n,) of bool
        Pairs of which one count is for review.
    differences : BlandAltman or None
        Of the pairs that have a difference on its scale.
    line : PassingBablok or None
        Of all pairs.
    verdict, notes : sequence of str
        What it shows, and what could not be computed.
    """

    title: str
    unit: str
    a: str
    b: str
    x: Floats
    y: Floats
    review: np.ndarray[Any, np.dtype[np.bool_]]
    differences: BlandAltman | None
    line: PassingBablok | None
    verdict: Sequence[str] = ()
    notes: Sequence[str] = ()


def agreement_page(compared: Compared) -> Picture:
    """Draw how two methods agree on one population.

    On the left differences over the average of both (Bland & Altman), with bias, limits of agreement and their
    intervals as bands; on the right one method over the other, with identity and the Passing-Bablok line. Its band
    holds all lines whose slope lies in the interval.

    Parameters
    ----------
    compared : Compared
        Both methods, and what was found.

    Returns
    -------
    Picture
        A Matplotlib figure that notebooks display.
    """
    picture = blank(WIDTH, HEIGHT)
    room = (WIDTH - 2 * EDGE) * picture.dpi
    heading = write(picture, EDGE, HEIGHT - 0.36, compared.title, TITLE, weight="bold")
    shorten(heading, room)
    alarmed = tuple(compared.verdict) != ("none shown",)
    n = len(compared.x)
    facts = f"{', '.join(compared.verdict)} · {n:,} pair{'' if n == 1 else 's'} · A {compared.a}, B {compared.b}"
    shorten(write(picture, EDGE, HEIGHT - 0.62, facts, SUBTITLE, color=ALERT if alarmed else INK), room)
    top = HEIGHT - HEADER + 0.25
    square = top - FOOT - ABOVE - BELOW
    middle = WIDTH - EDGE - LEFT - square - BARE
    _differences(picture, Rect(EDGE, FOOT, middle, top), compared, "Differences")
    _line(picture, Rect(middle, FOOT, WIDTH - EDGE, top), compared)
    words = [f"Bands: {_level(compared)} intervals."]
    words += [f"{IN_REVIEW}."] if np.any(compared.review) else []
    without = 0 if compared.differences is None else n - compared.differences.n
    words += [f"{without:,} with a 0 have no ratio and are on the right alone."] if without else []
    words += compared.notes
    shorten(write(picture, EDGE, 0.16, " ".join(words), SMALL, color=MUTED), room)
    return picture


def agreement_overview(compared: Sequence[Compared]) -> Picture:
    """Draw the differences of every population side by side; parameters as for `agreement_page`."""
    n_columns = min(max(len(compared), 1), COLUMNS)
    n_rows = max(ceil(len(compared) / n_columns), 1)
    height = OVERVIEW_HEADER + n_rows * CELL_HEIGHT + FOOT
    picture = blank(2 * EDGE + n_columns * CELL, height)
    room = n_columns * CELL * picture.dpi
    first = next(iter(compared), None)
    title = "Nothing to compare" if first is None else f"A {first.a}, B {first.b}"
    shorten(write(picture, EDGE, height - 0.36, title, TITLE, weight="bold"), room)
    for i, one in enumerate(compared):
        row, column = divmod(i, n_columns)
        left, top = EDGE + column * CELL, height - OVERVIEW_HEADER - row * CELL_HEIGHT
        _differences(picture, Rect(left, top - CELL_HEIGHT, left + CELL, top), one, one.title)
    if first is not None:
        words = f"A − B over the average of both. Bands: {_level(first)} intervals."
        words += f" {IN_REVIEW}." if any(np.any(one.review) for one in compared) else ""
        write(picture, EDGE, 0.14, words, SMALL, color=MUTED)
    return picture


@dataclass(frozen=True, slots=True)
class _Axis:
    """One axis of values: as they are, or as decades; values not above 0 then lie on its lower end."""

    low: float
    high: float
    log: bool

    @classmethod
    def of(cls, values: Floats, *, log: bool | None = None) -> _Axis:
        """Limits around values."""
        positive = values[values > 0]
        if log is None:
            spread = log10(float(positive.max() / positive.min())) if len(positive) else 0.0
            log = spread > DECADES and not np.any(values < 0)
        if log:
            ends = np.log10([positive.min(), positive.max()])
            room = 0.06 * float(ends[1] - ends[0]) + 0.02
            return cls(float(ends[0]) - (1.5 if len(positive) < len(values) else 1) * room, float(ends[1]) + room, log)
        ends = np.array([min(float(values.min()), 0.0), float(values.max())])
        room = 0.05 * max(float(ends[1] - ends[0]), 1e-9)
        return cls(float(ends[0]) - room, float(ends[1]) + room, log)

    def apply(self, values: Floats) -> Floats:
        """Places of values."""
        if not self.log:
            return values
        return np.asarray(np.log10(np.maximum(values, 10.0**self.low)))

    def ticks(self) -> list[float]:
        """Values that are named: of each decade as many as give three or more, or even steps."""
        low, high = (10.0**self.low, 10.0**self.high) if self.log else (self.low, self.high)
        for steps in ((1,), (1, 2, 5), (1, 2, 3, 5, 7)) if self.log else ():
            values = [m * 10.0**k for k in range(floor(self.low), ceil(self.high) + 1) for m in steps]
            values = [value for value in values if low <= value <= high]
            if len(values) >= FEWEST_TICKS:
                return values
        step = _step(high - low)
        return [i * step for i in range(ceil(low / step), floor(high / step) + 1)]


def _step(span: float) -> float:
    """1, 2 or 5 times a power of ten, about a fifth of the span."""
    power = 10.0 ** floor(log10(span / 5))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= 0.7 * span / 5)


def _frame(
    picture: Picture, cell: Rect, *, heading: str, detail: str, names: tuple[str, str], beside: float = RIGHT
) -> Axes:
    """Axes within a cell of the page, with a heading and the names of both axes."""
    width, height = picture.get_size_inches()
    frame = Rect(cell.left + LEFT, cell.bottom + BELOW, cell.right - beside, cell.top - ABOVE)
    size = (frame.right - frame.left) / width, (frame.top - frame.bottom) / height
    axes = picture.add_axes((frame.left / width, frame.bottom / height, *size), facecolor="white")
    for spine in axes.spines.values():
        spine.set(color=FRAME, linewidth=0.8)
    axes.set_axisbelow(True)
    name = write(picture, frame.left, frame.top + 0.1, heading, PANEL_TITLE, weight="bold")
    told = write(picture, cell.right - 0.1, frame.top + 0.1, detail, SMALL, color=MUTED, ha="right")
    room = (cell.right - frame.left - 0.2) * picture.dpi
    shorten(told, 0.7 * room)
    shorten(name, room - float(told.get_window_extent().width))
    middle_x, middle_y = (frame.left + frame.right) / 2, (frame.bottom + frame.top) / 2
    along = write(picture, middle_x, cell.bottom + 0.14, names[0], SMALL, color=MUTED, ha="center")
    shorten(along, (frame.right - frame.left) * picture.dpi)
    up = write(picture, cell.left + 0.17, middle_y, names[1], SMALL, color=MUTED, rotation=90, va="center", ha="center")
    shorten(up, (frame.top - frame.bottom + 0.3) * picture.dpi, 1)
    return axes


def _set_ticks(axes: Axes, which: str, places: Sequence[float] | Floats, labels: Sequence[str]) -> None:
    side = axes.xaxis if which == "x" else axes.yaxis
    side.set_ticks(list(places), labels=list(labels), font_properties=font(TICK), color=INK)
    side.set_ticks([], minor=True)
    look: dict[str, Any] = {"length": 4.0, "width": 0.8, "pad": 2, "color": FRAME}
    axes.tick_params(axis="x" if which == "x" else "y", **look)


def _dots(axes: Axes, x: Floats, y: Floats, review: np.ndarray[Any, np.dtype[np.bool_]]) -> None:
    """Draw the pairs; those for review have another colour and another shape."""
    look: dict[str, Any] = {"linewidths": 0.5, "edgecolors": "white", "zorder": 4, "clip_on": False}
    axes.scatter(x[~review], y[~review], s=26, color=DOT, marker="o", **look)
    axes.scatter(x[review], y[review], s=34, color=ALERT, marker="^", **look)


def _differences(picture: Picture, cell: Rect, compared: Compared, heading: str) -> None:
    """Draw differences over averages, with bias and limits."""
    found = compared.differences
    scale = "log" if found is None else found.scale
    unit = {"log": "% of B", "percent": "% of the average"}.get(scale, compared.unit)
    detail = compared.unit if found is None else f"{found.n:,} pairs · {compared.unit}"
    names = f"average of A and B, {compared.unit}", f"A − B, {unit}"
    axes = _frame(picture, cell, heading=heading, detail=detail, names=names)
    shown = has_ratio(compared.x, compared.y, scale=scale)
    x, y, review = compared.x[shown], compared.y[shown], compared.review[shown]
    if found is None or not len(x):
        _set_ticks(axes, "x", [], [])
        _set_ticks(axes, "y", [], [])
        axes.text(0.5, 0.5, "too few pairs, or no differences", transform=axes.transAxes, ha="center", va="center",
                  font_properties=font(SMALL), color=MUTED)  # fmt: skip
        return
    d = differences(x, y, scale=scale)
    centre = averages(x, y, scale=scale)
    centre = np.exp(centre) if scale == "log" else centre
    axis = _Axis.of(centre, log=True if scale == "log" else None)
    _dots(axes, axis.apply(centre), d, review)
    ends = [found.lower_limit.lower, found.upper_limit.upper, float(d.min()), float(d.max()), 0.0]
    room = 0.06 * max(max(ends) - min(ends), 1e-9)
    view = min(ends) - room, max(ends) + room
    axes.set(xlim=(axis.low, axis.high), ylim=view)
    ticks = axis.ticks()
    _set_ticks(axes, "x", axis.apply(np.array(ticks, np.float64)), [_plain(value) for value in ticks])
    places, labels = _difference_ticks(*view, found)
    _set_ticks(axes, "y", places, labels)
    axes.axhline(0, color=MUTED, linewidth=0.8, zorder=2)
    lines = (found.upper_limit, "upper limit"), (found.bias, "bias"), (found.lower_limit, "lower limit")
    for estimate, _ in lines:
        dashes: Any = "-" if estimate is found.bias else (0, (6, 3))
        axes.axhline(estimate.value, color=LINE, linewidth=1.3, linestyle=dashes, zorder=3)
        axes.axhspan(estimate.lower, estimate.upper, color=LINE, alpha=BAND, linewidth=0, zorder=1)
    _beside(axes, [(estimate.value, f"{name}\n{_told(estimate.value, found)}") for estimate, name in lines])


def _beside(axes: Axes, words: Sequence[tuple[float, str]]) -> None:
    """Write at the right of axes what lines are, from above; where lines are close, their words are moved apart."""
    low, high = axes.get_ylim()
    height = 33.0 / float(axes.bbox.height)  # two lines of text and a gap
    wanted = [(value - low) / (high - low) for value, _ in words]
    middle = min(max(wanted[1], 1.5 * height), 1 - 1.5 * height)
    places = [max(wanted[0], middle + height), middle, min(wanted[2], middle - height)]
    for place, (_, text) in zip(places, words, strict=True):
        axes.text(1.015, place, text, transform=axes.transAxes, ha="left", va="center", linespacing=1.15,
                  font_properties=font(SMALL), color=LINE, parse_math=False)  # fmt: skip


def _difference_ticks(low: float, high: float, found: BlandAltman) -> tuple[list[float], list[str]]:
    """Places and labels of differences; ratios are told in percent."""
    if found.scale != "log":
        ticks = _Axis(low, high, log=False).ticks()
        return ticks, [_plain(value) for value in ticks]
    span = high - low
    step = _step(100 * span)
    even = [i * step for i in range(floor(100 * low / step), ceil(100 * high / step) + 1) if i * step > -100]
    percents: Sequence[float] = RATIOS if span > WIDE else [percent for percent in even if percent]
    taken = [0.0]
    labels = {0.0: "0"}
    for percent in sorted(percents, key=abs):
        place = float(np.log1p(percent / 100))
        if low <= place <= high and all(abs(place - other) > 0.07 * span for other in taken):
            taken.append(place)
            labels[place] = _signed(percent)
    return sorted(taken), [labels[place] for place in sorted(taken)]


def _line(picture: Picture, cell: Rect, compared: Compared) -> None:
    """Draw one method over the other, with identity and the line."""
    names = f"B {compared.b}, {compared.unit}", f"A {compared.a}, {compared.unit}"
    line = compared.line
    detail = "" if line is None else f"cusum test of linearity: p {_p(line.linear_p)}"
    axes = _frame(picture, cell, heading="Passing-Bablok", detail=detail, names=names, beside=BARE)
    axis = _Axis.of(np.concatenate([compared.x, compared.y]))
    _dots(axes, axis.apply(compared.x), axis.apply(compared.y), compared.review)
    ends = np.array([axis.low, axis.high])
    axes.plot(ends, ends, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), zorder=2)
    axes.set(xlim=ends, ylim=ends)
    ticks = axis.ticks()
    places = axis.apply(np.array(ticks, np.float64))
    for which in ("x", "y"):
        _set_ticks(axes, which, places, [_plain(value) for value in ticks])
    words = "- - identity"
    if line is not None:
        at = np.linspace(axis.low, axis.high, 200)
        x = 10.0**at if axis.log else at
        axes.plot(at, _shown(line.intercept.value + line.slope.value * x, axis), color=LINE, linewidth=1.4, zorder=3)
        slopes = np.linspace(line.slope.lower, line.slope.upper, 41)
        lines = np.array([np.median(compared.y - b * compared.x) + b * x for b in slopes])
        low, high = (_shown(edge, axis) for edge in (lines.min(axis=0), lines.max(axis=0)))
        floor_ = np.where(np.isnan(low), axis.low, low)
        axes.fill_between(at, floor_, high, color=LINE, alpha=BAND, linewidth=0, zorder=1)
        sign = "−" if line.slope.value < 0 else "+"
        words = "\n".join(
            (
                f"A = {_plain(line.intercept.value)} {sign} {abs(line.slope.value):.3f} B",
                f"slope {_range(line.slope, '.3f')}",
                f"intercept {_range(line.intercept, '.3g')}",
                words,
            )
        )
    axes.text(0.03, 0.97, words, transform=axes.transAxes, ha="left", va="top", linespacing=1.4, zorder=6,
              font_properties=font(SMALL), color=INK, parse_math=False)  # fmt: skip


def _shown(values: Floats, axis: _Axis) -> Floats:
    """Places of values of a line; what an axis of decades cannot show is left out."""
    if not axis.log:
        return values
    return np.log10(np.where(values > 0, values, np.nan))


def _level(compared: Compared) -> str:
    found = compared.differences or compared.line
    return "95 %" if found is None else f"{100 * found.level:g} %"


def _told(value: float, found: BlandAltman) -> str:
    if found.scale == "absolute":
        return _plain(value)
    return _signed(100 * float(np.expm1(value)) if found.scale == "log" else value)


def _signed(percent: float) -> str:
    """``+3.1 %``; from four times as much on it is easier told as ``× 5``."""
    if percent >= 300:
        return f"× {1 + percent / 100:,.3g}" if percent < 99_000 else f"× {1 + percent / 100:,.0f}"
    digits = 0 if abs(percent) >= 99.5 or percent == int(percent) else 1 if abs(percent) >= 1 else 2
    return f"{percent:+.{digits}f} %".replace("-", "−")


def _plain(value: float) -> str:
    text = f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:.3g}"
    return text.replace("-", "−")


def _range(estimate: Estimate, digits: str) -> str:
    value, lower, upper = (f"{v:{digits}}".replace("-", "−") for v in (estimate.value, estimate.lower, estimate.upper))
    return f"{value} ({lower} to {upper})"


def _p(value: float) -> str:
    return f"{value:.2f}" if value >= 0.095 else f"{value:.3f}" if value >= 0.001 else "< 0.001"
