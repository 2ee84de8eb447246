"""All tubes of a plan, in waves, on any number of workers, with the same result for any number."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import Any

from nti7flow.errors import Nti7flowError
from nti7flow.gating.fit import Fitted, seed_for
from nti7flow.gating.lending import (
    LEAST_LENDERS,
    Own,
    Place,
    Prior,
    make_priors,
    priors_of_baseline,
    priors_of_controls,
)
from nti7flow.gating.pooling import fit_pooled
from nti7flow.gating.scales import merge_scales
from nti7flow.gating.specs import FittedSpec
from nti7flow.gating.template import GatingTemplate, pooled_scope
from nti7flow.study.by_strategy import assign, gate_by_strategy
from nti7flow.study.lock import Lock, locked_priors
from nti7flow.study.plan import Plan, Tube
from nti7flow.study.tube import (
    GatedTube,
    Lent,
    OwnGates,
    Progress,
    RefusedTube,
    gate_lent,
    gate_wave,
    own_gates,
    propose,
)
from nti7flow.trial.days import is_baseline

Outcome = GatedTube | RefusedTube
Done = Callable[[Tube], None]


def gate_tubes(plan: Plan, *, jobs: int = 1, done: Done = lambda tube: None) -> Generator[Outcome]:
    """Gate every tube of a plan and yield the outcomes in the order of the plan.

    Parameters
    ----------
    plan : Plan
        What to gate.
    jobs : int
        Worker processes; 1 works in this process.
    done : callable
        Told of each tube as it is finished, for a progress bar.
    """
    tubes = plan.tubes
    with workers(min(jobs, len(tubes))) as run:
        if plan.gates is not None:
            yield from _by_strategy(plan, run, done)
            return
        lock, plan = plan.lock, plan.light  # what goes to a worker with every tube
        progress: dict[str, Progress | RefusedTube] = {tube.sample: Progress() for tube in tubes}
        pooled = [t for t in tubes if plan.templates[t.template].n_waves > 1]
        lending = lending_tubes(plan, tubes, lock)
        _agree_on_scales(plan, [*pooled, *lending], progress, run)
        lent = _lend(plan, lending, progress, lock, run)
        last = max((plan.templates[t.template].n_waves for t in tubes), default=1) - 1
        fitted: dict[str, dict[str, Fitted]] = {}
        for wave in range(last):
            _middle_wave(plan, pooled, wave, progress, fitted, run)
        yield from _last_wave(plan, tubes, progress, fitted, lent, run, done)


Run = Callable[[Callable[..., Any], Iterable[tuple[Any, ...]]], Iterator[Any]]


@contextmanager
def workers(jobs: int) -> Iterator[Run]:
    """Give a ``map`` over argument tuples that keeps their order, here or in worker processes."""
    if jobs <= 1:
        yield lambda function, calls: (function(*call) for call in calls)
        return
    # Spawned, not forked: a fork copies whatever threads and locks the libraries hold.
    try:
        with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
            yield lambda function, calls: pool.map(partial(_call, function), calls)
    except BrokenProcessPool:
        raise Nti7flowError(
            "a worker process was killed, most likely for want of memory; try again with --jobs 1. (A script of your "
            "own that uses workers must start its work under: if __name__ == '__main__'.)"
        ) from None


def _call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return function(*arguments)


def _by_strategy(plan: Plan, run: Run, done: Done) -> Iterator[Outcome]:
    """Gate every tube by the gates that the plan has for it. The gates of each are read here, and sent to a worker."""
    light = plan.light
    results = run(gate_by_strategy, ((light, tube, assign(plan, tube)) for tube in plan.tubes))
    for tube, outcome in zip(plan.tubes, results, strict=True):
        done(tube)
        yield outcome


def _agree_on_scales(plan: Plan, tubes: Sequence[Tube], progress: dict[str, Progress | RefusedTube], run: Run) -> None:
    """Tubes whose fits are pooled are binned on one scale per marker, wide enough for all of them."""
    proposals = list(run(propose, [(plan, tube) for tube in tubes]))
    for template in {tube.template for tube in tubes}:
        members = [(t, p) for t, p in zip(tubes, proposals, strict=True) if t.template == template]
        agreed = merge_scales([p for _, p in members if not isinstance(p, RefusedTube)])
        for tube, proposal in members:
            progress[tube.sample] = proposal if isinstance(proposal, RefusedTube) else Progress(scales=agreed)


def _middle_wave(
    plan: Plan,
    tubes: Sequence[Tube],
    wave: int,
    progress: dict[str, Progress | RefusedTube],
    fitted: dict[str, dict[str, Fitted]],
    run: Run,
) -> None:
    """Run a wave that is not the last on all tubes that still have pooled fits before them, and fit their groups."""
    waiting = [t for t in tubes if wave + 1 < plan.templates[t.template].n_waves]
    calls = [(plan, t, wave, progress[t.sample], fitted.get(t.sample, {})) for t in waiting]
    active = [call for call in calls if isinstance(call[3], Progress)]
    for call, result in zip(active, run(gate_wave, active), strict=True):
        progress[call[1].sample] = result
    for template in {plan.templates[t.template].reference for t in waiting}:
        _fit_groups(plan.templates[template], waiting, progress, fitted)


def _fit_groups(
    template: GatingTemplate,
    tubes: Sequence[Tube],
    progress: dict[str, Progress | RefusedTube],
    fitted: dict[str, dict[str, Fitted]],
) -> None:
    for population in template.populations:
        scope = pooled_scope(population)
        groups: dict[str, list[tuple[Tube, Progress]]] = {}
        for tube in tubes:
            state = progress[tube.sample]
            if tube.template == template.reference and isinstance(state, Progress) and population.id in state.summaries:
                groups.setdefault(tube.batch if scope == "batch" else "", []).append((tube, state))
        for members in groups.values():
            key = sorted(f"{state.sha256}:{tube.data_set}" for tube, state in members)
            rng = seed_for(population.id, *key)
            assert isinstance(population.gate, FittedSpec)
            result = fit_pooled(population.gate, [state.summaries[population.id] for _, state in members], rng)
            for tube, _ in members:
                fitted.setdefault(tube.sample, {})[population.id] = result


def _last_wave(
    plan: Plan,
    tubes: Sequence[Tube],
    progress: dict[str, Progress | RefusedTube],
    fitted: dict[str, dict[str, Fitted]],
    lent: Mapping[str, Lent],
    run: Run,
    done: Done,
) -> Iterator[Outcome]:
    refused = {name: state for name, state in progress.items() if isinstance(state, RefusedTube)}
    active = [t for t in tubes if t.sample not in refused]
    alone = [t for t in active if t.sample not in lent]
    calls = [
        (plan, t, plan.templates[t.template].n_waves - 1, progress[t.sample], fitted.get(t.sample, {})) for t in alone
    ]
    results = iter(run(gate_wave, calls))
    leaning = iter(run(gate_lent, [(plan, t, lent[t.sample]) for t in active if t.sample in lent]))
    for tube in tubes:
        gated = leaning if tube.sample in lent else results
        outcome = refused[tube.sample] if tube.sample in refused else next(gated)
        done(tube)
        yield outcome


def lending_tubes(plan: Plan, tubes: Sequence[Tube], lock: Lock | None) -> list[Tube]:
    """Tubes whose gates lean on others: those of templates that say so, where there are enough, and of a lock."""
    by_template: dict[str, list[Tube]] = {}
    for tube in tubes:
        template = plan.templates[tube.template]
        if template.lenders or template.controlled or (lock is not None and lock.template == tube.template):
            by_template.setdefault(tube.template, []).append(tube)
    locked = None if lock is None else lock.template
    return [t for name, all_of in by_template.items() if len(all_of) > LEAST_LENDERS or name == locked for t in all_of]


def _lend(
    plan: Plan, tubes: Sequence[Tube], progress: dict[str, Progress | RefusedTube], lock: Lock | None, run: Run
) -> dict[str, Lent]:
    """Gate tubes each by itself, and say for each what the others make of its gates."""
    calls = [(plan, t, state.scales) for t in tubes if isinstance(state := progress[t.sample], Progress)]
    owns: dict[str, OwnGates] = {}
    for (_, tube, _), result in zip(calls, run(own_gates, calls), strict=True):
        if isinstance(result, RefusedTube):
            progress[tube.sample] = result
        else:
            owns[tube.sample] = result
    priors: dict[str, dict[str, Prior]] = {name: {} for name in owns}
    locked: dict[str, dict[str, Prior]] = {}
    for reference in dict.fromkeys(tube.template for tube in tubes):
        places = {t.sample: place_of(t) for t in tubes if t.template == reference and t.sample in owns}
        template = plan.templates[reference]
        for population in {**template.lenders, **dict.fromkeys(template.controlled)}:
            for name, prior in _priors(template, population, owns, places).items():
                priors[name][population] = prior
        if lock is not None and lock.template == reference:
            locked |= _locked(lock, template, owns, places)
    return {name: Lent(own, priors[name], locked.get(name)) for name, own in owns.items()}


def _locked(
    lock: Lock, template: GatingTemplate, owns: Mapping[str, OwnGates], places: Mapping[str, Place]
) -> dict[str, dict[str, Prior]]:
    """For each tube, the locked gates of all populations."""
    locked: dict[str, dict[str, Prior]] = {name: {} for name in places}
    for population in template.populations:
        axes = next((owns[n].axes[population.id] for n in sorted(places) if population.id in owns[n].axes), None)
        if axes is not None:
            stained, _ = _placed(population.id, owns, places)
            for name, prior in locked_priors(lock, population.id, axes, stained, places).items():
                locked[name][population.id] = prior
    return locked


def _placed(
    population: str, owns: Mapping[str, OwnGates], places: Mapping[str, Place]
) -> tuple[dict[str, Own], dict[str, Own]]:
    """Gates of a population that the tubes' own data place: of tubes with its stain, and of those without."""
    stained: dict[str, Own] = {}
    without: dict[str, Own] = {}
    for name in places:
        fitted = owns[name].fits.get(population)
        if fitted is not None and fitted.placement.placed:
            kind = without if population in owns[name].controls else stained
            kind[name] = Own(fitted.placement, fitted.spread)
    return stained, without


def _priors(
    template: GatingTemplate, population: str, owns: Mapping[str, OwnGates], places: Mapping[str, Place]
) -> dict[str, Prior]:
    """Return what others say of a gate in each tube: FMO tubes first, then its baseline, then its batch."""
    stained, without = _placed(population, owns, places)
    lenders = template.lenders.get(population, ())
    priors = make_priors(stained, places, lenders) if {"batch", "subject"} & set(lenders) else {}
    if "baseline" in lenders:
        priors |= priors_of_baseline(stained, places)
    return priors | priors_of_controls(without, places)


def place_of(tube: Tube) -> Place:
    """Where a tube stands among the others of its study."""
    row = tube.row
    if row is None:
        return Place()
    drawn = row.collected_at
    return Place(
        batch=tube.batch,
        subject=row.subject or "",
        collected=None if drawn is None else float(drawn.toordinal()),
        lends=row.role in ("patient", "control"),
        control=row.role == "control",
        baseline=tube.timing is not None and is_baseline(tube.timing),
    )
