"""``nti7flow inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from nti7flow.events.sample import Sample

EPILOG = """Examples:\n
nti7flow inspect tube.fcs\n
nti7flow inspect tube.fcs --template tbnk --spillover matrix.csv"""
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
) -> None:
    """Show a tube: panel, acquisition, spillover, and what would block gating it."""
    from rich.markup import escape

    from nti7flow.cli.tables import console
    from nti7flow.events.fcs import read_fcs
    from nti7flow.study.blockers import find_blockers

    out = console()
    sample = read_fcs(file, data_set=data_set)
    _print_sample(out, sample)
    blockers = find_blockers(sample, template, spillover)
    _print_spillover(out, sample)
    how = escape(f"with {template} and --spillover {spillover}")
    if not blockers:
        out.print(f"\n[green]Nothing blocks gating[/green] {how}.", soft_wrap=True)
        return
    out.print(f"\n[red]Would block gating[/red] {how}:", soft_wrap=True)
    for line in blockers:
        out.print(f"  {line}", markup=False, soft_wrap=True)
    raise typer.Exit(3)


def _print_sample(out: Console, sample: Sample) -> None:
    from rich.markup import escape
    from rich.table import Table

    out.print(
        f"{sample.path.name}: {sample.version}, {sample.n_events:,} events, SHA-256 {sample.sha256}", markup=False
    )
    known = [f"{name} {sample.keywords[key]}" for key, name in ACQUISITION.items() if sample.keywords.get(key)]
    out.print("; ".join(known), markup=False, soft_wrap=True)
    for note in sample.notes:
        out.print(f"note: {note.text}", markup=False, soft_wrap=True)
    table = Table("#", "detector", "marker", "fluorochrome", "role", "range", "gain", "compensated")
    for channel in sample.panel.channels:
        table.add_row(
            str(channel.index + 1),
            escape(channel.detector),
            escape(channel.marker),
            escape(channel.fluorochrome),
            channel.role,
            "" if channel.range is None else f"{channel.range:.10g}",
            "" if channel.gain is None else f"{channel.gain:g}",
            "already" if channel.precompensated else "",
        )
    out.print(table)


def _print_spillover(out: Console, sample: Sample) -> None:
    from nti7flow.errors import SpilloverError
    from nti7flow.events.spillover import CONDITION_LIMIT, Spillover

    try:
        matrix = Spillover.from_keyword(sample)
    except SpilloverError as error:
        out.print(f"Spillover keyword: {error}", markup=False, soft_wrap=True)
        return
    if matrix is None:
        out.print("Spillover keyword: none")
        return
    worst = "high: dim populations will be noisy" if matrix.condition_number > CONDITION_LIMIT else "well conditioned"
    names = ", ".join(matrix.detectors)
    out.print(
        f"Spillover keyword: {len(matrix.detectors)} detectors ({names}), condition number "
        f"{matrix.condition_number:.2f} ({worst})",
        markup=False,
        soft_wrap=True,
    )
