"""``nf.gate`` and ``nf.count`` for notebooks. The command line calls the same functions."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nti7flow.counting.checks import judge_notes, sample_flags
from nti7flow.counting.fractions import Count, count_populations
from nti7flow.counting.stored import StoredCount, compare_counts, flag_counts, total_flags
from nti7flow.errors import ConfigError, did_you_mean, printable
from nti7flow.events.fcs import read_fcs
from nti7flow.events.notes import Note, Repair
from nti7flow.events.sample import Sample
from nti7flow.events.spillover import Spillover, spillover_for
from nti7flow.gating.fit import GateFit
from nti7flow.gating.picture import Panel2D, make_panels
from nti7flow.gating.resolve import Resolution
from nti7flow.gating.strategy import GatingStrategy, Members
from nti7flow.gating.template import GatingTemplate, load_template
from nti7flow.study.blockers import check_events
from nti7flow.study.by_strategy import bind, draw_panels
from nti7flow.study.count import NOTHING_TO_COUNT_AGAINST, count_run
from nti7flow.study.count_figures import Figures
from nti7flow.study.store import Run, open_run
from nti7flow.study.tables import GATE_FITS, STORED_COUNTS, arrow_table, to_frame

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from nti7flow.interop.flowjo.workspace import Workspace

#: Suffixes of files of gates; anything else that is not a template by itself is the name or path of one.
STRATEGY_SUFFIXES = (".xml", ".wsp", ".json")


@dataclass(frozen=True, eq=False, repr=False)
class GatingResult:
    """A gated sample.

    Attributes
    ----------
    sample : Sample
        The raw tube.
    strategy : GatingStrategy
        Its concrete gates.
    counts : tuple of Count
        One per population.
    fits : tuple of GateFit
        How the data-driven gates were placed.
    panels : tuple of Panel2D
        Histograms for pictures.
    stored : tuple of StoredCount
        Counts of the workspace that the gates are from, beside ours.
    """

    sample: Sample
    strategy: GatingStrategy
    counts: tuple[Count, ...]
    fits: tuple[GateFit, ...]
    panels: tuple[Panel2D, ...]
    members: Members
    stored: tuple[StoredCount, ...] = ()

    def membership(self, population: str) -> NDArray[np.bool_] | None:
        """Which events belong to a population: (n_events,) of bool, or None where it has no gate."""
        if population not in self.members:
            sample, hint = self.strategy.sample, did_you_mean(population, self.members)
            raise ConfigError(f"{sample}: no population '{population}' in {self.strategy.template}.{hint}")
        return self.members.mask(population)

    @property
    def notes_for_review(self) -> tuple[Note, ...]:
        """Notes of the reader that a person must look at before any of the counts is used."""
        return tuple(note for note in self.sample.notes if note.severity == "review")

    @cached_property
    def table(self) -> pd.DataFrame:
        """Counts as a frame, one row per population."""
        import pandas as pd

        from nti7flow.study.tube_rows import count_values

        columns = [
            "population",
            "label",
            "parent",
            "n_events",
            "percent_parent",
            "percent_lymphocytes",
            "status",
            "flags",
            "severity",
        ]
        rows = [count_values(count) for count in self.counts]
        frame = pd.DataFrame([{name: row[name] for name in columns} for row in rows], columns=columns)
        return frame.astype({"n_events": "Int64", "percent_parent": "Float64", "percent_lymphocytes": "Float64"})

    @cached_property
    def gate_fits(self) -> pd.DataFrame:
        """How the data-driven gates were placed, as the table of a run."""
        from nti7flow.study.tube_rows import fit_row

        return to_frame(arrow_table(GATE_FITS, [fit_row(self.strategy.sample, fit) for fit in self.fits]))

    @cached_property
    def stored_counts(self) -> pd.DataFrame:
        """Counts of the workspace that the gates are from, beside ours, as the table of a run."""
        rows = [{"sample": self.strategy.sample, **asdict(row)} for row in self.stored]
        return to_frame(arrow_table(STORED_COUNTS, rows))

    def __repr__(self) -> str:
        lines = [printable(f"<GatingResult of {self.strategy.sample} by {self.strategy.template}>")]
        lines += [f"  review: {printable(str(note))}" for note in self.notes_for_review]
        for count in self.counts:
            events = "–" if count.n_events is None else f"{count.n_events:,}"
            percent = "" if count.percent_parent is None else f"{count.percent_parent:.1f} %"
            lines.append(f"  {printable(count.population):<16} {events:>9} {percent:>8}  {count.status}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        title = html.escape(printable(f"{self.strategy.sample} by {self.strategy.template}"))
        notes = "".join(f"<p>review: {html.escape(printable(str(note)))}</p>" for note in self.notes_for_review)
        table = self.table.drop(columns="population").round(2).astype(object)
        return f"<p><b>{title}</b></p>{notes}{table.where(table.notna(), '–').to_html(index=False)}"


def gate(
    sample: Sample | str | Path,
    template: GatingTemplate | GatingStrategy | Workspace | str | Path,
    *,
    spillover: Spillover | str | Path | None = None,
    markers: Mapping[str, str] | None = None,
    group: str | None = None,
    repair: Repair = "safe",
) -> GatingResult:
    """Gate one sample in memory by a template, or by gates that were made elsewhere.

    Parameters
    ----------
    sample : Sample or path
        The tube.
    template : GatingTemplate, GatingStrategy, Workspace, name or path
        For example ``"tbnk"``; or what `read_strategy` gives, or the path of such a file: ``.xml`` (Gating-ML 2.0),
        ``.wsp`` (FlowJo) or ``.json``.
    spillover : Spillover, str or Path, optional
        A matrix, ``"keyword"`` (the default, the one stored in the file), ``"none"``, or the path of a CSV. With a
        strategy it is for the gates that ask for the tube's own matrix; where none does, it is refused.
    markers : mapping, optional
        Markers assigned by hand, marker to detector; for templates.
    group : str, optional
        Group of samples in a workspace, where the tube could be several.
    repair : {"safe", "none", "salvage"}
        How a path is read, as for `read_fcs`; a `Sample` is taken as it was read.

    Returns
    -------
    GatingResult
        By a strategy it has no ``fits``; by a workspace it has ``stored`` counts.

    Raises
    ------
    ConfigError
        The template pools several samples: gate those together, with the command line or a study. Or an option does not
        go with a strategy.
    InputError
        The tube holds no events, or a marker, channel or matrix is missing or ambiguous.

    Examples
    --------
    >>> import nti7flow as nf
    >>> result = nf.gate("tube.fcs", "tbnk")  # doctest: +SKIP
    >>> result.table  # doctest: +SKIP
    >>> nf.gate("tube.fcs", "workspace.wsp").stored_counts  # doctest: +SKIP
    """
    sample = sample if isinstance(sample, Sample) else read_fcs(sample, repair=repair)
    check_events(sample)
    if isinstance(template, str | Path) and str(template).lower().endswith(STRATEGY_SUFFIXES):
        from nti7flow.interop.strategies import read_strategy

        template = read_strategy(template)
    if not isinstance(template, GatingTemplate | GatingStrategy | str | Path) and not hasattr(template, "match"):
        raise TypeError(
            "a template, a strategy, a workspace or the path of one was expected, found "
            f"{type(template).__name__}; nf.from_flowkit takes over a strategy of FlowKit"
        )
    if isinstance(template, GatingTemplate | str | Path):
        if group is not None:
            raise ConfigError(f"group '{group}': only a FlowJo workspace has groups.")
        return _by_template(sample, template, spillover, markers)
    if markers:
        raise ConfigError("markers go with a template: a strategy names channels.")
    return _by_strategy(sample, template, spillover, group)


def count(run: Run | str | Path, study: str | Path | None = None, *, figures: Figures = "all") -> Run:
    """Compute the cells per microlitre of a run into a new step of its folder, without gating again.

    Parameters
    ----------
    run : Run or path
        Run folder that was gated.
    study : path, optional
        The study.yaml with the sheets; by default the one that was gated, where it still is.
    figures : {"all", "flagged", "none"}
        Which subjects get a picture in the run folder.

    Returns
    -------
    Run
        The run, opened anew: ``concentrations``, ``report_table``, ``budget`` and ``acceptance`` are of the new step.

    Raises
    ------
    ConfigError
        The study or a sheet is wrong, or nothing is there to count against. Nothing is written.
    StoreError
        The run cannot be read or written.

    Examples
    --------
    >>> import nti7flow as nf
    >>> run = nf.count("runs/march")  # doctest: +SKIP
    >>> run.report_table  # doctest: +SKIP
    >>> nf.plot.concentrations(run, "SIM-001")  # doctest: +SKIP
    """
    path = run.path if isinstance(run, Run) else Path(run)
    report = count_run(path, study=None if study is None else Path(study), figures=figures)
    if report.step is None:
        raise ConfigError(NOTHING_TO_COUNT_AGAINST.format(run=path))
    return open_run(path)


def _by_template(
    sample: Sample,
    template: GatingTemplate | str | Path,
    spillover: Spillover | str | Path | None,
    markers: Mapping[str, str] | None,
) -> GatingResult:
    template = template if isinstance(template, GatingTemplate) else load_template(template)
    if template.n_waves > 1:
        raise ConfigError(f"{template.reference} fits gates on several samples together; gate them as one study.")
    if markers:
        sample = replace(sample, panel=sample.panel.with_markers(markers))
    if isinstance(spillover, Spillover):
        matrix = spillover.for_panel(sample.panel)
    else:
        matrix = spillover_for(sample, str(spillover or "keyword"))
    resolution = Resolution.start(template, sample, matrix)
    resolution.run_wave(0, {})
    result = _counted(sample, resolution.strategy(), resolution.members, {})
    return replace(result, fits=tuple(resolution.fits), panels=tuple(make_panels(resolution)))


def _by_strategy(
    sample: Sample, gates: GatingStrategy | Workspace, spillover: Spillover | str | Path | None, group: str | None
) -> GatingResult:
    stored: Mapping[str, int] = {}
    if not isinstance(gates, GatingStrategy):
        name = gates.match(sample, group=group)
        stored = gates.stored_counts(name, group=group)
        gates = gates.strategy(name, group=group)
    elif group is not None:
        raise ConfigError(f"group '{group}': only a FlowJo workspace has groups.")
    gates = gates.for_any_tube()
    if spillover is not None and not gates.needs_spillover:
        raise ConfigError(f"a spillover matrix would not be used: no gate of {gates.template} asks for the tube's own.")
    matrix = spillover if isinstance(spillover, Spillover) else str(spillover or "keyword")
    strategy = bind(gates, sample, name=sample.path.stem, spillover=matrix)
    members = strategy.apply(sample)
    result = _counted(sample, strategy, members, stored)
    return replace(result, panels=draw_panels(sample, strategy, members))


def _counted(sample: Sample, strategy: GatingStrategy, members: Members, stored: Mapping[str, int]) -> GatingResult:
    """Count a gated sample; fits and pictures are not in the result yet."""
    counts = count_populations(strategy, members)
    compared = compare_counts(counts, sample.n_events, stored)
    notes = {**sample_flags(judge_notes(sample)), **total_flags(compared)}
    return GatingResult(
        sample=sample,
        strategy=strategy,
        counts=flag_counts(counts, compared, notes),
        fits=(),
        panels=(),
        members=members,
        stored=compared,
    )
