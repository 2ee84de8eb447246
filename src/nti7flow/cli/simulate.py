"""``nti7flow simulate``."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from nti7flow.simulation import SimulatedStudy

EPILOG = """Examples:\n
nti7flow simulate trial --jobs 2\n
nti7flow simulate small --subjects 3 --events 10000 --panel tbnk\n
nti7flow simulate spoilt --seed 7 --awkward\n
nti7flow gate trial/study.yaml --out runs/trial\n
Exit code: 0 the study was written, 1 it could not be."""


class PanelChoice(enum.StrEnum):
    """Which tubes are made of each specimen."""

    tbnk = "tbnk"
    tcell = "tcell"
    both = "both"


def simulate(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to make; empty if it exists.")],
    subjects: Annotated[int, typer.Option(min=1, help="Patients in the trial.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same bytes, for any number of jobs.")] = 1,
    events: Annotated[
        int, typer.Option(min=1000, help="Events at which a tube is stopped; controls at half as many.")
    ] = 30_000,
    panel: Annotated[
        PanelChoice,
        typer.Option(help="Six-colour TBNK with counting beads, 14-colour T-cell tube, or both."),
    ] = PanelChoice.both,
    awkward: Annotated[
        bool,
        typer.Option("--awkward", help="Spoil some tubes as laboratories do; truth/awkward.csv says which and how."),
    ] = False,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="Worker processes; changes nothing but the time.")
    ] = 1,
) -> None:
    """Write a simulated trial of NT-I7 in lymphopenic patients: tubes, sheets, and the truth about every event."""
    from nti7flow.cli.tables import console, progress_bar
    from nti7flow.simulation.study import plan_study, write_study

    plan = plan_study(subjects=subjects, seed=seed, events=events, panel=panel.value, awkward=awkward)
    with progress_bar(len(plan.tubes), "simulating") as done:
        study = write_study(out, plan, jobs=jobs, done=done)
    _print(console(), study)


def _print(out: Console, study: SimulatedStudy) -> None:
    from rich.table import Table

    from nti7flow.cli.tables import shown

    numbers = {"subject": study.n_subjects, "dose": study.n_doses, "specimen": study.n_specimens, "tube": study.n_tubes}
    made = ", ".join(f"{n} {what}{'' if n == 1 else 's'}" for what, n in numbers.items())
    out.print(f"{made} (with those of controls).")
    if study.cases:
        table = Table("sample", "spoilt by", "what was done", "shown by the data")
        for case in study.cases:
            table.add_row(shown(case.sample), case.case, shown(case.what_was_done), case.shown_by_data)
        out.print(table)
    place = shown(str(study.path))
    out.print(f"Study     {place}/study.yaml", soft_wrap=True)
    out.print(f"Truth     {place}/truth/", soft_wrap=True)
