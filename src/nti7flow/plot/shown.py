"""What a density plot of a sample shows: which events, on which scales, as a panel."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nti7flow.events.sample import Sample
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.scales import make_dimension, propose_scale
from nti7flow.gating.specs import FixedSpec, PopulationSpec, ScaleSpec, TemplateSpec
from nti7flow.gating.values import DisplayValues

#: Id of the events that are shown, as a population.
SHOWN = "shown"


def plain_scales(marker: str) -> TemplateSpec:
    """Return a template that says nothing but how channels are displayed; it gates everything on one marker."""
    everything = PopulationSpec(id=SHOWN, label="All events", gate=FixedSpec(range={marker: (None, None)}))
    linear = ScaleSpec(kind="linear")
    return TemplateSpec(
        schema="nti7flow/template/1",
        name="exploration",
        version="1.0.0",
        title="Scales for exploration",
        scales={"fluorescence": ScaleSpec(), "scatter": linear, "time": linear},
        populations=(everything,),
    )


def dimension_of(values: DisplayValues, spec: TemplateSpec, marker: str) -> Dimension:
    """Return the axis for a marker, on the scale that fits this sample."""
    scale = propose_scale(spec, values.sample, values.spillover, marker)
    return make_dimension(spec, values.sample.panel, values.spillover, marker, scale)


def chosen_rows(sample: Sample, chosen: ArrayLike | None) -> NDArray[np.intp]:
    """Return sorted event indices from indices or a mask; of all events for None."""
    if chosen is None:
        return np.arange(sample.n_events)
    rows = np.asarray(chosen)
    if rows.dtype == np.bool_:
        if rows.shape != (sample.n_events,):
            raise ValueError(f"a mask needs one value for each of {sample.n_events:,} events, found shape {rows.shape}")
        return np.flatnonzero(rows)
    return np.sort(rows.astype(np.intp))
