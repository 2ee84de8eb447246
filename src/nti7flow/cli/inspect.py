"""``nti7flow inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nti7flow.cli.gate import RepairChoice

if TYPE_CHECKING:
    from rich.console import Console

    from nti7flow.events.sample import Sample

EPILOG = """Examples:\n
nti7flow inspect tube.fcs\n
nti7flow inspect tube.fcs --template tbnk --spillover matrix.csv\n
nti7flow inspect plate.lmd --data-set 3\n
Exit code: 0 nothing blocks gating, 1 the file cannot be read, 3 something would block gating."""
#: Keywords that say how a tube was acquired, and what to call them. None of them names a person.
ACQUISITION = {
    "$CYT": "cytometer",
    "$DATE": "date",
    "$BTIM": "begin",
    "$ETIM": "end",
    "CREATOR": "software",
    "$VOL": "volume",
}


def inspect(
    file: Annotated[Path, typer.Argument(help="An FCS file.")],
    template: Annotated[str, typer.Option("--template", "-t", help="Template to check the panel against.")] = "tbnk",
    spillover: Annotated[
        str, typer.Option("--spillover", "-s", help="keyword, none, or the path of a CSV.")
    ] = "keyword",
    data_set: Annotated[int, typer.Option(min=0, help="Data set of a file that holds several, from 0.")] = 0,
    repair: Annotated[
        RepairChoice,
        typer.Option(
            help="A file that breaks the standard: safe reads it where only one reading is consistent, none refuses "
            "it, salvage also takes what a truncated one still holds."
        ),
    ] = RepairChoice.safe,
) -> None:
    """Show a tube: panel, acquisition, notes of the reader, spillover, and what would block gating it."""
    from nti7flow.cli.tables import console, shown
    from nti7flow.events.fcs import count_data_sets, read_fcs
    from nti7flow.study.blockers import find_blockers

    out = console()
    sample = read_fcs(file, data_set=data_set, repair=repair.value)
    _print_sample(out, sample, count_data_sets(file))
    _print_notes(out, sample)
    _print_channels(out, sample)
    blockers = find_blockers(sample, template, spillover)
    _print_spillover(out, sample)
    how = shown(f"with {template} and --spillover {spillover}")
    if not blockers:
        out.print(f"\n[green]Nothing blocks gating[/green] {how}.", soft_wrap=True)
        return
    out.print(f"\n[red]Would block gating[/red] {how}:", soft_wrap=True)
    for line in blockers:
        out.print(f"  {shown(line)}", soft_wrap=True)
    raise typer.Exit(3)


def _print_sample(out: Console, sample: Sample, n_data_sets: int) -> None:
    """Say which tube it is: one line of the file, one of the acquisition, one of what else the file holds."""
    from nti7flow.cli.tables import shown

    which = f"data set {sample.data_set} of {n_data_sets} (from 0), " if n_data_sets > 1 else ""
    first = f"{sample.path.name}: {sample.version}, {which}{sample.n_events:,} events, SHA-256 {sample.sha256}"
    known = [f"{name} {text}" for key, name in ACQUISITION.items() if (text := sample.keywords.get(key, "").strip())]
    analysis = f"ANALYSIS segment: {len(sample.analysis)} keywords" if sample.analysis else ""
    for line in (first, "; ".join(known), analysis):
        if line:
            out.print(shown(line), soft_wrap=True)


def _print_notes(out: Console, sample: Sample) -> None:
    """Print each note with its code, what was found and what was assumed; those for review stand out."""
    from nti7flow.cli.tables import shown
    from nti7flow.events.codes import CODES

    for note in sample.notes:
        kind = "[yellow]review[/yellow]" if note.severity == "review" else "note"
        text = f"[{note.code}] {CODES[note.code].title}: found {note.found}; assumed: {note.assumed}"
        out.print(f"{kind} {shown(text)}", soft_wrap=True)


def _print_channels(out: Console, sample: Sample) -> None:
    from rich.table import Table

    from nti7flow.cli.tables import shown

    table = Table("#", "detector", "marker", "fluorochrome", "role", "range", "gain", "compensated")
    for channel in sample.panel.channels:
        table.add_row(
            str(channel.index + 1),
            shown(channel.detector),
            shown(channel.marker),
            shown(channel.fluorochrome),
            channel.role,
            "" if channel.range is None else f"{channel.range:.10g}",
            "" if channel.gain is None else f"{channel.gain:g}",
            "already" if channel.precompensated else "",
        )
    out.print(table)


def _print_spillover(out: Console, sample: Sample) -> None:
    from nti7flow.cli.tables import shown
    from nti7flow.errors import SpilloverError
    from nti7flow.events.spillover import CONDITION_LIMIT, Spillover

    try:
        matrix = Spillover.from_keyword(sample)
    except SpilloverError as error:
        out.print(shown(f"Spillover keyword: {error}"), soft_wrap=True)
        return
    if matrix is None:
        out.print("Spillover keyword: none")
        return
    worst = "high: dim populations will be noisy" if matrix.condition_number > CONDITION_LIMIT else "well conditioned"
    names = ", ".join(matrix.detectors)
    text = f"{len(matrix.detectors)} detectors ({names}), condition number {matrix.condition_number:.2f} ({worst})"
    out.print(shown(f"Spillover keyword: {text}"), soft_wrap=True)
