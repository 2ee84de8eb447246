"""The sheets a lab would write about a simulated study."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

from nti7flow.simulation.clinic import TIME_ZONE
from nti7flow.simulation.files import digits, write_csv
from nti7flow.simulation.laboratory import BEAD_CV, CYTOMETERS, SPECIMEN_UL, TubePlan
from nti7flow.simulation.trial import SimulatedTrial
from nti7flow.trial.clinical_events import EVENT_COLUMNS
from nti7flow.trial.doses import DOSE_COLUMNS
from nti7flow.trial.hematology import HEMATOLOGY_COLUMNS
from nti7flow.trial.reagents import REAGENT_COLUMNS
from nti7flow.trial.samples import SAMPLE_COLUMNS
from nti7flow.trial.subjects import SUBJECT_COLUMNS

#: Template of each panel; ``none`` where there is none yet, so that its tubes wait ungated.
TEMPLATES: Mapping[str, str] = {"tbnk": "tbnk@2.0.0", "tcell": "none"}
_CLONES: Mapping[str, str] = {
    "CD3": "UCHT1",
    "CD16_56": "3G8+NCAM16.2",
    "CD45": "2D1",
    "CD4": "SK3",
    "CD19": "SJ25C1",
    "CD8": "SK1",
    "CCR7": "G043H7",
    "CD127": "A019D5",
    "CD27": "O323",
    "CD28": "CD28.2",
    "CD31": "WM59",
    "CD25": "M-A251",
    "CD95": "DX2",
    "PD1": "EH12.2H7",
    "Ki67": "B56",
    "CD45RA": "HI100",
}


def write_sheets(
    out: Path,
    trial: SimulatedTrial,
    plans: Sequence[TubePlan],
    *,
    study: str,
    title: str,
    acceptance: Mapping[str, float] | None = None,
) -> None:
    """Write study.yaml, with limits of acceptance that are not the usual ones, and all sheets into a folder."""
    panels = list(dict.fromkeys(plan.panel for plan in plans))
    text = _study_yaml(study, title, panels, acceptance or {})
    (out / "study.yaml").write_text(text, encoding="utf-8", newline="\n")
    _write(out / "samples.csv", (*SAMPLE_COLUMNS, "stop_rule"), (_sample(plan) for plan in plans))
    _write(out / "subjects.csv", SUBJECT_COLUMNS, (_fields(p.subject, SUBJECT_COLUMNS) for p in trial.patients))
    _write(out / "doses.csv", DOSE_COLUMNS, (_fields(dose, DOSE_COLUMNS) for dose in trial.doses))
    rows = (_fields(row, HEMATOLOGY_COLUMNS) for row in trial.hematology)
    _write(out / "hematology.csv", HEMATOLOGY_COLUMNS, rows)
    _write(out / "events.csv", EVENT_COLUMNS, (_fields(event, EVENT_COLUMNS) for event in trial.events))
    _write(out / "reagents.csv", REAGENT_COLUMNS, _reagents(plans))


def _study_yaml(study: str, title: str, panels: Sequence[str], acceptance: Mapping[str, float]) -> str:
    lines = [
        "schema: nti7flow/study/1",
        f"study: {study}",
        f"title: {title}",
        f"time_zone: {TIME_ZONE}",
        "templates:",
        *(f"  {panel}: {TEMPLATES[panel]}" for panel in panels),
        "compensation: keyword",
        "sheets:",
        *(f"  {name}: {name}.csv" for name in ("samples", "subjects", "doses", "hematology", "events", "reagents")),
        *(["acceptance:"] if acceptance else []),
        *(f"  {name}: {value:g}" for name, value in acceptance.items()),
    ]
    return "\n".join(lines) + "\n"


def _write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    write_csv(path, columns, ([row.get(name, "") for name in columns] for row in rows))


def _fields(row: object, columns: Sequence[str]) -> dict[str, str]:
    """Return the cells of a row of the trial: the attribute of each column, as a lab would write it."""
    return {name: _text(getattr(row, name)) for name in columns}


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(timespec="minutes")
    if isinstance(value, date):
        return value.isoformat()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _sample(plan: TubePlan) -> dict[str, str]:
    cells = {
        "file": plan.file,
        "sample": plan.sample,
        "specimen": plan.specimen,
        "subject": plan.subject,
        "panel": plan.panel,
        "batch": plan.batch,
        "role": plan.role,
        "timepoint": plan.timepoint,
        "specimen_volume": f"{SPECIMEN_UL[plan.panel]:g}",
        "specimen_volume_unit": "uL",
        "dilution": "1",
        "bead_lot": plan.bead_lot,
        "beads_per_tube": digits(plan.beads_stated),
        "bead_cv": f"{BEAD_CV:g}" if plan.bead_lot else "",
        "note": plan.note,
        "stop_rule": f"{plan.stop.rule} {plan.stop.value:g}",
    }
    moments = {name: _text(getattr(plan, name)) for name in ("collected_at", "stained_at", "acquired_at")}
    return cells | moments


def _reagents(plans: Sequence[TubePlan]) -> Iterator[dict[str, str]]:
    """Antibodies of every batch: a marker has one lot in each."""
    for panel, batch in dict.fromkeys((plan.panel, plan.batch) for plan in plans):
        cytometer = CYTOMETERS[panel]
        for marker, label, dye in zip(cytometer.markers, cytometer.labels, cytometer.fluorochromes, strict=True):
            yield {
                "panel": panel,
                "marker": label,
                "fluorochrome": dye,
                "clone": _CLONES.get(marker, ""),
                "maker": "simulated",
                "catalogue": f"SIM-{panel}-{label}",
                "lot": f"{label}-{batch}",
                "volume_ul": "20" if panel == "tbnk" else "5",
            }
