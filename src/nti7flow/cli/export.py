"""``nti7flow export``."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

EPILOG = """Examples:\n
nti7flow export runs/march --population cd4_t --format fcs\n
nti7flow export runs/march -p cd8_t --format fcs --sample SUBJ-001_day00 --out for_flowjo\n
nti7flow export runs/march -p b_cells --format fcs --data /archive/trial\n
Values are raw: not compensated, not transformed. Keywords of the source are kept, personal data among them.\n
Exit code: 0 every sample exported, 1 no such run, sample or population, 3 some samples have no file: see why."""


class ExportFormat(enum.StrEnum):
    """What is written."""

    fcs = "fcs"


def export(
    run: Annotated[Path, typer.Argument(help="Run folder written by nti7flow gate.")],
    population: Annotated[str, typer.Option("--population", "-p", help="Id of the population, such as cd4_t.")],
    format: Annotated[
        ExportFormat, typer.Option("--format", help="fcs: the events as they are stored, FCS 3.1, one file a sample.")
    ] = ExportFormat.fcs,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for the files; none is ever replaced. [default: RUN/exports]"),
    ] = None,
    sample: Annotated[list[str] | None, typer.Option("--sample", help="Export this sample only. Repeatable.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder to look for the FCS files in, if they have moved.")
    ] = None,
) -> None:
    """Write the events of a gated population as FCS files for another program."""
    from nti7flow.cli.tables import progress_bar
    from nti7flow.cli.terminal import complain, say
    from nti7flow.exports.population import export_population
    from nti7flow.study.store import open_run

    opened = open_run(run)
    folder = out if out is not None else run / "exports"
    total = len(set(sample)) if sample else len(opened.samples) + len(opened.refused)
    with progress_bar(total, "exporting") as done:
        report = export_population(opened, population, folder, samples=sample, data=data, done=done)
    for name, why in report.refused.items():
        complain(f"{name}: {why}")
    for exported in report.exported:
        say(f"{exported.path}: {exported.n_events:,} events")
    say(f"exported {population} of {len(report.exported)} samples, {len(report.refused)} refused")
    if report.refused:
        raise typer.Exit(3)
