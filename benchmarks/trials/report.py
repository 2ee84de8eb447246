"""The tables, on the screen and on the page: bars first, then what is behind them, then what they do not show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.trials import prose
from benchmarks.trials.bars import Bar, bars
from benchmarks.trials.cases import NAMES, Case
from benchmarks.trials.measures import EDGES, Coverage, bin_name, coverage, few, many, reasons, spread, width_ratios
from benchmarks.trials.rows import JUDGED, LOUD, OURS, PEERS, POPULATIONS, Frame, clean
from benchmarks.trials.studies import ScoredTrial, Size

_MET = {True: "met", False: "**not met**", None: "—"}


@dataclass(frozen=True)
class Section:
    """Words, and a table below them."""

    words: str
    header: tuple[str, ...]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True)
class Results:
    """All trials together."""

    size: Size
    rows: Frame
    cases: tuple[Case, ...]
    n_specimens: int
    n_lots: int

    @property
    def bars(self) -> list[Bar]:
        return list(bars(self.rows, self.cases, self.n_specimens, len(self.size.seeds)))


def together(trials: Sequence[ScoredTrial], size: Size) -> Results:
    """Put trials together."""
    import pandas as pd

    return Results(
        size,
        pd.concat([trial.rows for trial in trials], ignore_index=True),
        tuple(case for trial in trials for case in trial.cases),
        sum(trial.n_specimens for trial in trials),
        sum(trial.n_lots for trial in trials),
    )


def write_report(results: Results, *, figure: str = "") -> str:
    """Return the page as markdown; ``figure`` is the path of the picture as seen from it."""
    size = results.size
    head = prose.HEAD.format(
        trials=len(size.seeds),
        seeds=seeds_in_words(size.seeds),
        subjects=size.subjects,
        specimens=results.n_specimens,
        events=size.events,
        lots=results.n_lots,
    )
    parts = [head]
    for number, section in enumerate(sections(results)):
        parts += [section.words, _markdown(section)]
        if number == 0 and figure:
            parts.append(f"![Coverage by population and expected events; estimates against the truth]({figure})\n")
    return "\n".join([*parts, prose.LIMITS])


def print_report(results: Results, console: Console) -> None:
    """Print the tables."""
    for section in sections(results):
        title = next((line for line in section.words.splitlines() if line.strip()), "").lstrip("# ")
        table = Table(*section.header, title=title, title_justify="left")
        for row in section.rows:
            table.add_row(*(str(cell).replace("**", "").replace("`", "") for cell in row))
        console.print(table)


def seeds_in_words(seeds: Sequence[int]) -> str:
    """Return 801, 802, 803 as 801–803."""
    if len(seeds) > 1 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]}–{seeds[-1]}"
    return ", ".join(map(str, seeds))


def sections(results: Results) -> Iterator[Section]:
    """Yield the tables in the order of the page."""
    untouched = clean(results.rows)
    bar_rows = [(b.name, b.asked, b.measured, _MET[b.met]) for b in results.bars]
    yield Section("## Bars\n", ("bar", "asked", "measured", ""), bar_rows)
    yield _coverage(prose.POPULATIONS, untouched)
    yield _bins(untouched)
    yield _coverage(prose.ALL, results.rows[~results.rows["awkward"]])
    yield _spread(untouched)
    yield _peers(untouched)
    yield _cases(results.cases)
    if missed := [case for case in results.cases if not case.as_asked]:
        yield _missed(missed)
    yield _review(results.rows[~results.rows["awkward"]])


def _coverage(words: str, rows: Frame) -> Section:
    header = ("population", "expected events", "n", "held, %", "SE", "below the truth, %", "above, %")
    lines = []
    for population, name in POPULATIONS.items():
        here = rows[rows["population"] == population]
        for label, found in (("≥ 20", coverage(many(here))), ("< 20", coverage(few(here)))):
            numbers = (found.share, found.error, found.low, found.high)
            lines.append((name, label, f"{found.n:,}", *map(_percent, numbers)))
    return Section(words, header, lines)


def _bins(rows: Frame) -> Section:
    lines = []
    for start, end in pairwise(EDGES):
        here = rows[(rows["expected"] >= start) & (rows["expected"] < end)]
        cells = [_in_bin(coverage(here[here["population"] == population])) for population in POPULATIONS]
        lines.append((bin_name(start, end), *cells))
    return Section(prose.BINS, ("expected events", *POPULATIONS.values()), lines)


def _in_bin(found: Coverage) -> str:
    if not found.n:
        return "—"
    return f"{_percent(found.share)} of {found.n} ({_percent(found.low)}, {_percent(found.high)})"


def _spread(rows: Frame) -> Section:
    lines = []
    for population, name in POPULATIONS.items():
        found = spread(many(rows[rows["population"] == population]))
        spreads = (f"{100 * value:.2f}" for value in (found.error, found.observed, found.told))
        ratio = found.observed / found.told
        lines.append((name, f"{found.n:,}", f"{100 * found.bias:+.2f}", *spreads, f"{ratio:.2f}"))
    return Section(prose.SPREAD, ("population", "n", "bias", "SE", "observed", "told", "observed / told"), lines)


def _peers(rows: Frame) -> Section:
    rows = rows[rows["population"].isin(JUDGED)]
    lines = []
    for label, here in (("≥ 20", many(rows)), ("< 20", few(rows))):
        widths = {OURS: 1.0, **width_ratios(here)}
        for method in (OURS, *PEERS):
            found = coverage(here, method)
            numbers = (found.share, found.error, found.low, found.high)
            lines.append((label, method, f"{found.n:,}", *map(_percent, numbers), f"{widths[method]:.2f}"))
    header = ("expected events", "interval", "n", "held, %", "SE", "below the truth, %", "above, %", "width over ours")
    return Section(prose.PEERS, header, lines)


def _cases(cases: Sequence[Case]) -> Section:
    lines = []
    for case in NAMES:
        own = [c for c in cases if c.case == case]
        if not own:
            continue
        by = sorted(
            {name for c in own for name in c.named}, key=lambda name: (-sum(name in c.named for c in own), name)
        )
        shown = sum(c.shown for c in own)
        lines.append(
            (
                case.replace("_", " ") + (f" (shown: {shown})" if shown < len(own) else ""),
                len(own),
                sum(c.flagged for c in own),
                sum(bool(c.named) for c in own),
                ", ".join(f"`{name}` {sum(name in c.named for c in own)}" for name in by),
                sum(c.as_asked for c in own),
                own[0].wanted,
                own[0].must_say,
            )
        )
    header = ("case", "tubes", "flagged", "named", "by", "as asked", "severity asked for", "what must be said")
    return Section(prose.CASES, header, lines)


def _missed(cases: Sequence[Case]) -> Section:
    lines = [
        (
            case.case.replace("_", " "),
            case.trial,
            case.sample,
            case.wanted,
            case.severity or "none",
            ", ".join(f"`{name}`" for name in case.said[:3]) + (" …" if len(case.said) > 3 else ""),
        )
        for case in sorted(cases, key=lambda case: case.case)
    ]
    return Section(prose.MISSED, ("case", "seed", "sample", "asked for", "severity", "said"), lines)


def _review(rows: Frame) -> Section:
    loud = rows["severity"].isin(LOUD)
    specimens = rows.groupby(["trial", "specimen"])["severity"].apply(lambda own: own.isin(LOUD).any())
    n = len(specimens)
    lines: list[tuple[str, str]] = [
        ("specimens with any of the six", f"{specimens.sum()} of {n:,} ({_share(specimens.mean())})")
    ]
    for population, name in POPULATIONS.items():
        here = loud[rows["population"] == population]
        lines.append((f"concentrations of {name}", f"{here.sum()} ({_share(here.mean())})"))
    lines += [
        (f"specimens with `{flag}`", f"{count} ({_share(count / n)})") for flag, count in reasons(rows).most_common(8)
    ]
    return Section(prose.REVIEW, ("for review", "n"), lines)


def _markdown(section: Section) -> str:
    lines = [section.header, ["---"] * len(section.header), *section.rows]
    return "".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _percent(value: float) -> str:
    return "—" if np.isnan(value) else f"{100 * value:.1f}"


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"
