"""T cells from naive to terminally differentiated: what each subset carries."""

from __future__ import annotations

from collections.abc import Mapping

from nti7flow.simulation.cells import KI67, Antigen, CellType

#: Antigens that are gained and lost by degrees as a T cell differentiates.
_BY_DEGREES = ("CD45RA", "CCR7", "CD27", "CD28", "CD95", "CD31", "CD127")


def lymphocyte(
    population: str,
    antigens: Mapping[str, Antigen],
    *,
    ssc: float,
    fsc: float = 67_000,
    granularity: float = 40,
    ruffles: float = 0.105,
    ruffle_scatter: float = 1.5,
    damaged: float = 0.43,
    glow: float = 1.5,
    becoming: Mapping[str, Antigen] | None = None,
) -> CellType:
    """Return a cell type with the size and handling of a lymphocyte."""
    return CellType(
        population,
        fsc=fsc,
        ssc=ssc,
        diameter=7.5,
        size_spread=0.04,
        ruffle_spread=ruffles,
        ruffle_scatter=ruffle_scatter,
        granularity=granularity,
        evenness=9.0,
        damaged=damaged,
        glow=glow,
        sticky=1.0,
        antigens=antigens,
        recovery=0.75,
        becoming={marker: antigen for marker, antigen in (becoming or {}).items() if marker in _BY_DEGREES},
    )


_CYCLE = {KI67: Antigen(10, 3.5, 0.12)}

# The lineage, shared by all subsets of it.
_CD4 = {
    "CD45": Antigen(197, 150, 0.04),
    "CD3": Antigen(103, 8, 0.10, lost=0.30),
    "CD4": Antigen(49, 50, 0.06, lost=0.15),
    "CD16_56": Antigen(8, 2, 0.10, share=0.015),
    **_CYCLE,
}
_CD8 = {
    "CD45": Antigen(214, 150, 0.04),
    "CD3": Antigen(102, 11, 0.10, lost=0.30),
    "CD8": Antigen(107, 14, 0.12, lost=0.15),
    "CD16_56": Antigen(0.8, 1.2, 0.35),
    **_CYCLE,
}

# Maturation. Densities overlap as they do in life: CCR7 and CD95 dim in some, CD45RA lost and regained by degrees.
_NAIVE = {
    "CD45RA": Antigen(62, 9, 0.12),
    "CCR7": Antigen(11, 6, 0.12),
    "CD27": Antigen(24, 12, 0.10),
    "CD28": Antigen(17, 12, 0.10),
    "CD95": Antigen(0.9, 2.5, 0.15),
    "CD127": Antigen(11.5, 9, 0.12),
    "CD25": Antigen(0.5, 1.5, 0.20),
}
_SCM = _NAIVE | {
    "CD45RA": Antigen(48, 8, 0.12),
    "CCR7": Antigen(9, 5, 0.12),
    "CD95": Antigen(7.5, 6, 0.12),
    "CD31": Antigen(6, 2, 0.15, share=0.4),
}
_CM = {
    "CD45RA": Antigen(4.0, 1.8, 0.20),
    "CCR7": Antigen(7.0, 4.5, 0.14),
    "CD27": Antigen(18, 8, 0.12),
    "CD28": Antigen(19, 11, 0.10),
    "CD95": Antigen(10.5, 7, 0.12),
    "CD31": Antigen(2.0, 1.2, 0.20),
    "CD127": Antigen(10.5, 7, 0.12),
    "CD25": Antigen(1.4, 1.6, 0.20),
    "PD1": Antigen(1.9, 2.2, 0.18, share=0.30),
}
_EM = {
    "CD45RA": Antigen(2.6, 1.6, 0.20),
    "CCR7": Antigen(0.45, 1.4, 0.20),
    "CD27": Antigen(8.0, 3.0, 0.15, share=0.60),
    "CD28": Antigen(13, 7, 0.12, share=0.90),
    "CD95": Antigen(14, 8, 0.12),
    "CD31": Antigen(2.5, 1.2, 0.20),
    "CD127": Antigen(7.0, 4.0, 0.15),
    "CD25": Antigen(1.1, 1.5, 0.20),
    "PD1": Antigen(2.8, 2.4, 0.18, share=0.45),
}
_TEMRA = {
    "CD45RA": Antigen(40, 5, 0.15),
    "CCR7": Antigen(0.40, 1.4, 0.20),
    "CD27": Antigen(4.0, 2.0, 0.20, share=0.20),
    "CD28": Antigen(6.0, 2.5, 0.20, share=0.25),
    "CD95": Antigen(14, 8, 0.12),
    "CD31": Antigen(9.0, 3.0, 0.15),
    "CD127": Antigen(2.0, 1.6, 0.20),
    "CD25": Antigen(0.4, 1.5, 0.20),
    "PD1": Antigen(1.7, 2.0, 0.20, share=0.20),
}
_RTE, _CD31_LOST = {"CD31": Antigen(19, 5, 0.14)}, {"CD31": Antigen(1.0, 1.4, 0.20)}
_TREG = _CM | {
    "CD45RA": Antigen(4.5, 1.6, 0.20),
    "CCR7": Antigen(5.0, 4.0, 0.15),
    "CD127": Antigen(1.5, 2.2, 0.18),
    "CD25": Antigen(9.5, 5.0, 0.14),
    "PD1": Antigen(1.8, 2.2, 0.18, share=0.35),
    KI67: Antigen(10, 3.5, 0.12),
}
# CD8 T cells keep CD31 and lose CD28 earlier.
_CD8_CD31 = {"CD31": Antigen(15, 4, 0.14)}
_CD8_EM = {
    "CD28": Antigen(9, 5, 0.14, share=0.55),
    "CD45RA": Antigen(4.0, 1.6, 0.20),
    "CD127": Antigen(5.0, 2.5, 0.18),
    "CD31": Antigen(8, 3, 0.15),
    "PD1": Antigen(3.0, 2.2, 0.18, share=0.50),
}


def _cd4(*parts: Mapping[str, Antigen], becoming: Mapping[str, Antigen] | None = None) -> CellType:
    return lymphocyte("cd4_t", _merged(_CD4, *parts), ssc=13_300, becoming=becoming)


def _cd8(*parts: Mapping[str, Antigen], becoming: Mapping[str, Antigen] | None = None) -> CellType:
    return lymphocyte(
        "cd8_t",
        _merged(_CD8, *parts),
        ssc=17_500,
        granularity=150,
        ruffles=0.24,
        ruffle_scatter=1.0,
        damaged=0.39,
        becoming=becoming,
    )


def _merged(*parts: Mapping[str, Antigen]) -> dict[str, Antigen]:
    return {marker: antigen for part in parts for marker, antigen in part.items()}


_CD8_TEMRA = _merged(_TEMRA, {"CD45RA": Antigen(58, 5, 0.15), "CD31": Antigen(12, 4, 0.14)})

#: By name; the population of each is its lineage.
T_CELL_TYPES: Mapping[str, CellType] = {
    "cd4_naive_rte": _cd4(_NAIVE, _RTE, becoming=_CM),
    "cd4_naive_cd31neg": _cd4(_NAIVE, _CD31_LOST, becoming=_CM),
    "cd4_scm": _cd4(_SCM, becoming=_CM),
    "cd4_cm": _cd4(_CM, becoming=_EM),
    "cd4_em": _cd4(_EM, becoming=_TEMRA),
    "cd4_temra": _cd4(_TEMRA, becoming=_EM),
    "cd4_treg": _cd4(_TREG, becoming=_EM | {"CD127": _TREG["CD127"]}),
    "cd8_naive": _cd8(_NAIVE, {"CD45RA": Antigen(80, 9, 0.12), "CD31": Antigen(18, 5, 0.12)}, becoming=_CM),
    "cd8_scm": _cd8(_SCM, _CD8_CD31, becoming=_CM),
    "cd8_cm": _cd8(_CM, _CD8_CD31, becoming=_merged(_EM, _CD8_EM)),
    "cd8_em": _cd8(_EM, _CD8_EM, becoming=_CD8_TEMRA),
    "cd8_temra": _cd8(_CD8_TEMRA, becoming=_merged(_EM, _CD8_EM)),
    "dn_t": lymphocyte(  # mostly gamma-delta T cells: more CD3, some with dim CD8
        "dn_t",
        _merged(
            _EM,
            _CD8_EM,
            {
                "CD45": Antigen(231, 150, 0.04),
                "CD3": Antigen(200, 16, 0.12, lost=0.50),
                "CD8": Antigen(22, 2, 0.15, share=0.26),
                "CD16_56": Antigen(14, 2, 0.10, share=0.15),
                "CD45RA": Antigen(18, 1.5, 0.20),
            },
            _CYCLE,
        ),
        ssc=16_500,
        granularity=70,
        ruffles=0.135,
        ruffle_scatter=1.0,
        damaged=0.40,
        glow=1.8,
    ),
    "dp_t": lymphocyte(
        "dp_t",
        _merged(
            _EM,
            {
                "CD45": Antigen(215, 60, 0.05),
                "CD3": Antigen(100, 10, 0.10, lost=0.30),
                "CD4": Antigen(44, 20, 0.06, lost=0.15),
                "CD8": Antigen(45, 4, 0.10, lost=0.15),
            },
            _CYCLE,
        ),
        ssc=14_500,
    ),
}
