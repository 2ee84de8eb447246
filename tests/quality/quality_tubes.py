"""Tubes with a known course: blood-like events at an even rate, and what may happen to them."""

import numpy as np

from nti7flow.events.made import make_sample

DETECTORS = ("FSC-A", "FSC-H", "SSC-A", "FITC-A", "PE-A", "APC-A", "Time")
MARKERS = ("", "", "", "CD3", "CD19", "CD4", "")


def even_tube(seed=0, *, n=20_000, seconds=60.0):
    """Values of an undisturbed tube, shape (n, 7): three populations, time rising at an even rate."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(3, n, p=(0.3, 0.2, 0.5))
    centres = np.log(np.array([[60e3, 20e3, 8e3, 90, 3e3], [70e3, 25e3, 120, 5e3, 90], [20e3, 9e3, 60, 60, 60]]))
    light = np.exp(centres[kind] + rng.normal(0, [0.15, 0.25, 0.4, 0.4, 0.4], (n, 5)))
    light[:, 2:] += rng.normal(0, 30, (n, 3))
    height = light[:, 0] * rng.normal(0.8, 0.02, n)
    time = np.sort(rng.uniform(0, seconds, n))
    return np.column_stack([light[:, 0], height, light[:, 1:], time])


def sample_of(values, detectors=DETECTORS, markers=MARKERS):
    """Make a sample of them, in memory."""
    return make_sample(np.asarray(values), detectors, markers=list(markers), name="made.fcs")


def between(values, start, end):
    """Events of some seconds."""
    return (values[:, -1] >= start) & (values[:, -1] < end)
