"""What would keep a tube from being gated, found without gating it."""

from __future__ import annotations

from nti7flow.errors import AmbiguousMarker, InputError, UnknownMarker
from nti7flow.events.sample import Sample
from nti7flow.events.spillover import spillover_for
from nti7flow.gating.scales import find_channel
from nti7flow.gating.specs import FittedSpec, FixedSpec, PopulationSpec
from nti7flow.gating.template import load_template


def find_blockers(sample: Sample, template: str, spillover: str) -> list[str]:
    """Problems that would refuse this tube, one line each; empty when it can be gated.

    A marker of an optional population that the panel does not have is no problem; one that could be several channels
    is.
    """
    loaded = load_template(template)
    problems: dict[str, None] = {}
    try:
        spillover_for(sample, spillover)
    except InputError as error:
        problems[str(error)] = None
    if sample.n_events == 0:
        problems["the tube holds no events."] = None
    for population in loaded.populations:
        for marker in required_markers(population):
            try:
                find_channel(loaded.spec, sample.panel, marker)
            except UnknownMarker as error:
                if not population.optional:
                    problems[str(error)] = None
            except AmbiguousMarker as error:
                problems[str(error)] = None
    return list(problems)


def required_markers(population: PopulationSpec) -> tuple[str, ...]:
    """Markers without which a population cannot be gated."""
    gate = population.gate
    if isinstance(gate, FittedSpec):
        return () if gate.or_dims else gate.dims
    if isinstance(gate, FixedSpec):
        return tuple(gate.range or gate.rectangle or (gate.polygon.dims if gate.polygon else ()))
    return ()
