"""``nti7flow check``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nti7flow.cli.gate import RepairChoice

if TYPE_CHECKING:
    from rich.console import Console

    from nti7flow.study.delivered import DeliveredTube
    from nti7flow.study.delivery import Delivery

EPILOG = """Examples:\n
nti7flow check delivery/\n
nti7flow check delivery/ --jobs 2 --out check.csv\n
nti7flow check tube.fcs --repair none\n
Exit code: 0 every file can be read, 1 nothing to check, 3 some files were refused."""
COLOURS = {"ok": "green", "noted": "yellow", "refused": "red"}
#: Letters of a file's name up to which the lines are aligned; of the names of a cytometer and of a date.
NAME, CYTOMETER, DATE = 60, 24, 11
#: Files named of a panel that differs.
NAMED = 12


def check(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="FCS files and folders (searched recursively, without hidden files)."),
    ],
    repair: Annotated[
        RepairChoice,
        typer.Option(
            help="Files that break the standard: safe reads those with one consistent reading, none refuses them, "
            "salvage also takes what a truncated file still holds."
        ),
    ] = RepairChoice.safe,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="Worker processes; changes nothing but the time.")
    ] = 1,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also write the table as a CSV here.")] = None,
) -> None:
    """Check a delivery before a study starts: what can be read, what came twice, which panels differ."""
    from nti7flow.cli.tables import console, progress_bar
    from nti7flow.errors import StoreError
    from nti7flow.study.delivered import list_files
    from nti7flow.study.delivery import check_files

    if out is not None and (out.is_dir() or not out.parent.is_dir()):  # said before the work, not after it
        raise StoreError(f"{out}: cannot be written; give the name of a file in a folder that is there.")
    files = list_files(paths)
    with progress_bar(len(files), "checking") as done:
        delivery = check_files(files, repair=repair.value, jobs=jobs, done=lambda file: done(file.name))
    if out is not None:
        try:
            out.write_text(delivery.to_csv(), encoding="utf-8", newline="\n")
        except OSError as error:
            raise StoreError(f"{out}: cannot be written: {error.strerror}.") from None
    print_delivery(console(), delivery)
    if delivery.refused:
        raise typer.Exit(3)


def print_delivery(out: Console, delivery: Delivery) -> None:
    """Print a line for each data set, then what the codes mean, which panels differ and what came twice."""
    _print_tubes(out, delivery)
    _print_codes(out, delivery.tubes)
    _print_panels(out, delivery)
    if delivery.duplicates:
        _print(out, "\n[bold]Duplicates[/bold]")
    for duplicates in delivery.duplicates:
        _print(out, "  {}", str(duplicates))
    _print(out, "\n{}", delivery.summary)


def _print(out: Console, layout: str, *texts: str) -> None:
    from nti7flow.cli.tables import shown

    out.print(layout.format(*map(shown, texts)), soft_wrap=True)


def _print_tubes(out: Console, delivery: Delivery) -> None:
    several = len(delivery.panels) > 1
    panels = {label: f"panel {panel.number:<3}" for panel in delivery.panels for label in panel.tubes}
    widths = [max((len(_text(t)) for t in delivery.tubes), default=0) for _text in (_name, _cytometer, _date)]
    name, cytometer, date = (min(width, most) for width, most in zip(widths, (NAME, CYTOMETER, DATE), strict=True))
    for tube in delivery.tubes:
        start = f"[{COLOURS[tube.status]}]{tube.status:<8}[/] {{}}"
        if tube.refused:
            reason = " ".join([*(f"[{code}]" for code in tube.codes), tube.details])
            _print(out, f"{start}  {{}}", f"{_name(tube):<{name}}", reason)
            continue
        facts = f"{tube.n_events:>11,} events {len(tube.channels):>3} channels  "
        facts += f"{_cytometer(tube):<{cytometer}}  {_date(tube):<{date}}  {panels[tube.label] if several else ''} "
        _print(out, f"{start}{{}}", f"{_name(tube):<{name}}", f"{facts}{' '.join(tube.codes)}".rstrip())


def _name(tube: DeliveredTube) -> str:
    from nti7flow.errors import printable

    return printable(tube.label)


def _cytometer(tube: DeliveredTube) -> str:
    from nti7flow.errors import printable

    return printable(tube.cytometer)


def _date(tube: DeliveredTube) -> str:
    from nti7flow.errors import printable

    return printable(tube.date)


def _print_codes(out: Console, tubes: Sequence[DeliveredTube]) -> None:
    from nti7flow.study.delivered import codes_in_words

    if codes := codes_in_words(tubes):
        _print(out, "\n[bold]Codes[/bold] (docs/reference/fcs_codes)")
    for code, (title, n) in codes.items():
        _print(out, "  {}  {}", code, f"{title} ({n:,})")


def _print_panels(out: Console, delivery: Delivery) -> None:
    """Say how each other panel differs from the commonest, and which files have it."""
    from nti7flow.study.comparison import channel_in_words

    if not delivery.panels:
        return
    usual, *others = delivery.panels
    _print(out, "\n[bold]Panels[/bold]")
    channels = ", ".join(channel_in_words(*channel) for channel in usual.channels)
    commonest = ", the commonest" if others else ""
    _print(out, "  {}", f"panel 1{commonest} ({len(usual.tubes):,}): {channels}")
    for panel in others:
        more = f" and {len(panel.tubes) - NAMED:,} more" if len(panel.tubes) > NAMED else ""
        names = ", ".join(panel.tubes[:NAMED]) + more
        _print(out, "  {}", f"panel {panel.number} ({len(panel.tubes):,}): {panel.difference}: {names}")
