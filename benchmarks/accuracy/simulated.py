"""Simulated studies whose every event is known: counts against the labels in the tube, and what is flagged."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.accuracy.gated import LOUD, GatedTube, Mask, read_run
from benchmarks.accuracy.scores import score

POPULATIONS = ("cd4_t", "cd8_t", "b_cells", "nk_cells")
#: Counts that say something about the tube as a whole, besides the four.
OF_THE_TUBE = (*POPULATIONS, "lymphocytes", "beads")
#: Words by which what is said names the trouble itself, and is not merely loud for another reason.
_NAMES = {
    "swapped_tubes": "swap|other visits|course|mismatch|subject",
    "duplicated_file": "duplicate",
    "wrong_spillover": "spill|compens",
    "missing_beads": "bead",
    "wrong_lot_number": r"\blot\b|bead_lot",
    "clotted_specimen": "clot|doublet|flow_rate|clog",
    "over_range_gain": "range|saturat|margin",
    "empty_tube": "empty|too_few|few_events|no_cells|no cells|n_events",
    "truncated_file": "truncated|cut short|FCS046",
    "mislabelled_marker": "exchange|mislabel|marker|label",
}


def error_limit(truth: int) -> float:
    """Error that a count may have: 10 %, the Poisson noise of the count itself, or three events."""
    return max(0.1 * truth, math.sqrt(truth), 3.0)


def score_study(study: Path, run: Path) -> list[dict[str, Any]]:
    """Score a gated simulated study: a row for each patient tube and population.

    Parameters
    ----------
    study : Path
        Folder that `simulate_study` wrote.
    run : Path
        Run folder of its gating.

    Returns
    -------
    list of dict
        ``sample, subject, batch, population``; ``truth`` and ``counted`` (events; 0 where absent, None where nothing is
        said), ``error`` and ``limit`` (events), ``wrong``; ``severity`` of the count, ``tube_severity`` of its tube's
        checks and main counts, ``any_severity`` of everything; ``silent`` (wrong, and the count is not flagged) and
        ``silent_in_tube`` (nor is anything in its tube); ``status, flags, template, said``; ``case`` (awkward case,
        else empty), ``clean`` (not named in awkward.csv), ``clog``; ``precision, recall, f1`` of the events.
    """
    tubes = read_run(Path(run))
    truth = read_sheet(Path(study) / "truth" / "counts.csv")
    known = {(row["sample"], row["population"]): row["n_events"] for row in truth}
    sheet = [row for row in read_sheet(Path(study) / "samples.csv") if row["role"] == "patient"]
    made = {row["sample"]: row for row in read_sheet(Path(study) / "truth" / "tubes.csv")}
    cases = awkward_cases(Path(study))
    named = {row["sample"] for row in cases} | {row["other"] for row in cases}
    case_of = {row["sample"]: row["case"] for row in cases}
    rows = []
    for line in sheet:
        name = line["sample"]
        if name not in tubes:
            continue
        labels = read_labels(Path(study) / "truth" / "labels" / f"{name}.parquet")
        about = {
            "sample": name,
            "subject": line["subject"],
            "batch": line["batch"],
            "case": case_of.get(name, ""),
            "clean": name not in named,
            "clog": bool(made[name]["clog_at_s"]),
        }
        for population in POPULATIONS:
            rows.append(about | _score(tubes[name], population, int(known[name, population]), labels))
    return rows


def _score(tube: GatedTube, population: str, truth: int, labels: Sequence[str]) -> dict[str, Any]:
    counted = tube.n_events(population)
    limit = error_limit(truth)
    error = None if counted is None else counted - truth
    wrong = error is None or abs(error) > limit
    severity = tube.severity(population)
    of_tube = tube.tube_severity(OF_THE_TUBE) if not tube.refused else "invalid"
    row = tube.counts.get(population, {})
    return {
        "population": population,
        "truth": truth,
        "counted": counted,
        "error": error,
        "limit": limit,
        "wrong": wrong,
        "severity": severity,
        "tube_severity": of_tube,
        "any_severity": tube.tube_severity(tuple(tube.counts)) if not tube.refused else "invalid",
        "silent": wrong and severity not in LOUD,
        "silent_in_tube": wrong and severity not in LOUD and of_tube not in LOUD,
        "status": row.get("status", "refused"),
        "flags": row.get("flags", ""),
        "template": row.get("template", ""),
        "said": "; ".join(tube.said(OF_THE_TUBE)),
        **_events(tube.masks.get(population), labels, population),
    }


def _events(mask: Mask | None, labels: Any, population: str) -> dict[str, float]:
    if mask is None or len(mask) != len(labels):
        return dict.fromkeys(("precision", "recall", "f1"), math.nan)
    found = score(labels == population, mask)
    return {"precision": found.precision, "recall": found.recall, "f1": found.f1}


def awkward_cases(study: Path) -> list[dict[str, str]]:
    """Rows of awkward.csv; none where the study has none."""
    path = study / "truth" / "awkward.csv"
    return read_sheet(path) if path.exists() else []


def score_awkward(study: Path, run: Path) -> list[dict[str, Any]]:
    """Say for each awkward case whether it was flagged, and what was said.

    ``flagged`` needs ``review`` or ``invalid`` on a check of the tube or on one of its main counts, or a refusal;
    ``blocks`` that all four counts have it, so that none of them would be used. ``named`` says whether a word of what
    was said is about this trouble: a loud count may be so by chance.
    """
    tubes = read_run(Path(run))
    rows = []
    for case in awkward_cases(Path(study)):
        tube = tubes[case["sample"]]
        severity = "invalid" if tube.refused else tube.tube_severity(OF_THE_TUBE)
        said = "; ".join(tube.said(OF_THE_TUBE))
        rows.append(
            {
                "case": case["case"],
                "sample": case["sample"],
                "shown_by_data": case["shown_by_data"],
                "wanted": case["severity"],
                "severity": severity,
                "flagged": severity in LOUD,
                "blocks": all(tube.severity(name) in LOUD for name in POPULATIONS),
                "named": re.search(_NAMES.get(case["case"], "$^"), said, re.IGNORECASE) is not None,
                "said": said,
                "must_say": case["must_say"],
            }
        )
    return rows


@dataclass(frozen=True)
class StudySummary:
    """The two bars of a simulated study, in counts and in specimens.

    Attributes
    ----------
    n, wrong, silent, silent_in_tube : int
        Counts of patients; beyond the limit; of these not flagged themselves; nor by anything in their tube.
    n_clean, flagged_counts, flagged_tubes, flagged_any : int
        Clean specimens; with one of the four counts flagged; with one of them, lymphocytes, beads or a check of the
        tube flagged; with anything at all flagged.
    """

    n: int
    wrong: int
    silent: int
    silent_in_tube: int
    n_clean: int
    flagged_counts: int
    flagged_tubes: int
    flagged_any: int


def summarise(rows: Sequence[Mapping[str, Any]]) -> StudySummary:
    """Add up what `score_study` returned."""
    clean: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["clean"]:
            clean.setdefault(row["sample"], []).append(row)
    return StudySummary(
        n=len(rows),
        wrong=sum(row["wrong"] for row in rows),
        silent=sum(row["silent"] for row in rows),
        silent_in_tube=sum(row["silent_in_tube"] for row in rows),
        n_clean=len(clean),
        flagged_counts=sum(any(row["severity"] in LOUD for row in own) for own in clean.values()),
        flagged_tubes=sum(own[0]["tube_severity"] in LOUD for own in clean.values()),
        flagged_any=sum(own[0]["any_severity"] in LOUD for own in clean.values()),
    )


def read_labels(path: Path) -> Any:
    """Label of every event of a tube, in file order."""
    return pq.read_table(path, columns=["population"]).column(0).cast("string").to_numpy(zero_copy_only=False)


def read_sheet(path: Path) -> list[dict[str, str]]:
    """Rows of a sheet or of a table of truth."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
