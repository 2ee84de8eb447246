"""``nti7flow gate``."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

EPILOG = """Examples:\n
nti7flow gate study.yaml --out runs/march\n
nti7flow gate tubes/ --template tbnk --out runs/first --jobs 2\n
nti7flow gate exported.fcs --template tbnk --spillover none --out runs/exported\n
nti7flow gate odd.fcs --template tbnk --marker CD8=FL4-H --out runs/odd\n
nti7flow gate cut_short.fcs --template tbnk --repair salvage --out runs/salvaged\n
nti7flow gate tube.fcs --template tbnk --out runs/first --explain cd4_t\n
nti7flow gate tubes/ --strategy gates.xml --out runs/gated_elsewhere\n
nti7flow gate tubes/ --strategy workspace.wsp --group "Panel 1" --out runs/flowjo\n
Exit code: 0 clean, 1 nothing could be gated, 3 some samples were refused or need a look."""


MARKER_HELP = "Say which detector carries a marker: MARKER=DETECTOR. Repeatable."


class FigureChoice(enum.StrEnum):
    """Which samples, or subjects, get a picture."""

    all = "all"
    flagged = "flagged"
    none = "none"


class RepairChoice(enum.StrEnum):
    """What the reader lets pass."""

    safe = "safe"
    none = "none"
    salvage = "salvage"


def gate(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="FCS files, folders (searched recursively, without hidden files), or one study.yaml. Each data set "
            "of a file is a sample.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Run folder; a second run into it adds a step.")],
    template: Annotated[
        str | None,
        typer.Option("--template", "-t", help="Released template (tbnk, tbnk@1.0.0) or path of a YAML file."),
    ] = None,
    strategy: Annotated[
        Path | None,
        typer.Option(
            "--strategy",
            help="Instead of a template, gates made elsewhere: Gating-ML 2.0 (.xml), a FlowJo 10 workspace (.wsp; each "
            "tube by the gates of its own sample, counts compared with FlowJo's), or strategies/SAMPLE.json of a run.",
        ),
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", help="Group of samples in the workspace; others are left aside.")
    ] = None,
    spillover: Annotated[
        str | None,
        typer.Option(
            "--spillover",
            "-s",
            help="Matrix: keyword (in the file), none, or the path of a CSV; with --strategy, for gates that ask for "
            "the tube's own. [default: keyword]",
        ),
    ] = None,
    marker: Annotated[
        list[str] | None,
        typer.Option("--marker", help=MARKER_HELP),
    ] = None,
    repair: Annotated[
        RepairChoice,
        typer.Option(
            help="Files that break the standard: safe reads those with one consistent reading, none refuses them, "
            "salvage also takes what a truncated file still holds, for review."
        ),
    ] = RepairChoice.safe,
    lock: Annotated[
        str | None,
        typer.Option(
            "--lock",
            metavar="TEMPLATE@RUN",
            help="Gate with the thresholds of an earlier run, moved only as the control specimens of the batches move; "
            "the table locked compares them with thresholds placed anew.",
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=1, help="Worker processes; changes nothing but the time.")
    ] = 1,
    figures: Annotated[
        FigureChoice,
        typer.Option(
            help="Which samples get a picture of their gates, and which subjects one of their concentrations."
        ),
    ] = FigureChoice.all,
    explain: Annotated[
        list[str] | None,
        typer.Option(
            metavar="POPULATION",
            help="Say why each gate that this population rests on is where it is; repeatable. Later: nti7flow explain.",
        ),
    ] = None,
) -> None:
    """Gate tubes and count CD4, CD8 and CD19 cells, or whatever a strategy gates, into a run folder."""
    from nti7flow.cli.concentrations import print_count_report
    from nti7flow.cli.explain import check_populations, print_explanations
    from nti7flow.cli.tables import console, print_gate_report, progress_bar
    from nti7flow.study.count import count_run
    from nti7flow.study.gate import gate_study
    from nti7flow.study.plan import make_plan

    plan = make_plan(
        paths,
        template=template,
        strategy=strategy,
        group=group,
        spillover=spillover,
        markers=parse_markers(marker or ()),
        repair=repair.value,
        lock=lock,
    )
    check_populations(plan, explain or ())
    with progress_bar(len(plan.tubes)) as done:
        report = gate_study(plan, out, jobs=jobs, figures=figures.value, done=lambda tube: done(tube.sample))
    if explain:
        print_explanations(console(), out, explain, templates=plan.templates.values())
    print_gate_report(console(), report, out)
    with progress_bar(len(plan.tubes), "counting") as done:
        counted = count_run(out, study=plan.opened, figures=figures.value, done=done)
    if counted.step is not None:
        print_count_report(console(), counted, out)
    if not (report.clean and counted.clean):
        raise typer.Exit(3)


def parse_markers(options: Iterable[str]) -> dict[str, str]:
    """Return marker to detector; raises `ConfigError` for what is not MARKER=DETECTOR."""
    from nti7flow.errors import ConfigError

    markers: dict[str, str] = {}
    for text in options:
        name, _, detector = (part.strip() for part in text.partition("="))
        if not (name and detector):
            raise ConfigError(f"--marker {text}: MARKER=DETECTOR was expected, as in --marker CD8=FL4-H.")
        if markers.setdefault(name, detector) != detector:
            raise ConfigError(f"--marker {name}: is said to be {markers[name]} and {detector}; it can be only one.")
    return markers
