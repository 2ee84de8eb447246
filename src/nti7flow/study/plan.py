"""What is to be gated, and with what: study.yaml, folders and files become a list of tubes and a recipe."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from nti7flow.errors import ConfigError, did_you_mean
from nti7flow.events.notes import Repair
from nti7flow.events.spillover import Spillover
from nti7flow.gating.strategy import GatingStrategy
from nti7flow.gating.template import GatingTemplate, load_template
from nti7flow.study.folders import check_name, data_sets_at, file_sha256
from nti7flow.study.study_file import NO_TEMPLATE, OpenStudy, StudyFile, open_study, panel_of
from nti7flow.trial import SampleRow, SheetPlace, Trial
from nti7flow.trial.days import Timing, timing

if TYPE_CHECKING:
    from nti7flow.interop.flowjo.workspace import Workspace
    from nti7flow.study.lock import Lock
    from nti7flow.study.strategy_file import StrategyFile

REPAIRS: tuple[Repair, ...] = get_args(Repair)


@dataclass(frozen=True, slots=True)
class Tube:
    """One tube to gate.

    ``row`` is its line of the sample sheet, where there is one; ``data_sets`` are all that the plan has of its file.
    Where gates are from a workspace, ``gates_of`` is the sample of it that the tube is; ``problem`` says that another
    tube is it too.
    """

    sample: str
    path: Path
    file: str
    data_set: int
    template: str
    row: SampleRow | None = None
    data_sets: tuple[int, ...] = (0,)
    gates_of: str = ""
    problem: str = ""
    timing: Timing | None = None

    @property
    def batch(self) -> str:
        """Staining batch; tubes without one form a batch of their own kind."""
        return (self.row.batch if self.row is not None else None) or ""


@dataclass(frozen=True)
class Plan:
    """Everything that can change a number: tubes, templates, compensation, repair, markers named by hand, sheets.

    Where gates are from a file, ``gates`` are its content, and ``strategy`` what the recipe says of it. ``opened`` is
    the study; what of it changes no gate is for counting.
    """

    tubes: tuple[Tube, ...]
    templates: Mapping[str, GatingTemplate]
    spillover: str
    markers: Mapping[str, str] = field(default_factory=dict)
    study: str = ""
    sheets: Mapping[str, str] = field(default_factory=dict)
    repair: Repair = "safe"
    strategy: StrategyFile | None = None
    gates: GatingStrategy | Workspace | None = None
    lock: Lock | None = None
    opened: OpenStudy | None = None

    def recipe(self) -> dict[str, Any]:
        """Return the recipe as plain values; workers, logging and folders are not in it."""
        recipe = {
            "study": self.study,
            "templates": {
                name: {"reference": t.reference, "sha256": t.recipe_hash} for name, t in sorted(self.templates.items())
            },
            "spillover": self.spillover if self.spillover in ("keyword", "none") else file_sha256(Path(self.spillover)),
            "markers": dict(sorted(self.markers.items())),
            "sheets": dict(sorted(self.sheets.items())),
        }
        # Left out where it is the default, as in every run made before there was a choice.
        recipe |= {} if self.repair == "safe" else {"repair": self.repair}
        recipe |= {} if self.lock is None else {"lock": self.lock.recipe()}
        return recipe if self.strategy is None else recipe | {"strategy": self.strategy.recipe()}

    @property
    def has_stored_counts(self) -> bool:
        """Whether counts of another program may have come with the gates."""
        return self.gates is not None and not isinstance(self.gates, GatingStrategy)

    @property
    def unmatched(self) -> tuple[str, ...]:
        """Samples of a workspace that none of the tubes is."""
        from nti7flow.study.strategy_file import unmatched

        return () if self.gates is None or self.strategy is None else unmatched(self.gates, self.strategy, self.tubes)

    @property
    def light(self) -> Plan:
        """The plan without what a worker needs not, or is given by itself: the other tubes, and the gates of all."""
        return replace(self, tubes=(), gates=None, lock=None, opened=None)

    def recipe_hash(self) -> str:
        """SHA-256 of the recipe."""
        return hashlib.sha256(json.dumps(self.recipe(), sort_keys=True).encode()).hexdigest()


def checked_repair(repair: str) -> Repair:
    """Return how files are read, or refuse a word that says nothing."""
    for known in REPAIRS:
        if repair == known:
            return known
    raise ConfigError(f"repair is '{repair}'; safe, none or salvage was expected.{did_you_mean(repair, REPAIRS)}")


def make_plan(
    paths: Sequence[str | Path],
    *,
    template: str | Path | None = None,
    strategy: str | Path | None = None,
    group: str | None = None,
    spillover: str | None = None,
    markers: Mapping[str, str] | None = None,
    repair: Repair = "safe",
    lock: str | None = None,
) -> Plan:
    """Plan for a study.yaml, or for files and folders.

    Parameters
    ----------
    paths : sequence of path
        One study.yaml, or any number of FCS files and folders (searched recursively for .fcs and .lmd in any case).
        Each data set of a file is a tube of its own.
    template : str or Path, optional
        Template for every tube; overrides those of a study.yaml. Without one, this or ``strategy`` is required.
    strategy : str or Path, optional
        Instead of templates: Gating-ML 2.0, a FlowJo workspace, or the JSON of a run, for every tube.
    group : str, optional
        Group of samples of a workspace; tubes are matched to its samples only.
    spillover : str, optional
        ``keyword`` (the default), ``none``, or the path of a CSV; overrides the study.yaml. With a strategy, it is for
        the gates that ask for the tube's own matrix.
    markers : mapping, optional
        Markers assigned by hand, marker to detector; for templates.
    repair : {"safe", "none", "salvage"}
        How the files are read, as for `read_fcs`.
    lock : str, optional
        ``TEMPLATE@RUN``: gate with the thresholds of an earlier run, moved only as control specimens move.

    Raises
    ------
    ConfigError
        Nothing to gate, or a study, sheet or template with mistakes.
    StrategyError
        The file of gates cannot be used.
    """
    repair = checked_repair(repair)
    _check_choice(template=template, strategy=strategy, group=group, markers=markers)
    if lock is not None:
        if strategy is not None:
            raise ConfigError(
                f"--lock {lock} and --strategy {strategy}: both say which gates to use; give one of them."
            )
        plan = make_plan(paths, template=template, spillover=spillover, markers=markers, repair=repair)
        from nti7flow.study.lock import open_lock

        return replace(plan, lock=open_lock(lock, plan.templates))
    places = [Path(path) for path in paths]
    studies = [place for place in places if place.suffix.lower() in (".yaml", ".yml") and not place.is_dir()]
    if studies and len(places) > 1:
        raise ConfigError(f"{studies[0]}: a study.yaml names its own files; give it alone.")
    if strategy is not None:
        return _strategy_plan(places, studies, Path(strategy), group, spillover, repair)
    if studies:
        return _study_plan(studies[0], template, spillover, markers or {}, repair)
    if template is None:
        raise ConfigError(
            "which template? Say --template tbnk (see: nti7flow templates), or give a study.yaml; --strategy gates.xml "
            "instead takes the gates of a file."
        )
    loaded = load_template(template)
    tubes = _found_tubes(places, loaded.reference, repair)
    return Plan(
        tubes=tubes,
        templates={loaded.reference: loaded},
        spillover=_checked(spillover or "keyword"),
        markers=dict(markers or {}),
        repair=repair,
    )


def _check_choice(*, template: object, strategy: object, group: str | None, markers: Mapping[str, str] | None) -> None:
    """Refuse options that contradict each other."""
    if strategy is None and group is not None:
        raise ConfigError(f"--group {group}: groups are of a FlowJo workspace; say which: --strategy FILE.wsp.")
    if strategy is not None and template is not None:
        raise ConfigError(f"--template {template} and --strategy {strategy}: both say how to gate; give one of them.")
    if strategy is not None and markers:
        raise ConfigError(f"--marker {next(iter(markers))}: a strategy names channels, not markers. Leave it out.")


def _strategy_plan(
    places: Sequence[Path],
    studies: Sequence[Path],
    path: Path,
    group: str | None,
    spillover: str | None,
    repair: Repair,
) -> Plan:
    """Plan in which every tube is gated by a file of gates; of a study.yaml its sheets and compensation are used."""
    from nti7flow.study.strategy_file import check_spillover, match_tubes, open_strategy

    gates, file = open_strategy(path, group=group)
    if spillover is not None:
        check_spillover(gates, file, spillover)
    if studies:
        plan = _study_plan(studies[0], None, spillover, {}, repair, strategy=file.name)
    else:
        tubes = _found_tubes(places, file.name, repair)
        plan = Plan(tubes=tubes, templates={}, spillover=_checked(spillover or "keyword"), repair=repair)
    if isinstance(gates, GatingStrategy):
        uses_own, tubes = gates.needs_spillover, plan.tubes
    else:
        uses_own, tubes = False, match_tubes(plan.tubes, gates, file, repair=repair)
    # What no gate asks for changes no number: it is no part of the recipe.
    return replace(plan, tubes=tubes, spillover=plan.spillover if uses_own else "keyword", strategy=file, gates=gates)


def _checked(spillover: str, folder: Path | None = None) -> str:
    """Return a choice of matrix with its path made absolute; a mistake in it is said once, before tubes are opened."""
    if spillover in ("keyword", "none"):
        return spillover
    path = (folder or Path()).joinpath(spillover).resolve()
    Spillover.from_csv(path)
    return str(path)


def _found_tubes(paths: Sequence[Path], template: str, repair: Repair) -> tuple[Tube, ...]:
    """Return tubes for files and folders, one per data set, sorted by name; each is named after its file."""
    found = data_sets_at(paths, repair)
    if not found:
        raise ConfigError("nothing to gate: give FCS files, folders or a study.yaml.")
    tubes = [Tube(name, path, file, data_set, template) for name, path, file, data_set in found]
    return _in_order(tubes)


def _in_order(tubes: list[Tube]) -> tuple[Tube, ...]:
    """Tubes sorted by name; each is told which data sets of its file are in the plan."""
    together: dict[Path, list[int]] = {}
    for tube in tubes:
        together.setdefault(tube.path, []).append(tube.data_set)
    told = [replace(tube, data_sets=tuple(sorted(together[tube.path]))) for tube in tubes]
    return tuple(sorted(told, key=lambda tube: tube.sample))


def _study_plan(
    path: Path,
    template: str | Path | None,
    spillover: str | None,
    markers: Mapping[str, str],
    repair: Repair,
    *,
    strategy: str = "",
) -> Plan:
    """Plan for a study.yaml; with a strategy no template is loaded, and every tube is said to be gated by that."""
    opened = open_study(path, any_panel=bool(strategy))
    study, trial, folder = opened.file, opened.trial, path.parent
    gated = {} if strategy else {panel: ref for panel, ref in study.templates.items() if ref != NO_TEMPLATE}
    loaded = {panel: load_template(template or _template_reference(ref, folder)) for panel, ref in gated.items()}
    tubes = _sheet_tubes(trial.samples, trial.places["samples"], study, loaded, strategy=strategy, study_file=path.name)
    tubes = [replace(tube, timing=_timing(trial, tube.row)) for tube in tubes]
    return Plan(
        tubes=_in_order(tubes),
        templates={t.reference: t for t in loaded.values()},
        spillover=_checked(spillover) if spillover is not None else _checked(study.compensation, folder),
        markers=dict(markers),
        study=study.study,
        sheets=opened.sheets,
        repair=repair,
        opened=opened,
    )


def _timing(trial: Trial, row: SampleRow | None) -> Timing | None:
    """Where a tube's specimen lies among the doses of its subject; None where there are none."""
    if row is None or row.subject is None or row.collected_at is None:
        return None
    doses = [(dose.dose, dose.given_at) for dose in trial.doses_of(row.subject)]
    return timing(row.collected_at, doses, zone=trial.zone, timepoint=row.timepoint) if doses else None


def _sheet_tubes(
    rows: Sequence[SampleRow],
    sheet: SheetPlace,
    study: StudyFile,
    loaded: Mapping[str, GatingTemplate],
    *,
    strategy: str,
    study_file: str,
) -> list[Tube]:
    """Tubes of the checked sample sheet that are gated; raises `ConfigError` where there is none."""
    tubes = []
    for row in rows:
        panel = panel_of(row, study)
        if not strategy and panel not in loaded:
            continue  # its template is 'none'
        file = (sheet.path.parent / row.file).resolve()
        check_name(file)
        tubes.append(Tube(row.sample, file, row.file, row.data_set, strategy or loaded[panel].reference, row))
    if problems := list(_clashes(loaded)):
        raise ConfigError("\n".join(problems))
    if not tubes:
        without = ", ".join(panel for panel, ref in study.templates.items() if ref == NO_TEMPLATE)
        raise ConfigError(f"{study_file}: no tube is left to gate: the panels {without} have the template 'none'.")
    return tubes


def _clashes(loaded: Mapping[str, GatingTemplate]) -> Iterator[str]:
    """Templates that go by one name and version but differ: which one made a count could not be told."""
    first: dict[str, GatingTemplate] = {}
    for template in loaded.values():
        other = first.setdefault(template.reference, template)
        if other.recipe_hash != template.recipe_hash:
            yield (
                f"{other.source} and {template.source} both say {template.reference} but differ; "
                "give the changed one its own name or version."
            )


def _template_reference(reference: str, folder: Path) -> str | Path:
    """Return a released template's name as it is, and a path relative to the study file."""
    return folder / reference if reference.endswith((".yaml", ".yml")) else reference
