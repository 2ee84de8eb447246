"""Small tubes and templates in which everything can be worked out by hand: display value = value / 1000."""

import textwrap
from pathlib import Path

import numpy as np

from nti7flow.counting.fractions import count_populations
from nti7flow.events.fcs import read_fcs, write_events
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import Linear
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.fit import fit_gate, make_replicates
from nti7flow.gating.histogram import Histogram, fit_axis
from nti7flow.gating.methods import find_method
from nti7flow.gating.resolve import Resolution
from nti7flow.gating.template import load_template

TUBES = Path(__file__).parents[1] / "tubes"

HEAD = """\
schema: nti7flow/template/1
name: toy
version: 1.0.0
title: Toy
scales:
  fluorescence: {kind: linear, top: 1000}
  scatter: {kind: linear, top: 1000}
populations:
"""


def write_template(folder, populations, *, head=HEAD, name="toy.yaml"):
    """Write a template whose populations are given as text, or as several texts."""
    parts = [populations] if isinstance(populations, str) else populations
    text = "\n".join(textwrap.dedent(part).strip("\n") for part in parts)
    path = Path(folder) / name
    path.write_text(head + textwrap.indent(text, "  ") + "\n", encoding="utf-8")
    return path


def toy_template(folder, populations, *, head=HEAD):
    return load_template(write_template(folder, populations, head=head))


def toy_sample(path, **columns):
    """Write and read a tube: one column per marker, FSC and SSC being scatter."""
    detectors = [name if name in ("FSC", "SSC") else f"FL{i}" for i, name in enumerate(columns)]
    detectors = [f"{detector}-A" for detector in detectors]
    markers = ["" if name in ("FSC", "SSC") else name for name in columns]
    write_events(path, np.column_stack(list(columns.values())), detectors, markers=markers)
    return read_fcs(path)


def resolve(template, sample):
    """Gate one sample by a template that pools nothing."""
    resolution = Resolution.start(template, sample, Spillover.none())
    assert resolution.run_wave(0, {}) == {}
    return resolution


def counts_of(resolution):
    return {c.population: c for c in count_populations(resolution.strategy(), resolution.members)}


def dimensions(n):
    return tuple(Dimension(name, name, False, Linear(1.0)) for name in ("X", "Y")[:n])


def histogram_of(values):
    """Histogram of display values, shape (n,) or (n, 2), on the axes that fits are made on."""
    values = np.asarray(values, float)
    values = values[:, None] if values.ndim == 1 else values
    n = values.shape[1]
    return Histogram.of(values, [fit_axis(name, n) for name in ("X", "Y")[:n]])


def place(method, values, **parameters):
    """Place a gate by a method alone."""
    found = find_method(method)
    histogram = values if isinstance(values, Histogram) else histogram_of(values)
    return found.fit(histogram, found.parameters(**parameters))


def place_and_judge(method, values, *, seed=1, tolerance=0.05, **parameters):
    """Place a gate by a method and judge it by replicates, as gating does."""
    found = find_method(method)
    histogram = values if isinstance(values, Histogram) else histogram_of(values)
    replicates = make_replicates(histogram, np.random.default_rng(seed))
    axes = dimensions(len(histogram.axes))
    return fit_gate(histogram, found, found.parameters(**parameters), axes, replicates, tolerance=tolerance)
