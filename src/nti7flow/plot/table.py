"""The counts of one sample as a small table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nti7flow.plot.placing import Rect
from nti7flow.plot.style import ALERT, DPI, HAIRLINE, MUTED, SMALL, TICK, colour_of
from nti7flow.plot.text import shorten, write
from nti7flow.plot.words import NOTHING, CountLike, number, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nti7flow.gating.strategy import GatingStrategy

#: Inches.
ROW, HEAD, INDENT = 0.205, 0.4, 0.11
NOTE, MAX_WIDTH = 0.95, 7.3


@dataclass(frozen=True, slots=True)
class Row:
    """One population, ``depth`` steps below all events."""

    depth: int
    label: str
    numbers: tuple[str, str, str]
    note: str
    colour: str


def make_rows(strategy: GatingStrategy, counts: Sequence[CountLike]) -> list[Row]:
    """All populations as a tree, children under their parent; helpers too, so that nothing is left out."""
    by_population = {count.population: count for count in counts}
    order = [(0, population) for population in reversed(strategy.populations) if population.parent is None]
    rows = []
    while order:
        depth, population = order.pop()
        if population.id in by_population:
            rows.append(_row(depth, by_population[population.id]))
        order += [(depth + 1, child) for child in reversed(strategy.populations) if child.parent == population.id]
    return rows


def _row(depth: int, count: CountLike) -> Row:
    shares = percent(count.percent_parent, unit=""), percent(count.percent_lymphocytes, unit="")
    numbers = (number(count.n_events), *shares)
    colour = colour_of(count.severity)
    flagged = colour == ALERT
    note = count.status if count.status != "ok" else count.severity if flagged else ""
    if not flagged and numbers[0] == NOTHING:
        colour = MUTED
    return Row(depth, count.label, numbers, f"▲ {note}" if flagged else note, colour)


def table_height(n_rows: int) -> float:
    """Height of a table, inches."""
    return HEAD + n_rows * ROW


def draw_table(figure: Figure, frame: Rect, rows: Sequence[Row]) -> None:
    """Write the table into a frame, inches from the figure's lower left corner; it hangs from the top."""
    right = min(frame.right, frame.left + MAX_WIDTH)
    has_notes = any(row.note for row in rows)
    last = right - (NOTE if has_notes else 0.0)
    spacing = 0.14 * (right - frame.left)
    columns = [last - spacing * (2 - i) for i in range(3)]
    top = frame.top
    for x, words in zip(columns, ("events", "% of\nparent", "% of\nlymph."), strict=True):
        write(figure, x, top - HEAD + 0.08, words, TICK, color=MUTED, ha="right", va="bottom", linespacing=1.15)
    write(figure, frame.left, top - HEAD + 0.08, "population", TICK, color=MUTED, va="bottom")
    _rule(figure, frame.left, right, top - HEAD)
    for i, row in enumerate(rows):
        y = top - HEAD - (i + 0.5) * ROW - 0.01
        indent = frame.left + INDENT * row.depth
        weight = "bold" if row.colour == ALERT else "normal"
        label = write(figure, indent, y, row.label, SMALL, color=row.colour, va="center_baseline")
        shorten(label, (columns[0] - 0.5 - indent) * DPI)
        for x, words in zip(columns, row.numbers, strict=True):
            write(figure, x, y, words, SMALL, color=row.colour, ha="right", va="center_baseline")
        if row.note:
            write(figure, last + 0.14, y, row.note, TICK, weight=weight, color=row.colour, va="center_baseline")
        _rule(figure, frame.left, right, top - HEAD - (i + 1) * ROW)


def _rule(figure: Figure, left: float, right: float, y: float) -> None:
    from matplotlib.lines import Line2D

    style: dict[str, Any] = {"color": HAIRLINE, "linewidth": 0.6, "linestyle": "-", "marker": ""}
    figure.add_artist(Line2D([left, right], [y, y], transform=figure.dpi_scale_trans, **style))
