"""``nti7flow qc``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nti7flow.cli.gate import RepairChoice

if TYPE_CHECKING:
    from rich.console import Console

    from nti7flow.quality.findings import Finding
    from nti7flow.study.qc import Checked

EPILOG = """Examples:\n
nti7flow qc tube.fcs\n
nti7flow qc tubes/ --figures qc_pictures --csv qc.csv\n
nti7flow qc plate.lmd --repair salvage\n
Exit code: 0 nothing to look at, 1 nothing to check, 3 some tubes are for review or could not be read."""
COLOURS = {"": "green", "info": "", "review": "yellow", "invalid": "red"}
#: Stretches of time that are named of one finding.
NAMED = 3
#: How each check is called for people.
WORDS = {
    "time_unsteady": "left out",
    "time_missing": "no time channel",
    "time_constant": "time stands still",
    "time_not_finite": "events without a time",
    "time_restarts": "clock began anew",
    "time_unsorted": "not in the order of time",
    "clog": "clog",
    "surge": "surge",
    "carry_over": "tube before",
    "signal_shift": "signal shift",
    "signal_drift": "slow drift",
    "flow_slow": "flow fell",
    "flow_fast": "flow surged",
    "few_events": "few events",
    "saturated": "off scale",
    "at_bottom": "at the bottom",
    "doublets": "doublets",
    "dead_cells": "dead cells",
}
SHARES = ("time_unsteady", "saturated", "at_bottom", "doublets", "dead_cells")


def qc(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="FCS files and folders (searched recursively, without hidden files). Each data set of a file is a "
            "sample.",
        ),
    ],
    figures: Annotated[
        Path | None, typer.Option("--figures", "-f", help="Folder for a picture of each tube's course.")
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Also write every finding as a CSV here.")] = None,
    repair: Annotated[
        RepairChoice,
        typer.Option(
            help="Files that break the standard: safe reads those with one consistent reading, none refuses them, "
            "salvage also takes what a truncated file still holds."
        ),
    ] = RepairChoice.safe,
) -> None:
    """Check how tubes were acquired: flow, clogs, drift, margins, doublets, dead cells. Needs no template."""
    from nti7flow.cli.tables import console, progress_bar, shown
    from nti7flow.errors import StoreError
    from nti7flow.study.qc import check_tubes, find_tubes, findings_csv

    if csv is not None and (csv.is_dir() or not csv.parent.is_dir()):  # said before the work, not after it
        raise StoreError(f"{csv}: cannot be written; give the name of a file in a folder that is there.")
    if figures is not None and figures.exists() and not figures.is_dir():
        raise StoreError(f"{figures}: is no folder; give one for the pictures.")
    tubes = find_tubes(paths, repair=repair.value)
    with progress_bar(len(tubes), "checking") as done:
        checked = check_tubes(tubes, repair=repair.value, figures=figures, done=lambda tube: done(tube.sample))
    out = console()
    print_checked(out, checked)
    if csv is not None:
        try:
            csv.write_text(findings_csv(checked), encoding="utf-8", newline="\n")
        except OSError as error:
            raise StoreError(f"{csv}: cannot be written: {error.strerror}.") from None
        out.print(f"Findings  {shown(str(csv))}", soft_wrap=True)
    if figures is not None:
        drawn = sum(one.figure is not None for one in checked)
        out.print(f"Pictures  {shown(str(figures))} ({drawn})", soft_wrap=True)
    if any(one.severity in ("review", "invalid") for one in checked):
        raise typer.Exit(3)


def print_checked(out: Console, checked: Sequence[Checked]) -> None:
    """Print a row for each tube, then what was found, the worst first."""
    from rich.table import Table

    from nti7flow.cli.tables import shown

    table = Table("sample")
    for heading in ("events", "seconds", "events/s", "left out", "off scale, most", "doublets", "dead"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for one in checked:
        colour = COLOURS[one.severity]
        verdict = "refused" if one.quality is None else one.severity or "steady"
        table.add_row(shown(one.tube.sample), *_cells(one), f"[{colour}]{verdict}[/{colour}]" if colour else verdict)
    out.print(table)
    for one in sorted(checked, key=lambda one: one.severity not in ("review", "invalid")):
        if one.quality is None:
            out.print(f"[red]refused[/red] {shown(one.tube.sample)}: {shown(one.error)}", soft_wrap=True)
        elif one.told:
            out.print(f"\n[bold]{shown(one.tube.sample)}[/bold]", soft_wrap=True)
        for finding in one.told:
            colour = COLOURS[finding.severity]
            start = f"[{colour}]{finding.severity:<7}[/{colour}]" if colour else f"{finding.severity:<7}"
            out.print(f"  {start} {shown(in_words(finding))}", soft_wrap=True)


def _cells(one: Checked) -> tuple[str, ...]:
    """Numbers of one tube; a dash for what is not known."""
    quality = one.quality
    if quality is None:
        return ("–",) * 7
    seconds = rate = "–"
    if quality.course is not None:
        begins = quality.course.bins.begins
        seconds = f"{begins[-1] - begins[0]:,.1f}"
        rate = f"{float(quality.course.bins.edges[-1] / (begins[-1] - begins[0])):,.0f}"
    left_out = "–" if not quality.steady else _percent(quality.n_excluded / max(quality.n_events, 1))
    top = max(quality.margins, key=lambda margin: margin.top, default=None)
    off_scale = "–" if top is None else f"{_percent(top.top)} {top.channel}" if top.top >= 0.0005 else "0 %"
    shares = {f.check: "–" if f.value is None else _percent(f.value) for f in quality.findings}
    return (f"{quality.n_events:,}", seconds, rate, left_out, off_scale, *(shares.get(c, "–") for c in SHARES[-2:]))


def in_words(finding: Finding) -> str:
    """Say a finding on one line: what, where, how much, when."""
    parts = [WORDS.get(finding.check, finding.check)]
    parts += [finding.channel] if finding.channel else []
    if finding.value is not None:
        if finding.check in SHARES:
            parts.append(f"{_percent(finding.value)} (limit {_percent(finding.limit or 0.0)})")
        elif finding.check in ("flow_slow", "flow_fast"):
            parts.append(f"to {finding.value:.2g} × the usual rate")
        elif finding.check in ("few_events", "time_restarts", "time_not_finite", "time_constant"):
            parts.append(f"{finding.value:,.0f}")
        elif not finding.note:
            parts.append(f"{finding.value:.3g}")
    parts += [finding.note] if finding.note else []
    if finding.n_excluded:
        parts.append(f"{finding.n_excluded:,} events")
    if finding.intervals:
        named = ", ".join(f"{begin:.1f}–{end:.1f} s" for begin, end in finding.intervals[:NAMED])
        more = len(finding.intervals) - NAMED
        parts.append(f"at {named}" + (f" and {more} more" if more > 0 else ""))
    return " · ".join(parts)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.0005 or share == 0 else "< 0.1 %"
