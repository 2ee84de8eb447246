"""A whole simulated study in a folder: tubes, sheets, and the truth about them."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from nti7flow.errors import ConfigError, Nti7flowError, did_you_mean
from nti7flow.simulation.awkward import AWKWARD_COLUMNS, AwkwardCase, make_awkward
from nti7flow.simulation.blood import by_population
from nti7flow.simulation.files import digits, write_csv, write_labels, write_tube
from nti7flow.simulation.laboratory import CYTOMETERS, Laboratory, TubePlan
from nti7flow.simulation.sample_patients import simulate_sample_trial
from nti7flow.simulation.sheets import write_sheets
from nti7flow.simulation.trial import SimulatedTrial, simulate_trial

PANELS = ("tbnk", "tcell", "both")
_FEWEST_EVENTS, _MOST_SUBJECTS = 1_000, 1_000
#: Purpose of a random stream.
_SPOILING = 201

Done = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SimulatedStudy:
    """What was written.

    Attributes
    ----------
    path : Path
        Folder of the study.
    n_subjects, n_doses, n_specimens, n_tubes : int
        Of patients: subjects, doses, blood draws; tubes with those of controls.
    cases : tuple of AwkwardCase
        Tubes that something was done to.
    """

    path: Path
    n_subjects: int
    n_doses: int
    n_specimens: int
    n_tubes: int
    cases: tuple[AwkwardCase, ...]


@dataclass(frozen=True)
class StudyPlan:
    """A study that can be written: what happened in the trial, and the tubes to be made.

    Attributes
    ----------
    study, title : str
        For study.yaml.
    trial : SimulatedTrial
        Patients, doses, draws.
    tubes : tuple of TubePlan
        Every tube, those of controls too.
    cases : tuple of AwkwardCase
        What was done to some of them.
    acceptance : Mapping of str to float
        Limits of acceptance for study.yaml that are not the usual ones.
    """

    study: str
    title: str
    trial: SimulatedTrial
    tubes: tuple[TubePlan, ...]
    cases: tuple[AwkwardCase, ...] = ()
    acceptance: Mapping[str, float] = field(default_factory=dict, hash=False)


def simulate_study(
    out: str | Path,
    *,
    subjects: int = 12,
    seed: int = 1,
    events: int = 30_000,
    panel: str = "both",
    awkward: bool = False,
    jobs: int = 1,
    done: Done = lambda sample: None,
) -> SimulatedStudy:
    """Simulate a trial of NT-I7 in lymphopenic patients, and write it with the truth about it.

    The folder holds ``tubes/*.fcs``, ``study.yaml``, the sheets a lab writes, and ``truth/``: what every event is
    (``labels/<sample>.parquet``), true concentrations (``concentrations.csv``), what happened to each tube
    (``tubes.csv``), its counts (``counts.csv``), and the patients (``patients.csv``).

    Parameters
    ----------
    out : str or Path
        Folder to make; it must be empty if it exists.
    subjects : int, optional
        Patients, from 1.
    seed : int, optional
        Same seed, same bytes, for any number of workers.
    events : int, optional
        Events at which a tube is stopped, from 1,000; tubes of controls at half as many.
    panel : {"tbnk", "tcell", "both"}, optional
        Which tubes are made of each specimen.
    awkward : bool, optional
        Spoil some of the tubes as laboratories do; ``truth/awkward.csv`` says which, and what should be noticed.
    jobs : int, optional
        Worker processes.
    done : callable, optional
        Told of each tube as it is finished, for a progress bar.

    Raises
    ------
    ConfigError
        The folder is not empty, a number is out of range, or there are too few tubes for the awkward cases.
    """
    plan = plan_study(subjects=subjects, seed=seed, events=events, panel=panel, awkward=awkward)
    return write_study(out, plan, jobs=jobs, done=done)


def plan_study(
    *, subjects: int = 12, seed: int = 1, events: int = 30_000, panel: str = "both", awkward: bool = False
) -> StudyPlan:
    """Plan what `simulate_study` writes; its parameters mean the same."""
    if panel not in PANELS:
        raise ConfigError(f"panel is '{panel}'; expected {', '.join(PANELS)}.{did_you_mean(panel, PANELS)}")
    for name, value, least in (("subjects", subjects, 1), ("seed", seed, 0), ("events", events, _FEWEST_EVENTS)):
        if value < least:
            raise ConfigError(f"{name} is {value}; expected a whole number from {least:,}.")
    if subjects > _MOST_SUBJECTS:
        raise ConfigError(f"subjects is {subjects}; expected at most {_MOST_SUBJECTS:,}.")
    panels = tuple(CYTOMETERS) if panel == "both" else (panel,)
    trial = simulate_trial(seed, n_subjects=subjects)
    laboratory = Laboratory(
        seed,
        trial,
        dict.fromkeys(panels, events),
        dict.fromkeys(panels, max(events // 2, _FEWEST_EVENTS)),
    )
    tubes = laboratory.plans()
    cases: tuple[AwkwardCase, ...] = ()
    if awkward:
        tubes, cases = make_awkward(np.random.default_rng([seed, _SPOILING]), tubes)
    people = "1 simulated patient" if subjects == 1 else f"{subjects} simulated patients"
    return StudyPlan("SIM-NT-I7", f"{people}, up to three doses of NT-I7", trial, tubes, cases)


def plan_sample_study(seed: int = 1) -> StudyPlan:
    """Plan the small study that ships in sample_fcs/."""
    trial = simulate_sample_trial(seed)
    events, of_controls = {"tbnk": 9_500, "tcell": 6_000}, {"tbnk": 4_000, "tcell": 2_000}
    laboratory = Laboratory(seed, trial, events, of_controls, stop_at=(1.0, 0.0, 0.0))
    title = "Three simulated patients before and after NT-I7"
    # Its tubes are small, to be shipped: a thousand beads are not in all of them.
    return StudyPlan("sample", title, trial, laboratory.plans(), acceptance={"bead_events": 300})


def write_study(out: str | Path, plan: StudyPlan, *, jobs: int = 1, done: Done = lambda sample: None) -> SimulatedStudy:
    """Make the tubes that are planned, and write everything about them.

    Raises
    ------
    ConfigError
        The folder is not empty.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file; name a new folder.")
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out}: is there already and not empty; name a new folder.")
    # Beside it until all is written: half a study would be taken for a whole one.
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        study = _write(unfinished, plan, jobs, done)
        unfinished.replace(out)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return replace(study, path=out)


def _write(out: Path, plan: StudyPlan, jobs: int, done: Done) -> SimulatedStudy:
    for folder in ("tubes", "truth/labels"):
        (out / folder).mkdir(parents=True)
    made: dict[str, _Made] = {}
    originals = [tube for tube in plan.tubes if not tube.copy_of]
    for tube, result in zip(originals, _map(partial(_make, out), originals, jobs), strict=True):
        made[tube.sample] = result
        done(tube.sample)
    for tube in (tube for tube in plan.tubes if tube.copy_of):
        _copy(out, tube.copy_of, tube.sample)
        made[tube.sample] = made[tube.copy_of]
        done(tube.sample)
    write_sheets(out, plan.trial, plan.tubes, study=plan.study, title=plan.title, acceptance=plan.acceptance)
    _write_truth(out / "truth", plan, made)
    trial = plan.trial
    return SimulatedStudy(out, len(trial.patients), len(trial.doses), len(trial.draws), len(plan.tubes), plan.cases)


@dataclass(frozen=True, slots=True)
class _Made:
    """What is known of a tube once it is made."""

    n_events: int
    acquired_ul: float
    seconds: float
    stopped_by: str
    counts: Mapping[str, int]
    cells: Mapping[str, int]
    expected: Mapping[str, float]


def _make(out: Path, plan: TubePlan) -> _Made:
    tube = plan.simulate()
    write_tube(out / plan.file, tube, plan)
    write_labels(out / "truth" / "labels" / f"{plan.sample}.parquet", tube)
    return _Made(
        len(tube.events),
        tube.acquired_ul,
        tube.seconds,
        tube.stopped_by,
        tube.counts(),
        tube.cells(),
        tube.expected(),
    )


def _copy(out: Path, source: str, sample: str) -> None:
    shutil.copyfile(out / "tubes" / f"{source}.fcs", out / "tubes" / f"{sample}.fcs")
    labels = out / "truth" / "labels"
    shutil.copyfile(labels / f"{source}.parquet", labels / f"{sample}.parquet")


def _map(make: Callable[[TubePlan], _Made], plans: Sequence[TubePlan], jobs: int) -> Iterator[_Made]:
    """Make the tubes in order, here or in worker processes."""
    if jobs <= 1:
        yield from map(make, plans)
        return
    # Spawned, not forked: a fork copies whatever threads and locks the libraries hold.
    try:
        with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
            yield from pool.map(make, plans)
    except BrokenProcessPool:
        raise Nti7flowError(
            "a worker process was killed, most likely for want of memory; try again with one job. (A script of your "
            "own that uses workers must start its work under: if __name__ == '__main__'.)"
        ) from None


def _write_truth(truth: Path, plan: StudyPlan, made: Mapping[str, _Made]) -> None:
    write_csv(truth / "concentrations.csv", ("specimen", "population", "cells_per_ul"), _concentrations(plan))
    counts = (
        (tube.sample, name, result.counts.get(name), result.cells.get(name), digits(result.expected.get(name)))
        for tube, result in ((tube, made[tube.sample]) for tube in plan.tubes)
        for name in dict.fromkeys([*result.counts, *result.cells])
    )
    write_csv(truth / "counts.csv", ("sample", "population", "n_events", "n_cells", "expected_cells"), counts)
    # A copy of a file is the tube that was copied, whatever was in the place it takes.
    planned = {tube.sample: tube for tube in plan.tubes}
    tubes = ((tube.sample, planned[tube.copy_of or tube.sample]) for tube in plan.tubes)
    write_csv(truth / "tubes.csv", _TUBE_COLUMNS, (_tube(sample, tube, made[sample]) for sample, tube in tubes))
    write_csv(truth / "patients.csv", _PATIENT_COLUMNS, _patients(plan.trial))
    if plan.cases:
        rows = ([getattr(case, name) for name in AWKWARD_COLUMNS] for case in plan.cases)
        write_csv(truth / "awkward.csv", AWKWARD_COLUMNS, rows)


def _concentrations(plan: StudyPlan) -> Iterator[tuple[object, ...]]:
    """Yield true concentrations of every specimen: of patients as drawn, of controls as their tubes were made."""
    per_ul = {draw.specimen: draw.cells_per_ul for draw in plan.trial.draws}
    per_ul = {tube.specimen: tube.cells_per_ul for tube in plan.tubes if not tube.subject} | per_ul
    for specimen, cells in per_ul.items():
        for population, per_ul_of_it in by_population(cells).items():
            yield specimen, population, digits(per_ul_of_it)


_TUBE_COLUMNS = (
    "sample",
    "holds",
    "specimen_ul",
    "suspension_ul",
    "beads",
    "acquired_ul",
    "seconds",
    "stopped_by",
    "n_events",
    "dead",
    "recovery",
    "clog_at_s",
    "clog_lasts_s",
    "carry_over",
)


def _tube(sample: str, plan: TubePlan, made: _Made) -> tuple[object, ...]:
    clog = plan.flow.clog
    return (
        sample,
        plan.holds,
        digits(plan.preparation.specimen_ul),
        digits(plan.preparation.suspension_ul),
        digits(plan.preparation.beads),
        digits(made.acquired_ul),
        digits(made.seconds),
        made.stopped_by,
        made.n_events,
        digits(plan.preparation.dead),
        digits(plan.preparation.recovery),
        digits(clog.at_s if clog else None),
        digits(clog.lasts_s if clog else None),
        made.counts["carry_over"],
    )


_PATIENT_COLUMNS = ("subject", "disease", "responds", "rituximab", "responses", "story")


def _patients(trial: SimulatedTrial) -> Iterator[tuple[object, ...]]:
    for patient in trial.patients:
        responses = " ".join(digits(factor, 3) for factor in patient.responses)
        yield (patient.subject.subject, patient.disease, patient.responds, patient.rituximab, responses, patient.story)
