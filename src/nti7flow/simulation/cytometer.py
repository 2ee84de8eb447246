"""From cells to raw values: dyes, spillover, photons, electronics, pulses. The instruments are in panels.py."""

from __future__ import annotations

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
        Model, as in $CYT.
    scatter : tuple of str
        Scatter channels, of ``FSC-A FSC-H FSC-W SSC-A``.
    detectors, markers : tuple of str
        The d fluorescence detectors ($PnN) and the antigen stained in each, as `CellType` names it.
    labels, fluorochromes : tuple of str
        What the file says about each detector ($PnS), and the dye.
    brightness : ndarray of float64, shape (d,)
        Scale units per thousand copies, in the dye's own detector, at gain 1.
    glow, sticky : ndarray of float64, shape (d,)
        Scale units that autofluorescence and unspecific antibody of a lymphocyte make in each detector.
    bead_light : ndarray of float64, shape (d,)
        Scale units of a counting bead.
    photoelectrons : ndarray of float64, shape (d,)
        Per scale unit: few make a wide, skewed spread.
    electronic_noise : ndarray of float64, shape (d,)
        Standard deviation around zero, scale units; the gain does not amplify it.
    lasers : tuple of int
        Which laser excites each detector: cells pass all detectors of one laser under the same illumination.
    spillover : ndarray of float64, shape (d, d)
        What really spills at gain 1; row: dye, column: detector.
    keyword : ndarray of float64, shape (d, d)
        What the operator set, and the file says: slightly off.
    gain : ndarray of float64, shape (d,)
        Today's gain of each detector, relative to when it was set up.
    scatter_gain : tuple of float
        The same of forward and of side scatter.
    threshold : float
        Events below this forward scatter are not recorded, scale units.
    """

    name: str
    scatter: tuple[str, ...]
    detectors: tuple[str, ...]
    markers: tuple[str, ...]
    labels: tuple[str, ...]
    fluorochromes: tuple[str, ...]
    brightness: Floats
    glow: Floats
    sticky: Floats
    bead_light: Floats
    photoelectrons: Floats
    electronic_noise: Floats
    lasers: tuple[int, ...]
    spillover: Floats
    keyword: Floats
    gain: Floats
    scatter_gain: tuple[float, float]
    threshold: float

    @property
    def measured_spillover(self) -> Floats:
        """What really spills in units as measured, shape (d, d): gains differ between detectors."""
        return self.spillover * (self.gain[None, :] / self.gain[:, None])


#: Spread of the charge that one photoelectron makes, relative; it adds to what Poisson counting spreads.
_MULTIPLICATION = 0.3
#: Width of the focused beam along the stream, micrometres (standard deviation of its profile).
_BEAM = 3.2
#: A lymphocyte of this diameter has pulse height = pulse area; the instrument is set up so.
_REFERENCE_DIAMETER = 7.5


def fluorescence(
    rng: np.random.Generator, cytometer: Cytometer, cells: Particles, *, staining: Floats, collected: Floats
) -> Floats:
    """Raw, uncompensated fluorescence before digitising.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    cytometer : Cytometer
        Detectors and stains; ``cells.copies`` must be in the order of its markers.
    cells : Particles
        The n cells and beads.
    staining : ndarray of float64, shape (d,)
        How well each antibody stained this tube, 1 is as usual, 0 left out.
    collected : ndarray of float64, shape (n,)
        Share of the light collected when each of them passed, 1 is as usual.

    Returns
    -------
    ndarray of float64, shape (n, d)
        Scale units; values scatter below zero, as baseline-corrected electronics give them.
    """
    dye = cells.copies * (cytometer.brightness * staining)
    # Unspecific antibody carries the dye and spills like it; autofluorescence has a spectrum of its own, beads too.
    dye += cells.sticky[:, None] * (cytometer.sticky * staining)
    light = dye @ cytometer.spillover
    light += cells.glow[:, None] * cytometer.glow + cells.beads[:, None] * cytometer.bead_light
    n = len(cells.fsc)
    beams = 1 + 0.025 * rng.standard_normal((n, max(cytometer.lasers) + 1))
    light *= beams[:, list(cytometer.lasers)] * collected[:, None]
    rate = cytometer.photoelectrons
    counted = rng.poisson(light * rate)
    # Not every photoelectron is multiplied alike: without that, a high gain would show them one by one.
    multiplied = np.sqrt(counted) * (_MULTIPLICATION / rate * cytometer.gain)
    noise = np.sqrt(multiplied**2 + cytometer.electronic_noise**2) * rng.standard_normal(light.shape)
    return np.asarray(counted * (cytometer.gain / rate) + noise)


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


def digitise(values: Floats) -> Floats:
    """Round to whole steps and clip to the top of scale.

    Whole numbers make the bytes independent of how a processor rounds the last bit of an exponential.
    """
    return np.minimum(np.rint(values), TOP)
