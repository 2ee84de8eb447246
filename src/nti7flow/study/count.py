"""The step ``count``: from the counts of a run and the sheets of its study to cells per microlitre.

No event is looked at: what is needed of them, gating stored. So a corrected sheet is counted again in a moment, and
what was counted with the old one stays in its step.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nti7flow._version import __version__
from nti7flow.counting.acceptance.accept import Acceptance, accept, see_together
from nti7flow.counting.acceptance.limits import AcceptanceLimits
from nti7flow.counting.blanks import blank_rates, with_blanks
from nti7flow.counting.gated import GatedSample
from nti7flow.counting.hematology import alc_of
from nti7flow.counting.settings import CountingSettings
from nti7flow.counting.sheet_flags import judge_again
from nti7flow.counting.specimens import TUBE_LEFT_OUT, SpecimenResult, count_specimen, flag_method_changes
from nti7flow.errors import ConfigError
from nti7flow.gating.strategy import Severity, worst
from nti7flow.study.concentration_rows import budget_rows, concentration_rows, report_row
from nti7flow.study.count_figures import Figures, draw_counted, forget_counted
from nti7flow.study.gate import seen_from
from nti7flow.study.gated_tables import by_specimen, gated_samples, lost_tubes, whose_and_when
from nti7flow.study.store import Run, StepWriter, open_run
from nti7flow.study.study_file import OpenStudy, open_study
from nti7flow.study.tables import ACCEPTANCE, BUDGET, CONCENTRATIONS, REPORT_TABLE
from nti7flow.trial import Trial

#: What is said where a count has no step.
NOTHING_TO_COUNT_AGAINST = (
    "{run}: no concentrations: no tube has beads, a volume or a haematology count. They are named in the sheets of a "
    "study: --study study.yaml."
)


@dataclass(frozen=True)
class CountReport:
    """What a count found, for whoever prints it.

    ``step`` is None where there was nothing to count against; ``not_gated`` are tubes of the sheet that the run has
    not, of panels that are gated.
    """

    step: Path | None
    results: tuple[SpecimenResult, ...]
    acceptance: tuple[Acceptance, ...]
    not_gated: tuple[str, ...]
    figures: tuple[Path, ...] = ()

    @property
    def severity(self) -> Severity:
        """Worst of all concentrations and checks."""
        found = [c.severity for result in self.results for c in result.concentrations.values()]
        return worst(*found, *(check.severity for check in self.acceptance))

    @property
    def clean(self) -> bool:
        """Whether no concentration needs a second look."""
        return self.severity in ("", "info")


@dataclass(frozen=True)
class Counted:
    """Everything that a count says, before it is written: results, checks and the recipe."""

    results: tuple[SpecimenResult, ...]
    acceptance: tuple[Acceptance, ...]
    settings: CountingSettings
    recipe: Mapping[str, Any]
    not_gated: tuple[str, ...]

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Rows of every table of the step."""
        return {
            CONCENTRATIONS.name: [row for result in self.results for row in concentration_rows(result)],
            BUDGET.name: [row for result in self.results for row in budget_rows(result)],
            ACCEPTANCE.name: [_acceptance_row(check) for check in self.acceptance],
            REPORT_TABLE.name: [report_row(result, self.settings) for result in self.results],
        }


def count_run(
    path: Path,
    *,
    study: Path | OpenStudy | None = None,
    figures: Figures = "all",
    done: Callable[[str], None] = lambda specimen: None,
) -> CountReport:
    """Compute the concentrations of a run into a new step of its folder.

    Parameters
    ----------
    path : Path
        Run folder.
    study : Path or OpenStudy, optional
        The study.yaml with the sheets, or what was read of it; by default the one that was gated, where it still is. A
        run of files alone has none, and only tubes whose cytometer measured a volume have concentrations.
    figures : {"all", "flagged", "none"}
        Which subjects get a picture of their concentrations, in ``figures/concentrations`` of the run.
    done : callable
        Told of each specimen, for a progress bar.

    Returns
    -------
    CountReport
        Without a step where not a single tube has beads, a volume or a haematology count and there is no study.

    Raises
    ------
    ConfigError
        The study or a sheet is wrong, or lacks tubes of the run. Nothing is written.
    StoreError
        The run cannot be read or written.
    """
    run = open_run(path)
    opened = _study_of(run, study)
    counted = count(run, opened, done=done)
    if opened is None and not any(result.references for result in counted.results):
        return CountReport(None, counted.results, (), ())
    with StepWriter(path, "count") as step:
        rows = counted.rows()
        for table in (CONCENTRATIONS, BUDGET, ACCEPTANCE, REPORT_TABLE):
            step.add_rows(table, rows[table.name])
        text = json.dumps(counted.recipe, sort_keys=True)
        folder = step.commit(
            {
                "gating": run.step_folder().name,
                "recipe": counted.recipe,
                "recipe_sha256": hashlib.sha256(text.encode()).hexdigest(),
                **({} if opened is None else {"study_file": seen_from(path, opened.path)}),
                "software": {"nti7flow": __version__},
            }
        )
    forget_counted(path)
    drawn = draw_counted(open_run(path), figures=figures)
    return CountReport(folder, counted.results, counted.acceptance, counted.not_gated, drawn)


def _study_of(run: Run, study: Path | OpenStudy | None) -> OpenStudy | None:
    """Open the study of a run."""
    if isinstance(study, OpenStudy):
        return study
    recorded = run.step().get("study_file")
    if study is None and recorded is None:
        return None
    path = study if study is not None else (run.path / str(recorded)).resolve()
    if not path.is_file():
        raise ConfigError(f"{path}: no such study.yaml; the run was gated from there. Say where it is: --study FILE.")
    return open_study(path, any_panel=True)


def count(run: Run, study: OpenStudy | None, *, done: Callable[[str], None] = lambda specimen: None) -> Counted:
    """Compute the concentrations of a run, without writing anything."""
    settings = CountingSettings() if study is None else study.file.counting
    limits = AcceptanceLimits() if study is None else study.file.acceptance
    trial = Trial() if study is None else study.trial
    tubes = _tubes(run, study)
    results = flag_method_changes(list(_results(run, tubes, trial, settings, done)))
    sexes = {subject.subject: subject.sex for subject in trial.subjects}
    together = see_together(results)
    accepted = [
        accept(result, limits, sex=sexes.get(result.subject or ""), zone=trial.zone, together=together)
        for result in results
    ]
    recipe = {
        "gating": run.step()["recipe_sha256"],
        "counting": settings.model_dump(mode="json"),
        "acceptance": limits.model_dump(mode="json"),
        "sheets": {} if study is None else dict(sorted(study.sheets.items())),
    }
    gated = {*run.samples, *run.refused}
    panels = {tube.row.panel for tube in tubes if tube.row is not None}
    not_gated = [row.sample for row in trial.samples if row.sample not in gated and row.panel in panels]
    return Counted(
        tuple(result for result, _ in accepted),
        tuple(check for _, checks in accepted for check in checks),
        settings,
        recipe,
        tuple(not_gated),
    )


def _tubes(run: Run, study: OpenStudy | None) -> tuple[GatedSample, ...]:
    """Return the tubes of a run, with what the sheet and the controls of their batch say of their counts."""
    tubes = gated_samples(run, None if study is None else study.trial)
    if study is not None:
        flags = {entry["sample"]: dict(entry.get("flags", [])) for entry in run.step()["inputs"]}
        tubes = judge_again(tubes, flags, run.strategy)
    controls = {tube.sample: run.strategy(tube.sample) for tube in tubes if tube.row is not None and tube.row.left_out}
    rates = blank_rates(tubes, controls)
    return tuple(with_blanks(tube, rates) for tube in tubes)


def _results(
    run: Run, tubes: Sequence[GatedSample], trial: Trial, settings: CountingSettings, done: Callable[[str], None]
) -> Iterator[SpecimenResult]:
    """Yield the concentrations of each specimen."""
    for specimen, together in by_specimen(tubes, trial):
        subject, at, side = whose_and_when(together)
        hematology = [row for row in trial.hematology if row.subject == subject]
        doses = [(dose.dose, dose.given_at) for dose in trial.doses if dose.subject == subject]
        alc = alc_of(at, side, hematology, settings, trial.zone, doses)
        result = count_specimen(specimen, together, alc, settings)
        yield result.flagged(TUBE_LEFT_OUT, "review") if lost_tubes(run, trial, together) else result
        done(specimen)


def _acceptance_row(check: Acceptance) -> dict[str, Any]:
    return {name: getattr(check, name) for name in (column.name for column in ACCEPTANCE.columns)}
