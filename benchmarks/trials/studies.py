"""A simulated trial in a folder, gated: made there unless it is there already."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.trials.cases import Case, score_cases
from benchmarks.trials.rows import Frame, score_rows
from nti7flow.simulation.study import simulate_study
from nti7flow.study.count import count
from nti7flow.study.gate import gate_study
from nti7flow.study.plan import make_plan
from nti7flow.study.store import open_run
from nti7flow.study.study_file import open_study


@dataclass(frozen=True, slots=True)
class Size:
    """Which trials: a seed each, with so many subjects, and so many events a tube."""

    seeds: Sequence[int] = tuple(range(801, 811))
    subjects: int = 13
    events: int = 30_000


FULL = Size()


@dataclass(frozen=True, slots=True)
class ScoredTrial:
    """One trial: a row for each specimen of a patient and population, and what was said of each awkward tube."""

    seed: int
    rows: Frame
    cases: tuple[Case, ...]
    n_specimens: int
    n_lots: int


def measure(seed: int, size: Size, *, folder: Path | None, jobs: int) -> ScoredTrial:
    """Score a trial in ``folder``, or in one that is gone afterwards."""
    if folder is not None:
        return score_trial(seed, *make_and_gate(folder, seed, size, jobs=jobs))
    with TemporaryDirectory() as gone:
        return score_trial(seed, *make_and_gate(Path(gone), seed, size, jobs=jobs))


def make_and_gate(folder: Path, seed: int, size: Size, *, jobs: int = 1) -> tuple[Path, Path]:
    """Simulate a trial into ``folder/s<seed>`` and gate it into ``folder/r<seed>``; what is there is not made again."""
    study, run = folder / f"s{seed}", folder / f"r{seed}"
    if study.exists():
        _check(study, size)
    else:
        simulate_study(
            study, subjects=size.subjects, seed=seed, events=size.events, panel="tbnk", awkward=True, jobs=jobs
        )
    if not run.exists():
        gate_study(make_plan([study / "study.yaml"]), run, jobs=jobs, figures="none")
    return study, run


def _check(study: Path, size: Size) -> None:
    """See that a trial that was there is whole and of the size asked for; its seed cannot be seen."""
    if not (study / "truth" / "awkward.csv").is_file():
        raise SystemExit(f"{study}: is no whole simulated trial (no truth/awkward.csv); remove it and start again.")
    n_subjects = len(read_sheet(study / "subjects.csv"))
    if n_subjects != size.subjects:
        raise SystemExit(f"{study}: has {n_subjects} subjects, where {size.subjects} are asked for (--subjects).")


def score_trial(seed: int, study: Path, run: Path) -> ScoredTrial:
    """Count a gated trial again, as it is counted today, and score it. Nothing is written."""
    opened = open_run(run)
    counted = count(opened, open_study(study / "study.yaml", any_panel=True))
    tables = counted.rows()
    truth = study / "truth"
    samples = read_sheet(study / "samples.csv")
    patients = [row for row in samples if row["role"] == "patient"]
    awkward = read_sheet(truth / "awkward.csv")
    rows = score_rows(
        tables["concentrations"],
        patients,
        truth=read_sheet(truth / "concentrations.csv"),
        expected=read_sheet(truth / "counts.csv"),
        awkward={name for row in awkward for name in (row["sample"], row["other"]) if name},
    )
    cases = score_cases(awkward, samples, tables["concentrations"], tables["acceptance"], opened.refused)
    misnamed = {row["sample"] for row in awkward if row["case"] == "wrong_lot_number"}
    lots = {row["bead_lot"] for row in patients if row["sample"] not in misnamed} - {""}
    return ScoredTrial(
        seed,
        rows.assign(trial=seed),
        tuple(replace(case, trial=seed) for case in cases),
        len({row["specimen"] for row in patients}),
        len(lots),
    )


def read_sheet(path: Path) -> list[dict[str, str]]:
    """Rows of a sheet or of a table of truth."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
