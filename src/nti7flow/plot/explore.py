"""Density plots of any two channels, for a look into a tube."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from numpy.typing import ArrayLike

from nti7flow.events.sample import Sample
from nti7flow.events.spillover import Spillover, spillover_for
from nti7flow.gating.gates import BooleanGate, PolygonGate, RectangleGate
from nti7flow.gating.picture import panel_of
from nti7flow.gating.strategy import SEVERITY, Members, Population, apply_gate
from nti7flow.gating.template import GatingTemplate, load_template
from nti7flow.gating.values import DisplayValues
from nti7flow.plot.figure import Picture, blank
from nti7flow.plot.labels import Label
from nti7flow.plot.outlines import find_outlines
from nti7flow.plot.panel import draw_panel
from nti7flow.plot.placing import Rect
from nti7flow.plot.shown import SHOWN, chosen_rows, dimension_of, plain_scales
from nti7flow.plot.style import MUTED, SMALL, colour_of
from nti7flow.plot.text import write
from nti7flow.plot.words import percent

#: Inches.
WIDTH, HEIGHT = 5.6, 5.0


def density(
    sample: Sample,
    x: str,
    y: str,
    *,
    spillover: str | Spillover = "keyword",
    template: GatingTemplate | str | Path | None = None,
    gates: Sequence[Population | RectangleGate | PolygonGate] = (),
    parent_rows: ArrayLike | None = None,
    title: str | None = None,
) -> Picture:
    """Draw the density of two channels, with gates if there are any.

    Parameters
    ----------
    sample : Sample
        The tube.
    x, y : str
        Markers, detectors or scatter names; with a template, its aliases too.
    spillover : str or Spillover
        ``keyword`` (the matrix in the file), ``none``, the path of a CSV, or a matrix.
    template : GatingTemplate or str or Path, optional
        Whose scales and aliases to use. Without one, fluorescence is on a logicle scale that fits the tube, scatter
        and time are linear.
    gates : sequence of Population or gate
        What to draw, such as ``[strategy.population("lymphocytes")]``. Each is applied to the events shown, whatever
        its parent is, and its percentage is of those. A boolean one needs those it combines before it.
    parent_rows : array of int or of bool, optional
        Indices, or a mask, of the events to show, such as ``members.rows("t_cells")``; all where left out.
    title : str, optional
        Heading; the name of the file where left out.

    Returns
    -------
    Picture
        A Matplotlib figure that notebooks display.

    Raises
    ------
    UnknownMarker, AmbiguousMarker
        ``x`` or ``y`` is not one channel of the panel.
    MissingSpillover
        The file holds no matrix; give one, or ``spillover="none"``.
    """
    matrix = spillover if isinstance(spillover, Spillover) else spillover_for(sample, spillover)
    values = DisplayValues(sample, matrix)
    spec = plain_scales(x) if template is None else _read(template).spec
    rows = chosen_rows(sample, parent_rows)
    populations = {population.id: population for population in _populations(gates)}
    axes = (dimension_of(values, spec, x), dimension_of(values, spec, y))
    panel = panel_of(values, SHOWN, rows, axes, tuple(populations))
    members = Members(sample.n_events)
    members.set(SHOWN, rows)
    labels = {p.id: _label(p, values, members, len(rows)) for p in populations.values()}
    outlines, missing = find_outlines(panel, populations)
    picture = blank(WIDTH, HEIGHT)
    heading = sample.path.stem if title is None else title
    _, crowded = draw_panel(picture, Rect(0.8, 0.75, WIDTH - 0.2, HEIGHT - 0.45), panel, heading, outlines, labels)
    _say(picture, {"Not on these axes": missing, "No room for a label": crowded})
    return picture


def _read(template: GatingTemplate | str | Path) -> GatingTemplate:
    return template if isinstance(template, GatingTemplate) else load_template(template)


def _populations(gates: Sequence[Population | RectangleGate | PolygonGate]) -> list[Population]:
    """Return gates as populations of the events shown."""
    populations: list[Population] = []
    for i, gate in enumerate(gates, 1):
        if not isinstance(gate, Population):
            populations.append(Population(f"gate_{i}", "", SHOWN, gate, "ok"))
            continue
        known = {population.id for population in populations}
        operands = gate.gate.operands if isinstance(gate.gate, BooleanGate) else ()
        if missing := [operand.population for operand in operands if operand.population not in known]:
            raise ValueError(f"gate {gate.id} combines {', '.join(missing)}: give those too, before it")
        populations.append(replace(gate, parent=SHOWN))
    return populations


def _label(population: Population, values: DisplayValues, members: Members, n_shown: int) -> Label:
    """Apply a gate to the events shown, and say its share of them."""
    apply_gate(values, population, members)
    inside = members.rows(population.id)
    share = None if inside is None or not n_shown else 100.0 * len(inside) / n_shown
    status = "" if population.status == "ok" else population.status
    return Label(population.label, percent(share), status, colour_of(SEVERITY[population.status]))


def _say(picture: Picture, remarks: dict[str, list[Population]]) -> None:
    """Name at the foot what could not be drawn."""
    words = [f"{what}: {', '.join(p.label or p.id for p in found)}." for what, found in remarks.items() if found]
    write(picture, 0.1, 0.1, "  ".join(words), SMALL, color=MUTED, va="baseline")
