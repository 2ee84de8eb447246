"""Pictures of concentrations in a run folder, drawn from its tables: ``figures/concentrations/``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

from nti7flow.study.store import Run
from nti7flow.study.tables import REPORTED

logger = logging.getLogger(__name__)

Figures = Literal["all", "flagged", "none"]
Rows = list[Mapping[str, Any]]
#: The pictures that are of no subject.
BUDGET, NO_SUBJECT = "budget", "no_subject"
#: Specimens in one picture, and letters of a file name.
MOST_SPECIMENS, MOST_LETTERS = 60, 60


def draw_counted(run: Run, *, figures: Figures = "all") -> tuple[Path, ...]:
    """Draw the concentrations of a run, a picture per subject, and what makes them uncertain.

    Parameters
    ----------
    run : Run
        A run that was counted.
    figures : {"all", "flagged", "none"}
        Which subjects get a picture; those are flagged of which any count wants a look.

    Returns
    -------
    tuple of Path
        What was drawn. The tables are stored: a picture that cannot be drawn is a warning, and no harm.
    """
    if figures == "none":
        return ()
    from nti7flow import plot

    wanted: dict[str, Callable[[], Any]]
    rows = run.arrow("concentrations").to_pylist()
    if all(row["cells_per_ul"] is None for row in rows):
        return ()  # the sheets name nothing to count against
    wanted = {
        name: partial(plot.counts_figure, own, title=title)
        for name, (title, own) in _pages(rows).items()
        if figures == "all" or any(_is_flagged(row) for row in own)
    }
    if any(row["cells_per_ul"] is not None and row["n_events"] is not None for row in rows):
        wanted[BUDGET] = partial(plot.budget, run)
    drawn = [_draw(run.path, name, figure) for name, figure in wanted.items()]
    return tuple(path for path in drawn if path is not None)


def forget_counted(run_folder: Path) -> None:
    """Remove the pictures of earlier steps: beside newer tables they would show other numbers than those."""
    import pyarrow.parquet as pq

    folder = run_folder / "figures" / "concentrations"
    with suppress(OSError):  # there are none, or something else lives there
        if not folder.is_dir():
            return
        names = {BUDGET}
        for table in run_folder.glob("steps/*-count/concentrations.parquet"):
            names |= _pages(pq.read_table(table, columns=["subject", "specimen"]).to_pylist()).keys()
        for name in names:
            (folder / f"{name}.png").unlink(missing_ok=True)
        folder.rmdir()
        folder.parent.rmdir()


def _draw(run_folder: Path, name: str, figure: Callable[[], Any]) -> Path | None:
    from nti7flow import plot
    from nti7flow.plot.figure import boxes_for_missing_letters

    path = run_folder / "figures" / "concentrations" / f"{name}.png"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with boxes_for_missing_letters():
            plot.save_png(figure(), path)
        return path
    except Exception as error:
        logger.warning("%s: no picture could be drawn (%s: %s)", name, type(error).__name__, error)
        return None


def _is_flagged(row: Mapping[str, Any]) -> bool:
    return row["population"] in REPORTED and row["severity"] in ("review", "invalid")


def _pages(rows: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, Rows]]:
    """Return title and rows of each picture by the name of its file: a subject, or as much of it as stays legible."""
    subjects: dict[str, dict[str, Rows]] = {}
    for row in rows:
        subjects.setdefault(row["subject"] or "", {}).setdefault(row["specimen"], []).append(row)
    pages: dict[str, tuple[str, Rows]] = {}
    taken = {BUDGET} | ({NO_SUBJECT} if "" in subjects else set())
    for subject, specimens in subjects.items():
        every = list(specimens.values())
        parts = [every[at : at + MOST_SPECIMENS] for at in range(0, len(every), MOST_SPECIMENS)]
        for number, part in enumerate(parts, 1):
            title = subject or "Specimens of no subject"
            title += f", part {number} of {len(parts)}" if len(parts) > 1 else ""
            name = NO_SUBJECT if not subject and number == 1 else _file_name(subject or NO_SUBJECT, taken)
            taken.add(name.casefold())
            pages[name] = title, [row for of_specimen in part for row in of_specimen]
    return pages


def _file_name(subject: str, taken: set[str]) -> str:
    """Name of a file for a subject, that no system refuses and no other subject has."""
    plain = "".join(c if c.isalnum() or c in "-_. " else "_" for c in subject)[:MOST_LETTERS].strip(". ") or "_"
    number, name = 1, plain
    while name.casefold() in taken:
        number += 1
        name = f"{plain}_{number}"
    return name
