"""How results look in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.segment import Segment
from rich.table import Table

from nti7flow.cli.terminal import plain
from nti7flow.counting.fractions import LYMPHOCYTES, USUAL_NAMES
from nti7flow.errors import printable
from nti7flow.study.gate import GatedSummary, GateReport

#: Populations of the printed table, in its order, and their headings.
SHOWN = {LYMPHOCYTES: "lymphocytes", **USUAL_NAMES}
#: What is said of a gate that was placed and still wants a look.
FLAG_WORDS = {"unstable_gate": "unstable", "impure_gate": "impure"}
COLOURS = {"": "", "info": "", "review": "yellow", "invalid": "red"}


class SafeConsole(Console):
    """A console that writes no control character but its own: Rich passes on what the text brings along.

    This is the net below `shown`, which keeps widths right and markup from being obeyed.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render what is printed."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)


def shown(text: str) -> str:
    """Text of a file, or a name, to be printed as it is: no markup in it, and nothing a terminal would obey."""
    return escape(printable(text))


def console() -> Console:
    """Console for results; wide enough for the table where the output is a file or a pipe."""
    wide = None if sys.stdout.isatty() else 160
    return SafeConsole(width=wide, highlight=False, soft_wrap=False, emoji=False)


@contextmanager
def progress_bar(total: int, doing: str = "gating") -> Iterator[Callable[[str], None]]:
    """Give a function that moves a bar on standard error by one file or sample, whose name it is given."""
    columns = (
        TextColumn(doing),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    terminal = sys.stderr.isatty()
    with Progress(
        *columns, console=SafeConsole(stderr=True, emoji=False), transient=True, disable=not terminal
    ) as progress:
        task = progress.add_task("", total=total)

        def done(name: str) -> None:
            progress.update(task, advance=1, description=shown(name))

        yield done


def print_gate_report(out: Console, report: GateReport, folder: Path) -> None:
    """Print the table of counts, what was refused, and where everything is."""
    if report.strategy:
        from nti7flow.cli.strategy_table import print_strategy_report  # it writes numbers as this one does

        print_strategy_report(out, report)
    else:
        out.print(_counts_table(report.gated))
        out.print("[dim]Each cell: events, % of parent, % of lymphocytes. – not counted: see flags.[/dim]")
    for refused in report.refused:
        out.print(f"[red]refused[/red] {shown(refused.tube.sample)}: {shown(refused.error)}", soft_wrap=True)
    out.print(f"\nCounts    {shown(str(folder / 'counts.csv'))}", soft_wrap=True)
    if report.figures:
        out.print(f"Pictures  {shown(str(report.figures[0].parent))} ({len(report.figures)})", soft_wrap=True)
    out.print(f"Replay    nti7flow replay {shown(str(folder))}", soft_wrap=True)


def _counts_table(gated: tuple[GatedSummary, ...]) -> Table:
    table = Table(show_lines=True)
    table.add_column("sample", overflow="fold")
    for heading in SHOWN.values():
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("CD4:CD8", justify="right")
    table.add_column("flags", overflow="fold")
    for summary in gated:
        cells = [_cell(summary.counts.get(name)) for name in SHOWN]
        table.add_row(shown(summary.sample), *cells, _ratio(summary.counts), _flags(summary))
    return table


def _cell(count: dict[str, Any] | None) -> str:
    if count is None:
        return ""
    colour = COLOURS[count["severity"]]
    if count["n_events"] is None:
        text = f"–\n{count['status']}"
    else:
        text = "\n".join(
            (f"{count['n_events']:,}", percent(count["percent_parent"]), percent(count["percent_lymphocytes"]))
        )
    return f"[{colour}]{text}[/{colour}]" if colour else text


def percent(value: float | None) -> str:
    """``60.5 %``; a dash for what is not known."""
    return "–" if value is None else f"{value:.1f} %"


def _ratio(counts: dict[str, dict[str, Any]]) -> str:
    cd4, cd8 = (counts.get(name, {}).get("n_events") for name in ("cd4_t", "cd8_t"))
    return f"{cd4 / cd8:.2f}" if cd4 is not None and cd8 else "–"


def _flags(summary: GatedSummary) -> str:
    """Own flags of the gates, each said once, and checks that did not pass.

    Of gates that lean on others, and of populations that are absent, only those with a column are told: the steps on
    the way to them are in the table of counts.
    """
    lines = []
    for name, count in summary.counts.items():
        plain = count["status"] in ("borrowed", "absent") and name not in SHOWN
        told = count["status"] not in ("ok", "not_in_panel") and f"parent_{count['status']}" not in count["flags"]
        if told and not plain:
            lines.append(f"{name} {count['status']}")
        lines += [f"{name} {words}" for flag, words in FLAG_WORDS.items() if flag in count["flags"].split(";")]
    lines += [f"{c['check']} {c['value']:.3g}" for c in summary.quality if c["severity"] and c["value"] is not None]
    lines += [c["check"] for c in summary.quality if c["severity"] and c["value"] is None]
    missing = [name for name, count in summary.counts.items() if count["status"] == "not_in_panel"]
    if missing:
        lines.append(f"not in panel: {', '.join(missing)}")
    return "\n".join(shown(line) for line in dict.fromkeys(lines))
