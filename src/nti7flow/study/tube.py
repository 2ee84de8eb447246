"""Gating one tube: what a worker does, and what it hands back."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from nti7flow.counting.background import estimate_background
from nti7flow.counting.checks import check_acquisition, check_sample, judge_notes, quality_flags, sample_flags
from nti7flow.counting.dim import dim_sd
from nti7flow.counting.doublets import check_doublets
from nti7flow.counting.fractions import Count, count_populations
from nti7flow.counting.lineages import check_lineages
from nti7flow.counting.plausibility import check_plausible, plausibility_flags
from nti7flow.counting.stored import StoredCount, check_stored, compare_counts, flag_counts, total_flags
from nti7flow.counting.volume import check_volume
from nti7flow.errors import Nti7flowError, printable
from nti7flow.events.fcs import read_fcs
from nti7flow.events.sample import Sample
from nti7flow.events.spectrum import Matrix
from nti7flow.events.spillover import Spillover, spillover_for
from nti7flow.events.transforms import Linear
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.fit import Fitted, GateFit
from nti7flow.gating.gates import PolygonGate, RectangleGate
from nti7flow.gating.lending import Prior
from nti7flow.gating.picture import Panel2D, make_panels
from nti7flow.gating.pooling import Summary
from nti7flow.gating.resolve import UNSTAINED, Resolution, Setting
from nti7flow.gating.scales import Scale, propose_scales
from nti7flow.gating.strategy import GatingStrategy, Members, Population, Severity
from nti7flow.quality.limits import QualityLimits
from nti7flow.quality.report import Quality
from nti7flow.study.blockers import check_events
from nti7flow.study.plan import Plan, Tube

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GatedTube:
    """A gated tube: strategy, counts and what is needed to judge and draw them. The events are gone.

    ``flags`` are those of the tube itself with their severities; every count carries them. ``stored`` are counts of
    another program beside ours; None where its gates hold none. ``unlocked`` are, where gates were locked, the counts
    by gates that are not.
    """

    tube: Tube
    strategy: GatingStrategy
    flags: Mapping[str, Severity]
    counts: tuple[Count, ...]
    fits: tuple[GateFit, ...]
    quality: tuple[dict[str, Any], ...]
    panels: tuple[Panel2D, ...]
    bits: Mapping[str, bytes | None]
    n_events: int
    stored: tuple[StoredCount, ...] | None = None
    gating_sd: Mapping[str, float] = field(default_factory=dict)
    background: Mapping[str, float] = field(default_factory=dict)
    unlocked: tuple[Count, ...] | None = None


@dataclass(frozen=True)
class RefusedTube:
    """A tube that could not be gated, and why."""

    tube: Tube
    error: str


@dataclass(frozen=True)
class Progress:
    """A tube between two waves: what is gated so far, spooled so that nothing is computed twice."""

    populations: tuple[Population, ...] = ()
    fits: tuple[GateFit, ...] = ()
    scales: Mapping[str, Scale] = field(default_factory=dict)
    bits: Mapping[str, bytes | None] = field(default_factory=dict)
    summaries: Mapping[str, Summary] = field(default_factory=dict)
    sha256: str = ""


def read_tube(plan: Plan, tube: Tube) -> Sample:
    """Read a tube as the plan says, with its markers."""
    sample = read_fcs(tube.path, data_set=tube.data_set, repair=plan.repair)
    check_events(sample)
    return replace(sample, panel=sample.panel.with_markers(plan.markers)) if plan.markers else sample


def own_matrix(sample: Sample, choice: str) -> Spillover:
    """Return the spillover matrix that a plan wants for a tube."""
    spillover = spillover_for(sample, choice)
    # Stored with the gates: the file's name tells where the matrix is from, its folder only where it lay that day.
    return replace(spillover, source=Path(spillover.source).name)


def open_tube(plan: Plan, tube: Tube) -> tuple[Sample, Spillover]:
    """Read a tube as the plan says, with its markers and spillover matrix."""
    sample = read_tube(plan, tube)
    return sample, own_matrix(sample, plan.spillover)


def refuse(plan: Plan, tube: Tube, error: Exception) -> RefusedTube:
    """Say why a tube could not be gated. Whatever it was, it never costs the study.

    The text is stored with the run, so it names files as the lab does, not by their place on this machine.
    """
    if isinstance(error, Nti7flowError):
        text = str(error)
    elif isinstance(error, OSError):
        text = f"{tube.file}: cannot be read: {error.strerror or error}."
    else:
        logger.info("%s: %s", tube.path, tube.sample, exc_info=error)
        text = (
            f"{tube.file}: a mistake in nti7flow ({type(error).__name__}: {error}); please report it with what "
            "nti7flow --verbose gate --jobs 1 says of this file."
        )
    for path, name in ((str(tube.path), tube.file), *(((s.path, s.name),) if (s := plan.strategy) else ())):
        for form in (path, printable(path)):  # the reader's messages are printable
            text = text.replace(form, name)
    if plan.spillover not in ("keyword", "none"):
        text = text.replace(plan.spillover, Path(plan.spillover).name)
    return RefusedTube(tube, printable(text))  # one line, whatever names of channels are in it


def propose(plan: Plan, tube: Tube) -> dict[str, Scale] | RefusedTube:
    """Display scales this tube would choose by itself."""
    try:
        sample, spillover = open_tube(plan, tube)
        template = plan.templates[tube.template]
        return propose_scales(template.spec, sample, spillover, template.markers)
    except Exception as error:
        return refuse(plan, tube, error)


def gate_wave(
    plan: Plan, tube: Tube, wave: int, progress: Progress, pooled: Mapping[str, Fitted]
) -> Progress | GatedTube | RefusedTube:
    """Run one wave on one tube: the last one gives a gated tube, earlier ones progress with summaries."""
    try:
        sample, spillover = open_tube(plan, tube)
        template = plan.templates[tube.template]
        resolution = _resume(Resolution.start(template, sample, spillover, name=tube.sample), progress)
        resolution.setting = setting_of(tube)
        summaries = resolution.run_wave(wave, pooled)
        if wave + 1 < template.n_waves:
            return _pause(resolution, summaries)
        return _finish(tube, resolution)
    except Exception as error:
        return refuse(plan, tube, error)


@dataclass(frozen=True)
class OwnGates:
    """Gates that a tube's own data place, for others to lean on."""

    scales: Mapping[str, Scale]
    fits: Mapping[str, Fitted]
    quality: Quality | None
    controls: frozenset[str] = frozenset()
    axes: Mapping[str, tuple[Dimension, ...]] = field(default_factory=dict)


def own_gates(plan: Plan, tube: Tube, scales: Mapping[str, Scale]) -> OwnGates | RefusedTube:
    """Gate a tube by itself on scales that it shares with others."""
    try:
        resolution = _start(plan, tube, scales)
        resolution.place(0, {})  # its counts are judged when it leans on others
        return OwnGates(scales, resolution.own, resolution.quality, frozenset(resolution.controls), resolution.axes_of)
    except Exception as error:
        return refuse(plan, tube, error)


@dataclass(frozen=True)
class Lent:
    """What is known of a tube's gates once all have been gated: its own, what others say, and locked ones."""

    own: OwnGates
    priors: Mapping[str, Prior]
    locked: Mapping[str, Prior] | None = None


def gate_lent(plan: Plan, tube: Tube, lent: Lent) -> GatedTube | RefusedTube:
    """Gate a tube by its own gates and by what others say of them; where gates are locked, by both, to compare."""
    try:
        fitted = _lean_on(plan, tube, lent.own, lent.priors)
        if lent.locked is None:
            return _finish(tube, fitted)
        locked = _finish(tube, _lean_on(plan, tube, lent.own, lent.locked))
        return replace(locked, unlocked=_judged(tube, fitted).counts)  # nobody draws these
    except Exception as error:
        return refuse(plan, tube, error)


def _lean_on(plan: Plan, tube: Tube, own: OwnGates, priors: Mapping[str, Prior]) -> Resolution:
    resolution = _start(plan, tube, own.scales)
    resolution.own.update(own.fits)
    resolution.quality = own.quality
    resolution.priors = priors
    resolution.run_wave(0, {})
    return resolution


def _start(plan: Plan, tube: Tube, scales: Mapping[str, Scale]) -> Resolution:
    sample, spillover = open_tube(plan, tube)
    resolution = Resolution.start(plan.templates[tube.template], sample, spillover, name=tube.sample)
    resolution.scales.update(scales)
    resolution.setting = setting_of(tube)
    return resolution


def setting_of(tube: Tube) -> Setting:
    """Return what the sheets say of a tube that matters for its gates."""
    row = tube.row
    left_out = None if row is None else UNSTAINED if row.role == UNSTAINED else row.left_out
    return Setting(left_out, None if tube.timing is None else tube.timing.day_from_dose)


def _resume(resolution: Resolution, progress: Progress) -> Resolution:
    resolution.scales.update(progress.scales)
    resolution.fits.extend(progress.fits)
    for population in progress.populations:
        resolution.populations[population.id] = population
        resolution.members.set(population.id, unpack(progress.bits[population.id], resolution.sample.n_events))
    return resolution


def _pause(resolution: Resolution, summaries: Mapping[str, Summary]) -> Progress:
    return Progress(
        populations=tuple(resolution.populations.values()),
        fits=tuple(resolution.fits),
        scales=dict(resolution.scales),
        bits=pack_all(resolution.members),
        summaries=summaries,
        sha256=resolution.sample.sha256,
    )


def _finish(tube: Tube, resolution: Resolution) -> GatedTube:
    panels = tuple(make_panels(resolution))
    populations = list(resolution.populations.values())
    dim = dim_sd(resolution.values, populations, resolution.members)
    return replace(
        _judged(tube, resolution),
        fits=tuple(resolution.fits),
        panels=panels,
        gating_sd={name: math.hypot(sd, dim.get(name, 0.0)) for name, sd in resolution.gating_sd.items()},
        background=estimate_background(resolution.values, populations, resolution.members),
    )


def _judged(tube: Tube, resolution: Resolution) -> GatedTube:
    return judge(
        tube,
        resolution.sample,
        resolution.strategy(),
        resolution.members,
        matrix=resolution.spillover,
        quality=resolution.quality,
        limits=resolution.template.spec.quality,
    )


def judge(
    tube: Tube,
    sample: Sample,
    strategy: GatingStrategy,
    members: Members,
    *,
    matrix: Matrix,
    stored: Mapping[str, int] | None = None,
    quality: Quality | None = None,
    limits: QualityLimits | None = None,
) -> GatedTube:
    """Count a gated tube and check it; what is to be drawn is not in it yet.

    Parameters
    ----------
    matrix : Matrix
        What it was compensated by.
    stored : mapping of str to int, optional
        Counts that another program made with the gates, to be compared with ours.
    quality : Quality, optional
        What the checks of its acquisition found.
    limits : QualityLimits, optional
        What those of its doublets compare with; the defaults where left out.
    """
    notes = judge_notes(sample, data_sets=tube.data_sets)
    counts = count_populations(strategy, members)
    compared = compare_counts(counts, sample.n_events, stored or {})
    not_light = _display_values(strategy, sample)
    left_out = setting_of(tube).left_out
    plausible = check_plausible(
        sample, strategy.spillover, members, counts, tube.row, not_light=not_light, left_out=left_out
    )
    share = (limits or QualityLimits()).doublets
    doublets = tuple(check_doublets(sample, strategy.spillover, members, counts, limit=share, not_light=not_light))
    flags = {
        **sample_flags(notes),
        **total_flags(compared),
        **quality_flags(quality),
        **plausibility_flags([*plausible, *(check for check in doublets if check.severity)]),
    }
    flagged = flag_counts(counts, compared, flags)
    left_out = setting_of(tube).left_out
    checks = [
        *check_sample(sample, matrix, flagged, notes, left_out=left_out),
        *check_stored(compared),
        *check_acquisition(quality),
        *plausible,
        *doublets,
        *check_volume(sample.keywords),
        *(check_lineages(sample, strategy, members) if left_out is None else ()),
    ]
    return GatedTube(
        tube=tube,
        strategy=strategy,
        flags=flags,
        counts=flagged,
        fits=(),
        quality=tuple(asdict(check) for check in checks),
        panels=(),
        bits=pack_all(members),
        n_events=sample.n_events,
        stored=None if stored is None else compared,
    )


def _display_values(strategy: GatingStrategy, sample: Sample) -> set[str]:
    """Return the fluorescence detectors that are gated as they stand: their values have been through a display."""
    dimensions = [
        dimension
        for population in strategy.populations
        if isinstance(population.gate, RectangleGate | PolygonGate)
        for dimension in population.gate.dimensions
        if isinstance(dimension, Dimension) and isinstance(dimension.transform, Linear)
    ]
    light = {channel.detector for channel in sample.panel.channels if channel.role == "fluorescence"}
    return light.intersection(dimension.detector for dimension in dimensions)


def pack_all(members: Members) -> dict[str, bytes | None]:
    """Memberships of all populations as packed bits."""
    return {name: None if (mask := members.mask(name)) is None else np.packbits(mask).tobytes() for name in members}


def unpack(bits: bytes | None, n_events: int) -> np.ndarray | None:
    """Sorted event indices out of packed bits."""
    if bits is None:
        return None
    return np.flatnonzero(np.unpackbits(np.frombuffer(bits, np.uint8), count=n_events))
