"""How concentrations look in a terminal."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from nti7flow.cli.tables import COLOURS, shown
from nti7flow.counting.concentration import Concentration
from nti7flow.counting.fractions import ALC, LYMPHOCYTES, USUAL_NAMES
from nti7flow.counting.reported import compact, reported, short
from nti7flow.study.count import CountReport

#: Populations of the printed table, in its order, and their headings.
SHOWN = {ALC: "ALC", LYMPHOCYTES: "flow lymph.", **USUAL_NAMES}
#: Columns that fit beside each other.
MOST_COLUMNS = 7


def print_count_report(out: Console, report: CountReport, folder: Path) -> None:
    """Print the concentrations, what needs a look, and where everything is."""
    names = _shown(report)
    table = Table(title="Cells per µL, with interval", title_justify="left")
    table.add_column("specimen")
    for name in names:
        table.add_column(names[name], justify="right")
    for result in report.results:
        table.add_row(shown(result.specimen), *(_cell(result.concentrations.get(name)) for name in names))
    out.print(table)
    out.print(
        "[dim]ALC: of haematology. <15.4: too few to be quantified, which takes 15.4 per µL; the number is in the "
        "table. – no concentration: see flags.[/dim]"
    )
    for (check, severity), n in sorted(_looks(report).items()):
        out.print(f"[{COLOURS[severity] or 'default'}]{severity}[/] {shown(check)}: {n}")
    for sample in report.not_gated:
        out.print(f"[yellow]not gated[/yellow] {shown(sample)}: is in the sheet and not in the run")
    if report.step is not None:
        out.print(f"Concentrations  {shown(str(folder / 'concentrations.csv'))}", soft_wrap=True)
        out.print(f"One row each    {shown(str(folder / 'report_table.csv'))}", soft_wrap=True)
    if report.figures:
        out.print(f"Pictures        {shown(str(report.figures[0].parent))} ({len(report.figures)})", soft_wrap=True)


def _shown(report: CountReport) -> dict[str, str]:
    """Return the populations that are printed and their headings: those of a TBNK tube, else the first of any."""
    found = {name: result.labels.get(name, name) for result in report.results for name in result.concentrations}
    usual = {name: heading for name, heading in SHOWN.items() if name in found}
    return usual or {name: shown(label) for name, label in list(found.items())[:MOST_COLUMNS]}


def _looks(report: CountReport) -> Counter[tuple[str, str]]:
    """How many specimens each check asks to be looked at."""
    found = {(check.check, check.severity, check.specimen) for check in report.acceptance}
    return Counter((check, severity) for check, severity, _ in found if severity in ("review", "invalid"))


def _cell(found: Concentration | None) -> str:
    if found is None or found.cells_per_ul is None or found.lower is None or found.upper is None:
        return "–"
    text = f"{compact(reported(found))} [{short(found.lower)}–{short(found.upper)}]"
    colour = COLOURS[found.severity]
    return f"[{colour}]{shown(text)}[/{colour}]" if colour else shown(text)
