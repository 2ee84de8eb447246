"""``nti7flow deidentify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from nti7flow.study.deidentify import Deidentified

EPILOG = """Examples:\n
nti7flow deidentify delivery/ --out shared\n
nti7flow deidentify delivery/ --out shared --map codes.csv\n
Exit code: 0 every file was written, 1 nothing to write, 3 some files were refused."""
#: Values to read that are shown; the report has them all.
SHOWN = 60
#: Characters of a value that are shown.
LONGEST = 100


def deidentify(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="FCS files and folders (searched recursively, without hidden files)."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the copies and the report; new or empty.")],
    codes: Annotated[
        Path | None,
        typer.Option(
            "--map",
            help="CSV with file, subject, code, sample, date_shift_days. Without one, a map is made beside the folder; "
            "it leads back to the subjects and must not be passed on.",
        ),
    ] = None,
    remove_unknown: Annotated[
        bool,
        typer.Option("--remove-unknown", help="Remove text in keywords no rule knows instead of listing it to read."),
    ] = False,
) -> None:
    """Copy FCS files without personal data: names recoded, dates shifted per subject, events untouched."""
    from nti7flow.cli.tables import console, progress_bar
    from nti7flow.study.deidentify import deidentify_files
    from nti7flow.study.delivered import list_files

    files = list_files(paths)
    with progress_bar(len(files), "de-identifying") as done:
        result = deidentify_files(
            files, out, codes=codes, remove_unknown=remove_unknown, done=lambda file: done(file.name)
        )
    _print(console(), result)
    if result.refused:
        raise typer.Exit(3)


def _print(out: Console, result: Deidentified) -> None:
    from nti7flow.cli.tables import shown

    if result.files:
        _print_files(out, result)
    for name, reason in result.refused.items():
        out.print(f"[red]refused[/red] {shown(name)}: {shown(reason)}", soft_wrap=True)
    for row in result.unused:
        what = row.file or f"subject {row.subject}"
        out.print(f"line {row.line} of the map matched no file: {shown(what)}", soft_wrap=True)
    if not result.files:
        out.print("Nothing was written.")
        return
    _print_to_read(out, result)
    told = ", ".join(f"{keyword} ({n})" for keyword, n in sorted(result.subjects_by.items(), key=lambda told: -told[1]))
    if result.map_is_new:
        out.print(f"\nSubjects were told apart by: {shown(told)}. See that they are right in the map.", soft_wrap=True)
    out.print(f"Report    {shown(str(result.report))}", soft_wrap=True)
    if result.map_is_new:
        out.print(
            f"[bold red]Key[/bold red]       {shown(str(result.map))} leads from every code back to its subject and "
            "dates: keep it where only you can read it, and never pass it on.",
            soft_wrap=True,
        )


def _print_files(out: Console, result: Deidentified) -> None:
    from rich.table import Table

    from nti7flow.cli.tables import shown

    table = Table("file", "from", "removed", "recoded", "dates shifted", "to read")
    for column in table.columns[2:]:
        column.justify = "right"
    for file in result.files:
        actions = [change.action for change in file.changes]
        numbers = [str(actions.count(action)) for action in ("removed", "recoded", "shifted")]
        table.add_row(shown(file.file), shown(file.source), *numbers, str(sum(c.read for c in file.changes)))
    out.print(table)
    if unshifted := sorted({file.code for file in result.files if file.shift_days == 0}):
        out.print(
            f"[yellow]Dates were not shifted[/yellow] (0 days in the map): {', '.join(unshifted)}", soft_wrap=True
        )


def _print_to_read(out: Console, result: Deidentified) -> None:
    from nti7flow.cli.tables import shown

    values = result.to_read
    if not values:
        return
    out.print("\n[yellow]A person should read this[/yellow] before the files are passed on: it was kept.")
    for (keyword, value), files in list(values.items())[:SHOWN]:
        text = value if len(value) <= LONGEST else f"{value[:LONGEST]} …"
        where = files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
        out.print(f"  {shown(keyword)}  {shown(text)}  [dim]{shown(where)}[/dim]", soft_wrap=True)
    if len(values) > SHOWN:
        out.print(f"  and {len(values) - SHOWN:,} more: see the column read of the report.")
