"""Limit of blank from negative controls: what tubes that were stained without a marker show beyond its gate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from nti7flow.counting.gated import CountRow, GatedSample
from nti7flow.events.markers import parse_marker
from nti7flow.gating.dimensions import AnyDimension, Dimension
from nti7flow.gating.gates import BooleanGate, RectangleGate
from nti7flow.gating.strategy import GatingStrategy, Population

#: Events of the parent that a control needs at least, to tell how often a cell lies beyond the gate without the marker.
LEAST_EVENTS = 100


def positive_for(strategy: GatingStrategy, marker: str) -> frozenset[str]:
    """Return the populations of a tube whose own gate asks for more of a marker than some bound.

    Gates that combine others are looked through; what merely lies within such a population is not one.
    """
    targets = parse_marker(marker).targets
    by_id = {population.id: population for population in strategy.populations}

    def shows(dimension: AnyDimension) -> bool:
        return isinstance(dimension, Dimension) and bool(targets & parse_marker(dimension.marker or "").targets)

    def asks(population: Population) -> bool:
        gate = population.gate
        if isinstance(gate, RectangleGate):
            sides = zip(gate.dimensions, gate.lower, strict=True)
            return any(low is not None and shows(dimension) for dimension, low in sides)
        if isinstance(gate, BooleanGate) and (gate.operator == "and" or len(gate.operands) == 1):
            return any(not operand.negated and asks(by_id[operand.population]) for operand in gate.operands)
        return False

    return frozenset(population.id for population in strategy.populations if asks(population))


def blank_rates(
    tubes: Iterable[GatedSample], strategies: Mapping[str, GatingStrategy]
) -> dict[tuple[str, str, str], float]:
    """Return how often cells without a marker are gated as if they had it.

    Parameters
    ----------
    tubes : iterable of GatedSample
        All tubes; FMO tubes are looked at.
    strategies : Mapping of str to GatingStrategy
        Gates of the FMO tubes, by sample.

    Returns
    -------
    dict
        Share of the parent's events, by batch, panel and population; of several controls of a batch, all together.
    """
    totals: dict[tuple[str, str, str], tuple[int, int]] = {}
    for tube in tubes:
        marker = tube.row.left_out if tube.row is not None else None
        if marker is None:
            continue
        for name in positive_for(strategies[tube.sample], marker):
            count = tube.counts[name]
            n_parent = tube.n_events(count.parent)
            if count.n_events is not None and n_parent:
                n, of = totals.get((*_lot(tube), name), (0, 0))
                totals[(*_lot(tube), name)] = n + count.n_events, of + n_parent
    return {key: n / of for key, (n, of) in totals.items() if of >= LEAST_EVENTS}


def with_blanks(tube: GatedSample, rates: Mapping[tuple[str, str, str], float]) -> GatedSample:
    """Return a tube whose counts have at least the background that the controls of its batch show."""

    def raised(count: CountRow) -> CountRow:
        rate, n_parent = rates.get((*_lot(tube), count.population)), tube.n_events(count.parent)
        if rate is None or not n_parent:
            return count
        return replace(count, background=max(count.background, rate * n_parent))

    if tube.row is None or not tube.is_stained:
        return tube
    return replace(tube, counts={name: raised(count) for name, count in tube.counts.items()})


def _lot(tube: GatedSample) -> tuple[str, str]:
    """Batch and panel: controls tell about tubes that were stained with the same reagents."""
    row = tube.row
    return (row.batch or "", row.panel or "") if row is not None else ("", "")
