"""``nti7flow count``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nti7flow.cli.gate import FigureChoice

EPILOG = """Examples:\n
nti7flow count runs/march\n
nti7flow count runs/march --study corrected/study.yaml\n
Exit code: 0 clean, 1 nothing could be counted, 3 some concentrations need a look."""


def count(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder that nti7flow gate made.")],
    study: Annotated[
        Path | None,
        typer.Option("--study", help="study.yaml with the sheets. [default: that which was gated, where it still is]"),
    ] = None,
    figures: Annotated[
        FigureChoice, typer.Option(help="Which subjects get a picture of their concentrations.")
    ] = FigureChoice.all,
) -> None:
    """Compute cells per microlitre again, without gating: after a sheet or a limit of study.yaml was changed."""
    from nti7flow.cli.concentrations import print_count_report
    from nti7flow.cli.tables import console, progress_bar
    from nti7flow.errors import ConfigError
    from nti7flow.study.count import NOTHING_TO_COUNT_AGAINST, count_run
    from nti7flow.study.store import open_run

    n_specimens = len(set(open_run(run).counts["specimen"].dropna()))
    with progress_bar(n_specimens, "counting") as done:
        report = count_run(run, study=study, figures=figures.value, done=done)
    if report.step is None:
        raise ConfigError(NOTHING_TO_COUNT_AGAINST.format(run=run))
    print_count_report(console(), report, run)
    if not report.clean:
        raise typer.Exit(3)
