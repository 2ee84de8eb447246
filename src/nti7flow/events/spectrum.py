"""`SpectrumMatrix`: compensation that is no `Spillover`: not scaled to its diagonal, or with more detectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nti7flow.errors import SpilloverError, did_you_mean
from nti7flow.events.panel import Panel
from nti7flow.events.spillover import SINGULAR, Spillover


@dataclass(frozen=True, eq=False)
class SpectrumMatrix:
    """What each dye gives in every detector, with its numbers as they stand.

    `Spillover` divides each row by its diagonal, as cytometers mean it. Other programs write spectra that are not to
    be scaled (Gating-ML), or that have more detectors than dyes (spectral cytometers; solved by least squares).

    Attributes
    ----------
    detectors : tuple of str
        The n detectors.
    outputs : tuple of str
        Channels that hold the m dyes after compensation, m <= n: each the detector that a dye is named after.
    matrix : ndarray of float64, shape (m, n)
        Row: dye; column: detector.
    source : str
        Where it is from.
    """

    detectors: tuple[str, ...]
    outputs: tuple[str, ...]
    matrix: NDArray[np.float64]
    source: str

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, np.float64)
        m, n = len(self.outputs), len(self.detectors)
        if matrix.shape != (m, n) or not 0 < m <= n:
            raise SpilloverError(f"spectra ({self.source}): {matrix.shape} numbers for {m} dyes in {n} detectors.")
        if len(set(self.detectors)) != n or len(set(self.outputs)) != m:
            raise SpilloverError(f"spectra ({self.source}): a detector stands twice: {', '.join(self.detectors)}.")
        if not np.isfinite(matrix).all():
            raise SpilloverError(f"spectra ({self.source}): hold values that are not finite numbers.")
        matrix.flags.writeable = False
        object.__setattr__(self, "matrix", matrix)
        if not self.condition_number <= SINGULAR:
            raise SpilloverError(
                f"spectra ({self.source}): the matrix is singular (condition number {self.condition_number:.3g}): two "
                "dyes have the same spectrum. Recompute it from the single stains."
            )

    @cached_property
    def condition_number(self) -> float:
        """Ratio of largest to smallest singular value of the matrix with its rows scaled to length 1."""
        with np.errstate(all="ignore"):
            scaled = self.matrix / np.linalg.norm(self.matrix, axis=1)[:, None]
            if not np.isfinite(scaled).all():
                return float("inf")
            singular = np.linalg.svd(scaled, compute_uv=False)
            return float(singular[0] / singular[-1]) if singular[-1] > 0 else float("inf")

    @cached_property
    def compensation(self) -> NDArray[np.float64]:
        """Inverse, by least squares where it is not square: compensated = raw @ compensation, shape (n, m)."""
        square = len(self.outputs) == len(self.detectors)
        inverse = np.asarray(np.linalg.inv(self.matrix) if square else np.linalg.pinv(self.matrix), np.float64)
        inverse.flags.writeable = False
        return inverse

    def for_panel(self, panel: Panel) -> SpectrumMatrix:
        """Return the matrix if the panel has all its detectors; raises `SpilloverError` where one is missing."""
        known = [channel.detector for channel in panel.channels]
        missing = [name for name in (*self.detectors, *self.outputs) if name not in known]
        if missing:
            raise SpilloverError(
                f"spectra ({self.source}): detector {', '.join(dict.fromkeys(missing))} is not in the tube, which has "
                f"{', '.join(known)}." + did_you_mean(missing[0], known)
            )
        return self

    def __eq__(self, other: object) -> bool:
        """Whether detectors, outputs, numbers and source are the same."""
        if not isinstance(other, SpectrumMatrix):
            return NotImplemented
        names = (self.detectors, self.outputs, self.source) == (other.detectors, other.outputs, other.source)
        return names and np.array_equal(self.matrix, other.matrix)

    def __hash__(self) -> int:
        return hash((self.detectors, self.outputs, self.matrix.tobytes(), self.source))

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        return {
            "detectors": list(self.detectors),
            "outputs": list(self.outputs),
            "matrix": self.matrix.tolist(),
            "source": self.source,
        }

    def __repr__(self) -> str:
        return f"<SpectrumMatrix {len(self.outputs)} dyes in {len(self.detectors)} detectors from {self.source}>"


Matrix = Spillover | SpectrumMatrix


def matrix_from_dict(data: Mapping[str, object]) -> Matrix:
    """Rebuild a matrix from its ``to_dict``."""
    if "outputs" not in data:
        return Spillover.from_dict(data)
    detectors, outputs = (tuple(map(str, data[key])) for key in ("detectors", "outputs"))  # type: ignore[call-overload]
    return SpectrumMatrix(detectors, outputs, np.array(data["matrix"], np.float64), str(data["source"]))


def make_matrix(
    detectors: tuple[str, ...], outputs: tuple[str, ...], matrix: NDArray[np.float64], source: str
) -> Matrix:
    """Return spectra as a `Spillover` where they are one (square, unit diagonal), else as a `SpectrumMatrix`."""
    if detectors == outputs and matrix.ndim == 2 and (matrix.diagonal() == 1.0).all():
        return Spillover(detectors, matrix, source)
    return SpectrumMatrix(detectors, outputs, matrix, source)
