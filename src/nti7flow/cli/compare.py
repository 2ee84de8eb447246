"""``nti7flow compare``."""

from __future__ import annotations

import enum
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from nti7flow.counting.agreement import Estimate
    from nti7flow.study.compared import Agreement, Comparison

EPILOG = """Examples:\n
nti7flow compare runs/new runs/old --out runs/new_and_old\n
nti7flow compare runs/trial manual_counts.csv --out validation\n
nti7flow compare runs/trial trial.xlsx#hematology\n
nti7flow compare runs/one runs/two --of n_events --population CD4 --population CD8\n
Exit code: 0 all was compared, 1 nothing could be, 3 something was left out, or has no partner."""
#: Pairs that are named of each reason for leaving them out.
NAMED = 4


class QuantityChoice(enum.StrEnum):
    """What is compared."""

    cells_per_ul = "cells_per_ul"
    n_events = "n_events"
    percent_parent = "percent_parent"
    percent_lymphocytes = "percent_lymphocytes"


class ScaleChoice(enum.StrEnum):
    """What a difference is."""

    log = "log"
    percent = "percent"
    absolute = "absolute"


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="Run folder: the method that is judged.")],
    b: Annotated[
        Path,
        typer.Argument(
            metavar="B",
            help="What it is compared with: another run folder, a table of counts (specimen or sample, population, "
            "value, unit), or a sheet of haematology counts.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for agreement.csv, pairs.csv and pictures.")
    ] = None,
    of: Annotated[
        QuantityChoice | None,
        typer.Option(
            help="What is compared. [default: of two runs concentrations, or else events and percent of lymphocytes; "
            "of a table all that it holds]"
        ),
    ] = None,
    population: Annotated[
        list[str] | None,
        typer.Option("--population", "-p", help="Only this population, by id, label, or as CD4; repeatable."),
    ] = None,
    scale: Annotated[
        ScaleChoice,
        typer.Option(help="What a difference is: the ratio, percent of the average of both, or as it is."),
    ] = ScaleChoice.log,
    level: Annotated[float, typer.Option(min=0.5, max=0.999, help="Of the intervals.")] = 0.95,
) -> None:
    """Compare two runs, or a run with other counts: bias, limits of agreement, and the line between both."""
    from nti7flow.cli.tables import console, shown
    from nti7flow.errors import StoreError
    from nti7flow.study.agreement import compare as compare_counts

    if out is not None and out.exists() and not out.is_dir():  # said before the work, not after it
        raise StoreError(f"{out}: is no folder; give one for the tables and pictures.")
    comparison = compare_counts(
        a,
        b,
        quantity=None if of is None else of.value,
        populations=population or (),
        scale=scale.value,
        level=level,
    )
    screen = console()
    print_comparison(screen, comparison)
    if out is not None:
        drawn = comparison.write(out)
        screen.print(f"\nTables    {shown(str(out))}/agreement.csv, pairs.csv", soft_wrap=True)
        screen.print(f"Pictures  {shown(str(out))} ({len(drawn)})", soft_wrap=True)
    if comparison.left_out:
        raise typer.Exit(3)


def print_comparison(out: Console, comparison: Comparison) -> None:
    """Print a row for each population, then what was left out and why."""
    from rich.table import Table

    from nti7flow.cli.tables import shown
    from nti7flow.trial.other_counts import QUANTITIES

    out.print(f"A {shown(comparison.a)}, B {shown(comparison.b)}", soft_wrap=True)
    table = Table("population")
    for heading in ("pairs", "bias A − B", "limits of agreement", "slope", "intercept"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    for one in comparison.agreements:
        verdict = ", ".join(one.verdict)
        colour = "green" if verdict == "none shown" else "yellow"
        name = shown(f"{one.label}, {QUANTITIES[one.quantity]}")
        table.add_row(name, *_cells(one), f"[{colour}]{verdict}[/{colour}]")
    out.print(table)
    unit = {one.unit for one in comparison.agreements if one.differences is not None}
    if unit:
        out.print(f"[dim]Differences in {' or '.join(sorted(unit))}. Slope and intercept of A over B.[/dim]")
    for note in dict.fromkeys(note for one in comparison.agreements for note in one.notes):
        about = ", ".join(dict.fromkeys(shown(one.label) for one in comparison.agreements if note in one.notes))
        out.print(f"[yellow]{about}[/yellow]: {shown(note)}", soft_wrap=True)
    for line in left_out_in_words(comparison):
        out.print(shown(line), soft_wrap=True)


def _cells(one: Agreement) -> tuple[str, ...]:
    bias = limits = slope = intercept = "–"
    if one.differences is not None:
        bias = _interval(one.told(one.differences.bias), "+")
        ends = (one.told(limit).value for limit in (one.differences.lower_limit, one.differences.upper_limit))
        limits = " to ".join(_number(end, "+") for end in ends)
    if one.line is not None:
        slope = _interval(one.line.slope, ".3f")
        intercept = _interval(one.line.intercept, "")
    return f"{len(one.used):,}", bias, limits, slope, intercept


def _interval(estimate: Estimate, how: str) -> str:
    value, lower, upper = (_number(v, how) for v in (estimate.value, estimate.lower, estimate.upper))
    return f"{value} ({lower} to {upper})"


def _number(value: float, how: str) -> str:
    """Write three digits and no exponent, unless ``how`` says how many decimals."""
    decimals = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    how = how if how.startswith(".") else f"{how},.{decimals}f"
    return f"{value:{how}}".replace("-", "−")


def left_out_in_words(comparison: Comparison) -> list[str]:
    """Say on one line per reason how many pairs were left out, and name some."""
    reasons = Counter(pair.left_out for pair in comparison.left_out)
    lines = []
    for reason, n in reasons.items():
        keys = [pair.key for pair in comparison.left_out if pair.left_out == reason]
        named = ", ".join(dict.fromkeys(f"{key.name} {key.population}" for key in keys[:NAMED]))
        more = f" and {n - NAMED:,} more" if n > NAMED else ""
        lines.append(f"left out, {reason}: {n:,} ({named}{more})")
    return lines
