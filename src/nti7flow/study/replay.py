"""Replay: apply the stored strategies to the files again, count again, and compare every bit and every byte."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nti7flow.counting.fractions import ROOT, count_populations
from nti7flow.counting.stored import ALL_EVENTS, compare_counts, flag_counts
from nti7flow.errors import FcsError, StoreError
from nti7flow.study.files import RunFiles
from nti7flow.study.recount import Recount, recount
from nti7flow.study.store import Run
from nti7flow.study.tables import AT_TOP, COUNTS, STORED_COUNTS, arrow_table, csv_text
from nti7flow.study.tube import pack_all
from nti7flow.study.tube_rows import count_values


@dataclass(frozen=True)
class ReplayReport:
    """What a replay found.

    ``counts_csv`` is the table of counts made anew, without the samples of ``missing``, whose files were not found;
    ``differences`` and ``missing`` are empty when the counts were reproduced. ``concentrations`` says the same of the
    newest step ``count``, where there is one.
    """

    n_samples: int
    n_counts: int
    differences: tuple[str, ...]
    missing: tuple[str, ...]
    counts_csv: str
    concentrations: Recount = field(default_factory=Recount)

    @property
    def identical(self) -> bool:
        """Whether every count of every sample was reproduced exactly, and every concentration that could be."""
        return not self.differences and not self.missing and not self.concentrations.differences


def replay(run: Run, *, data: Path | None = None, study: Path | None = None) -> ReplayReport:
    """Reproduce every count of a run from its stored strategies, and its concentrations from the counts and the sheets.

    Parameters
    ----------
    run : Run
        The run.
    data : Path, optional
        Folder to look for the files in, where they are no longer at their recorded place; they are known by SHA-256.
    study : Path, optional
        The study.yaml that the concentrations rest on, where it is no longer at its recorded place.

    Raises
    ------
    StoreError
        Something in the run, or one of the tables at its top, was altered after it was written.
    ConfigError
        ``data`` is not a folder.
    """
    files = RunFiles(run, data=data)
    _check_files(run)
    stored: dict[str, list[dict[str, Any]]] = {}
    table = run.arrow("counts")
    for row in table.to_pylist():
        stored.setdefault(row["sample"], []).append(row)
    rows: list[dict[str, Any]] = []
    differences, missing = [], []
    for sample, before in stored.items():
        strategy = run.strategy(sample)
        try:
            members = strategy.apply(files.read(sample, strategy))
        except (FcsError, StoreError) as error:
            missing.append(f"{sample}: {error}")
            continue
        notes = dict(files.inputs[sample].get("flags", []))
        plain = count_populations(strategy, members)
        compared = compare_counts(plain, members.n_events, _stored_events(run, sample))
        counts = {c.population: count_values(c) for c in flag_counts(plain, compared, notes)}
        packed = pack_all(members)
        bits = run.bits(sample)
        for row in before:
            now = row | {key: value for key, value in counts[row["population"]].items() if key in row}
            rows.append(now)
            if now != row or packed[row["population"]] != bits[row["population"]]:
                differences.append(
                    f"{sample}, {row['population']}: {row['n_events']} events stored, {now['n_events']} now"
                )
    # Runs made before a column was there do not have it.
    columns = [column.name for column in COUNTS.columns if column.name in table.column_names]
    text = csv_text(arrow_table(COUNTS, rows).select(columns))
    if not differences and not missing and text.encode() != run.file("counts.csv").read_bytes():
        differences.append("counts.csv: the text differs although every number agrees")
    again = recount(run, study=study)
    return ReplayReport(len(stored), len(rows), tuple(differences), tuple(missing), text, again)


def _stored_events(run: Run, sample: str) -> dict[str, int]:
    """Return the counts that came with the gates of a sample, where there are any."""
    rows = run.rows(STORED_COUNTS.name, sample) if run.has(STORED_COUNTS.name) else []
    return {ALL_EVENTS if row["population"] == ROOT else row["population"]: row["stored_events"] for row in rows}


def _check_files(run: Run) -> None:
    """Refuse a run of which any file, or a copy of a table that people read, is not as it was written."""
    for kind in sorted(run.kinds & {"count"} | {"gate"}):
        for name in run.step(kind)["files"]:
            run.file(name, kind)
        for table in (table for table in AT_TOP if table.step == kind):
            copy, stored = run.path / f"{table.name}.csv", run.file(f"{table.name}.csv", kind)
            if copy.is_file() and copy.read_bytes() != stored.read_bytes():
                raise StoreError(f"{copy}: was altered after the run; the table as it was written is {stored}.")
