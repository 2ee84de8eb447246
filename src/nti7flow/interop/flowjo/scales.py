"""Scales and matrices of a FlowJo workspace: checked, and written as FlowKit reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nti7flow.errors import SpilloverError
from nti7flow.events.spectrum import make_matrix
from nti7flow.events.transforms import Arcsinh, FlowJoBiex, FlowJoLog, Linear, Logicle, Transform
from nti7flow.interop.flowjo.xml import attribute, children, element, kind_of, number
from nti7flow.interop.flowkit.package import IN_FILE, UNCOMPENSATED, Path_, name_of

#: Parameters that FlowKit reads of each scale it knows.
_PARAMETERS = {
    "linear": ("minRange", "maxRange"),
    "log": ("offset", "decades"),
    "logicle": ("T", "W", "M", "A"),
    "biex": ("neg", "width", "pos", "maxRange"),
    "fasinh": ("T", "M", "A"),
}
#: Channels in which FlowJo draws a biexponential scale, per channel that its workspaces count.
BIEX_LENGTH = 256


@dataclass(frozen=True, slots=True)
class Scale:
    """Display scale of a channel.

    Attributes
    ----------
    kind : str
        FlowJo's name for it; empty for a linear scale that FlowKit cannot hold. A linear scale moves and stretches an
        axis, so that rectangles and polygons hold the same events without it.
    numbers : mapping of str to float
        Its parameters.
    transform : Transform or None
        The same as ours; None where ``kind`` is empty.
    gain : float
        Of a linear scale: what FlowJo multiplied values by.
    foci : bool
        Whether its display is that in which FlowJo stores ellipses.
    """

    kind: str
    numbers: Mapping[str, float]
    transform: Transform | None
    gain: float = 1.0
    foci: bool = True

    def write(self, parent: Any, channel: str) -> None:
        """Append it to FlowKit's document as the scale of a channel."""
        if self.kind:
            numbers = {f"transforms__{name}": value for name, value in self.numbers.items()}
            length = {"transforms__length": str(BIEX_LENGTH)} if self.kind == "biex" else {}
            made = element(parent, "transforms", self.kind, **numbers, **length)
            element(made, "data-type", "parameter", data_type__name=channel)


def channels_of(node: Any) -> list[str]:
    """Channels that a scale is for: FlowJo writes one; FlowKit takes the first of several."""
    return [name for parameter in children(node, "parameter") if (name := attribute(parameter, "name"))]


def read_scale(node: Any) -> Scale:
    """Read one of the ``Transformations``; raises ValueError for what FlowKit does not know, guesses or cannot hold."""
    kind = kind_of(node)
    if kind not in _PARAMETERS:
        raise ValueError(
            f"FlowKit does not know scales of kind {name_of(kind)}; use linear, log, biex, logicle or arcsinh in FlowJo"
        )
    values = {name: number(node, name) for name in _PARAMETERS[kind]}
    if kind == "linear":
        return _linear(node, values)
    if kind == "biex":
        length = number(node, "length")
        if length != BIEX_LENGTH:
            raise ValueError(f"FlowKit knows biex scales of length {BIEX_LENGTH} only, found {length:g}")
        biex = FlowJoBiex(values["neg"], values["width"], values["pos"], values["maxRange"])
        return Scale(kind, values, biex)
    if kind == "log":
        return Scale(kind, values, FlowJoLog(values["offset"], values["decades"]))
    if kind == "logicle":
        return Scale(kind, values, Logicle(values["T"], values["W"], values["M"], values["A"]))
    return Scale(kind, values, Arcsinh(values["T"], values["M"], values["A"]))


def _linear(node: Any, values: Mapping[str, float]) -> Scale:
    gain = 1.0 if attribute(node, "gain") is None else number(node, "gain")
    if gain <= 0:
        raise ValueError(f"its gain is {gain:g}; a number above 0 was expected")
    low, high = values["minRange"], values["maxRange"]
    foci = low == 0 and high > 0 and gain == 1  # FlowKit takes the lower end to be 0
    if not (0 <= low <= high and high > 0):
        return Scale("", {}, None, gain, foci)
    return Scale("linear", values, Linear(high, low), gain, foci)


@dataclass(frozen=True, slots=True, eq=False)
class Compensation:
    """The matrix of a sample.

    Attributes
    ----------
    name : str
        FlowJo's name for it.
    prefix, suffix : str
        What compensated channels are named with.
    outputs : tuple of str
        Channels that it compensates.
    detectors : tuple of str
        Channels it is made of; ``outputs`` first, then further ones of a spectral matrix.
    values : ndarray of float64, shape (n_outputs, n_detectors)
        Spillover.
    spectral : bool
        Whether it is solved by least squares.
    """

    name: str
    prefix: str
    suffix: str
    outputs: Path_
    detectors: Path_
    values: NDArray[np.float64]
    spectral: bool

    def compensated(self, name: str) -> str | None:
        """Channel that a gate on the compensated channel ``name`` means; None where ``name`` is not compensated."""
        plain = name.removeprefix(self.prefix) if name.startswith(self.prefix) else ""
        plain = plain.removesuffix(self.suffix) if plain.endswith(self.suffix) else ""
        return plain if plain in self.outputs else None

    def write(self, parent: Any) -> None:
        """Append it to FlowKit's document, in the order in which FlowKit takes its rows and columns to stand."""
        kind = {"spectral": "1", "weightOptAlgorithmType": "OLS"} if self.spectral else {"spectral": "0"}
        made = element(parent, "transforms", "spilloverMatrix", name=self.name, prefix="", suffix="", **kind)
        parameters = element(made, "data-type", "parameters")
        for output, row in zip(self.outputs, self.values, strict=True):
            element(parameters, "data-type", "parameter", data_type__name=output)
            cells = element(made, "transforms", "spillover", data_type__parameter=output)
            for detector, value in zip(self.detectors, row, strict=True):
                names = {"data_type__parameter": detector, "transforms__value": float(value)}
                element(cells, "transforms", "coefficient", **names)


def read_compensation(node: Any) -> Compensation:
    """Read the ``spilloverMatrix`` of a sample; raises ValueError for what FlowKit guesses or cannot hold."""
    name = attribute(node, "name") or ""
    if not name or name == UNCOMPENSATED or name.upper() == IN_FILE:
        raise ValueError("FlowKit needs a name for it, other than uncompensated and FCS; rename it in FlowJo")
    spectral = attribute(node, "spectral") == "1"
    method = attribute(node, "weightOptAlgorithmType")
    if spectral and method != "OLS":
        raise ValueError(f"FlowKit knows spectral matrices by least squares (OLS) only, found {name_of(method)}")
    outputs = [attribute(p, "name") or "" for group in children(node, "parameters") for p in children(group)]
    rows = {}
    for row in children(node, "spillover"):
        cells = {attribute(c, "parameter") or "": number(c, "value") for c in children(row, "coefficient")}
        if len(cells) != len(children(row, "coefficient")):
            raise ValueError("a detector stands twice in a row, or has no name")
        rows[attribute(row, "parameter") or ""] = cells
    if not outputs or "" in outputs or len(set(outputs)) != len(outputs):
        raise ValueError("its parameters have no names, or one stands twice")
    if sorted(rows) != sorted(outputs) or len(children(node, "spillover")) != len(outputs):
        raise ValueError("its rows are not those of its parameters")
    detectors = (*outputs, *(detector for detector in rows[outputs[0]] if detector not in outputs))
    if any(sorted(cells) != sorted(detectors) for cells in rows.values()):
        raise ValueError("its rows do not all have the same detectors")
    if not spectral and len(detectors) != len(outputs):
        raise ValueError(f"it is not square: {len(outputs)} rows of {len(detectors)}")
    values = np.array([[rows[output][detector] for detector in detectors] for output in outputs])
    try:
        make_matrix(detectors, tuple(outputs), values, name_of(name))
    except SpilloverError as error:
        raise ValueError(str(error)) from None
    prefix, suffix = (attribute(node, key) or "" for key in ("prefix", "suffix"))
    return Compensation(name, prefix, suffix, tuple(outputs), detectors, values, spectral)
