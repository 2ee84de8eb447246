"""Gates of a FlowJo sample through FlowKit, in workspaces written anew that FlowKit cannot misread.

They hold nothing but gates that were checked, side by side and some dozens at a time: FlowKit's time grows with the
square of their number, and with their depth. Three things of FlowJo that FlowKit misses are in them:

- a channel and its compensated values have a scale each (FlowKit takes that of the channel for both);
- a gate on a channel by its own name is on values that are not compensated (FlowKit compensates them);
- ``gain`` of the time channel is seconds per tick, taken off the clock (FlowKit takes ``$TIMESTEP``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np

from nti7flow.errors import StrategyError
from nti7flow.events.spectrum import Matrix
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.gates import Gate, PolygonGate, RectangleGate
from nti7flow.interop.flowjo.gates import Axis, FlowJoGate
from nti7flow.interop.flowjo.scales import Compensation
from nti7flow.interop.flowjo.xml import NAMESPACES, element
from nti7flow.interop.flowkit.package import load
from nti7flow.interop.flowkit.reader import strategy_from_flowkit

#: Gates in one document: a hundred take FlowKit 30 ms, three hundred ten times that.
AT_A_TIME = 100
#: Name of the sample in a document.
_SAMPLE = "sample"


def through_flowkit(
    read: Sequence[FlowJoGate], compensation: Compensation | None
) -> tuple[list[Gate], Mapping[str, Matrix], Mapping[int, str]]:
    """Convert gates by FlowKit.

    Parameters
    ----------
    read : sequence of FlowJoGate
        The gates, checked.
    compensation : Compensation or None
        Matrix of the sample.

    Returns
    -------
    gates : list of Gate
        The same gates as ours; where there are problems, nothing to rely on.
    matrices : mapping of str to Matrix
        The matrix that they name, where one does.
    problems : mapping of int to str
        What FlowKit could not do, by the position of the gate.
    """
    gates: list[Gate] = []
    matrices: dict[str, Matrix] = {}
    problems: dict[int, str] = {}
    for start in range(0, len(read), AT_A_TIME):
        batch = read[start : start + AT_A_TIME]
        try:
            strategy = _parse(_document(batch, compensation))
        except StrategyError as error:
            problems |= {start + place: why for place, why in map(_placed, error.problems)}
            continue
        found = {population.id: population.gate for population in strategy.populations}
        gates += [_ours(found[str(i)], gate) for i, gate in enumerate(batch)]
        matrices |= strategy.matrices
    return gates, matrices, problems


def _placed(problem: str) -> tuple[int, str]:
    """Position of the gate that a problem names, in its document, and what is wrong with it."""
    named = re.match(r"gate (\d+): ", problem)
    return (int(named[1]), problem[named.end() :]) if named else (0, problem)


def _parse(document: bytes) -> Any:
    fk = load()
    known = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, fk.exceptions.FlowKitException)
    try:
        with np.errstate(
            all="ignore"
        ):  # an upright ellipse has an infinite slope, of which FlowKit makes a right angle
            peer = fk.parse_wsp(BytesIO(document))["samples"][_SAMPLE]["gating_strategy"]
        return strategy_from_flowkit(peer, origin="", sample_id=_SAMPLE)
    except known as error:
        raise StrategyError(
            "", [f"FlowKit cannot read it, or one of those after it ({type(error).__name__})"]
        ) from None


def _document(gates: Sequence[FlowJoGate], compensation: Compensation | None) -> bytes:
    """Return a workspace of one sample, with gates called by their position."""
    from lxml import etree

    root = etree.Element("Workspace", flowJoVersion="10", nsmap=NAMESPACES)
    element(root, "", "Groups")
    sample = element(element(root, "", "SampleList"), "", "Sample")
    element(sample, "", "DataSet")
    axes = {axis.key: axis for gate in gates for axis in gate.axes}
    if compensation is not None and any(axis.compensated for axis in axes.values()):
        compensation.write(sample)
    scales = element(sample, "", "Transformations")
    for key, axis in axes.items():
        axis.scale.write(scales, key)
    element(sample, "", "Keywords")
    below = element(element(sample, "", "SampleNode", name=_SAMPLE, sampleID="1"), "", "Subpopulations")
    for i, gate in enumerate(gates):
        gate.write(element(element(below, "", "Population", name=i, owningGroup=""), "", "Gate"))
    written: bytes = etree.tostring(root)
    return written


def _ours(gate: Gate | None, read: FlowJoGate) -> Gate:
    """Return a gate from FlowKit with the names of channels, and with its edges on our scales.

    An event that lies on an edge is compared with it after both went through the same arithmetic, as in FlowKit; the
    last bit of a logicle value is not the same in the two.
    """
    assert isinstance(gate, RectangleGate | PolygonGate)
    pairs = zip(gate.dimensions, read.axes, strict=True)
    dimensions = [replace(d, detector=axis.channel) for d, axis in pairs if isinstance(d, Dimension)]
    if isinstance(gate, RectangleGate):
        sides = [[_display(bound, axis) for bound in pair] for pair, axis in zip(read.bounds, read.axes, strict=True)]
        lower, upper = zip(*sides, strict=True)
        return replace(gate, dimensions=tuple(dimensions), lower=lower, upper=upper)
    x, y = dimensions
    if read.foci:
        return replace(gate, dimensions=(x, y))
    columns = [
        _on_scale(column, axis) for column, axis in zip(zip(*read.vertices, strict=True), read.axes, strict=True)
    ]
    return replace(gate, dimensions=(x, y), vertices=tuple((u, v) for u, v in zip(*columns, strict=True)))


def _display(bound: float | None, axis: Axis) -> float | None:
    return None if bound is None else _on_scale([bound], axis)[0]


def _on_scale(values: Sequence[float], axis: Axis) -> list[float]:
    """Return scale values in display units; without a scale they are the same."""
    transform = axis.scale.transform
    return [float(value) for value in (values if transform is None else transform.apply(values))]
