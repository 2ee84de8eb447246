"""Rows of the tables of the step ``count``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from nti7flow.counting.acceptance.purity import corrected_percent
from nti7flow.counting.concentration import Concentration
from nti7flow.counting.ratio import cd4_cd8_ratio
from nti7flow.counting.reported import lloq, reported
from nti7flow.counting.settings import CountingSettings
from nti7flow.counting.specimens import SpecimenResult
from nti7flow.gating.strategy import Severity, worst
from nti7flow.study.tables import RATIO, REPORTED


def concentration_rows(result: SpecimenResult) -> Iterator[dict[str, Any]]:
    """Yield the rows of ``concentrations`` of one specimen."""
    labels = result.labels
    for name, found in result.concentrations.items():
        limits = found.limits
        reference = found.reference
        yield {
            **_whose(result),
            "samples": ";".join(found.samples),
            "population": name,
            "label": labels.get(name, name),
            "cells_per_ul": found.cells_per_ul,
            "lower": found.lower,
            "upper": found.upper,
            "level": found.level,
            "reported": reported(found),
            "method": found.method,
            "n_events": found.n_events,
            "n_beads": int(reference.amount) if reference is not None and found.method == "beads" else None,
            "percent_lymphocytes": _percent(result, found),
            "percent_lymphocytes_corrected": corrected_percent(result, name),
            "lob": None if limits is None else found.in_cells_per_ul(limits.blank),
            "lod": None if limits is None else found.in_cells_per_ul(limits.detection),
            "lloq": lloq(found),
            "below_lloq": "yes" if found.below_lloq else "no",
            "cv_percent": found.cv_percent,
            "dominant_component": found.parts[0].component if found.parts else "",
            "doublets": _doublets(found),
            "heterogeneity": found.heterogeneity,
            "inputs": json.dumps(dict(reference.inputs), sort_keys=True, ensure_ascii=False) if reference else "{}",
            "status": found.status,
            "flags": ";".join(found.flags),
            "severity": found.severity,
        }


def _whose(result: SpecimenResult) -> dict[str, Any]:
    at = result.collected_at
    return {
        "specimen": result.specimen,
        "subject": result.subject,
        "collected_at": None if at is None else at.isoformat(),
    }


def _doublets(found: Concentration) -> str:
    if found.reference is None or found.method not in ("beads", "volumetric"):
        return "none"
    return "corrected" if any(key.endswith("doublets_of_cells") for key in found.reference.inputs) else "left_out"


def _percent(result: SpecimenResult, found: Concentration) -> float | None:
    """Share of the lymphocytes of the same tubes."""
    tubes = [tube for tube in result.tubes if tube.sample in found.samples]
    counts = [tube.counts.get(found.population) for tube in tubes]
    whole = sum(tube.n_events("lymphocytes") or 0 for tube in tubes)
    inside = all(count is not None and count.percent_lymphocytes is not None for count in counts)
    return 100 * found.n_events / whole if inside and whole and found.n_events is not None else None


def budget_rows(result: SpecimenResult) -> Iterator[dict[str, Any]]:
    """Yield the rows of ``budget`` of one specimen."""
    for name, found in result.concentrations.items():
        for part in found.parts:
            yield {
                "specimen": result.specimen,
                "population": name,
                "component": part.component,
                "cv_percent": part.cv_percent,
                "share_percent": part.share_percent,
            }


def report_row(result: SpecimenResult, settings: CountingSettings) -> dict[str, Any]:
    """Return the row of ``report_table`` of one specimen."""
    row: dict[str, Any] = _whose(result)
    severities: list[Severity] = []
    methods = {found.method for found in result.concentrations.values()} - {"", "anchored", "hematology"}
    row["method"] = next(iter(methods), "")
    for name in REPORTED:
        found = result.concentrations.get(name)
        if found is None:
            continue
        severities.append(found.severity)
        row |= {
            name: found.cells_per_ul,
            f"{name}_lower": found.lower,
            f"{name}_upper": found.upper,
            f"{name}_reported": reported(found),
            f"{name}_flags": ";".join(found.flags),
        }
    ratio = cd4_cd8_ratio(result.concentrations, settings)
    if ratio is not None:
        row |= {
            RATIO: ratio.value,
            f"{RATIO}_lower": ratio.lower,
            f"{RATIO}_upper": ratio.upper,
            f"{RATIO}_flags": ";".join(ratio.flags),
        }
    row["severity"] = worst(*severities)
    return row
