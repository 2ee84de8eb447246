"""Awkward tubes: whether a person is told, by what, and whether that is what should be said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.trials.rows import LOUD, POPULATIONS

#: Flags and checks that are about the trouble itself; others may be loud for it, or by chance.
NAMES = {
    "swapped_tubes": ("hematology_ratio", "course"),
    "duplicated_file": ("duplicate_of",),
    "wrong_spillover": ("spillover_differs", "compensation_off"),
    "missing_beads": ("beads_missing", "bead_events"),
    "wrong_lot_number": ("bead_lot_differs", "bead_lot_ratio", "hematology_ratio"),
    "clotted_specimen": ("doublets", "quality_clog", "hematology_ratio"),
    "over_range_gain": ("saturated", "quality_saturated", "saturation"),
    "empty_tube": ("quality_few_events", "few_events"),
    "truncated_file": ("refused",),
    "mislabelled_marker": ("markers_exchanged", "markers_differ"),
}
#: Flags that are for information wherever they stand.
QUIET = ("reference_range", "below_lloq")
_ORDER = ("", "info", *LOUD)


@dataclass(frozen=True, slots=True)
class Case:
    """One awkward tube.

    Attributes
    ----------
    case, sample, must_say, wanted
        As in truth/awkward.csv; ``wanted`` is the severity.
    shown : bool
        Whether the sheets show a wrong lot by themselves: tubes of the batch acquired before and after it share
        another. Of the other cases: always.
    severity : str
        Worst of all concentrations and checks of the specimen.
    said : tuple of str
        Flags of loud concentrations, and loud checks, the part before a colon or a space; ``refused`` of a file.
    named : tuple of str
        Those that are about this trouble.
    trial : int
        Seed of its trial.
    """

    case: str
    sample: str
    must_say: str
    wanted: str
    shown: bool
    severity: str
    said: tuple[str, ...]
    named: tuple[str, ...]
    trial: int = 0

    @property
    def flagged(self) -> bool:
        """Whether a person is told to look."""
        return self.severity in LOUD

    @property
    def as_asked(self) -> bool:
        """Whether the trouble itself is named, with at least the severity that was asked for."""
        return bool(self.named) and _ORDER.index(self.severity) >= _ORDER.index(self.wanted)


def score_cases(
    awkward: Iterable[Mapping[str, str]],
    samples: Sequence[Mapping[str, str]],
    concentrations: Iterable[Mapping[str, Any]],
    acceptance: Iterable[Mapping[str, Any]],
    refused: Mapping[str, str],
) -> tuple[Case, ...]:
    """Score every awkward tube of a trial.

    Parameters
    ----------
    awkward, samples : iterable of dict
        Rows of truth/awkward.csv, lines of samples.csv.
    concentrations, acceptance : iterable of dict
        Rows of the tables of the step count.
    refused : mapping of str to str
        Why files could not be read, by sample.
    """
    specimen_of = {row["sample"]: row["specimen"] for row in samples}
    told: dict[str, list[tuple[str, str]]] = {}
    for row in concentrations:
        if row["population"] in POPULATIONS:
            told.setdefault(row["specimen"], []).extend((flag, row["severity"]) for flag in _flags(row))
    for row in acceptance:
        told.setdefault(row["specimen"], []).append((row["check"], row["severity"]))
    cases = []
    for row in awkward:
        sample = row["sample"]
        here = [("refused", "invalid")] if sample in refused else told.get(specimen_of[sample], [])
        said = dict.fromkeys(_short(name) for name, severity in here if severity in LOUD)
        cases.append(
            Case(
                row["case"],
                sample,
                row["must_say"],
                row["severity"],
                row["case"] != "wrong_lot_number" or lot_shows(sample, samples),
                max((severity for _, severity in here), key=_ORDER.index, default=""),
                tuple(name for name in said if name and name not in QUIET),
                tuple(name for name in said if name in NAMES[row["case"]]),
            )
        )
    return tuple(cases)


def lot_shows(sample: str, samples: Sequence[Mapping[str, str]]) -> bool:
    """Whether tubes of the batch before and after this one share a lot that it has not."""
    this = next(row for row in samples if row["sample"] == sample)
    others = [row for row in samples if row["batch"] == this["batch"] and row["bead_lot"] != this["bead_lot"]]
    before = {row["bead_lot"] for row in others if row["acquired_at"] < this["acquired_at"]}
    after = {row["bead_lot"] for row in others if row["acquired_at"] > this["acquired_at"]}
    return bool(before & after)


def _flags(row: Mapping[str, Any]) -> list[str]:
    return str(row["flags"]).split(";") if row["flags"] else [""]


def _short(name: str) -> str:
    """Return a flag without what it is about: ``duplicate_of:SAMPLE`` is ``duplicate_of``."""
    return name.partition(":")[0] if name.startswith("duplicate_of") else name
