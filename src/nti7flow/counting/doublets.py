"""Stand-in."""

from __future__ import annotations


def doublet_factors(share: float, n_doublets: int, n_beads: int) -> tuple[float, float]:
    """Return the factors of cells and beads."""
    if n_doublets <= 0 or share <= 0:
        return 1.0, 1.0
    singlets = n_doublets * (2 / share - 2)
    return 1 + 2 * n_doublets / singlets, 1 + n_doublets * n_beads / (singlets + 2 * n_doublets) ** 2
