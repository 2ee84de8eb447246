"""Which channel a template's marker is in this tube, and on which display scale it is gated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from statistics import median_low

import numpy as np

from nti7flow.errors import AmbiguousMarker, ConfigError, UnknownMarker
from nti7flow.events.panel import Channel, Panel
from nti7flow.events.sample import Sample
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import Transform, logicle_width
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.specs import ScaleSpec, TemplateSpec
from nti7flow.gating.values import scale_values

#: A scale is estimated from at most about this many events, evenly spaced through the tube.
SCALE_EVENTS = 20_000
#: Names that a scale may be given for instead of a marker, by role.
ROLE_SCALES = {"fluorescence": "fluorescence", "scatter": "scatter", "time": "time", "other": "fluorescence"}
#: Name of the scale of raw fluorescence, and what it is where a template does not say.
RAW, RAW_DEFAULT = "raw", ScaleSpec(width=0.5)


@dataclass(frozen=True, slots=True)
class Scale:
    """Top and width of one channel's display scale; merging takes the larger of each."""

    top: float
    width: float

    def merged(self, other: Scale) -> Scale:
        """Return the scale that shows everything both do; exact, and in any order."""
        return Scale(max(self.top, other.top), max(self.width, other.width))


def find_channel(template: TemplateSpec, panel: Panel, marker: str) -> Channel:
    """Resolve a template's marker in a panel, by way of its aliases; raises `UnknownMarker` or `AmbiguousMarker`."""
    names = template.markers.get(marker, (marker,))
    for name in names:
        if panel.candidates(name):
            return panel.resolve(name)
    try:
        return panel.resolve(names[0])
    except UnknownMarker as error:
        alternatives = f" (nor {', '.join(names[1:])})" if len(names) > 1 else ""
        raise UnknownMarker(f"{error}{alternatives}") from None


def second_choices(template: TemplateSpec, panel: Panel, markers: Iterable[str]) -> tuple[str, ...]:
    """Flag aliases of which not the first spelling was found: NK by CD56 alone is not NK by CD16 and CD56."""
    flags = []
    for marker in markers:
        first, *others = template.markers.get(marker, (marker,))
        if not panel.candidates(first):
            flags += [f"{marker}_by_{name}_alone" for name in others if panel.candidates(name)][:1]
    return tuple(flags)


def check_distinct(template: TemplateSpec, panel: Panel, markers: Iterable[str]) -> None:
    """Refuse a panel in which one fluorescence channel would serve as two of the template's markers.

    "CD3/CD19" on one channel answers to both names; gated as both, it would count CD19+ T cells and no B cell.
    """
    served: dict[int, str] = {}
    fits = [fit for population in template.populations for fit in population.fits]
    alternatives = {marker for fit in fits for dims in fit.or_dims for marker in dims}
    alternatives -= {marker for fit in fits for marker in fit.dims}
    for marker in markers:
        if marker in alternatives:
            continue  # stands for another marker, and may well be another name of it
        try:
            channel = find_channel(template, panel, marker)
        except (UnknownMarker, AmbiguousMarker):
            continue  # said where the marker is needed
        other = served.setdefault(channel.index, marker)
        if other != marker and channel.role == "fluorescence":
            raise AmbiguousMarker(
                f"{other} and {marker} would both be read from {channel.detector} ({channel.marker}). Say which "
                f"channel has which with --marker '{marker}=DETECTOR', or correct the marker names in the file."
            )


def scale_spec(template: TemplateSpec, channel: Channel, marker: str) -> ScaleSpec:
    """Return the display scale a template asks for: by marker, by role, or the default."""
    default = ScaleSpec() if channel.role != "time" else ScaleSpec(kind="linear")
    return template.scales.get(marker, template.scales.get(ROLE_SCALES[channel.role], default))


def propose_scale(template: TemplateSpec, sample: Sample, spillover: Spillover, marker: str) -> Scale:
    """Top and width of a marker's scale from this sample alone."""
    channel = find_channel(template, sample.panel, marker)
    return _propose(scale_spec(template, channel, marker), sample, spillover, channel)


def _propose(spec: ScaleSpec, sample: Sample, spillover: Spillover, channel: Channel) -> Scale:
    step = max(1, -(-sample.n_events // SCALE_EVENTS))
    values = scale_values(sample, spillover, channel.detector, slice(None, None, step), compensated=True)
    values = values[np.isfinite(values)]
    top = _top(channel, values) if spec.top == "auto" else spec.top
    width = logicle_width(values[values < 0], top, spec.decades) if spec.width == "auto" else spec.width
    return Scale(top, width)


def _top(channel: Channel, values: np.ndarray) -> float:
    """Top of the channel's range, doubled until 99.9 % of the events fit: $PnR is not a limit for floats."""
    top = channel.top
    if not values.size or values.max() <= top:  # as nearly always, and quicker than a quantile
        return top
    high = float(np.quantile(values, 0.999))
    while top < high:
        top *= 2.0
    return top


def propose_scales(
    template: TemplateSpec, sample: Sample, spillover: Spillover, markers: Iterable[str]
) -> dict[str, Scale]:
    """Propose a scale for every marker that the panel has."""
    scales = {}
    for marker in markers:
        try:
            scales[marker] = propose_scale(template, sample, spillover, marker)
        except UnknownMarker:
            continue
    return scales


def merge_scales(proposals: Sequence[Mapping[str, Scale]]) -> dict[str, Scale]:
    """Agree on one scale per marker for samples that are gated together: the highest top, and the median width.

    A width too large costs every sample the resolution near zero, so that no single tube has a say: one with a wrong
    matrix, or with a detector turned up, has negative values without measure.
    """
    scales: dict[str, list[Scale]] = {}
    for proposal in proposals:
        for marker, scale in proposal.items():
            scales.setdefault(marker, []).append(scale)
    return {m: Scale(max(s.top for s in found), median_low(s.width for s in found)) for m, found in scales.items()}


def make_dimension(template: TemplateSpec, panel: Panel, spillover: Spillover, marker: str, scale: Scale) -> Dimension:
    """Return the gate axis for a marker."""
    channel = find_channel(template, panel, marker)
    transform = _transform(scale_spec(template, channel, marker), scale, marker)
    compensated = channel.detector in spillover.detectors
    return Dimension(channel.detector, channel.marker, compensated, transform)


def raw_dimensions(template: TemplateSpec, sample: Sample, markers: Iterable[str]) -> tuple[Dimension, ...]:
    """Return gate axes for markers as they were measured, not compensated.

    All fluorescence channels are on one scale, which shows all of them: so they can be compared with each other.
    """
    none = Spillover.none()
    channels = {marker: find_channel(template, sample.panel, marker) for marker in markers}
    spec = template.scales.get(RAW, RAW_DEFAULT)
    light = {m: _propose(spec, sample, none, c) for m, c in channels.items() if ROLE_SCALES[c.role] == "fluorescence"}
    shared = _transform(spec, reduce(Scale.merged, light.values()), RAW) if light else None
    return tuple(
        Dimension(channel.detector, channel.marker, False, shared)
        if shared is not None and marker in light
        else make_dimension(template, sample.panel, none, marker, propose_scale(template, sample, none, marker))
        for marker, channel in channels.items()
    )


def _transform(spec: ScaleSpec, scale: Scale, name: str) -> Transform:
    try:
        return spec.transform(scale.top, scale.width)
    except ValueError as error:
        raise ConfigError(f"scale of {name}: {error}.") from None
