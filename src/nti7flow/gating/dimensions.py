"""Axes of gates: a channel, or the ratio of two, each with its compensation and its display transform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nti7flow.events.transforms import Transform, transform_from_dict, transform_to_dict

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Dimension:
    """One axis of a gate: a channel, whether it is compensated, and its display transform.

    Belongs to the gate and not to the sample, so that raw and compensated gates live in one strategy. ``matrix`` names
    the matrix of the strategy that compensates it; empty is the sample's own.
    """

    detector: str
    marker: str
    compensated: bool
    transform: Transform
    matrix: str = ""

    def __post_init__(self) -> None:
        if not all(isinstance(v, kind) for v, kind in ((self.detector, str), (self.compensated, bool))):
            raise ValueError("a dimension needs a detector, and whether it is compensated")

    @property
    def title(self) -> str:
        """Name for axes and tables."""
        return self.marker or self.detector

    @property
    def axis(self) -> tuple[object, ...]:
        """What is shown, whatever its scale: gates on the same axis can be drawn together."""
        return (self.detector, self.compensated, self.matrix)

    @property
    def detectors(self) -> tuple[str, ...]:
        """Channels it is made of."""
        return (self.detector,)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        plain = {
            "detector": self.detector,
            "marker": self.marker,
            "compensated": self.compensated,
            "transform": transform_to_dict(self.transform),
        }
        return plain | {"matrix": self.matrix} if self.matrix else plain


@dataclass(frozen=True, slots=True)
class RatioDimension:
    """The ratio of two channels, ``a (x - b) / (y - c)``: the parametrised ratio of Gating-ML 2.0.

    Of raw scale values: FlowKit takes no other, and a gate must count the same cells there.
    """

    numerator: str
    denominator: str
    a: float
    b: float
    c: float
    transform: Transform

    def of(self, x: Floats, y: Floats) -> Floats:
        """Ratio of two channels' scale values, each of shape (n,); infinite or NaN where the denominator is 0."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return self.a * ((x - self.b) / (y - self.c))

    @property
    def title(self) -> str:
        """Name for axes and tables."""
        return f"{self.numerator} / {self.denominator}"

    @property
    def axis(self) -> tuple[object, ...]:
        """What is shown, whatever its scale."""
        return (self.numerator, self.denominator, self.a, self.b, self.c)

    @property
    def detectors(self) -> tuple[str, ...]:
        """Channels it is made of."""
        return (self.numerator, self.denominator)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "kind": "ratio",
            "numerator": self.numerator,
            "denominator": self.denominator,
            "a": self.a,
            "b": self.b,
            "c": self.c,
            "transform": transform_to_dict(self.transform),
        }


AnyDimension = Dimension | RatioDimension


def dimension_from_dict(data: Mapping[str, Any]) -> AnyDimension:
    """Rebuild an axis from its ``to_dict``."""
    transform = transform_from_dict(data["transform"])
    if data.get("kind") == "ratio":
        return RatioDimension(data["numerator"], data["denominator"], data["a"], data["b"], data["c"], transform)
    return Dimension(data["detector"], data["marker"], data["compensated"], transform, data.get("matrix", ""))
