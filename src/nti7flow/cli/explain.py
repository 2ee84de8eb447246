"""``nti7flow explain``, and what ``gate --explain`` prints."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from nti7flow.gating.template import GatingTemplate
    from nti7flow.study.explain import Explanation
    from nti7flow.study.plan import Plan

EPILOG = """Examples:\n
nti7flow explain runs/march cd4_t\n
nti7flow explain runs/march cd4_t --sample SIM-001_day21_tbnk\n
nti7flow explain runs/draft cd4_t --template my.yaml"""
#: Samples that are explained where nobody names one: those that most want a look.
MOST = 5


def explain(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    populations: Annotated[list[str], typer.Argument(metavar="POPULATION...", help="Id of a population.")],
    sample: Annotated[
        list[str] | None,
        typer.Option("--sample", help=f"Only this sample; repeatable. [default: the {MOST} that most want a look]"),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option("--template", "-t", help="The template that was applied, if it is no released one."),
    ] = None,
) -> None:
    """Say in plain words why each gate that a population rests on is where it is."""
    from nti7flow.cli.tables import console
    from nti7flow.gating.template import load_template

    known = load_template(template) if template is not None else None
    print_explanations(console(), run, populations, samples=sample or (), templates=(known,) if known else ())


def check_populations(plan: Plan, populations: Collection[str]) -> None:
    """Refuse a name that no template of a plan has, before any time is spent on gating."""
    from nti7flow.errors import ConfigError, did_you_mean

    known = {spec.id for template in plan.templates.values() for spec in template.populations}
    for name in populations if known else ():  # gates that are from a file are known once a tube is bound to them
        if name not in known:
            hint = did_you_mean(name, known) or f" There are {', '.join(sorted(known))}."
            raise ConfigError(f"--explain {name}: no template has such a population.{hint}")


def print_explanations(
    out: Console,
    folder: Path,
    populations: Sequence[str],
    *,
    samples: Sequence[str] = (),
    templates: Collection[GatingTemplate] = (),
) -> None:
    """Print why gates are where they are, for some samples of a run, those that most want a look first."""
    from nti7flow.cli.tables import shown
    from nti7flow.errors import ConfigError, did_you_mean
    from nti7flow.study.explain import explain as explain_one
    from nti7flow.study.explain import flagged_first
    from nti7flow.study.store import open_run

    run = open_run(folder)
    rows = run.arrow("counts").select(["sample", "population", "severity", "template"]).to_pylist()
    by_reference = {template.reference: template for template in templates}
    for population in populations:
        found = {row["sample"]: row for row in rows if row["population"] == population}
        if not found:
            hint = did_you_mean(population, {row["population"] for row in rows})
            raise ConfigError(f"{folder}: no sample has a population '{population}'.{hint}")
        order = flagged_first({name: row["severity"] for name, row in found.items()})
        chosen = list(samples) or order[:MOST]
        for name in chosen:
            template = by_reference.get(found[name]["template"]) if name in found else None
            _print(out, explain_one(run, population, sample=name, template=template))
        if left := len(order) - len(chosen) if not samples else 0:
            more = f"{left} more samples: nti7flow explain {folder} {population} --sample NAME"
            out.print(f"[dim]{shown(more)}[/dim]\n", soft_wrap=True)


def _print(out: Console, explanation: Explanation) -> None:
    from nti7flow.cli.tables import COLOURS, shown

    def coloured(text: str, severity: str) -> str:
        colour = COLOURS[severity]
        return f"[bold {colour}]{shown(text)}[/]" if colour else f"[bold]{shown(text)}[/]"

    out.print(coloured(explanation.summary, explanation.severity), soft_wrap=True)
    for i, gate in enumerate(explanation.gates, 1):
        out.print(f"\n{coloured(f'{i}. {gate.heading}', gate.severity)}", soft_wrap=True)
        for line in gate.lines:
            out.print(f"   {shown(line)}", soft_wrap=True)
    out.print()
