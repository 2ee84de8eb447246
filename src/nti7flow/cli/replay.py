"""``nti7flow replay``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EPILOG = """Examples:\n
nti7flow replay runs/first\n
nti7flow replay runs/first --data /archive/trial --out replayed.csv\n
Exit code: 0 every count and concentration reproduced, or none of the latter computed again for the reason that is \
said, 1 not a run folder, 3 something differs or a file is missing."""


def replay(
    run: Annotated[Path, typer.Argument(help="Run folder written by nti7flow gate.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder to look for the FCS files in, if they have moved; known by SHA-256.")
    ] = None,
    study: Annotated[
        Path | None,
        typer.Option("--study", help="study.yaml with the sheets that the concentrations rest on, if it has moved."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also write the reproduced table of counts here.")
    ] = None,
) -> None:
    """Reproduce every count of a run from its stored gates, every concentration from these, and say whether it did."""
    from nti7flow.cli.terminal import complain, say
    from nti7flow.errors import StoreError
    from nti7flow.study.replay import replay as replay_run
    from nti7flow.study.store import open_run

    report = replay_run(open_run(run), data=data, study=study)
    if out is not None:
        try:
            out.write_text(report.counts_csv, encoding="utf-8", newline="\n")
        except OSError as error:
            raise StoreError(f"{out}: cannot be written: {error.strerror}.") from None
    again = report.concentrations
    for line in (*report.missing, *report.differences, *again.differences):
        complain(line)
    for note in again.notes:
        complain(f"concentrations not computed again: {note}")
    if report.identical:
        too = f" and {again.n_concentrations:,} concentrations" if again.n_concentrations else ""
        say(f"reproduced: {report.n_counts:,} counts of {report.n_samples} samples{too}, byte for byte")
        return
    found = [f"{len(report.differences)} counts differ", f"{len(report.missing)} samples could not be checked"]
    if again.n_concentrations and not again.differences:
        found.append(f"{again.n_concentrations:,} concentrations reproduced")
    found += [f"concentrations differ in {len(again.differences)} places"] if again.differences else []
    say(f"NOT reproduced: {', '.join(found)}")
    raise typer.Exit(3)
