"""Checks of a gated tube that need nothing but the tube: its matrix, its notes, its unassigned lymphocytes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from nti7flow.counting.fractions import Count
from nti7flow.errors import FcsError, printable
from nti7flow.events.codes import MORE_DATA_SETS
from nti7flow.events.fcs import count_data_sets
from nti7flow.events.notes import Note
from nti7flow.events.sample import Sample
from nti7flow.events.spectrum import Matrix
from nti7flow.events.spillover import CONDITION_LIMIT
from nti7flow.gating.strategy import Severity
from nti7flow.quality.report import Quality

#: Unassigned lymphocytes, % of lymphocytes: above the first worth knowing, above the second worth a look.
UNASSIGNED_OPTIMAL, UNASSIGNED_LIMIT = 5.0, 10.0


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the table ``quality``."""

    check: str
    value: float | None
    limit: float | None
    severity: Severity
    n_excluded: int = 0


def judge_notes(sample: Sample, *, data_sets: Collection[int] = ()) -> dict[Note, Severity]:
    """Say how severe each note of the reader is for the counts of a sample.

    Parameters
    ----------
    sample : Sample
        The tube.
    data_sets : collection of int
        Data sets of its file that are gated together. Where that is all of them, no cell is left out, and that there
        are several is no reason for a review.
    """
    return {
        note: "info" if note.code == MORE_DATA_SETS.code and _all_gated(sample, data_sets) else note.severity
        for note in sample.notes
    }


def _all_gated(sample: Sample, data_sets: Collection[int]) -> bool:
    if len(data_sets) < 2:  # and the file holds several
        return False
    try:
        return set(range(count_data_sets(sample.path))) <= set(data_sets)
    except FcsError:  # how many there are is not known
        return False


def sample_flags(notes: dict[Note, Severity]) -> dict[str, Severity]:
    """Return the flags that notes of the reader give to every count of a sample, with severities; info gives none."""
    return {f"file_{note.code}": severity for note, severity in notes.items() if severity == "review"}


def quality_flags(quality: Quality | None) -> dict[str, Severity]:
    """Return the flags that checks of the acquisition give to every count of a sample, with severities."""
    findings = quality.findings if quality is not None else ()
    return {f"quality_{f.check}": f.severity for f in findings if f.severity in ("review", "invalid")}


def check_acquisition(quality: Quality | None) -> Iterator[Check]:
    """Yield the checks of how a tube was acquired; of single channels those that found something."""
    for finding in quality.findings if quality is not None else ():
        if finding.severity or finding.n_excluded or not finding.channel:
            name = " ".join(filter(None, (finding.check, finding.channel, finding.note)))
            yield Check(printable(name), finding.value, finding.limit, finding.severity, finding.n_excluded)


def check_sample(
    sample: Sample,
    spillover: Matrix,
    counts: Sequence[Count],
    notes: dict[Note, Severity],
    *,
    left_out: str | None = None,
) -> Iterator[Check]:
    """Check one gated tube; ``notes`` are those of the reader as `judge_notes` judged them.

    ``spillover`` is what it was compensated by; of several matrices that with the largest condition number. In a tube
    stained without a marker (``left_out``) its cells are unassigned, and no reason to look.
    """
    condition = spillover.condition_number
    worst: Severity = "review" if condition > CONDITION_LIMIT else ""
    yield Check("spillover_condition_number", condition, CONDITION_LIMIT, worst)
    for note, severity in notes.items():
        # Keywords are quoted as they stand in the file: here they go to tables and terminals.
        yield Check(f"file_note: {note.code} {printable(note.text)}", None, None, severity)
    if left_out is None:
        yield from _unassigned({count.population: count for count in counts})


def _unassigned(counts: dict[str, Count]) -> Iterator[Check]:
    """Lymphocytes that are neither T, B nor NK cells: monocytes in the gate, or a lineage gate set wrongly."""
    count = counts.get("unassigned")
    if count is None or count.percent_lymphocytes is None:
        return
    percent = count.percent_lymphocytes
    severity: Severity = "review" if percent > UNASSIGNED_LIMIT else "info" if percent > UNASSIGNED_OPTIMAL else ""
    yield Check("unassigned_lymphocytes_percent", percent, UNASSIGNED_LIMIT, severity)
