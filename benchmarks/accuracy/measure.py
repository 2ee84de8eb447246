"""Run every part of the benchmark, and keep what was found."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy import against, labelled, perturbed, simulated, studies
from benchmarks.accuracy.labelled import SETS, Labelled, LabelledSet
from benchmarks.accuracy.peers import by_classifiers, by_clustering
from nti7flow.study.batch import workers

Row = dict[str, Any]
#: Parts that --only can name.
PARTS = ("CyAnno", "EuroFlow", "HIPC", "trial", "levels", "perturbed")
TRIAL, LEVEL = "trial", "levels"
#: Clean tubes of each study on which the peers are tried too.
PEER_TUBES = 3


@dataclass(frozen=True)
class Size:
    """How much is measured; `QUICK` is enough to see that everything runs, and to judge nothing by."""

    events: int | None = None  # of a labelled tube, evenly taken
    tubes: int | None = None  # of a labelled set
    subjects: int = 12
    tube_events: int = 30_000
    draws: int = 3
    levels: tuple[float, ...] = studies.LEVELS
    peer_tubes: int = PEER_TUBES
    perturbations: int | None = None
    folds: int = 5


FULL = Size()
QUICK = Size(
    events=3_000,
    tubes=1,
    subjects=2,
    tube_events=2_000,
    draws=1,
    levels=(50.0,),
    peer_tubes=1,
    perturbations=3,
    folds=2,
)


@dataclass(frozen=True)
class ScoredStudy:
    """A simulated study: its title, the level of CD4 T cells (None for the trial), and its rows."""

    title: str
    level: float | None
    n_tubes: int
    rows: list[Row]
    awkward: list[Row]
    peers: list[Row]


@dataclass
class Results:
    """Everything that was measured, as rows; ``not_scored`` says why something was not."""

    templates: dict[str, str] = field(default_factory=dict)
    not_scored: dict[str, str] = field(default_factory=dict)
    labelled: list[Row] = field(default_factory=list)
    studies: list[ScoredStudy] = field(default_factory=list)
    perturbed: list[Row] = field(default_factory=list)
    perturbed_peers: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Settings:
    """What to measure, with what."""

    data: Path
    template: str
    only: Sequence[str]
    size: Size = FULL
    jobs: int = 1


#: Told of a step within a part, and of the share of the part that is done.
Step = Callable[[str, str, float], None]


def measure(settings: Settings, step: Step = lambda part, what, share: None) -> Results:
    """Measure the parts that were asked for."""
    results = Results()
    for kind in SETS:
        if kind.name in settings.only:
            _labelled(kind, settings, results, step)
    with tempfile.TemporaryDirectory() as folder:
        if TRIAL in settings.only:
            plan = studies.plan_trial(subjects=settings.size.subjects, events=settings.size.tube_events)
            _study(plan, None, Path(folder) / "trial", settings, results, step)
        if LEVEL in settings.only:
            for level in settings.size.levels:
                plan = studies.plan_level(
                    level,
                    subjects=settings.size.subjects,
                    draws=settings.size.draws,
                    events=settings.size.tube_events,
                )
                _study(plan, level, Path(folder) / f"level{level:g}", settings, results, step)
    if "perturbed" in settings.only:
        _perturbed(settings, results, step)
    return results


def _labelled(kind: LabelledSet, settings: Settings, results: Results, step: Step) -> None:
    tubes = list(kind.load(settings.data))[: settings.size.tubes]
    template = kind.template()
    if not tubes:
        results.not_scored[kind.name] = "no such files in the reference data"
        return
    if template is None:
        results.not_scored[kind.name] = f"no template {' or '.join(kind.templates)}"
    with workers(min(settings.jobs, len(tubes))) as run:
        calls = [(kind, _thinned(tube, settings.size.events), template, settings.size) for tube in tubes]
        for number, rows in enumerate(run(labelled_tube, calls), 1):
            step(kind.name, f"{number} of {len(tubes)} tubes", number / len(tubes))
            results.labelled += rows
    if named := [row["template"] for row in results.labelled if row["set"] == kind.name and row.get("template")]:
        results.templates[kind.name] = named[0]  # with its version


def labelled_tube(kind: LabelledSet, tube: Labelled, template: str | None, size: Size) -> list[Row]:
    """Score our gates, where there is a template, and the peers on one labelled tube."""
    rows: list[Row] = []
    if template is not None:
        with tempfile.TemporaryDirectory() as folder:
            rows += labelled.score_labelled(kind, tube, template, Path(folder))
    truth = labelled.classes(kind, tube)
    for method, names in (*by_clustering(tube.display, truth), *by_classifiers(tube.display, truth, folds=size.folds)):
        rows += [
            labelled.compared(kind, tube, population, names == population) | {"method": method}
            for population in kind.truth
        ]
    return rows


def _thinned(tube: Labelled, n: int | None) -> Labelled:
    if n is None or len(tube.labels) <= n:
        return tube
    rows = np.linspace(0, len(tube.labels) - 1, n).astype(np.intp)
    return replace(tube, values=tube.values[rows], display=tube.display[rows], labels=tube.labels[rows])


def _study(plan: Any, level: float | None, folder: Path, settings: Settings, results: Results, step: Step) -> None:
    part = TRIAL if level is None else LEVEL
    before = 0.0 if level is None else settings.size.levels.index(level) / len(settings.size.levels)
    share = (1.0 if level is None else 1 / len(settings.size.levels)) / (2 * len(plan.tubes) + 1)
    done = 0

    def tell(n: int) -> None:
        nonlocal done
        done += n
        step(part, plan.title, before + 0.7 * done * share)

    study, run = studies.make_and_gate(plan, folder, settings.template, jobs=settings.jobs, done=tell)
    rows = simulated.score_study(study, run)
    results.studies.append(
        ScoredStudy(
            title=plan.title,
            level=level,
            n_tubes=len(plan.tubes),
            rows=rows,
            awkward=simulated.score_awkward(study, run),
            peers=against.peers_on_study(study, run, tubes=settings.size.peer_tubes, jobs=settings.jobs),
        )
    )
    results.templates.setdefault("tbnk", next((row["template"] for row in rows if row["template"]), settings.template))


def _perturbed(settings: Settings, results: Results, step: Step) -> None:
    path = settings.data / perturbed.TUBE
    if not path.is_file():
        results.not_scored["perturbed"] = f"no {perturbed.TUBE} in the reference data"
        return
    with tempfile.TemporaryDirectory() as folder:
        source = perturbed.open_source(path, settings.template, Path(folder))
        chosen = list(perturbed.perturbations(source))
        if settings.size.perturbations is not None:  # evenly taken, so that there is one of every sort
            chosen = chosen[:: max(len(chosen) // settings.size.perturbations, 1)]
        told: list[str] = []

        def tell(name: str) -> None:
            told.append(name)
            step("perturbed", name, 0.75 * len(told) / (len(chosen) + 1))

        results.perturbed = perturbed.score_source(source, settings.template, Path(folder), chosen, tell)
        names = None if settings.size.perturbations is None else ["the tube as it is"]
        results.perturbed_peers = against.peers_on_perturbed(source, only=names)
