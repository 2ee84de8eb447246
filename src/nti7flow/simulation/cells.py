"""What passes the laser: cell types with the sizes, granularities and antigen densities of lysed whole blood.

Everything here is biology in linear units (copies per cell, scatter at a fixed setting). There is no display
scale, no threshold and no normal distribution of log fluorescence: a gating method judged on these tubes finds
none of its own assumptions in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Antigen:
    """How the cells of one type carry one antigen.

    Attributes
    ----------
    copies : float
        Typical number per cell of average size, thousands.
    shape : float
        Shape k of the gamma distribution of the density between cells; its CV is ``1 / sqrt(k)``.
    tail : float
        Scale of a Student-t (5 degrees of freedom) on the logarithm of the density: the heavy tails.
    share : float
        Fraction of the cells that carry the antigen at all.
    """

    copies: float
    shape: float = 20.0
    tail: float = 0.08
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class CellType:
    """One kind of particle.

    Attributes
    ----------
    population : str
        Population that a perfect gating would put it in.
    fsc, ssc : float
        Typical forward and side scatter of an intact cell, scale units.
    diameter : float
        Typical diameter, micrometres.
    size_spread : float
        Spread of the diameter (natural log units).
    granularity : float
        Shape of the gamma distribution of the granularity; large is uniform.
    damaged : float
        Fraction that is shrunken or dying: less forward scatter, more of everything unspecific.
    glow : float
        Autofluorescence, relative.
    sticky : float
        Unspecific uptake of antibody, relative.
    antigens : Mapping of str to Antigen
        By marker; absent means none.
    """

    population: str
    fsc: float
    ssc: float
    diameter: float
    size_spread: float
    granularity: float
    damaged: float
    glow: float
    sticky: float
    antigens: Mapping[str, Antigen]


def _lymphocyte(population: str, *, ssc: float, glow: float = 1.5, **antigens: Antigen) -> CellType:
    return CellType(
        population,
        fsc=68_000,
        ssc=ssc,
        diameter=7.5,
        size_spread=0.075,
        granularity=15,
        damaged=0.22,
        glow=glow,
        sticky=1.0,
        antigens=antigens,
    )


#: Copies per cell follow the order of magnitude of quantitative cytometry of healthy blood.
CELL_TYPES: Mapping[str, CellType] = {
    "cd4_t": _lymphocyte(
        "cd4_t",
        ssc=13_000,
        CD45=Antigen(200, 80, 0.04),
        CD3=Antigen(98, 12, 0.10),
        CD4=Antigen(48, 40, 0.06),
        CD16_56=Antigen(8, 2, 0.10, share=0.015),
    ),
    "cd8_t": _lymphocyte(
        "cd8_t",
        ssc=17_000,
        CD45=Antigen(235, 60, 0.05),
        CD3=Antigen(98, 12, 0.10),
        CD8=Antigen(105, 7, 0.10),
        CD16_56=Antigen(10, 2, 0.15, share=0.08),
    ),
    "dn_t": _lymphocyte(  # mostly gamma-delta T cells: more CD3, some with dim CD8
        "dn_t",
        ssc=15_000,
        CD45=Antigen(220, 60, 0.05),
        CD3=Antigen(140, 6, 0.10),
        CD8=Antigen(14, 3, 0.10, share=0.15),
        CD16_56=Antigen(14, 2, 0.10, share=0.20),
    ),
    "dp_t": _lymphocyte(
        "dp_t",
        ssc=14_500,
        CD45=Antigen(215, 60, 0.05),
        CD3=Antigen(100, 10, 0.10),
        CD4=Antigen(44, 20, 0.06),
        CD8=Antigen(45, 4, 0.10),
    ),
    "b_cells": _lymphocyte(
        "b_cells",
        ssc=12_500,
        glow=1.2,
        CD45=Antigen(165, 50, 0.06),
        CD19=Antigen(21, 12, 0.08),
    ),
    "nk_cells": _lymphocyte(
        "nk_cells",
        ssc=19_000,
        glow=2.2,
        CD45=Antigen(240, 60, 0.05),
        CD16_56=Antigen(36, 5, 0.12),
        CD8=Antigen(20, 3, 0.10, share=0.35),
    ),
    "monocytes": CellType(
        "monocytes",
        fsc=125_000,
        ssc=50_000,
        diameter=11.0,
        size_spread=0.08,
        granularity=14,
        damaged=0.25,
        glow=3.4,
        sticky=1.2,
        antigens={
            "CD45": Antigen(215, 25, 0.06),
            "CD4": Antigen(10, 10, 0.08),
            "CD16_56": Antigen(26, 3, 0.15, share=0.10),
        },
    ),
    "neutrophils": CellType(
        "granulocytes",
        fsc=130_000,
        ssc=142_000,
        diameter=10.5,
        size_spread=0.055,
        granularity=22,
        damaged=0.24,
        glow=7.0,
        sticky=0.4,
        antigens={
            "CD45": Antigen(94, 30, 0.06),
            "CD16_56": Antigen(24, 7, 0.15),
            "CD4": Antigen(9, 9, 0.10),  # no CD4: tandem dye taken up, as tubes of this kit show
        },
    ),
    "eosinophils": CellType(
        "granulocytes",
        fsc=118_000,
        ssc=195_000,
        diameter=10.5,
        size_spread=0.06,
        granularity=16,
        damaged=0.15,
        glow=12.0,
        sticky=0.4,
        antigens={"CD45": Antigen(118, 25, 0.06)},
    ),
    "basophils": CellType(
        "basophils",
        fsc=78_000,
        ssc=24_000,
        diameter=9.0,
        size_spread=0.07,
        granularity=14,
        damaged=0.15,
        glow=2.0,
        sticky=1.0,
        antigens={"CD45": Antigen(78, 30, 0.06)},
    ),
    "debris": CellType(  # red-cell ghosts, platelets and fragments
        "debris",
        fsc=11_500,
        ssc=10_000,
        diameter=3.2,
        size_spread=0.26,
        granularity=9,
        damaged=0.0,
        glow=0.5,
        sticky=0.06,
        antigens={"CD45": Antigen(1.6, 1.5, 0.30)},
    ),
}


@dataclass(frozen=True, slots=True)
class Donor:
    """What is particular about one person, as factors on the typical values.

    Attributes
    ----------
    antigens : Mapping of str to float
        Antigen density by marker.
    size, granularity, glow : float
        Cell diameter, side scatter and autofluorescence.
    """

    antigens: Mapping[str, float] = field(default_factory=dict)
    size: float = 1.0
    granularity: float = 1.0
    glow: float = 1.0


def draw_donor(rng: np.random.Generator) -> Donor:
    """Draw a person from the variation seen between people."""
    markers = sorted({marker for cell in CELL_TYPES.values() for marker in cell.antigens})
    factors = np.exp(0.12 * rng.standard_normal(len(markers)))
    size, granularity, glow = np.exp(np.array([0.015, 0.06, 0.10]) * rng.standard_normal(3))
    return Donor(dict(zip(markers, factors.tolist(), strict=True)), float(size), float(granularity), float(glow))


@dataclass(frozen=True, eq=False)
class Particles:
    """Cells on their way to the laser, before anything is measured.

    Attributes
    ----------
    fsc, ssc : ndarray of float64, shape (n,)
        Scatter without measurement error, scale units.
    diameter : ndarray of float64, shape (n,)
        Micrometres.
    copies : ndarray of float64, shape (n, markers)
        Antigens, thousands per cell, in the order of the markers asked for.
    glow, sticky : ndarray of float64, shape (n,)
        Autofluorescence and unspecific antibody, relative to a lymphocyte.
    """

    fsc: Floats
    ssc: Floats
    diameter: Floats
    copies: Floats
    glow: Floats
    sticky: Floats


def draw_cells(
    rng: np.random.Generator, cell: CellType, n: int, *, markers: tuple[str, ...], donor: Donor, growth: float = 1.0
) -> Particles:
    """Draw cells of one type.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    cell : CellType
        What to draw.
    n : int
        How many.
    markers : tuple of str
        Columns of ``copies``.
    donor : Donor
        Whose cells.
    growth : float
        Factor on the diameter of every cell, above 1 for activated (blasting) cells.
    """
    # One size drives scatter, surface (so every antigen) and pulse width: this is what correlates them.
    size = np.exp(cell.size_spread * rng.standard_normal(n)) * donor.size * growth
    harm = np.where(rng.random(n) < cell.damaged, rng.beta(2.0, 1.8, n), 0.05 * rng.random(n))
    surface = size**2
    granules = rng.gamma(cell.granularity, 1 / cell.granularity, n) * donor.granularity
    copies = np.zeros((n, len(markers)))
    for column, marker in enumerate(markers):
        if marker in cell.antigens:
            density = _density(rng, cell.antigens[marker], n) * donor.antigens.get(marker, 1.0)
            copies[:, column] = density * surface
    return Particles(
        fsc=cell.fsc * size**2.4 * (1 - 0.66 * harm),
        ssc=cell.ssc * size**2 * granules * (1 - 0.40 * harm),
        diameter=cell.diameter * size * (1 - 0.25 * harm),
        copies=copies,
        glow=cell.glow * donor.glow * surface * rng.gamma(9.0, 1 / 9.0, n) * (1 + 0.3 * harm),
        sticky=cell.sticky * surface * rng.gamma(9.0, 1 / 9.0, n) * (1 + 0.5 * harm),
    )


def _density(rng: np.random.Generator, antigen: Antigen, n: int) -> Floats:
    """Copies per cell of average size, thousands, shape (n,); 0 for the cells that carry none."""
    spread = rng.gamma(antigen.shape, 1 / antigen.shape, n) * np.exp(antigen.tail * rng.standard_t(5.0, n))
    return np.where(rng.random(n) < antigen.share, antigen.copies * spread, 0.0)
