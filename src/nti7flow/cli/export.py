"""``nti7flow export``."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nti7flow.study.store import Run

EPILOG = """Examples:\n
nti7flow export runs/march --population cd4_t --format fcs\n
nti7flow export runs/march -p cd8_t --format fcs --sample SUBJ-001_day00 --out for_flowjo\n
nti7flow export runs/march -p b_cells --format fcs --data /archive/trial\n
nti7flow export runs/march --format gatingml --out for_flowkit\n
nti7flow export runs/march --format csv\n
fcs: values are raw, not compensated, not transformed; keywords of the source are kept, personal data among them.\n
gatingml: each sample's gates as they were placed; FlowKit reads them and counts the same events.\n
csv: thresholds.csv, in display units and as scale values.\n
Exit code: 0 every sample exported, 1 no such run, sample or population, 3 some samples have no file: see why."""


class ExportFormat(enum.StrEnum):
    """What is written."""

    fcs = "fcs"
    gatingml = "gatingml"
    csv = "csv"


def export(
    run: Annotated[Path, typer.Argument(help="Run folder written by nti7flow gate.")],
    population: Annotated[
        str | None, typer.Option("--population", "-p", help="With fcs: id of the population, such as cd4_t.")
    ] = None,
    format: Annotated[
        ExportFormat,
        typer.Option(
            "--format",
            help="fcs: the events of a population as they are stored, FCS 3.1, one file a sample. gatingml: the gates, "
            "Gating-ML 2.0, one file a sample. csv: one table of the thresholds of all samples.",
        ),
    ] = ExportFormat.fcs,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for the files; none is ever replaced. [default: RUN/exports]"),
    ] = None,
    sample: Annotated[list[str] | None, typer.Option("--sample", help="Export this sample only. Repeatable.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="With fcs: folder to look for the FCS files in, if they have moved.")
    ] = None,
) -> None:
    """Write a run for another program: the events of a population, or the gates."""
    from nti7flow.cli.tables import progress_bar
    from nti7flow.cli.terminal import complain
    from nti7flow.study.store import open_run

    _check_usage(format, population, data)
    opened = open_run(run)
    folder = out if out is not None else run / "exports"
    total = len(set(sample)) if sample else len(opened.samples) + len(opened.refused)
    with progress_bar(total, "exporting") as done:
        if population is not None:
            told, refused = _events(opened, population, folder, samples=sample, data=data, done=done)
        elif format is ExportFormat.gatingml:
            told, refused = _gates(opened, folder, samples=sample, done=done)
        else:
            told, refused = _thresholds(opened, folder, samples=sample, done=done)
    for name, why in refused.items():
        complain(f"{name}: {why}")
    _tell(told)
    if refused:
        raise typer.Exit(3)


def _check_usage(format: ExportFormat, population: str | None, data: Path | None) -> None:
    if format is ExportFormat.fcs:
        if population is None:
            raise typer.BadParameter(
                "--format fcs writes the events of one population: name it with --population, such as cd4_t"
            )
        return
    for option, value, why in (
        ("--population", population, "writes the gates of all populations"),
        ("--data", data, "needs no FCS file"),
    ):
        if value is not None:
            raise typer.BadParameter(f"{option} is for --format fcs; --format {format.value} {why}")


def _tell(lines: list[str]) -> None:
    from nti7flow.cli.terminal import say

    for line in lines:
        say(line)


def _events(
    run: Run,
    population: str,
    out: Path,
    *,
    samples: list[str] | None,
    data: Path | None,
    done: Callable[[str], None],
) -> tuple[list[str], Mapping[str, str]]:
    from nti7flow.exports.population import export_population

    report = export_population(run, population, out, samples=samples, data=data, done=done)
    told = [f"{exported.path}: {exported.n_events:,} events" for exported in report.exported]
    told.append(f"exported {population} of {len(report.exported)} samples, {len(report.refused)} refused")
    return told, report.refused


def _gates(
    run: Run, out: Path, *, samples: list[str] | None, done: Callable[[str], None]
) -> tuple[list[str], Mapping[str, str]]:
    from nti7flow.exports.gatingml import export_gatingml

    report = export_gatingml(run, out, samples=samples, done=done)
    told = []
    for exported in report.exported:
        left_out = f"; without a gate: {', '.join(exported.left_out)}" if exported.left_out else ""
        told.append(f"{exported.path}: {exported.n_populations} populations{left_out}")
    told.append(f"exported the gates of {len(report.exported)} samples, {len(report.refused)} refused")
    return told, report.refused


def _thresholds(
    run: Run, out: Path, *, samples: list[str] | None, done: Callable[[str], None]
) -> tuple[list[str], Mapping[str, str]]:
    from nti7flow.exports.thresholds import export_thresholds

    report = export_thresholds(run, out, samples=samples, done=done)
    told = [] if report.path is None else [f"{report.path}: {report.n_rows:,} rows"]
    told.append(f"exported the thresholds of {report.n_samples} samples, {len(report.refused)} refused")
    return told, report.refused
