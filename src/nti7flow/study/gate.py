"""The step ``gate``: a plan in, a run folder out."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nti7flow._version import __version__
from nti7flow.counting.checks import Check
from nti7flow.counting.fractions import add_notes
from nti7flow.errors import InputError
from nti7flow.gating.strategy import Severity, worst
from nti7flow.study.batch import Outcome, gate_tubes, workers
from nti7flow.study.consistency import check_together
from nti7flow.study.count_figures import Figures
from nti7flow.study.figures import draw_from, forget_pictures
from nti7flow.study.plan import Plan, Tube
from nti7flow.study.store import StepWriter
from nti7flow.study.tables import COUNTS, GATE_FITS, HISTOGRAMS, LOCKED, MEMBERSHIPS, QUALITY, STORED_COUNTS, join_ids
from nti7flow.study.tube import GatedTube, RefusedTube
from nti7flow.study.tube_rows import count_rows, fit_row, locked_rows, stored_rows

#: Packages whose version could change a number.
NUMERICAL = ("numpy", "scipy", "pyarrow")
#: Packages that read files of gates.
PARSERS = ("flowkit",)


@dataclass(frozen=True)
class GateReport:
    """What a run of `gate_study` did, for whoever prints it.

    ``strategy`` is the file of gates, empty where a template was used; ``unmatched`` are samples of a workspace that
    none of the files is.
    """

    step: Path
    gated: tuple[GatedSummary, ...]
    refused: tuple[RefusedTube, ...]
    figures: tuple[Path, ...]
    strategy: str = ""
    unmatched: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether nothing was refused and no count needs a second look."""
        return not self.refused and all(g.severity in ("", "info") for g in self.gated)


@dataclass(frozen=True)
class GatedSummary:
    """One gated tube in short: rows of ``counts`` and ``stored_counts`` by population, and of ``quality``."""

    sample: str
    counts: dict[str, dict[str, Any]]
    quality: tuple[dict[str, Any], ...]
    severity: str
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)


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
    ends: list[Outcome] = []
    with StepWriter(out, "gate") as step, closing(gate_tubes(plan, jobs=jobs, done=done)) as outcomes:
        for table in (COUNTS, GATE_FITS, QUALITY):
            step.add_rows(table, [])
        for table in (MEMBERSHIPS, HISTOGRAMS):
            step.append(table, [])
        if plan.has_stored_counts:
            step.add_rows(STORED_COUNTS, [])
        if plan.lock is not None:
            step.add_rows(LOCKED, [])
        for outcome in outcomes:
            ends.append(outcome if isinstance(outcome, RefusedTube) else _store(step, outcome))
        ends = check_together(flag_duplicates(ends))
        gated = [_summarise(end) for end in ends if isinstance(end, GatedTube)]
        refused = [end for end in ends if isinstance(end, RefusedTube)]
        if not gated:  # leaving the block without a commit leaves nothing behind
            raise InputError("\n".join(f"{r.tube.sample}: {r.error}" for r in refused))
        for end in ends:
            step.add_rows(COUNTS, count_rows(end) if isinstance(end, GatedTube) else [])
            step.add_rows(QUALITY, _quality_rows(end))
            if isinstance(end, GatedTube) and end.stored is not None:
                step.add_rows(STORED_COUNTS, stored_rows(end))
            if isinstance(end, GatedTube) and end.unlocked is not None:
                step.add_rows(LOCKED, locked_rows(end))
        folder = step.commit(_contents(plan, ends, out))
    forget_pictures(out)
    wanted = {"all": ("", "info", "review", "invalid"), "flagged": ("review", "invalid"), "none": ()}[figures]
    with workers(min(jobs, len(gated))) as run:
        drawn = list(run(draw_from, [(out, g.sample) for g in gated if g.severity in wanted]))
    pictures = tuple(picture for picture in drawn if picture is not None)
    strategy = "" if plan.strategy is None else plan.strategy.name
    return GateReport(folder, tuple(gated), tuple(refused), pictures, strategy, plan.unmatched)


def _store(step: StepWriter, gated: GatedTube) -> GatedTube:
    """Write what is large, and return the rest, which waits until every tube is known."""
    sample = gated.tube.sample
    step.add_strategy(sample, gated.strategy)
    step.add_rows(GATE_FITS, [fit_row(sample, fit) for fit in gated.fits])
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
                "populations": join_ids(panel.populations),
                "axes": json.dumps(panel.axes_to_dict(), sort_keys=True),
                "cells": panel.cells,
                "counts": panel.counts,
            }
            for number, panel in enumerate(gated.panels)
        ],
    )
    return replace(gated, fits=(), panels=(), bits={})


def flag_duplicates(ends: Sequence[Outcome]) -> list[Outcome]:
    """Flag tubes that are the same data set of the same bytes under several names, of which all but one are wrong."""
    names: dict[tuple[str, int], list[str]] = {}
    for end in ends:
        if isinstance(end, GatedTube):
            names.setdefault(_identity(end), []).append(end.tube.sample)
    return [_flagged(end, sorted(names[_identity(end)])) if isinstance(end, GatedTube) else end for end in ends]


def _identity(gated: GatedTube) -> tuple[str, int]:
    return gated.strategy.sha256, gated.strategy.data_set


def _flagged(gated: GatedTube, names: Sequence[str]) -> GatedTube:
    """Return a gated tube with a flag and a check for each of its other names."""
    others = [name for name in names if name != gated.tube.sample]
    # Flags stand in one cell, with semicolons between them.
    flags: dict[str, Severity] = {f"duplicate_of:{name.replace(';', '_')}": "review" for name in others}
    checks = [asdict(Check(f"duplicate_of: {name}", None, None, "review")) for name in others]
    return replace(
        gated,
        flags={**gated.flags, **flags},
        counts=tuple(add_notes(count, flags) for count in gated.counts),
        quality=(*gated.quality, *checks),
    )


def _quality_rows(end: Outcome) -> list[dict[str, Any]]:
    sample = end.tube.sample
    if isinstance(end, RefusedTube):
        return [{"sample": sample, "check": "refused", "severity": "invalid", "n_excluded": 0}]
    return [{"sample": sample, **check} for check in end.quality]


def _summarise(gated: GatedTube) -> GatedSummary:
    rows = {row["population"]: row for row in count_rows(gated)}
    severities = [row["severity"] for row in rows.values()] + [check["severity"] for check in gated.quality]
    stored = {row["population"]: row for row in stored_rows(gated)}
    return GatedSummary(gated.tube.sample, rows, gated.quality, worst(*severities), stored)


def _contents(plan: Plan, ends: Iterable[Outcome], out: Path) -> dict[str, Any]:
    """Provenance: the recipe, where each input was, and the software. No time, no worker count, no output folder."""
    inputs, refused = [], []
    for end in ends:
        place = {"sample": end.tube.sample, "path": seen_from(out, end.tube.path), "data_set": end.tube.data_set}
        if end.tube.gates_of:
            place["gates_of"] = end.tube.gates_of
        if isinstance(end, RefusedTube):
            refused.append({"sample": end.tube.sample, "file": end.tube.file, "error": end.error})
        elif end.flags:  # of the tube itself, for replay to give them to every count again
            place["flags"] = [list(flag) for flag in end.flags.items()]  # a list keeps its order
        inputs.append(place)
    return {
        "recipe": plan.recipe(),
        "recipe_sha256": plan.recipe_hash(),
        "inputs": inputs,
        "refused": refused,
        **({"study_file": seen_from(out, plan.opened.path)} if plan.opened is not None else {}),
        "reported": {
            reference: [population.id for population in template.populations if not population.helper]
            for reference, template in sorted(plan.templates.items())
        },
        **({"unmatched": list(plan.unmatched)} if plan.unmatched else {}),
        "software": {
            "nti7flow": __version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in (*NUMERICAL, *(() if plan.strategy is None else PARSERS))},
        },
    }


def seen_from(run: Path, path: Path) -> str:
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
