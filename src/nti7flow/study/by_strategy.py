"""Gating one tube by a strategy that was made elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nti7flow.counting.fractions import ROOT
from nti7flow.errors import InputError, StrategyError
from nti7flow.events.sample import Sample
from nti7flow.events.spectrum import Matrix
from nti7flow.events.spillover import Spillover
from nti7flow.gating.picture import Panel2D, strategy_panels
from nti7flow.gating.strategy import GatingStrategy, Members
from nti7flow.gating.values import DisplayValues
from nti7flow.study.plan import Plan, Tube
from nti7flow.study.strategy_file import TubeGates, gates_of
from nti7flow.study.tube import GatedTube, RefusedTube, judge, read_tube, refuse

#: Populations that a picture shows: one of thousands could be neither drawn nor looked at.
MOST_DRAWN = 100


def assign(plan: Plan, tube: Tube) -> TubeGates | RefusedTube:
    """Return the gates a tube gets by a plan, or why it gets none."""
    gates, file = plan.gates, plan.strategy
    assert gates is not None and file is not None
    try:
        if tube.problem:
            raise InputError(tube.problem)
        if not (isinstance(gates, GatingStrategy) or tube.gates_of):  # what kept it from being matched is an error now
            tube = replace(tube, gates_of=gates.match(read_tube(plan, tube), group=file.group))
        return gates_of(tube, gates, file)
    except Exception as error:
        return refuse(plan, tube, error)


def gate_by_strategy(plan: Plan, tube: Tube, gates: TubeGates | RefusedTube) -> GatedTube | RefusedTube:
    """Gate one tube: bind its gates to it, apply them, count. One that gets no gates stays refused."""
    if isinstance(gates, RefusedTube):
        return gates
    try:
        sample = read_tube(plan, tube)
        strategy = bind(gates.strategy, sample, name=tube.sample, spillover=plan.spillover)
        members = strategy.apply(sample)
        gated = judge(tube, sample, strategy, members, matrix=worst_matrix(strategy), stored=gates.stored)
        return replace(gated, panels=draw_panels(sample, strategy, members))
    except Exception as error:
        return refuse(plan, tube, error)


def bind(gates: GatingStrategy, sample: Sample, *, name: str, spillover: Spillover | str) -> GatingStrategy:
    """Bind a strategy to a tube under the name of its sample.

    ``spillover`` is the tube's own matrix, or what it is to be: ``keyword``, ``none`` or the path of a CSV. It is only
    looked for where a gate asks for it.
    """
    if any(population.id == ROOT for population in gates.populations):
        problem = f"a gate is called {ROOT}, which stands for all events in the tables; give it another name"
        raise StrategyError(gates.template, [problem])
    bound = gates.for_sample(sample, name=name, spillover=spillover)
    # Where the matrix is from is stored with the gates: the name of its file, not the folder it lay in that day.
    return replace(bound, sample=name, spillover=replace(bound.spillover, source=Path(bound.spillover.source).name))


def worst_matrix(strategy: GatingStrategy) -> Matrix:
    """Return the matrix of a strategy that amplifies noise the most."""
    return max((strategy.spillover, *strategy.matrices.values()), key=lambda matrix: matrix.condition_number)


def draw_panels(sample: Sample, strategy: GatingStrategy, members: Members) -> tuple[Panel2D, ...]:
    """Histograms for the pictures of the first gates of a strategy."""
    shown = replace(strategy, populations=strategy.populations[:MOST_DRAWN])
    return tuple(strategy_panels(DisplayValues(sample, strategy.spillover, strategy.matrices), members, shown))
