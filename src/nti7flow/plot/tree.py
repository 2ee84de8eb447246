"""The gating tree: every gate of one sample on its density plot, and a table of what was counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Protocol

from nti7flow.gating.picture import Panel2D
from nti7flow.gating.strategy import GatingStrategy
from nti7flow.plot.figure import Picture, blank
from nti7flow.plot.footer import default_subtitle, footer_lines
from nti7flow.plot.labels import Label
from nti7flow.plot.words import CountLike, percent
from nti7flow.plot.outlines import find_outlines
from nti7flow.plot.panel import draw_panel
from nti7flow.plot.placing import Rect
from nti7flow.plot.style import MUTED, SMALL, SUBTITLE, TITLE
from nti7flow.plot.table import draw_table, make_rows, table_height
from nti7flow.plot.text import write

#: Inches.
WIDTH, EDGE, HEADER, LINE = 16.0, 0.2, 0.75, 0.19
LEFT, RIGHT, ABOVE, BELOW = 0.75, 0.15, 0.42, 0.62
ASPECT = 0.86


class Gated(Protocol):
    """A result that knows its own gates, panels and counts."""

    @property
    def strategy(self) -> GatingStrategy: ...
    @property
    def panels(self) -> Sequence[Panel2D]: ...
    @property
    def counts(self) -> Sequence[CountLike]: ...


def gating_tree(
    strategy: GatingStrategy | Gated,
    panels: Sequence[Panel2D] | None = None,
    counts: Sequence[CountLike] | None = None,
    *,
    title: str | None = None,
    subtitle: str | None = None,
) -> Picture:
    """Draw every gate of a sample on its density plot, with a table of the counts, 1,600 px wide.

    Plots stand in the order of the template. Above each is the population whose events it shows; percentages are of that
    population. A gate whose status is not ``ok`` is dashed and named with its status, and populations that have no gate
    are listed at the foot.

    Parameters
    ----------
    strategy : GatingStrategy or object
        The gates of one sample; or a result that has them as ``strategy``, together with ``panels`` and ``counts``.
    panels : sequence of Panel2D
        Histograms, from `nti7flow.gating.picture.make_panels` or from a run.
    counts : sequence of Count
        From `nti7flow.counting.fractions.count_populations`, or rows of a counts table.
    title, subtitle : str, optional
        Instead of the sample's name, and its template, events and compensation.

    Returns
    -------
    Picture
        A Matplotlib figure that notebooks display.
    """
    if not isinstance(strategy, GatingStrategy):
        strategy, panels, counts = strategy.strategy, strategy.panels, strategy.counts
    if panels is None or counts is None:
        raise TypeError("a gating tree is drawn from a strategy together with its panels and its counts")
    by_id = {population.id: population for population in strategy.populations}
    labels = make_labels(strategy, counts)
    found = [find_outlines(panel, by_id) for panel in panels]
    footer = footer_lines(strategy, [population for _, missing in found for population in missing])
    rows = make_rows(strategy, counts)
    plan = Plan.of(len(panels), table_height(len(rows)), len(footer))
    picture = blank(WIDTH, plan.height)
    write(picture, EDGE, plan.height - 0.34, title if title is not None else strategy.sample, TITLE, weight="bold", va="baseline")
    subtitle = subtitle if subtitle is not None else default_subtitle(strategy, panels)
    write(picture, EDGE, plan.height - 0.6, subtitle, SUBTITLE, color=MUTED, va="baseline")
    crowded: list[str] = []
    for i, (panel, (outlines, _)) in enumerate(zip(panels, found, strict=True)):
        heading = "All events" if panel.parent is None else by_id[panel.parent].label
        _, unplaced = draw_panel(picture, plan.frame(i), panel, heading, outlines, labels)
        crowded += [population.label for population in unplaced]
    draw_table(picture, plan.table, rows)
    if crowded:
        footer[-1] += f" No room for a label: {', '.join(crowded)}."
    for i, line in enumerate(reversed(footer)):
        write(picture, EDGE, EDGE + i * LINE, line, SMALL, color=MUTED, va="baseline")
    return picture


def make_labels(strategy: GatingStrategy, counts: Sequence[CountLike]) -> dict[str, Label]:
    """What is written beside each gate: its share of the parent, and its status where that is not ``ok``."""
    labels = {population.id: Label(population.label, percent(None)) for population in strategy.populations}
    for count in counts:
        status = "" if count.status == "ok" else f" · {count.status}"
        alert = count.severity in ("review", "invalid")
        labels[count.population] = Label(count.label, percent(count.percent_parent) + status, alert)
    return labels


@dataclass(frozen=True, slots=True)
class Plan:
    """Where everything goes, inches."""

    n_panels: int
    n_columns: int
    height: float
    table_height: float

    @classmethod
    def of(cls, n_panels: int, table_height: float, n_lines: int) -> Plan:
        """Three or four columns, whichever leaves fewer cells empty; the table comes after the last plot."""
        cells = n_panels + 1
        n_columns = min((3, 4), key=lambda n: (-cells % n, ceil(cells / n)))
        n_rows = ceil(cells / n_columns)
        last_row = max(_cell_height(n_columns), table_height + ABOVE)
        height = HEADER + (n_rows - 1) * _cell_height(n_columns) + last_row + EDGE + n_lines * LINE
        return cls(n_panels, n_columns, height, table_height)

    def frame(self, i: int) -> Rect:
        """Axes of the i-th plot."""
        left, top = self._corner(i)
        width = _frame_width(self.n_columns)
        return Rect(left + LEFT, top - ABOVE - ASPECT * width, left + LEFT + width, top - ABOVE)

    @property
    def table(self) -> Rect:
        """What is left in the last row."""
        left, top = self._corner(self.n_panels)
        return Rect(left + 0.3, top - ABOVE - self.table_height, WIDTH - EDGE - RIGHT, top - 0.1)

    def _corner(self, i: int) -> tuple[float, float]:
        """Left and top of the i-th cell."""
        row, column = divmod(i, self.n_columns)
        return EDGE + column * _cell_width(self.n_columns), self.height - HEADER - row * _cell_height(self.n_columns)


def _cell_width(n_columns: int) -> float:
    return (WIDTH - 2 * EDGE) / n_columns


def _frame_width(n_columns: int) -> float:
    return _cell_width(n_columns) - LEFT - RIGHT


def _cell_height(n_columns: int) -> float:
    return ABOVE + ASPECT * _frame_width(n_columns) + BELOW
