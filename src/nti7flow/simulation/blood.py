"""The cell types of lysed whole blood: sizes, granularities and antigen densities; T cells are in tcells.py.

Everything here is biology in linear units (copies per cell, scatter at a fixed setting). There is no display
scale, no threshold and no normal distribution of log fluorescence: a gating method judged on these tubes
finds none of its own assumptions in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from nti7flow.simulation.cells import KI67, Antigen, CellType
from nti7flow.simulation.tcells import T_CELL_TYPES, lymphocyte

Number = TypeVar("Number", int, float)

_NK = {
    "CD45RA": Antigen(50, 5, 0.14),
    "CD31": Antigen(24, 5, 0.14),
    "CD27": Antigen(5, 3, 0.18, share=0.10),
    "CD95": Antigen(8, 4, 0.15),
    "PD1": Antigen(1.5, 2, 0.20, share=0.05),
    KI67: Antigen(10, 3.5, 0.12),
}
#: By name. Copies per cell follow the order of magnitude of quantitative cytometry of healthy blood.
CELL_TYPES: Mapping[str, CellType] = {
    **T_CELL_TYPES,
    "b_cells": lymphocyte(
        "b_cells",
        {
            "CD45": Antigen(158, 110, 0.05),
            "CD19": Antigen(21, 16, 0.08, lost=0.15),
            "CD45RA": Antigen(85, 8, 0.12),
            "CCR7": Antigen(5.0, 4, 0.14),
            "CD27": Antigen(12, 4, 0.14, share=0.35),
            "CD31": Antigen(9, 4, 0.14),
            "CD25": Antigen(1.4, 1.5, 0.20, share=0.3),
            "CD95": Antigen(5, 4, 0.15, share=0.3),
            KI67: Antigen(10, 3.5, 0.12),
        },
        ssc=13_000,
        fsc=65_000,
        glow=1.4,
    ),
    "nk_cells": lymphocyte(
        "nk_cells",
        {
            "CD45": Antigen(233, 120, 0.05),
            "CD16_56": Antigen(38, 11, 0.10, lost=0.30),
            "CD8": Antigen(20, 3, 0.10, share=0.12),
            **_NK,
        },
        ssc=20_500,
        fsc=73_000,
        granularity=70,
        ruffles=0.13,
        damaged=0.36,
        glow=2.5,
    ),
    "nk_bright": lymphocyte(  # CD56 bright, CD16 negative: helpers rather than killers, with a receptor for IL-7
        "nk_cells",
        {
            **_NK,
            "CD45": Antigen(215, 60, 0.05),
            "CD16_56": Antigen(75, 7, 0.10),
            "CD127": Antigen(6.0, 3, 0.16),
            "CD45RA": Antigen(25, 3, 0.18),
            "CD27": Antigen(7, 3, 0.16, share=0.7),
        },
        ssc=17_500,
        glow=2.0,
    ),
    "monocytes": CellType(
        "monocytes",
        fsc=110_000,
        ssc=61_000,
        diameter=10.5,
        size_spread=0.04,
        ruffle_spread=0.13,
        granularity=38,
        damaged=0.31,
        swollen=0.42,
        glow=3.2,
        sticky=1.2,
        antigens={
            "CD45": Antigen(196, 100, 0.05),
            "CD4": Antigen(7.6, 6, 0.12),
            "CD8": Antigen(4, 4, 0.10),  # no CD8: tandem dye taken up, as by neutrophils
            "CD16_56": Antigen(1.9, 2.5, 0.30),
            "CD31": Antigen(38, 8, 0.12),
            "CD95": Antigen(4, 4, 0.15),
            "CD45RA": Antigen(5, 1.5, 0.20),
            "CCR7": Antigen(1.2, 1.5, 0.20),
        },
        recovery=0.7,
    ),
    "monocytes_cd16": CellType(  # patrolling: less granular, hardly any CD14, and in the way of NK cells
        "monocytes",
        fsc=98_000,
        ssc=38_000,
        diameter=10.0,
        size_spread=0.04,
        ruffle_spread=0.13,
        granularity=25,
        damaged=0.31,
        swollen=0.3,
        glow=2.8,
        sticky=1.0,
        antigens={
            "CD45": Antigen(235, 100, 0.05),
            "CD4": Antigen(6.0, 5, 0.12),
            "CD8": Antigen(4, 4, 0.10),
            "CD16_56": Antigen(16, 4, 0.15),
            "CD31": Antigen(38, 8, 0.12),
            "CD95": Antigen(4, 4, 0.15),
            "CD45RA": Antigen(12, 3, 0.18),
        },
        recovery=0.7,
    ),
    "neutrophils": CellType(
        "granulocytes",
        fsc=126_000,
        ssc=139_000,
        diameter=10.5,
        size_spread=0.04,
        ruffle_spread=0.15,
        granularity=29,
        evenness=16.0,
        damaged=0.42,
        glow=8.0,
        sticky=0.4,
        antigens={
            "CD45": Antigen(80, 150, 0.04),
            "CD16_56": Antigen(10, 9, 0.15, lost=0.35),
            "CD8": Antigen(2.2, 6, 0.10),
            "CD4": Antigen(40, 8, 0.10, lost=0.15),  # no CD4: tandem dye taken up, as tubes of this kit show
            "CD31": Antigen(16, 8, 0.12),
            "CD95": Antigen(5, 4, 0.15),
        },
        recovery=0.012,
    ),
    "eosinophils": CellType(
        "granulocytes",
        fsc=123_000,
        ssc=210_000,
        diameter=10.5,
        size_spread=0.04,
        granularity=30,
        evenness=30.0,
        damaged=0.43,
        glow=15.5,
        sticky=0.4,
        antigens={"CD45": Antigen(108, 60, 0.05), "CD31": Antigen(14, 8, 0.12)},
        recovery=0.008,
    ),
    "basophils": CellType(
        "basophils",
        fsc=68_000,
        ssc=24_000,
        diameter=9.0,
        size_spread=0.04,
        granularity=14,
        damaged=0.15,
        glow=2.0,
        sticky=1.0,
        antigens={"CD45": Antigen(40, 12, 0.08), "CD31": Antigen(24, 6, 0.12), "CD25": Antigen(2.5, 2, 0.18)},
        recovery=0.7,
    ),
    "red_cell_ghosts": CellType(  # lysed, yet large enough to pass the threshold now and then
        "debris",
        fsc=17_000,
        ssc=1_500,
        diameter=6.0,
        size_spread=0.12,
        granularity=2,
        damaged=0.0,
        glow=0.35,
        sticky=0.08,
        antigens={},
        is_cell=False,
        recovery=0.01,
    ),
    "debris": CellType(  # platelets and fragments
        "debris",
        fsc=11_500,
        ssc=8_000,
        diameter=3.2,
        size_spread=0.25,
        granularity=18,
        damaged=0.0,
        glow=0.5,
        sticky=0.18,
        evenness=2.0,
        antigens={"CD45": Antigen(1.05, 12, 0.12), "CD31": Antigen(1.5, 1.5, 0.30)},
        is_cell=False,
        recovery=0.025,
    ),
    "remnants": CellType(  # what is left of leukocytes that burst
        "debris",
        fsc=40_000,
        ssc=24_000,
        diameter=6.0,
        size_spread=0.22,
        granularity=3,
        damaged=0.0,
        glow=2.5,
        sticky=3.0,
        evenness=0.5,
        antigens={"CD45": Antigen(4, 0.9, 0.30)},
        is_cell=False,
        recovery=0.04,
    ),
}

_CD4 = tuple(name for name, cell in T_CELL_TYPES.items() if cell.population == "cd4_t")
_CD8 = tuple(name for name, cell in T_CELL_TYPES.items() if cell.population == "cd8_t")
_NKS = ("nk_cells", "nk_bright")

#: Cell types in each population. Quadrants of CCR7 and CD45RA hold the stem-cell memory and regulatory T cells too.
POPULATIONS: Mapping[str, tuple[str, ...]] = {
    "lymphocytes": (*T_CELL_TYPES, "b_cells", *_NKS),
    "t_cells": tuple(T_CELL_TYPES),
    "cd4_t": _CD4,
    "cd4_naive": ("cd4_naive_rte", "cd4_naive_cd31neg", "cd4_scm"),
    "cd4_cd31_naive": ("cd4_naive_rte",),
    "cd4_scm": ("cd4_scm",),
    "cd4_cm": ("cd4_cm", "cd4_treg"),
    "cd4_em": ("cd4_em",),
    "cd4_temra": ("cd4_temra",),
    "cd4_treg": ("cd4_treg",),
    "cd8_t": _CD8,
    "cd8_naive": ("cd8_naive", "cd8_scm"),
    "cd8_scm": ("cd8_scm",),
    "cd8_cm": ("cd8_cm",),
    "cd8_em": ("cd8_em",),
    "cd8_temra": ("cd8_temra",),
    "dn_t": ("dn_t",),
    "dp_t": ("dp_t",),
    "b_cells": ("b_cells",),
    "nk_cells": _NKS,
    "monocytes": ("monocytes", "monocytes_cd16"),
    "granulocytes": ("neutrophils", "eosinophils"),
    "neutrophils": ("neutrophils",),
    "eosinophils": ("eosinophils",),
    "basophils": ("basophils",),
}


def by_population(amounts: Mapping[str, Number]) -> dict[str, Number]:
    """Add up amounts by cell type for each of `POPULATIONS`; a type that is not named has none."""
    return {name: sum((amounts[kind] for kind in types if kind in amounts), 0) for name, types in POPULATIONS.items()}


#: A healthy adult, cells/µL. Debris is not of the blood but of the lysis: see `tube`.
HEALTHY: Mapping[str, float] = {
    "cd4_naive_rte": 170,
    "cd4_naive_cd31neg": 145,
    "cd4_scm": 20,
    "cd4_cm": 260,
    "cd4_em": 150,
    "cd4_temra": 16,
    "cd4_treg": 55,
    "cd8_naive": 175,
    "cd8_scm": 12,
    "cd8_cm": 60,
    "cd8_em": 130,
    "cd8_temra": 95,
    "dn_t": 140,
    "dp_t": 12,
    "b_cells": 370,
    "nk_cells": 470,
    "nk_bright": 30,
    "monocytes": 620,
    "neutrophils": 4400,
    "eosinophils": 560,
    "basophils": 50,
}
