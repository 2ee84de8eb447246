"""What would keep a tube from being gated, found without gating it."""

from __future__ import annotations

from functools import partial

from nti7flow.errors import AmbiguousMarker, InputError, UnknownMarker
from nti7flow.events.sample import Sample
from nti7flow.events.spillover import spillover_for
from nti7flow.gating.scales import check_distinct, find_channel
from nti7flow.gating.specs import FittedSpec, FixedSpec, PopulationSpec, TemplateSpec
from nti7flow.gating.template import load_template


def find_blockers(sample: Sample, template: str, spillover: str) -> list[str]:
    """Problems that would refuse this tube, one line each; empty when it can be gated.

    A marker of an optional population that the panel does not have is no problem; one that could be several channels
    is.
    """
    loaded = load_template(template)
    problems: dict[str, None] = {}
    checks = (
        partial(spillover_for, sample, spillover),
        partial(check_events, sample),
        partial(check_distinct, loaded.spec, sample.panel, loaded.markers),
    )
    for check in checks:
        try:
            check()
        except InputError as error:
            problems[str(error)] = None
    for population in loaded.populations:
        problems |= dict.fromkeys(_missing_markers(loaded.spec, sample, population))
    return list(problems)


def check_events(sample: Sample) -> None:
    """Refuse a tube without events: 0 cells of 0 would be a count of nothing."""
    if sample.n_events == 0:
        raise InputError(f"{sample.path}: holds no events; was it acquired, and exported with its events?")


def _missing_markers(spec: TemplateSpec, sample: Sample, population: PopulationSpec) -> list[str]:
    """Problems of the last of a population's alternatives; none where the panel has all of an earlier one."""
    problems: list[str] = []
    for markers in _alternatives(population):
        problems = []
        for marker in markers:
            try:
                find_channel(spec, sample.panel, marker)
            except UnknownMarker as error:
                problems += [] if population.optional else [str(error)]
            except AmbiguousMarker as error:
                return [str(error)]
        if not problems:
            return []
    return problems


def _alternatives(population: PopulationSpec) -> tuple[tuple[str, ...], ...]:
    """Return sets of markers, any of which is enough to gate a population."""
    gate = population.gate
    if isinstance(gate, FittedSpec):
        return (gate.dims, *gate.or_dims)
    if isinstance(gate, FixedSpec):
        return (gate.dims,)
    return ()
