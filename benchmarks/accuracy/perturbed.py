"""One real tube thinned and shifted: does the same cell stay the same cell, or is it said that it may not?

The tube is tbnk_auto/1.fcs, the only real TBNK tube of whole blood with its spillover matrix. The full tube's own
memberships are the reference, restricted to the events that a perturbation leaves: what is asked is whether gates hold,
not whether they are right.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nti7flow as nf
from benchmarks.accuracy.gated import LOUD, GatedTube, Mask, gate_alone
from benchmarks.accuracy.scores import score
from nti7flow.events.fcs import write_events
from nti7flow.events.sample import Sample
from nti7flow.events.spillover import Spillover

Floats = NDArray[np.float64]
TUBE = Path("tbnk_auto") / "1.fcs"
#: Lymphocytes as a person might draw them on this tube: display-free values of CD45 and SSC.
MANUAL_CD45, MANUAL_SSC = 4_500.0, 35_000.0
#: Gain, relative; spillover coefficients, relative and absolute.
GAINS, FACTORS, STEPS = (0.7, 1.3), (0.95, 1.05), (-0.05, 0.05)
SHARES, SEEDS = (0.05, 0.10, 0.20), (1, 2, 3, 4, 5)
#: Largest shift, points of % of T, and multiple of its standard error.
POINTS, ERRORS = 1.0, 2.0
SUBSETS = ("cd4_t", "cd8_t")
T_CELLS = "t_cells"


@dataclass(frozen=True, eq=False)
class Tube:
    """What is written as a file: raw values, the matrix that is stated, and which events of the full tube these are."""

    raw: Floats
    matrix: Floats
    rows: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Source:
    """The full tube and what is known of it."""

    sample: Sample
    spillover: Spillover
    own: Mask  # its lymphocytes by its own gate
    manual: Mask  # and by the manual region
    gated: GatedTube

    @property
    def fluorescence(self) -> list[int]:
        """Columns of the detectors of the matrix, in its order."""
        names = [channel.detector for channel in self.sample.panel.channels]
        return [names.index(detector) for detector in self.spillover.detectors]

    @property
    def tube(self) -> Tube:
        """The tube as it is."""
        return Tube(
            self.sample.events.astype(np.float64), self.spillover.matrix.copy(), np.arange(self.sample.n_events)
        )


Change = Callable[[Source, Tube], Tube]


@dataclass(frozen=True)
class Perturbation:
    """One way to change the tube; ``kind`` gathers those that go into one line of the report."""

    kind: str
    name: str
    changes: tuple[Change, ...]


def score_perturbations(
    template: str | Path,
    *,
    data: Path | None = None,
    only: Sequence[Perturbation] | None = None,
    done: Callable[[str], None] = lambda name: None,
) -> list[dict[str, Any]]:
    """Gate every perturbation of the tube with a template.

    Parameters
    ----------
    template : str or Path
        Template, such as ``tbnk``.
    data : Path, optional
        Folder of the reference data; that beside the repository by default.
    only : sequence of Perturbation, optional
        Instead of all.
    done : callable
        Told of each perturbation as it is finished.

    Returns
    -------
    list of dict
        A row for each perturbation and subset: ``kind, name, population``; ``n_t`` (reference T cells retained),
        ``reference`` and ``percent`` (% of T; None where nothing is said), ``shift`` and ``se`` (points; binomial, of
        the reference), ``moved`` (by 1 point and by 2 SE or more), ``severity, tube_severity, flagged`` (the count's
        own, ``review`` or ``invalid``), ``held`` (not moved, or flagged), ``f1`` (against the reference's members),
        ``status, flags, said``. The first rows are the full tube itself.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = open_source((data or shared_data()) / TUBE, template, Path(folder))
        chosen = list(perturbations(source)) if only is None else only
        return score_source(source, template, Path(folder), chosen, done)


def score_source(
    source: Source,
    template: str | Path,
    folder: Path,
    chosen: Sequence[Perturbation],
    done: Callable[[str], None] = lambda name: None,
) -> list[dict[str, Any]]:
    """Do what `score_perturbations` does, to a tube that is open."""
    rows = []
    for perturbation in (NOTHING, *chosen):
        tube = source.tube
        for change in perturbation.changes:
            tube = change(source, tube)
        gated = gate_alone(_write(folder / "tube.fcs", source, tube), template)
        rows += [_judge(source, perturbation, tube, gated, population) for population in SUBSETS]
        done(perturbation.name)
    return rows


def shared_data() -> Path:
    """Folder of the reference data beside the repository."""
    return Path(__file__).resolve().parents[3] / "shared" / "data"


def open_source(path: Path, template: str | Path, folder: Path) -> Source:
    """Read and gate the full tube."""
    sample = nf.read_fcs(path)
    spillover = Spillover.from_keyword(sample)
    assert spillover is not None
    cd45, ssc = spillover.detectors.index(sample.panel.resolve("CD45").detector), sample.columns(["SSC-A"])[:, 0]
    compensated = sample.columns(spillover.detectors) @ spillover.compensation
    manual = (compensated[:, cd45] > MANUAL_CD45) & (ssc < MANUAL_SSC)
    empty = np.zeros(sample.n_events, np.bool_)
    source = Source(sample, spillover, empty, manual, GatedTube(""))
    gated = gate_alone(_write(folder / "tube.fcs", source, source.tube), template)
    lymphocytes = gated.masks.get("lymphocytes")
    if lymphocytes is None or any(gated.masks.get(name) is None for name in (T_CELLS, *SUBSETS)):
        raise ValueError(f"{template} does not gate the full tube: {gated.refused or gated.said(SUBSETS)}")
    return replace(source, own=lymphocytes, gated=gated)


def _write(path: Path, source: Source, tube: Tube) -> Path:
    """Write a tube with the keywords that gating may use."""
    matrix = [str(len(tube.matrix)), *source.spillover.detectors, *(f"{value:.10g}" for value in tube.matrix.ravel())]
    channels = source.sample.panel.channels
    kept = {key: text for key, text in source.sample.keywords.items() if key in ("$CYT", "$TIMESTEP", "$DATE")}
    write_events(
        path,
        tube.raw,
        [channel.detector for channel in channels],
        markers=[channel.marker for channel in channels],
        ranges=[channel.range or 262_144 for channel in channels],
        keywords=kept | {"$SPILLOVER": ",".join(matrix)},
    )
    return path


def _judge(source: Source, about: Perturbation, tube: Tube, gated: GatedTube, population: str) -> dict[str, Any]:
    full = source.gated.masks
    wanted, parent = full[population], full[T_CELLS]
    assert wanted is not None and parent is not None
    n_t, n_wanted = int(parent[tube.rows].sum()), int(wanted[tube.rows].sum())
    share = n_wanted / n_t if n_t else math.nan
    counted, n_parent = gated.n_events(population), gated.n_events(T_CELLS)
    percent = 100 * counted / n_parent if counted is not None and n_parent else None
    se = 100 * math.sqrt(share * (1 - share) / n_t) if n_t else math.nan
    shift = None if percent is None else percent - 100 * share
    moved = shift is None or not (abs(shift) < POINTS or abs(shift) < ERRORS * se)
    severity, row = gated.severity(population), gated.counts.get(population, {})
    mask = gated.masks.get(population)
    return {
        "kind": about.kind,
        "name": about.name,
        "population": population,
        "n_t": n_t,
        "reference": 100 * share,
        "percent": percent,
        "shift": shift,
        "se": se,
        "moved": moved,
        "severity": severity,
        "tube_severity": "invalid" if gated.refused else gated.tube_severity((*SUBSETS, "lymphocytes")),
        "flagged": severity in LOUD,
        "held": not moved or severity in LOUD,
        "f1": math.nan if mask is None else score(wanted[tube.rows], mask).f1,
        "status": row.get("status", "refused"),
        "flags": row.get("flags", ""),
        "said": "; ".join(gated.said((*SUBSETS, T_CELLS, "lymphocytes"))),
    }


# What can be done to a tube.


def gain(detectors: Sequence[str], factor: float, *, matrix_fits: bool) -> Change:
    """Turn up the gain of some detectors; the matrix is that of the new gain, or is left as it was.

    With D the gains, raw values become raw · D, and the matrix that fits them D^-1 · S · D: each dye is then as well
    compensated as before, and merely brighter or dimmer.
    """

    def change(source: Source, tube: Tube) -> Tube:
        channels = source.sample.panel.channels
        raw, gains = tube.raw.copy(), np.ones(len(tube.matrix))
        for channel in channels:
            if channel.detector in detectors:
                # The top of the range is where digitising ends, at any gain.
                raw[:, channel.index] = np.minimum(raw[:, channel.index] * factor, (channel.range or 262_144) - 1)
                if channel.detector in source.spillover.detectors:
                    gains[source.spillover.detectors.index(channel.detector)] = factor
        matrix = tube.matrix * gains[np.newaxis, :] / gains[:, np.newaxis] if matrix_fits else tube.matrix
        return replace(tube, raw=raw, matrix=matrix)

    return change


def spill(
    rows: Sequence[int] | None = None, *, factor: float = 1.0, step: float = 0.0, to: int | None = None
) -> Change:
    """Mis-set coefficients that are not 0: of some dyes (rows), or of all; into one detector, or into all."""

    def change(source: Source, tube: Tube) -> Tube:
        chosen = (tube.matrix > 0) & ~np.eye(len(tube.matrix), dtype=np.bool_)
        if rows is not None:
            chosen &= np.isin(np.arange(len(tube.matrix)), rows)[:, np.newaxis]
        if to is not None:
            chosen &= (np.arange(len(tube.matrix)) == to)[np.newaxis, :]
        matrix = np.where(chosen, np.maximum(tube.matrix * factor + step, 0.0), tube.matrix)
        return replace(tube, matrix=matrix)

    return change


def thin(region: str, share: float, seed: int) -> Change:
    """Keep a share of the lymphocytes, drawn without replacement, and everything else."""

    def change(source: Source, tube: Tube) -> Tube:
        lymphocytes = np.flatnonzero((source.own if region == "own" else source.manual)[tube.rows])
        rng = np.random.default_rng([seed, round(1000 * share), len(region)])
        lost = rng.permutation(lymphocytes)[round(share * len(lymphocytes)) :]
        kept = np.delete(np.arange(len(tube.rows)), lost)
        return replace(tube, raw=tube.raw[kept], rows=tube.rows[kept])

    return change


NOTHING = Perturbation("the tube as it is", "the tube as it is", ())


def perturbations(source: Source) -> Iterator[Perturbation]:
    """Every perturbation of the report."""
    yield from _gains(source)
    yield from _spills(source)
    yield from _thinned()
    yield from _combined(source)


def _gains(source: Source) -> Iterator[Perturbation]:
    scatter = [channel.detector for channel in source.sample.panel.channels if channel.role == "scatter"]
    dyes = list(source.spillover.detectors)
    for factor in GAINS:
        percent = f"{100 * (factor - 1):+.0f} %"
        for detector in (*dyes, *scatter):
            label = _label(source, detector)
            yield Perturbation(
                "gain of one channel", f"gain {label} {percent}", (gain([detector], factor, matrix_fits=True),)
            )
        for name, detectors in (("all fluorescence", dyes), ("all channels", [*dyes, *scatter])):
            yield Perturbation("gain of all", f"gain {name} {percent}", (gain(detectors, factor, matrix_fits=True),))
        for detector in dyes:
            label = _label(source, detector)
            change = gain([detector], factor, matrix_fits=False)
            yield Perturbation("gain of one channel, old matrix", f"gain {label} {percent}, old matrix", (change,))


def _spills(source: Source) -> Iterator[Perturbation]:
    matrix, dyes = source.spillover.matrix, source.spillover.detectors
    rows = [row for row in range(len(dyes)) if (np.delete(matrix[row], row) > 0).any()]
    for factor in FACTORS:
        yield Perturbation("spillover x 0.95, 1.05", f"all x {factor:g}", (spill(factor=factor),))
        for row in rows:
            name = f"from {_label(source, dyes[row])} x {factor:g}"
            yield Perturbation("spillover x 0.95, 1.05", name, (spill([row], factor=factor),))
    for step in STEPS:
        yield Perturbation("all spillover ± 0.05", f"all {step:+g}", (spill(step=step),))
        for row in rows:
            for to in np.flatnonzero((matrix[row] > 0) & (np.arange(len(dyes)) != row)).tolist():
                name = f"{_label(source, dyes[row])} into {_label(source, dyes[to])} {step:+g}"
                yield Perturbation("one spillover ± 0.05", name, (spill([row], step=step, to=to),))


def _thinned() -> Iterator[Perturbation]:
    for share in SHARES:
        for region in ("own", "manual"):
            for seed in SEEDS:
                name = f"lymphocytes ({region}) to {share:.0%}, seed {seed}"
                yield Perturbation(f"lymphocytes to {share:.0%}", name, (thin(region, share, seed),))


def _combined(source: Source) -> Iterator[Perturbation]:
    """Few lymphocytes in a tube that is also shifted, as in a patient on a bad day."""
    dyes = list(source.spillover.detectors)
    everything = [*dyes, *(c.detector for c in source.sample.panel.channels if c.role == "scatter")]
    shifts = {f"gain {factor:g}": gain(everything, factor, matrix_fits=True) for factor in GAINS}
    shifts |= {f"spillover x {factor:g}": spill(factor=factor) for factor in FACTORS}
    for marker in ("CD3", "CD4", "CD8", "CD45"):
        detector = source.sample.panel.resolve(marker).detector
        shifts |= {f"{marker} gain {factor:g}": gain([detector], factor, matrix_fits=True) for factor in GAINS}
    for name, shift in shifts.items():
        for share in SHARES[:2]:
            for seed in SEEDS[:2]:
                title = f"lymphocytes (own) to {share:.0%}, seed {seed}, {name}"
                yield Perturbation("thinned and shifted", title, (thin("own", share, seed), shift))


def _label(source: Source, detector: str) -> str:
    return source.sample.panel.resolve(detector).marker or detector


def summarise(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Add up what `score_perturbations` returned: a row for each kind, and one for all."""
    kinds = list(dict.fromkeys(str(row["kind"]) for row in rows))
    return [_sum(kind, [row for row in rows if row["kind"] == kind]) for kind in kinds] + [_sum("all", list(rows))]


def _sum(kind: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    shifts = [abs(row["shift"]) for row in rows if row["shift"] is not None and not row["flagged"]]
    return {
        "kind": kind,
        "n": len(rows),
        "flagged": sum(row["flagged"] for row in rows),
        "moved": sum(row["moved"] for row in rows),
        "not_held": sum(not row["held"] for row in rows),
        "largest_unflagged": max(shifts, default=math.nan),
    }
