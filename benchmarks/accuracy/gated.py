"""Tubes gated as a user gates them, and what the run folder says about each."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nti7flow as nf
from nti7flow.errors import Nti7flowError
from nti7flow.study.gate import gate_study
from nti7flow.study.plan import make_plan

Mask = NDArray[np.bool_]
#: What a person is told to look at.
LOUD = ("review", "invalid")
_ORDER = ("", "info", "review", "invalid")


@dataclass(frozen=True)
class GatedTube:
    """One tube of a run.

    Attributes
    ----------
    sample : str
        Its name.
    counts : dict
        Rows of ``counts`` by population, as plain values.
    checks : tuple of dict
        Rows of ``quality``.
    masks : dict
        Membership of every event by population, None where there is no gate.
    refused : str
        Why it could not be gated, else empty.
    """

    sample: str
    counts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    checks: tuple[Mapping[str, Any], ...] = ()
    masks: Mapping[str, Mask | None] = field(default_factory=dict)
    refused: str = ""

    def n_events(self, population: str) -> int | None:
        """Events of a population: 0 where it is said to be absent, None where nothing is said."""
        row = self.counts.get(population)
        if row is None:
            return None
        if row["n_events"] is None:
            return 0 if row["status"] == "absent" else None
        return int(row["n_events"])

    def severity(self, population: str) -> str:
        """Severity of one count; that of a refused tube, or of a count that is missing, is ``invalid``."""
        row = self.counts.get(population)
        return "invalid" if self.refused or row is None else str(row["severity"])

    def tube_severity(self, populations: Sequence[str]) -> str:
        """Worst of some counts and of all checks of the tube."""
        found = [self.severity(name) for name in populations]
        found += [str(check["severity"] or "") for check in self.checks]
        return max(found, key=_ORDER.index)

    def said(self, populations: Sequence[str]) -> tuple[str, ...]:
        """What a person is told: loud checks, and flags of loud counts."""
        if self.refused:
            return (f"refused: {self.refused}",)
        checks = [str(check["check"]) for check in self.checks if check["severity"] in LOUD]
        flags = [
            f"{name} {row['severity']} ({row['flags'] or row['status']})"
            for name in populations
            if (row := self.counts.get(name)) is not None and row["severity"] in LOUD
        ]
        return (*checks, *flags)


def read_run(folder: Path) -> dict[str, GatedTube]:
    """Read every tube of a run folder; a refused tube has no counts."""
    run = nf.open_run(folder)
    counts: dict[str, dict[str, dict[str, Any]]] = {}
    for row in run.arrow("counts").to_pylist():
        counts.setdefault(row["sample"], {})[row["population"]] = row
    checks: dict[str, list[dict[str, Any]]] = {}
    for row in run.arrow("quality").to_pylist():
        checks.setdefault(row["sample"], []).append(row)
    masks: dict[str, dict[str, Mask | None]] = {}
    for row in run.arrow("memberships").to_pylist():
        masks.setdefault(row["sample"], {})[row["population"]] = _unpacked(row)
    gated = {name: GatedTube(name, counts[name], tuple(checks.get(name, ())), masks.get(name, {})) for name in counts}
    return gated | {name: GatedTube(name, refused=error) for name, error in run.refused.items()}


def _unpacked(row: Mapping[str, Any]) -> Mask | None:
    if row["bits"] is None:
        return None
    return np.unpackbits(np.frombuffer(row["bits"], np.uint8), count=row["n_events"]).astype(np.bool_)


def gate_alone(
    path: Path, template: str | Path, *, spillover: str = "keyword", markers: Mapping[str, str] | None = None
) -> GatedTube:
    """Gate one tube that no other tube helps, as when a single file is given."""
    with tempfile.TemporaryDirectory() as folder:
        plan = make_plan([path], template=template, spillover=spillover, markers=markers)
        try:
            gate_study(plan, Path(folder) / "run", figures="none")
        except Nti7flowError as error:  # with one tube, a refusal is an error
            return GatedTube(path.stem, refused=str(error))
        (tube,) = read_run(Path(folder) / "run").values()
        return tube
