"""The gating tree: every gate of one sample on its density plot, and a table of what was counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nti7flow.gating.picture import Panel2D
from nti7flow.gating.strategy import GatingStrategy
from nti7flow.plot.figure import Picture, blank
from nti7flow.plot.footer import default_subtitle, footer_lines
from nti7flow.plot.labels import Label
from nti7flow.plot.layout import EDGE, LINE, WIDTH, Plan
from nti7flow.plot.outlines import find_outlines
from nti7flow.plot.panel import draw_panel
from nti7flow.plot.style import DPI, INK, MUTED, SMALL, SUBTITLE, TITLE, colour_of
from nti7flow.plot.table import draw_table, make_rows, table_height
from nti7flow.plot.text import shorten, write
from nti7flow.plot.words import CountLike, percent


class Gated(Protocol):
    """A result that knows its own gates, panels and counts."""

    @property
    def strategy(self) -> GatingStrategy:
        """Its gates."""
        ...

    @property
    def panels(self) -> Sequence[Panel2D]:
        """Histograms behind its plots."""
        ...

    @property
    def counts(self) -> Sequence[CountLike]:
        """What was counted."""
        ...


def gating_tree(
    strategy: GatingStrategy | Gated,
    panels: Sequence[Panel2D] | None = None,
    counts: Sequence[CountLike] | None = None,
    *,
    title: str | None = None,
    subtitle: str | None = None,
) -> Picture:
    """Draw every gate of a sample on its density plot, with a table of the counts, 1,600 px wide.

    Plots stand in the order of the template. Above each is the population whose events it shows; percentages are of
    that population. A gate whose status is not ``ok`` is dashed and named with its status, and populations that have
    no gate are listed at the foot. An axis shows its events but for half a percent below its lower end and one in a
    thousand above its upper end.

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
        return gating_tree(strategy.strategy, strategy.panels, strategy.counts, title=title, subtitle=subtitle)
    if panels is None or counts is None:
        raise TypeError("a gating tree is drawn from a strategy together with its panels and its counts")
    by_id = {population.id: population for population in strategy.populations}
    labels = make_labels(strategy, counts)
    found = [find_outlines(panel, by_id) for panel in panels]
    footer = footer_lines(strategy, [population for _, missing in found for population in missing])
    rows = make_rows(strategy, counts)
    plan = Plan.of(len(panels), table_height(len(rows)), len(footer))
    picture = blank(WIDTH, plan.height)
    crowded: list[str] = []
    for i, (panel, (outlines, _)) in enumerate(zip(panels, found, strict=True)):
        heading = "All events" if panel.parent is None else by_id[panel.parent].label
        _, unplaced = draw_panel(picture, plan.frame(i), panel, heading, outlines, labels)
        crowded += [population.label for population in unplaced]
    draw_table(picture, plan.table, rows)
    if crowded:
        footer[-1] += f" No room for a label: {', '.join(crowded)}."
    title = strategy.sample if title is None else title
    subtitle = default_subtitle(strategy, panels) if subtitle is None else subtitle
    _write_around(picture, plan.height, title, subtitle, footer)
    return picture


def _write_around(picture: Picture, height: float, title: str, subtitle: str, footer: Sequence[str]) -> None:
    """Write the title and the lines at the foot, of which the last says how to read the picture."""
    texts = [
        write(picture, EDGE, height - 0.34, title, TITLE, weight="bold", va="baseline"),
        write(picture, EDGE, height - 0.6, subtitle, SUBTITLE, color=MUTED, va="baseline"),
    ]
    for i, line in enumerate(reversed(footer)):
        colour = INK if i else MUTED
        texts.append(write(picture, EDGE, EDGE + i * LINE, line, SMALL, color=colour, va="baseline"))
    for text in texts:
        shorten(text, (WIDTH - 2 * EDGE) * DPI)


def make_labels(strategy: GatingStrategy, counts: Sequence[CountLike]) -> dict[str, Label]:
    """Say of each gate its share of the parent, and its status where that is not ``ok``."""
    labels = {population.id: Label(population.label, percent(None)) for population in strategy.populations}
    for count in counts:
        status = "" if count.status == "ok" else count.status
        labels[count.population] = Label(count.label, percent(count.percent_parent), status, colour_of(count.severity))
    return labels
