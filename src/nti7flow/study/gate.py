"""The step ``gate``: a plan in, a run folder out."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from nti7flow._version import __version__
from nti7flow.errors import InputError
from nti7flow.gating.strategy import SEVERITY_ORDER
from nti7flow.study.batch import gate_tubes, workers
from nti7flow.study.figures import draw_from, forget_pictures
from nti7flow.study.plan import Plan, Tube
from nti7flow.study.store import StepWriter
from nti7flow.study.tables import COUNTS, GATE_FITS, HISTOGRAMS, MEMBERSHIPS, QUALITY
from nti7flow.study.tube import GatedTube, RefusedTube, count_rows, fit_row

Figures = Literal["all", "flagged", "none"]
#: Packages whose version could change a number.
NUMERICAL = ("numpy", "scipy", "pyarrow")


@dataclass(frozen=True)
class GateReport:
    """What a run of `gate_study` did, for whoever prints it."""

    step: Path
    gated: tuple[GatedSummary, ...]
    refused: tuple[RefusedTube, ...]
    figures: tuple[Path, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing was refused and no count needs a second look."""
        return not self.refused and all(g.severity in ("", "info") for g in self.gated)


@dataclass(frozen=True)
class GatedSummary:
    """One gated tube in short."""

    sample: str
    counts: dict[str, dict[str, Any]]
    quality: tuple[dict[str, Any], ...]
    severity: str


def gate_study(
    plan: Plan,
    out: Path,
    *,
    jobs: int = 1,
    figures: Figures = "all",
    done: Callable[[Tube], None] = lambda tube: None,
) -> GateReport:
    """Gate all tubes of a plan into a new step of a run folder.

    Parameters
    ----------
    plan : Plan
        What to gate; everything in it is stored as the recipe.
    out : Path
        Run folder, new or existing.
    jobs : int
        Worker processes; changes nothing but the time.
    figures : {"all", "flagged", "none"}
        Which samples get a picture of their gates, in ``out/figures``.
    done : callable
        Told of each tube as it is finished.

    Raises
    ------
    InputError
        No tube could be gated; says why for each. No step is written.
    """
    gated: list[GatedSummary] = []
    refused: list[RefusedTube] = []
    with StepWriter(out, "gate") as step, closing(gate_tubes(plan, jobs=jobs, done=done)) as outcomes:
        for table in (COUNTS, GATE_FITS, QUALITY):
            step.add_rows(table, [])
        for table in (MEMBERSHIPS, HISTOGRAMS):
            step.append(table, [])
        for outcome in outcomes:
            if isinstance(outcome, RefusedTube):
                refused.append(outcome)
                step.add_rows(QUALITY, [_refused_row(outcome)])
                continue
            _store(step, outcome)
            gated.append(_summarise(outcome))
        if not gated:  # leaving the block without a commit leaves nothing behind
            raise InputError("\n".join(f"{r.tube.sample}: {r.error}" for r in refused))
        folder = step.commit(_contents(plan, refused, out))
    forget_pictures(out)
    wanted = {"all": ("", "info", "review", "invalid"), "flagged": ("review", "invalid"), "none": ()}[figures]
    with workers(min(jobs, len(gated))) as run:
        drawn = list(run(draw_from, [(out, g.sample) for g in gated if g.severity in wanted]))
    pictures = tuple(picture for picture in drawn if picture is not None)
    return GateReport(folder, tuple(gated), tuple(refused), pictures)


def _store(step: StepWriter, gated: GatedTube) -> None:
    sample = gated.tube.sample
    step.add_strategy(sample, gated.strategy)
    step.add_rows(COUNTS, count_rows(gated))
    step.add_rows(GATE_FITS, [fit_row(sample, fit) for fit in gated.fits])
    step.add_rows(QUALITY, [{"sample": sample, **check} for check in gated.quality])
    step.append(
        MEMBERSHIPS,
        [
            {"sample": sample, "population": name, "n_events": gated.n_events, "bits": bits}
            for name, bits in gated.bits.items()
        ],
    )
    step.append(
        HISTOGRAMS,
        [
            {
                "sample": sample,
                "plot": number,
                "parent": panel.parent or "root",
                "populations": ";".join(panel.populations),
                "axes": json.dumps(panel.axes_to_dict(), sort_keys=True),
                "cells": panel.cells,
                "counts": panel.counts,
            }
            for number, panel in enumerate(gated.panels)
        ],
    )


def _refused_row(outcome: RefusedTube) -> dict[str, Any]:
    return {"sample": outcome.tube.sample, "check": "refused", "severity": "invalid", "n_excluded": 0}


def _summarise(gated: GatedTube) -> GatedSummary:
    rows = {row["population"]: row for row in count_rows(gated)}
    worst = [row["severity"] for row in rows.values()] + [check["severity"] for check in gated.quality]
    return GatedSummary(gated.tube.sample, rows, gated.quality, max(worst, key=SEVERITY_ORDER.index))


def _contents(plan: Plan, refused: list[RefusedTube], out: Path) -> dict[str, Any]:
    """Provenance: the recipe, where each input was, and the software. No time, no worker count, no output folder."""
    return {
        "recipe": plan.recipe(),
        "recipe_sha256": plan.recipe_hash(),
        "inputs": [{"sample": t.sample, "path": _seen_from(out, t.path), "data_set": t.data_set} for t in plan.tubes],
        "refused": [{"sample": r.tube.sample, "file": r.tube.file, "error": r.error} for r in refused],
        "software": {
            "nti7flow": __version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in NUMERICAL},
        },
    }


def _seen_from(run: Path, path: Path) -> str:
    """Path relative to the run folder: a study moves with its runs, and no name of a machine's folders is stored."""
    try:
        return Path(os.path.relpath(path, run.resolve())).as_posix()
    except ValueError:  # another drive
        return path.as_posix()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
