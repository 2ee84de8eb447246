"""Fits to histograms: of one sample, or of the merged ones of a group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.fit import Fitted, fit_gate, make_replicates
from nti7flow.gating.histogram import Histogram
from nti7flow.gating.methods import find_method
from nti7flow.gating.methods.registry import Parameters
from nti7flow.gating.methods.thresholds import ValleyParameters
from nti7flow.gating.specs import FittedSpec, method_parameters


@dataclass(frozen=True, slots=True)
class Summary:
    """What one sample gives to a pooled fit: a histogram, and the axes it was made on."""

    histogram: Histogram
    dimensions: tuple[Dimension, ...]


def fit_pooled(gate: FittedSpec, summaries: Sequence[Summary], rng: np.random.Generator) -> Fitted:
    """Merge the summaries of a group (exact, and in any order) and fit once."""
    total = summaries[0].histogram
    for summary in summaries[1:]:
        total = total.merged(summary.histogram)
    return fit_histogram(gate, summaries[0].dimensions, total, make_replicates(total, rng))


def fit_histogram(
    gate: FittedSpec,
    dimensions: tuple[Dimension, ...],
    histogram: Histogram,
    replicates: Sequence[Histogram],
    *,
    forgiving: bool = False,
) -> Fitted:
    """Fit a gate to a histogram, its own or a pooled one."""
    parameters = _on_display(method_parameters(gate), dimensions)
    method = find_method(gate.method)
    return fit_gate(
        histogram, method, parameters, dimensions, replicates, tolerance=gate.tolerance, forgiving=forgiving
    )


def _on_display(parameters: Parameters, dimensions: tuple[Dimension, ...]) -> Parameters:
    """Return parameters with what a person wrote as scale values turned into display units."""
    if isinstance(parameters, ValleyParameters):
        low, high = (None if v is None else float(dimensions[0].transform.apply(v)) for v in parameters.window)
        return parameters.model_copy(update={"window": (low, high)})
    return parameters
