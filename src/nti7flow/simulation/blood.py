"""The cell types of lysed whole blood: sizes, granularities and antigen densities.

Everything here is biology in linear units (copies per cell, scatter at a fixed setting). There is no display
scale, no threshold and no normal distribution of log fluorescence: a gating method judged on these tubes
finds none of its own assumptions in them.
"""

from __future__ import annotations

from collections.abc import Mapping

from nti7flow.simulation.cells import Antigen, CellType


def _lymphocyte(population: str, *, ssc: float, glow: float = 1.5, **antigens: Antigen) -> CellType:
    return CellType(
        population,
        fsc=68_000,
        ssc=ssc,
        diameter=7.5,
        size_spread=0.075,
        granularity=15,
        damaged=0.32,
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
        fsc=132_000,
        ssc=50_000,
        diameter=11.0,
        size_spread=0.10,
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
        size_spread=0.075,
        granularity=45,
        damaged=0.30,
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
        ssc=185_000,
        diameter=10.5,
        size_spread=0.075,
        granularity=24,
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
        ssc=8_000,
        diameter=3.2,
        size_spread=0.25,
        granularity=11,
        damaged=0.0,
        glow=0.5,
        sticky=0.06,
        antigens={"CD45": Antigen(1.6, 1.5, 0.30)},
    ),
}
