"""What a count is drawn from: cells, and a reference with an error of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, xlog1py, xlogy

from nti7flow.counting.intervals import Kind

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Standard deviations of log-normal errors with median 1.
PIPETTING, LOT, PUMP, HAEMATOLOGY = 0.02, 0.02, 0.02, 0.05
#: Of a mixture over a normal: points, far and close enough for any probability here.
_Z = np.arange(-6.5, 6.51, 0.1)
_W = np.exp(-0.5 * _Z * _Z) / np.exp(-0.5 * _Z * _Z).sum()
#: What is less probable is not looked at.
_RARE = 1e-12


@dataclass(frozen=True, slots=True)
class Design:
    """A way to count.

    Attributes
    ----------
    kind : {"beads", "volume", "share"}
    reference : float
        Expected bead events, volume in µL, or lymphocytes.
    gating : float
        Standard deviation of the gates' error, natural log units.
    """

    kind: Kind
    reference: float
    gating: float

    @property
    def sd_cells(self) -> float:
        """Of what multiplies the cells: pipette and gates. A share of lymphocytes does not depend on the pipette."""
        return float(np.hypot(0.0 if self.kind == "share" else PIPETTING, self.gating))

    @property
    def sd_reference(self) -> float:
        return {"beads": LOT, "volume": PUMP, "share": HAEMATOLOGY}[self.kind]

    @property
    def sd(self) -> float:
        """Of all that multiplies; what the interval is told."""
        return float(np.hypot(self.sd_cells, self.sd_reference))

    def p_cells(self, n: Ints, cells: Floats) -> Floats:
        """Return the probability of counts from 0 on where so many cells are expected, shape (n, cells)."""
        p = np.zeros((len(n), len(cells)))
        for column, expected in zip(p.T, cells, strict=True):
            here = slice(*self._within(float(expected)))
            if self.kind == "share":
                column[here] = _binomial(n[here], self.reference, expected / self.reference, self.gating)
            else:
                column[here] = _poisson(n[here], expected, self.sd_cells)
        return p

    def counts(self, most_cells: float) -> Ints:
        """Return the counts that so many expected cells, or fewer, can give."""
        return np.arange(self._within(most_cells)[1])

    def _within(self, cells: float) -> tuple[int, int]:
        low, high = cells * np.exp([-6.5 * self.sd_cells, 6.5 * self.sd_cells])
        low, high = low - 8 * np.sqrt(low), high + 8 * np.sqrt(high) + 20
        return max(int(low), 0), int(min(high, self.reference) if self.kind == "share" else high) + 1

    def beads(self) -> tuple[Ints, Floats]:
        """Return the bead counts that may be, and the cumulative probability up to and without each, and with all."""
        spread = np.hypot(self.sd_reference, 1 / np.sqrt(self.reference))
        low, high = self.reference * np.exp([-9 * spread, 9 * spread])
        beads = np.arange(max(int(low), 1), int(high) + 2)
        p = _poisson(beads, self.reference, self.sd_reference)
        beads, p = beads[p > _RARE], p[p > _RARE]
        return beads, np.concatenate([[0.0], np.cumsum(p)])

    def draw(self, cells: float, size: int, random: np.random.Generator) -> tuple[Ints, Floats]:
        """Return counts, and bead events (or, of a volume or of lymphocytes, what is read over what is there)."""
        gates = np.exp(self.gating * random.standard_normal(size))
        pipette = np.exp(PIPETTING * random.standard_normal(size))
        reference = np.exp(self.sd_reference * random.standard_normal(size))
        if self.kind == "share":
            share = np.minimum(cells / self.reference * gates, 1.0)
            return random.binomial(int(self.reference), share), reference
        n = random.poisson(cells * pipette * gates)
        return n, random.poisson(self.reference * reference) if self.kind == "beads" else reference


def _poisson(n: Ints, mean: float, sd: float) -> Floats:
    means = mean * np.exp(sd * _Z)
    return np.asarray(np.exp(xlogy(n[:, None], means) - means - gammaln(n + 1.0)[:, None]) @ _W)


def _binomial(n: Ints, of: float, share: float, sd: float) -> Floats:
    shares = np.minimum(share * np.exp(sd * _Z), 1.0)
    ways = gammaln(of + 1) - gammaln(n + 1.0) - gammaln(of - n + 1.0)
    return np.asarray(np.exp(ways[:, None] + xlogy(n[:, None], shares) + xlog1py(of - n[:, None], -shares)) @ _W)
