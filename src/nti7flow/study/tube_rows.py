"""Rows of the tables of the step ``gate`` out of a gated tube."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np

from nti7flow.counting.fractions import Count
from nti7flow.gating.fit import GateFit
from nti7flow.gating.lending import NOT_BRIDGED
from nti7flow.gating.strategy import GatingStrategy
from nti7flow.study.plan import Tube
from nti7flow.study.tube import GatedTube


def count_rows(gated: GatedTube) -> list[dict[str, Any]]:
    """Rows of the table ``counts``."""
    return [
        _count_row(gated.tube, gated.strategy, count)
        | {
            "gating_sd": gated.gating_sd.get(count.population),
            "background": gated.background.get(count.population),
        }
        for count in gated.counts
    ]


def _count_row(tube: Tube, strategy: GatingStrategy, count: Count) -> dict[str, Any]:
    row = tube.row
    return {
        "sample": tube.sample,
        "file": tube.file,
        "sha256": strategy.sha256,
        "data_set": strategy.data_set,
        "specimen": row.specimen if row else None,
        "subject": row.subject if row else None,
        "panel": row.panel if row else None,
        "template": strategy.template,
        **count_values(count),
    }


def count_values(count: Count) -> dict[str, Any]:
    """Return the columns of ``counts`` that come from counting alone; replay recomputes these."""
    return {**asdict(count), "flags": ";".join(count.flags)}


def stored_rows(gated: GatedTube) -> list[dict[str, Any]]:
    """Rows of the table ``stored_counts``."""
    return [{"sample": gated.tube.sample, **asdict(row)} for row in gated.stored or ()]


def locked_rows(gated: GatedTube) -> list[dict[str, Any]]:
    """Rows of the table ``locked``."""
    row, locked = gated.tube.row, {count.population: count for count in gated.counts}
    return [
        {
            "sample": gated.tube.sample,
            "specimen": row.specimen if row else None,
            "subject": row.subject if row else None,
            "population": fitted.population,
            "label": fitted.label,
            "n_events": (count := locked[fitted.population]).n_events,
            "fitted_events": fitted.n_events,
            "difference": None if None in (count.n_events, fitted.n_events) else count.n_events - fitted.n_events,  # type: ignore[operator]
            "percent_parent": count.percent_parent,
            "fitted_percent_parent": fitted.percent_parent,
            "bridged": "no" if any(flag.endswith(NOT_BRIDGED) for flag in count.flags) else "yes",
            "severity": count.severity,
            "fitted_severity": fitted.severity,
        }
        for fitted in gated.unlocked or ()
    ]


def fit_row(sample: str, fit: GateFit) -> dict[str, Any]:
    """Row of the table ``gate_fits``."""
    row = asdict(fit) | {"sample": sample}
    row["thresholds"] = json.dumps(fit.thresholds, sort_keys=True)
    row["diagnostics"] = json.dumps(fit.diagnostics, sort_keys=True)
    row["threshold_spread"] = None if np.isnan(fit.threshold_spread) else fit.threshold_spread
    return row
