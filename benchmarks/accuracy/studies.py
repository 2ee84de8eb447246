"""The simulated studies that are scored: a whole trial with awkward cases, and patients at one level of CD4 T cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nti7flow.simulation.laboratory import Laboratory
from nti7flow.simulation.patients import DOZEN
from nti7flow.simulation.study import StudyPlan, plan_study, write_study
from nti7flow.simulation.trial import BloodDraw, SimulatedTrial, simulate_trial
from nti7flow.study.gate import gate_study
from nti7flow.study.plan import make_plan

#: CD4 T cells per microlitre of the studies at one level.
LEVELS = (200.0, 50.0, 20.0, 5.0)
_CD4 = "cd4_"


def plan_trial(*, seed: int = 1, subjects: int = DOZEN, events: int = 30_000) -> StudyPlan:
    """Plan a whole trial with awkward cases, TBNK tubes only."""
    return plan_study(subjects=subjects, seed=seed, events=events, panel="tbnk", awkward=True)


def plan_level(
    cd4_per_ul: float, *, seed: int = 11, subjects: int = DOZEN, draws: int = 3, events: int = 30_000
) -> StudyPlan:
    """Plan a study whose patients all have a given number of CD4 T cells; all else is as it was drawn.

    Of each patient some draws are kept, spread over the course, so that resting, cycling and aged blood are among them.
    The CD4 T cells of each are scaled to the level with their subsets in proportion. The haematology of these draws is
    left out: it would be of the blood as it was.
    """
    trial = simulate_trial(seed, n_subjects=subjects)
    kept = [
        replace(draw, cells_per_ul=_at_level(draw.cells_per_ul, cd4_per_ul))
        for patient in trial.patients
        for draw in _spread([d for d in trial.draws if d.subject == patient.subject.subject], draws)
    ]
    trial = SimulatedTrial(trial.patients, trial.doses, tuple(kept), (), trial.events)
    laboratory = Laboratory(seed, trial, {"tbnk": events}, {"tbnk": max(events // 2, 1_000)})
    title = f"{len(kept)} specimens with {cd4_per_ul:g} CD4 T cells/uL"
    return StudyPlan(f"SIM-CD4-{cd4_per_ul:g}", title, trial, laboratory.plans())


def _at_level(cells_per_ul: Mapping[str, float], cd4_per_ul: float) -> dict[str, float]:
    now = sum(value for name, value in cells_per_ul.items() if name.startswith(_CD4))
    return {n: value * cd4_per_ul / now if n.startswith(_CD4) else value for n, value in cells_per_ul.items()}


def _spread(draws: Sequence[BloodDraw], n: int) -> list[BloodDraw]:
    """Take n draws evenly over a patient's course, first and last included."""
    if len(draws) <= n:
        return list(draws)
    return [draws[round(i * (len(draws) - 1) / max(n - 1, 1))] for i in range(n)]


def make_and_gate(
    plan: StudyPlan,
    folder: Path,
    template: str | Path,
    *,
    jobs: int = 1,
    done: Callable[[int], None] = lambda n: None,
) -> tuple[Path, Path]:
    """Write a planned study into ``folder/study`` and gate it as one into ``folder/run``, so that pooled fits can pool.

    ``done`` is told of each tube twice: once made, once gated.
    """
    study, run = folder / "study", folder / "run"
    folder.mkdir(parents=True, exist_ok=True)
    write_study(study, plan, jobs=jobs, done=lambda sample: done(1))
    gating = make_plan([study / "study.yaml"], template=template)
    gate_study(gating, run, jobs=jobs, figures="none", done=lambda tube: done(1))
    return study, run
