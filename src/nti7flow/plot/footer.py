"""What a gating tree says in words: where it comes from, how to read it, and which populations it cannot show."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from nti7flow.gating.picture import Panel2D
from nti7flow.gating.strategy import NOT_IN_FILE, GatingStrategy, Population
from nti7flow.plot.words import n_events_in_words

#: Letters that fit into a line at the foot.
LETTERS = 190
READING = "Colour: density of events, logarithmic. Percentages: of the population named above each plot."
DASHED = "Dashed: gates that could not be placed as the template asks."
_COMPENSATION = {
    "keyword": "compensated with the matrix in the file",
    "none": "no compensation (declared)",
    "already compensated": "compensated before it was written",
    NOT_IN_FILE: "not compensated: the file holds no matrix",
}
#: Status of a population without a gate, in words.
_REASONS = {
    "not_in_panel": "Marker not in the panel",
    "absent": "Absent",
    "failed": "Gate could not be placed",
    "not_interpretable": "Not interpretable",
}
PARENT_WITHOUT_GATE = "Parent has no gate"


def default_subtitle(strategy: GatingStrategy, panels: Sequence[Panel2D]) -> str:
    """Template, events in the tube, compensation."""
    parts = [strategy.template]
    parts += [n_events_in_words(int(panel.counts.sum())) for panel in panels if panel.parent is None][:1]
    sources = [strategy.spillover.source] if not strategy.matrices or strategy.needs_spillover else []
    parts += [_COMPENSATION.get(source, f"compensated with {Path(source).name}") for source in sources]
    parts += [f"compensated with {', '.join(strategy.matrices)}"] if strategy.matrices else []
    return "  ·  ".join(parts)


def footer_lines(strategy: GatingStrategy, not_drawn: Sequence[Population]) -> list[str]:
    """Say which populations have no gate, and why, which gates no plot shows, and how to read the picture."""
    groups: dict[str, list[str]] = {}
    for population in strategy.populations:
        if population.gate is None:
            groups.setdefault(_reason(population), []).append(population.label)
    for population in not_drawn:
        groups.setdefault("Gate not on the axes of its plot", []).append(population.label)
    sentences = [f"{reason}: {', '.join(labels)}." for reason, labels in groups.items()]
    dashed = any(p.gate is not None and p.status != "ok" for p in strategy.populations)
    reading = f"{READING} {DASHED}" if dashed else READING
    return [*textwrap.wrap("  ".join(sentences), LETTERS), reading]


def _reason(population: Population) -> str:
    if f"parent_{population.status}" in population.flags:
        return PARENT_WITHOUT_GATE
    return _REASONS.get(population.status, population.status)
