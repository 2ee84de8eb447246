"""How the counts of a strategy that was made elsewhere look in a terminal: a line per population, as a tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from nti7flow.cli.tables import COLOURS, percent, shown
from nti7flow.counting.fractions import ROOT
from nti7flow.counting.stored import DIFFERS
from nti7flow.gating.strategy import NOT_AN_ELLIPSOID, NOT_COMPENSATED
from nti7flow.study.gate import GatedSummary, GateReport

#: Lines up to which every population is shown, and steps of a tree up to which they are indented.
MOST_LINES, DEEPEST = 150, 12
#: Flags of a population itself; those of the tube stand beside all events.
OWN_FLAGS = (DIFFERS, NOT_COMPENSATED, NOT_AN_ELLIPSOID)
#: Samples of a workspace that are named.
LISTED = 10


def print_strategy_report(out: Console, report: GateReport) -> None:
    """Print a line per population of every sample; of many, those that want a look."""
    n_lines = sum(len(summary.counts) + 1 for summary in report.gated)
    everything = n_lines <= MOST_LINES
    compared = any(summary.stored for summary in report.gated)
    out.print(_table(report.gated, everything=everything, compared=compared))
    if not everything:
        n_populations = n_lines - len(report.gated)
        out.print(f"Of {n_populations:,} populations those that want a look are shown; counts.csv has all of them.")
    if compared:
        out.print("[dim]FlowJo: its count in the workspace. For review beyond 5 events or 0.2 %.[/dim]")
    if report.unmatched:
        names = [shown(name) for name in report.unmatched[:LISTED]]
        more = f" and {len(report.unmatched) - LISTED:,} more" if len(report.unmatched) > LISTED else ""
        out.print(f"In {shown(report.strategy)}, but none of the files: {', '.join(names)}{more}.", soft_wrap=True)


def _table(gated: Sequence[GatedSummary], *, everything: bool, compared: bool) -> Table:
    table = Table()
    table.add_column("sample", overflow="fold")
    table.add_column("population", overflow="fold")
    for heading in ("events", "% of parent", *(("FlowJo", "difference") if compared else ())):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("flags", overflow="fold")
    for summary in gated:
        lines = list(_lines(summary, everything=everything))
        for number, (name, events, share, stored, flags, severity) in enumerate(lines):
            numbers = [_number(events), share, *(_stored(stored) if compared else ())]
            cells = [shown(summary.sample) if number == 0 else "", name, *numbers, "\n".join(map(shown, flags))]
            table.add_row(*cells, style=COLOURS[severity], end_section=number + 1 == len(lines))
    return table


Line = tuple[str, int | None, str, dict[str, Any] | None, list[str], str]


def _lines(summary: GatedSummary, *, everything: bool) -> Iterator[Line]:
    """Name, events, share, stored count, flags and severity: of the tube, and of each of its populations."""
    total = next((count["n_total"] for count in summary.counts.values()), None)
    told = [c for c in summary.quality if c["severity"]]
    flags: list[str] = [c["check"] if c["value"] is None else f"{c['check']} {c['value']:.3g}" for c in told]
    worst = "review" if any(c["severity"] == "review" for c in told) else ""
    yield "all events", total, "", summary.stored.get(ROOT), flags, worst
    for depth, count in _tree(summary.counts):
        flags = count["flags"].split(";")
        own = [count["status"]] * (count["status"] != "ok") + [flag for flag in OWN_FLAGS if flag in flags]
        if everything or own:
            severity = count["severity"] if own else ""
            name = "  " * min(depth, DEEPEST) + shown(count["label"])
            stored = summary.stored.get(count["population"])
            yield name, count["n_events"], percent(count["percent_parent"]), stored, own, severity


def _tree(counts: dict[str, dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of counts with their depth, children under their parent."""
    children: dict[str, list[dict[str, Any]]] = {}
    for count in counts.values():
        children.setdefault(count["parent"], []).append(count)
    waiting = [(1, count) for count in reversed(children.get(ROOT, []))]
    while waiting:
        depth, count = waiting.pop()
        yield depth, count
        waiting += [(depth + 1, child) for child in reversed(children.get(count["population"], []))]


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _stored(row: dict[str, Any] | None) -> tuple[str, str]:
    if row is None:
        return "", ""
    difference = "" if row["difference"] is None else f"{row['difference']:+,}" if row["difference"] else "0"
    return _number(row["stored_events"]), difference
