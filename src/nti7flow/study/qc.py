"""Quality of FCS files, before anything is gated: which tubes run steadily, and what is odd about the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nti7flow.errors import ConfigError, InputError
from nti7flow.events.fcs import read_fcs
from nti7flow.events.notes import Repair
from nti7flow.events.sample import Sample
from nti7flow.quality.findings import ORDER, Finding, Severity
from nti7flow.quality.limits import QualityLimits
from nti7flow.quality.report import Quality, check_quality
from nti7flow.study.folders import data_sets_at
from nti7flow.study.tables import Column, Table, arrow_table, csv_text

logger = logging.getLogger(__name__)

FINDINGS = Table(
    "qc",
    "What `nti7flow qc` found, one row per check and channel of every tube.",
    (
        Column("sample", "text", "", "Name of the acquired tube.", key=True),
        Column("file", "text", "", "FCS file, relative to the folder it was found by."),
        Column("data_set", "integer", "", "Data set within the file, from 0."),
        Column("check", "text", "", "What was checked.", key=True),
        Column("channel", "text", "", "Detector it is about; empty for the whole tube.", key=True),
        Column("value", "number", "", "What was found."),
        Column("limit", "number", "", "Beyond what it is remarkable."),
        Column("severity", "text", "", "Empty, info, review or invalid."),
        Column("n_excluded", "integer", "events", "Events that lie in the stretches to be left out."),
        Column("begins_s", "text", "", "When those stretches begin, seconds, by semicolons."),
        Column("ends_s", "text", "", "When they end; that moment is not in them."),
        Column("note", "text", "", "What else is to be said."),
    ),
    csv=True,
)


@dataclass(frozen=True)
class QcTube:
    """A data set of a file, to be checked."""

    sample: str
    path: Path
    file: str
    data_set: int


@dataclass(frozen=True)
class Checked:
    """What was found in one tube; ``quality`` is None, and ``error`` says why, where it could not be read."""

    tube: QcTube
    quality: Quality | None
    error: str = ""
    figure: Path | None = None

    @property
    def severity(self) -> Severity:
        """Worst severity of its findings; ``invalid`` if it could not be read."""
        return "invalid" if self.quality is None else self.quality.severity

    @property
    def told(self) -> tuple[Finding, ...]:
        """Findings that are worth a word, the worst first."""
        found = () if self.quality is None else self.quality.findings
        return tuple(sorted((f for f in found if f.severity), key=lambda f: -ORDER.index(f.severity)))


def find_tubes(paths: Sequence[Path], *, repair: Repair = "safe") -> tuple[QcTube, ...]:
    """List the data sets of files and folders, sorted by sample name; raises `ConfigError` where there are none."""
    found = data_sets_at(paths, repair)
    if not found:
        raise ConfigError("nothing to check: give FCS files or folders.")
    tubes = [QcTube(name, path, file, data_set) for name, path, file, data_set in found]
    return tuple(sorted(tubes, key=lambda tube: tube.sample))


def check_tubes(
    tubes: Sequence[QcTube],
    *,
    limits: QualityLimits | None = None,
    repair: Repair = "safe",
    figures: Path | None = None,
    done: Callable[[QcTube], None] = lambda tube: None,
) -> tuple[Checked, ...]:
    """Check tubes one after the other; one that cannot be read does not stop the others.

    Parameters
    ----------
    tubes : sequence of QcTube
        As `find_tubes` lists them.
    limits : QualityLimits, optional
        What is too much.
    repair : {"safe", "none", "salvage"}
        How files are read, as for `read_fcs`.
    figures : Path, optional
        Folder for a picture of each tube, ``<sample>.png``; made if it is not there.
    done : callable
        Told of each tube that is done.
    """
    if figures is not None:
        figures.mkdir(parents=True, exist_ok=True)
    checked = []
    for tube in tubes:
        checked.append(_check(tube, limits, repair, figures))
        done(tube)
    return tuple(checked)


def _check(tube: QcTube, limits: QualityLimits | None, repair: Repair, figures: Path | None) -> Checked:
    try:
        sample = read_fcs(tube.path, data_set=tube.data_set, repair=repair)
        quality = check_quality(sample, limits=limits)
        figure = None if figures is None else _draw(sample, quality, tube, figures)
    except InputError as error:
        return Checked(tube, None, str(error))
    return Checked(tube, quality, figure=figure)


def _draw(sample: Sample, quality: Quality, tube: QcTube, folder: Path) -> Path:
    from nti7flow import plot
    from nti7flow.plot.figure import boxes_for_missing_letters

    path = folder / f"{tube.sample}.png"
    with boxes_for_missing_letters():
        plot.save_png(plot.quality_page(sample, quality, title=tube.sample), path)
    return path


def findings_csv(checked: Sequence[Checked]) -> str:
    """Every finding as CSV, safe against formula injection."""
    return csv_text(arrow_table(FINDINGS, list(_rows(checked))))


def _rows(checked: Sequence[Checked]) -> Iterator[dict[str, object]]:
    for one in checked:
        start = {"sample": one.tube.sample, "file": one.tube.file, "data_set": one.tube.data_set}
        if one.quality is None:
            yield start | {"check": "refused", "channel": "", "severity": "invalid", "n_excluded": 0, "note": one.error}
            continue
        for finding in one.quality.findings:
            yield start | {
                "check": finding.check,
                "channel": finding.channel,
                "value": finding.value,
                "limit": finding.limit,
                "severity": finding.severity,
                "n_excluded": finding.n_excluded,
                "begins_s": ";".join(f"{begin:.6g}" for begin, _ in finding.intervals),
                "ends_s": ";".join(f"{end:.6g}" for _, end in finding.intervals),
                "note": finding.note,
            }
