"""Concentrations of one subject over time: a line per specimen, a column per population, each with its interval.

The axes are logarithmic, with 0 beside them behind a break: no cell found is a result, and its upper limit says how
much it tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any

from nti7flow.counting.fractions import ALC
from nti7flow.errors import ConfigError, did_you_mean
from nti7flow.plot.counted import CountedRun, Measured, measured, places
from nti7flow.plot.figure import Picture, blank
from nti7flow.plot.placing import Rect
from nti7flow.plot.style import ALERT, DPI, FRAME, HAIRLINE, INK, MUTED, PANEL_TITLE, SMALL, SUBTITLE, TICK, TITLE, font
from nti7flow.plot.text import shorten, write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Inches: width of the page, margin, names of the specimens, words at the end of a line; heights of head, line, foot.
WIDTH, EDGE, NAMES, WORDS = 16.0, 0.2, 2.35, 2.05
HEAD, ROW, FOOT = 1.45, 0.3, 0.95
#: Inches of a column that its numbers take, and between columns; points of numbers of which two stand in a line.
NUMBERS, GAP, TWO = 0.54, 0.08, 7.0
#: Share of the axis that the place of 0 takes, left of a break.
ZERO = 0.13
#: Inches: a letter of the label of a tick, and least distance of two labels.
LETTER, LABELS_APART = 0.08, 0.08
#: Colour and marker by severity: shapes tell them apart without colour.
MARKS = {
    "": ("#0b5c8a", "o", 5.5),
    "info": ("#0b5c8a", "s", 5.0),
    "review": (ALERT, "^", 6.5),
    "invalid": (ALERT, "X", 7.0),
}
ALC_COLOUR, ALC_MARK = "#6b6b6b", "D"
WORDS_FOR = {"": "ok", "info": "info", "review": "review: look at it", "invalid": "invalid: do not use"}
#: Flags that are never more than information: they are not why a count wants a look.
INFORMATION = ("below_lloq", "population_absent", "reference_range")
READING = "Each column has its own logarithmic axis; numbers beside it: cells per µL, < its LLOQ where below it."


@dataclass(frozen=True, slots=True)
class _Axis:
    """A logarithmic axis from ``low`` to ``high`` decades; ``zero`` says whether 0 is beside it."""

    low: float
    high: float
    zero: bool

    @property
    def start(self) -> float:
        """Where the decades begin, as a share of the axis."""
        return ZERO if self.zero else 0.0

    def place(self, value: float) -> float:
        """Return the place of a value as a share of the axis; what is below the decades stands at 0."""
        if value <= 0:
            return self.start / 2
        share = (log10(value) - self.low) / (self.high - self.low)
        return self.start + max(share, 0.0) * (1 - self.start)

    def ticks(self, length: float) -> tuple[list[tuple[float, str]], list[float]]:
        """Return the ticks with labels, as many as have room on so many inches, and the plain ones, as shares."""
        steps = range(floor(self.low), ceil(self.high) + 1)
        factors = (1,) if self.high - self.low > 2.4 else (1, 2, 5) if self.high - self.low < 0.9 else (1, 3)
        shown = [f * 10.0**k for k in steps for f in factors if self._holds(f * 10.0**k)]
        plain = [self.place(f * 10.0**k) for k in steps for f in range(1, 10) if self._holds(f * 10.0**k)]
        labelled = [(self.place(0), "0")] if self.zero else []
        for value in shown:
            place, words = self.place(value), f"{value:,.6g}"
            before, last = labelled[-1] if labelled else (-1.0, "")
            if (place - before) * length > LETTER * (len(words) + len(last)) / 2 + LABELS_APART:
                labelled.append((place, words))
        return labelled, plain

    def _holds(self, value: float) -> bool:
        return self.low - 1e-9 <= log10(value) <= self.high + 1e-9


def counts_figure(
    rows: Iterable[Mapping[str, Any]], *, title: str, populations: Mapping[str, str] | None = None
) -> Picture:
    """Draw concentrations with their intervals, one line per specimen.

    Parameters
    ----------
    rows : iterable of mapping
        Rows of the table ``concentrations``, specimens in the order in which they are to be drawn.
    title : str
        Whose they are.
    populations : mapping, optional
        Populations that have a column, and its heading; by default those of a TBNK tube, else the first of any. ``alc``
        stands beside ``lymphocytes``, or alone.

    Returns
    -------
    Picture
        A Matplotlib figure that notebooks display.

    Raises
    ------
    ConfigError
        There are no rows.
    """
    every = measured(rows)
    specimens = list(dict.fromkeys(each.specimen for each in every))
    shown = places(every, populations)
    found = [each for each in every if each.population in {ALC, *shown}]
    if "lymphocytes" not in shown and any(each.population == ALC for each in found):
        shown = {ALC: "ALC"} | shown
    if not found:
        raise ConfigError(f"{title}: no concentrations to draw.")
    height = HEAD + ROW * len(specimens) + FOOT
    picture = blank(WIDTH, height)
    _head(picture, found, title, len(specimens), height)
    _names(picture, found, specimens, height)
    left, right = EDGE + NAMES, WIDTH - EDGE - WORDS
    width = (right - left) / max(len(shown), 4)
    for number, (name, heading) in enumerate(shown.items()):
        cell = Rect(left + number * width + GAP, FOOT, left + (number + 1) * width, height - HEAD)
        together = {name, ALC} if name == "lymphocytes" else {name}
        _column(picture, cell, heading, [each for each in found if each.population in together], specimens)
    _foot(picture, found)
    return picture


def concentrations(run: CountedRun, subject: str | None = None) -> Picture:
    """Draw the concentrations of one subject of a run.

    Parameters
    ----------
    run : Run
        A run that was counted.
    subject : str, optional
        Whose; ``""`` for the specimens of nobody, such as controls. May be left out where there is one only.

    Raises
    ------
    ConfigError
        There is no such subject, or several and none is named.

    Examples
    --------
    >>> import nti7flow as nf
    >>> nf.plot.concentrations(nf.open_run("runs/march"), "SIM-001")  # doctest: +SKIP
    """
    by_subject: dict[str, list[Mapping[str, Any]]] = {}
    for row in run.arrow("concentrations").to_pylist():
        by_subject.setdefault(row["subject"] or "", []).append(row)
    if subject is None and len(by_subject) > 1:
        raise ConfigError(f"which subject? Say one of {', '.join(map(repr, by_subject))}.")
    chosen = next(iter(by_subject), "") if subject is None else subject
    if chosen not in by_subject:
        raise ConfigError(f"no concentrations of subject '{chosen}'.{did_you_mean(chosen, by_subject)}")
    return counts_figure(by_subject[chosen], title=chosen or "Specimens of no subject")


def _head(picture: Picture, found: Sequence[Measured], title: str, n_specimens: int, height: float) -> None:
    """Name, unit and method."""
    heading = write(picture, EDGE, height - 0.36, title, TITLE, weight="bold")
    shorten(heading, (WIDTH - 2 * EDGE) * picture.dpi)
    methods = dict.fromkeys(each.method for each in found if each.method and each.population != ALC)
    levels = {each.level for each in found}
    level = f"{100 * levels.pop():g} % intervals" if len(levels) == 1 else "intervals"
    counted = ", ".join(method.replace("_", " ") for method in methods) or "nothing to count against"
    specimens = f"{n_specimens} specimen{'' if n_specimens == 1 else 's'}"
    write(picture, EDGE, height - 0.62, f"Cells per µL of blood with {level}  ·  {specimens}  ·  {counted}", SUBTITLE)


def _names(picture: Picture, found: Sequence[Measured], specimens: Sequence[str], height: float) -> None:
    """Write specimen and day of collection before each line, and what wants a look behind it."""
    from matplotlib.patches import Rectangle

    for number, specimen in enumerate(specimens):
        own = [each for each in found if each.specimen == specimen]
        y = height - HEAD - (number + 0.5) * ROW
        if number % 2 == 0:
            width = WIDTH - 2 * EDGE
            band = Rectangle((EDGE, y - ROW / 2), width, ROW, transform=picture.dpi_scale_trans, zorder=-2)
            band.set(facecolor="#f5f7f9", edgecolor="none")
            picture.add_artist(band)
        day = (own[0].collected_at or "")[:10]
        name = write(picture, EDGE + 0.08, y, specimen, SMALL, va="center_baseline")
        shorten(name, (NAMES - (0.95 if day else 0.15)) * picture.dpi)
        write(picture, EDGE + NAMES - 0.08, y, day, TICK, color=MUTED, va="center_baseline", ha="right")
        flagged = [each for each in own if each.severity in ("review", "invalid")]
        if flagged:
            text = write(
                picture, WIDTH - EDGE - WORDS + 0.1, y, _flags(flagged), TICK, color=ALERT, va="center_baseline"
            )
            shorten(text, (WORDS - 0.14) * picture.dpi)


def _flags(found: Sequence[Measured]) -> str:
    """Say what is flagged in a line: what is of the whole tube first, then what most populations have."""
    flags = [flag for each in found for flag in each.flags if flag.rpartition(":")[2] not in INFORMATION]
    of_others = {flag for flag in flags if ":" in flag and not flag.startswith("duplicate_of:")}
    ordered = sorted(dict.fromkeys(flags), key=lambda f: (f in of_others, -flags.count(f), flags.index(f)))
    words = (flag.partition(":") for flag in ordered)
    return ", ".join(f"{flag.replace('_', ' ')} {of}".strip() for flag, _, of in words) or "see flags"


def _column(picture: Picture, cell: Rect, heading: str, found: Sequence[Measured], specimens: Sequence[str]) -> None:
    """Draw one population of all specimens, with its numbers beside."""
    width, height = picture.get_size_inches()
    right = cell.right - NUMBERS
    size = (right - cell.left) / width, (cell.top - cell.bottom) / height
    axes = picture.add_axes((cell.left / width, cell.bottom / height, *size), facecolor="none")
    name = write(picture, cell.left, cell.top + 0.33, heading, PANEL_TITLE, weight="bold")
    shorten(name, (cell.right - cell.left - 0.05) * picture.dpi)
    axis = _axis_of(found)
    _frame(axes, axis, len(specimens))
    for number, specimen in enumerate(specimens):
        own = sorted((each for each in found if each.specimen == specimen), key=lambda each: each.population != ALC)
        for place, each in enumerate(own):
            offset = 0.4 * (place - (len(own) - 1) / 2)
            _draw(axes, axis, each, number + offset)
            y = cell.top - (number + 0.5 + 1.15 * offset) * ROW
            colour = ALERT if each.severity in ("review", "invalid") else MUTED if each.population == ALC else INK
            points = TICK if len(own) == 1 else TWO
            write(picture, cell.right - 0.05, y, each.number, points, color=colour, ha="right", va="center_baseline")


def _axis_of(found: Sequence[Measured]) -> _Axis:
    """Return the axis that shows all values and intervals, and limits of quantification where they matter."""
    known = [(each.value, each) for each in found if each.value is not None]
    ends = [end for value, each in known for end in (value, each.upper) if end > 0]
    # An interval that reaches down to next to nothing is cut, with an arrow: the rest of it has no more to tell.
    ends += [max(each.lower, value / 4) for value, each in known if value > 0]
    ends += [each.lloq for value, each in known if each.lloq is not None and value < 3 * each.lloq]
    low, high = (log10(f(ends)) for f in (min, max)) if ends else (0.0, 2.0)
    span = max(high - low, 0.7)
    middle = (low + high) / 2
    zero = any(each.lower == 0 for _, each in known)
    return _Axis(middle - 0.56 * span, middle + 0.56 * span, zero)


def _frame(axes: Axes, axis: _Axis, n_rows: int) -> None:
    """Ticks above and hairlines, the place of 0 and the break beside it."""
    axes.set(xlim=(0, 1), ylim=(n_rows - 0.5, -0.5))
    for side, spine in axes.spines.items():
        spine.set(color=FRAME, linewidth=0.8, visible=side in ("top", "bottom"))
    labelled, plain = axis.ticks(float(axes.bbox.width) / DPI)
    axes.xaxis.tick_top()
    axes.xaxis.set_ticks([x for x, _ in labelled], labels=[words for _, words in labelled], font_properties=font(TICK))
    axes.xaxis.set_ticks(plain, minor=True)
    for which, length in (("major", 4.0), ("minor", 2.0)):
        axes.tick_params(axis="x", which=which, length=length, width=0.8, color=FRAME, pad=1.5)
    axes.yaxis.set_ticks([])
    for x, _ in labelled:
        axes.axvline(x, color=HAIRLINE, linewidth=0.8, zorder=0)
    if axis.zero:
        axes.axvspan(ZERO - 0.012, ZERO + 0.012, color="white", zorder=0.5, linewidth=0)
        for x in (ZERO - 0.012, ZERO + 0.012):
            axes.axvline(x, color=FRAME, linewidth=0.8, linestyle=(0, (2, 2)), zorder=0.6)


def _draw(axes: Axes, axis: _Axis, each: Measured, y: float) -> None:
    """Draw one concentration: interval, marker, and the limit of quantification."""
    colour, mark, size = (ALC_COLOUR, ALC_MARK, 4.0) if each.population == ALC else MARKS[each.severity]
    if each.value is None:
        alert = each.severity in ("review", "invalid")
        axes.text(0.5, y, "none", color=ALERT if alert else MUTED, font_properties=font(TICK), ha="center",
                  va="center_baseline")  # fmt: skip
        return
    low, at, high = (axis.place(value) for value in (each.lower, each.value, each.upper))
    axes.plot([low, high], [y, y], color=colour, linewidth=1.3, solid_capstyle="butt", zorder=2)
    if each.value == 0:  # nothing was seen: the line is how much it may be
        axes.plot([high], [y], marker="|", color=colour, markersize=6.0, linestyle="", zorder=2)
    elif 0 < each.lower < 10**axis.low:
        axes.plot([low], [y], marker=4, color=colour, markersize=5.0, linestyle="", zorder=2)
    face = "white" if each.below_lloq or each.value == 0 else colour
    look: dict[str, Any] = {"markerfacecolor": face, "markeredgecolor": colour, "markeredgewidth": 1.2, "linestyle": ""}
    axes.plot([at], [y], marker=mark, markersize=size, zorder=3, **look)
    x = 0.0 if each.lloq is None else axis.place(each.lloq)
    if axis.start + 0.01 < x < 0.99:
        axes.plot([x, x], [y - 0.24, y + 0.24], color=INK, linewidth=1.2, zorder=2.5)


def _foot(picture: Picture, found: Sequence[Measured]) -> None:
    """Say what the marks mean; only of those that are drawn."""
    from matplotlib.lines import Line2D

    kinds = {(each.severity, each.below_lloq) for each in found if each.population != ALC and each.value is not None}
    severities = {severity for severity, _ in kinds}
    entries = [(WORDS_FOR[s], *MARKS[s], "full") for s in MARKS if s in severities]
    if any(each.population == ALC for each in found):
        entries.append(("ALC, of haematology", ALC_COLOUR, ALC_MARK, 4.0, "full"))
    if any(hollow for _, hollow in kinds):
        entries.append(("hollow: below LLOQ, the limit of quantification", MARKS["info"][0], "s", 5.0, "none"))
    if any(each.lloq is not None and each.value is not None and each.value < 5 * each.lloq for each in found):
        entries.append(("LLOQ, where it is near", INK, "|", 9.0, "full"))
    if any(each.value == 0 for each in found):
        entries.append(("at 0: none found; the line ends at its upper limit", MARKS["info"][0], "s", 5.0, "none"))
    x, y = EDGE + 0.1, 0.5
    for words, colour, mark, size, fill in entries:
        face = "white" if fill == "none" else colour
        line = Line2D([x], [y], marker=mark, markersize=size, markerfacecolor=face, markeredgecolor=colour,
                      markeredgewidth=1.2, linestyle="", transform=picture.dpi_scale_trans)  # fmt: skip
        picture.add_artist(line)
        text = write(picture, x + 0.13, y, words, SMALL, color=MUTED, va="center_baseline")
        x += 0.13 + text.get_window_extent().width / picture.dpi + 0.3
    write(picture, EDGE, 0.18, READING, SMALL, color=MUTED)
