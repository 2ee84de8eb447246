"""``nf.check_delivery``: whether the files a study is to be made of can be read, came once, and have one panel."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nti7flow.errors import printable
from nti7flow.events.notes import Repair
from nti7flow.study.batch import workers
from nti7flow.study.comparison import Duplicates, PanelGroup, find_duplicates, find_panels
from nti7flow.study.delivered import DeliveredTube, ListedFile, check_file, list_files
from nti7flow.study.tables import Column, Table, arrow_table, csv_text, to_frame

if TYPE_CHECKING:
    import pandas as pd

CHECK = Table(
    "check",
    "Every data set of every file of a delivery.",
    (
        Column("file", "text", "", "The file, relative to the folder that was checked.", key=True),
        Column("data_set", "integer", "", "Data set within the file, from 0.", key=True),
        Column("status", "text", "", "ok, noted (read, with the codes to know about) or refused."),
        Column("codes", "text", "", "Codes of the notes or of the refusal, by semicolons."),
        Column("severity", "text", "", "Empty, info, review (look before counting) or invalid (refused)."),
        Column("details", "text", "", "What the codes stand for in this file, or why it was refused."),
        Column("version", "text", "", "FCS version."),
        Column("n_events", "integer", "events", "Events that can be read; empty where refused."),
        Column("n_channels", "integer", "", "Channels; empty where refused."),
        Column("cytometer", "text", "", "$CYT."),
        Column("date", "text", "", "$DATE as written."),
        Column("panel", "integer", "", "Number of the panel, 1 for the commonest; empty where refused."),
        Column("panel_difference", "text", "", "How that panel differs from the commoner one most like it."),
        Column("duplicates", "text", "", "What is the same in which other files."),
        Column("sha256", "text", "", "SHA-256 of the file."),
    ),
    csv=True,
)
#: Rows that a notebook shows.
SHOWN = 200


@dataclass(frozen=True, eq=False, repr=False)
class Delivery:
    """What was found in a delivery.

    Attributes
    ----------
    tubes : tuple of DeliveredTube
        Every data set of every file, sorted by file.
    """

    tubes: tuple[DeliveredTube, ...]

    @cached_property
    def duplicates(self) -> tuple[Duplicates, ...]:
        """What came twice: copies first, then the same events under another header, then the same acquisitions."""
        return find_duplicates(self.tubes)

    @cached_property
    def panels(self) -> tuple[PanelGroup, ...]:
        """The different panels, the commonest first."""
        return find_panels(self.tubes)

    @property
    def refused(self) -> dict[str, str]:
        """Data sets that cannot be read, and why."""
        return {tube.label: _reason(tube) for tube in self.tubes if tube.refused}

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per data set, texts exactly as in the files."""
        return to_frame(arrow_table(CHECK, self._rows()))

    def to_csv(self) -> str:
        """Return the table as CSV for people: nothing in it is run by a spreadsheet or obeyed by a terminal."""
        return csv_text(arrow_table(CHECK, self._rows()))

    @property
    def summary(self) -> str:
        """All in one line."""
        n_files = len({tube.path for tube in self.tubes})
        of = {status: sum(tube.status == status for tube in self.tubes) for status in ("ok", "noted", "refused")}
        sets = "" if n_files == len(self.tubes) else f", {len(self.tubes):,} data sets"
        counts = ", ".join(f"{n:,} {status}" for status, n in of.items())
        return (
            f"{_count(n_files, 'file')}{sets}: {counts}; {_count(len(self.panels), 'panel')}; "
            f"{_count(len(self.duplicates), 'group')} of duplicates"
        )

    def _rows(self) -> list[dict[str, Any]]:
        panels = {label: panel for panel in self.panels for label in panel.tubes}
        return [_row(tube, panels.get(tube.label), self._others(tube)) for tube in self.tubes]

    def _others(self, tube: DeliveredTube) -> str:
        told = (d.beside({tube.file, tube.label}) for d in self.duplicates)
        return "; ".join(text for text in told if text)

    def __repr__(self) -> str:
        lines = [f"<Delivery of {self.summary}>"]
        lines += [f"  refused {label}: {reason}" for label, reason in self.refused.items()]
        lines += [f"  panel {p.number} of {', '.join(p.tubes)}: {p.difference}" for p in self.panels[1:]]
        lines += [f"  {duplicates}" for duplicates in self.duplicates]
        return "\n".join(map(printable, lines))

    def _repr_html_(self) -> str:
        items = [f"panel {p.number} of {', '.join(p.tubes)}: {p.difference}" for p in self.panels[1:]]
        items += [str(duplicates) for duplicates in self.duplicates]
        told = "".join(f"<li>{html.escape(printable(item))}</li>" for item in items)
        table = self.table.drop(columns="sha256").head(SHOWN).astype(object)
        cells = table.where(table.notna(), "").map(lambda cell: printable(str(cell))).to_html(index=False)
        more = f"<p>and {len(self.table) - SHOWN:,} more</p>" if len(self.table) > SHOWN else ""
        return f"<p><b>{html.escape(self.summary)}</b></p><ul>{told}</ul>{cells}{more}"


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _reason(tube: DeliveredTube) -> str:
    return " ".join([*(f"[{code}]" for code in tube.codes), tube.details])


def _row(tube: DeliveredTube, panel: PanelGroup | None, duplicates: str) -> dict[str, Any]:
    return {
        "file": tube.file,
        "data_set": tube.data_set,
        "status": tube.status,
        "codes": ";".join(tube.codes),
        "severity": "invalid" if tube.refused else "review" if tube.review else "info" if tube.codes else "",
        "details": tube.details,
        "version": tube.version,
        "n_events": None if tube.refused else tube.n_events,
        "n_channels": None if tube.refused else len(tube.channels),
        "cytometer": tube.cytometer,
        "date": tube.date,
        "panel": None if panel is None else panel.number,
        "panel_difference": "" if panel is None else panel.difference,
        "duplicates": duplicates,
        "sha256": tube.sha256,
    }


def check_files(
    files: Sequence[ListedFile],
    *,
    repair: Repair = "safe",
    jobs: int = 1,
    done: Callable[[ListedFile], None] = lambda file: None,
) -> Delivery:
    """Check files one by one, on any number of workers; ``done`` is told of each as it is finished."""
    tubes: list[DeliveredTube] = []
    with workers(min(jobs, len(files))) as run:
        for file, found in zip(files, run(check_file, [(file, repair) for file in files]), strict=True):
            tubes += found
            done(file)
    return Delivery(tuple(tubes))


def check_delivery(paths: str | Path | Sequence[str | Path], *, repair: Repair = "safe", jobs: int = 1) -> Delivery:
    """Check a delivery of FCS files before a study is made of it.

    Every data set is read as `read_fcs` reads it; files are told apart by their bytes, by the bytes of their events and
    by what their keywords say of the acquisition; panels are compared. One bad file never stops the check.

    Parameters
    ----------
    paths : path, or sequence of path
        FCS files and folders. Folders are searched recursively, without hidden files, for what is named .fcs or .lmd
        and for what begins like an FCS file under any other name.
    repair : {"safe", "none", "salvage"}
        How much a file may depart from the standard, as for `read_fcs`.
    jobs : int
        Worker processes; changes nothing but the time.

    Returns
    -------
    Delivery
        With ``table`` (one row per data set), ``refused``, ``duplicates``, ``panels`` and ``summary``.

    Raises
    ------
    ConfigError
        There is nothing at a path, or no FCS file below it.

    Examples
    --------
    >>> import nti7flow as nf
    >>> delivery = nf.check_delivery("delivery/")  # doctest: +SKIP
    >>> delivery.refused  # doctest: +SKIP
    {'tube_07.fcs': '[FCS004] empty file: found 0 bytes. ...'}
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    return check_files(list_files(given), repair=repair, jobs=jobs)
