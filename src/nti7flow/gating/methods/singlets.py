"""Singlets: events whose area fits their height (or whose width is that of one cell)."""

from __future__ import annotations

from pydantic import Field

from nti7flow.gating.histogram import Histogram
from nti7flow.gating.methods.registry import Parameters, Placement, method
from nti7flow.quality.doublets import fit_band


class SingletParameters(Parameters):
    """Parameters of ``singlets``."""

    distance: float = Field(4.0, gt=0, description="Half-width of the band in robust standard deviations.")
    min_events: int = Field(200, ge=20, description="Fewer events than this are not fitted.")


@method("singlets", 1, n_dimensions=2, parameters=SingletParameters)
def singlets(histogram: Histogram, parameters: SingletParameters) -> Placement:
    """Band around the line on which single cells lie in area (x) against height or width (y), all linear.

    Two cells passing together have twice the area at about the same height, so they fall below the line. Against width
    (an axis named ``…-W``) single cells lie on a level line and doublets above it: only what is too wide is left out.
    How the band is found: `nti7flow.quality.doublets.fit_band`.
    """
    n_events = histogram.n_events
    if n_events < parameters.min_events:
        return Placement(reason=f"only {n_events} events, {parameters.min_events} are needed")
    cells, counts = histogram.cells()
    wide = histogram.axes[1].name.upper().endswith("-W")
    band = fit_band(cells, counts, wide=wide, distance=parameters.distance, min_events=parameters.min_events)
    if isinstance(band, str):
        return Placement(reason=band)
    knots, below, above = band.areas, band.below, band.above
    outline = [
        (-0.25, -0.25),
        (float(knots[0]), float(below[0])),
        *zip(knots[1:].tolist(), below[1:].tolist(), strict=True),
        *zip(knots[::-1].tolist(), above[::-1].tolist(), strict=True),
        (-0.25, float(above[0])),
    ]
    diagnostics = {
        "slope": round(band.slope, 4),
        "intercept": round(band.intercept, 4),
        "relative_spread": round(band.spread, 4),
    }
    return Placement(vertices=tuple(outline), diagnostics=diagnostics)
