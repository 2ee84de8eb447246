"""From cells to raw values: dyes, spillover, photons, electronics, pulses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nti7flow.simulation.cells import Floats, Particles

#: Top of an 18-bit scale.
TOP = 262_143.0


@dataclass(frozen=True, eq=False)
class Cytometer:
    """A digital cytometer with its settings, and the stains of one panel.

    Attributes
    ----------
    name : str
        Model.
    detectors, markers : tuple of str
        The d fluorescence detectors ($PnN) and the antigen stained in each, as `CellType` names it.
    labels : tuple of str
        What the file says about each detector ($PnS).
    brightness : tuple of float
        Scale units per thousand copies, in the dye's own detector.
    glow, sticky : tuple of float
        Scale units that autofluorescence and unspecific antibody of a lymphocyte make in each detector.
    photoelectrons : tuple of float
        Per scale unit: few make a wide, skewed spread.
    electronic_noise : tuple of float
        Standard deviation around zero, scale units.
    area_scaling : tuple of float
        Step of the digitised area of each detector, scale units.
    lasers : tuple of int
        Which laser excites each detector: cells pass all detectors of one laser under the same illumination.
    spillover : ndarray of float64, shape (d, d)
        What really spills; row: dye, column: detector.
    keyword : ndarray of float64, shape (d, d)
        What the operator set, and the file says: slightly off.
    threshold : float
        Events below this forward scatter are not recorded, scale units.
    """

    name: str
    detectors: tuple[str, ...]
    markers: tuple[str, ...]
    labels: tuple[str, ...]
    brightness: tuple[float, ...]
    glow: tuple[float, ...]
    sticky: tuple[float, ...]
    photoelectrons: tuple[float, ...]
    electronic_noise: tuple[float, ...]
    area_scaling: tuple[float, ...]
    lasers: tuple[int, ...]
    spillover: NDArray[np.float64]
    keyword: NDArray[np.float64]
    threshold: float


def _matrix(size: int, cells: Mapping[tuple[int, int], float]) -> NDArray[np.float64]:
    matrix = np.eye(size)
    for position, value in cells.items():
        matrix[position] = value
    matrix.flags.writeable = False
    return matrix


_SPILL = {  # (dye, detector): true, as set
    (0, 1): (0.0640, 0.060),
    (0, 2): (0.0090, 0.010),
    (1, 0): (0.0185, 0.020),
    (1, 2): (0.0720, 0.070),
    (1, 3): (0.0065, 0.005),
    (2, 3): (0.0420, 0.040),
    (2, 4): (0.0042, 0.004),
    (2, 5): (0.0105, 0.010),
    (3, 0): (0.0030, 0.003),
    (3, 1): (0.0360, 0.038),
    (3, 2): (0.0052, 0.005),
    (3, 5): (0.0230, 0.020),
    (4, 2): (0.0075, 0.008),
    (4, 5): (0.0510, 0.050),
    (5, 3): (0.1260, 0.130),
    (5, 4): (0.1520, 0.150),
}

#: Two lasers, six colours, the stains of a common TBNK kit.
TBNK_CANTO = Cytometer(
    name="FACSCanto II",
    detectors=("FITC-A", "PE-A", "PerCP-Cy5-5-A", "PE-Cy7-A", "APC-A", "APC-Cy7-A"),
    markers=("CD3", "CD16_56", "CD45", "CD4", "CD19", "CD8"),
    labels=("CD3", "CD16+56", "CD45", "CD4", "CD19", "CD8"),
    brightness=(76.0, 78.0, 57.0, 76.0, 220.0, 47.0),
    glow=(110.0, 30.0, 35.0, 14.0, 16.0, 8.0),
    sticky=(45.0, 30.0, 40.0, 80.0, 150.0, 90.0),
    photoelectrons=(0.05, 0.15, 0.06, 0.20, 0.08, 0.12),
    electronic_noise=(62.0, 28.0, 52.0, 22.0, 42.0, 26.0),
    area_scaling=(1.2, 1.2, 1.2, 1.2, 1.22, 1.22),
    lasers=(0, 0, 0, 0, 1, 1),
    spillover=_matrix(6, {position: true for position, (true, _) in _SPILL.items()}),
    keyword=_matrix(6, {position: stated for position, (_, stated) in _SPILL.items()}),
    threshold=13_000.0,
)

#: Width of the focused beam along the stream, micrometres (standard deviation of its profile).
_BEAM = 3.2
#: A lymphocyte of this diameter has pulse height = pulse area; the instrument is set up so.
_REFERENCE_DIAMETER = 7.5


def fluorescence(rng: np.random.Generator, cytometer: Cytometer, cells: Particles, staining: Floats) -> Floats:
    """Raw, uncompensated fluorescence before digitising.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    cytometer : Cytometer
        Detectors and stains; ``cells.copies`` must be in the order of its markers.
    cells : Particles
        The cells.
    staining : ndarray of float64, shape (d,)
        How well each antibody stained this tube, 1 is as usual.

    Returns
    -------
    ndarray of float64, shape (n, d)
        Scale units; values scatter below zero, as baseline-corrected electronics give them.
    """
    dye = cells.copies * (np.array(cytometer.brightness) * staining)
    # Unspecific antibody carries the dye and spills like it; autofluorescence has a spectrum of its own.
    dye += cells.sticky[:, None] * np.array(cytometer.sticky)
    light = dye @ cytometer.spillover + cells.glow[:, None] * np.array(cytometer.glow)
    n = len(cells.fsc)
    beams = 1 + 0.025 * rng.standard_normal((n, max(cytometer.lasers) + 1))
    light *= beams[:, list(cytometer.lasers)]
    rate = np.array(cytometer.photoelectrons)
    counted = rng.poisson(np.maximum(light, 0.0) * rate) / rate
    return np.asarray(counted + rng.standard_normal(light.shape) * np.array(cytometer.electronic_noise))


def scatter(
    rng: np.random.Generator, first: Particles, second: Particles, paired: NDArray[np.intp]
) -> tuple[Floats, Floats, Floats]:
    """Forward scatter area and height, and side scatter area.

    A cell makes a Gaussian pulse, as wide as beam and cell together. Where a second cell follows within the
    same pulse, areas add up, but heights only as far as the two overlap.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    first : Particles
        The n particles that open a pulse each.
    second : Particles
        The m particles that follow in the pulse of another.
    paired : ndarray of int, shape (m,)
        Whose pulse each of them follows in.

    Returns
    -------
    area, height, side : ndarray of float64, shape (n,)
        Scale units.
    """
    n, m = len(first.fsc), len(paired)
    area = first.fsc * (1 + 0.03 * rng.standard_normal(n))
    area_2 = second.fsc * (1 + 0.03 * rng.standard_normal(m))
    width, width_2 = _pulse_width(first.diameter), _pulse_width(second.diameter)
    # The stream turns a sticking pair lengthwise, though not always; a coincident pair is anywhere.
    apart = 0.5 * (first.diameter[paired] + second.diameter) * (0.35 + 0.9 * np.sqrt(rng.random(m)))
    height = area / width
    height[paired] = _peak(height[paired], width[paired], area_2 / width_2, width_2, apart)
    area[paired] += area_2
    side = first.ssc.copy()
    side[paired] += second.ssc
    height *= _pulse_width(np.array(_REFERENCE_DIAMETER)) * (1 + 0.018 * rng.standard_normal(n))
    return (
        area + 250 * rng.standard_normal(n),
        height + 250 * rng.standard_normal(n),
        side * (1 + 0.04 * rng.standard_normal(n)) + 900 * rng.standard_normal(n),
    )


def _peak(height_1: Floats, width_1: Floats, height_2: Floats, width_2: Floats, apart: Floats) -> Floats:
    """Highest point of two Gaussian pulses some way apart; it lies between their centres."""
    at = np.linspace(0.0, 1.0, 25)[:, None] * apart
    first = height_1 * np.exp(-0.5 * (at / width_1) ** 2)
    second = height_2 * np.exp(-0.5 * ((at - apart) / width_2) ** 2)
    return np.asarray((first + second).max(axis=0))


def _pulse_width(diameter: Floats) -> Floats:
    return np.sqrt(_BEAM**2 + (diameter / 4) ** 2)


def digitise(values: Floats, step: float | Floats) -> Floats:
    """Clip to the top of scale and round to whole steps, kept in hundredths.

    Coarse steps make the bytes independent of how a processor rounds the last bit of an exponential.
    """
    return np.asarray(np.minimum(np.round(np.round(values / step) * step, 2), TOP))
