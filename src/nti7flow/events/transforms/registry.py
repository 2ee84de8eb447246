"""Transforms by the name of their kind: how strategies and templates store them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from nti7flow.events.transforms.base import Transform
from nti7flow.events.transforms.closed_form import Arcsinh, Linear, Log
from nti7flow.events.transforms.flowjo import FlowJoBiex, FlowJoLog
from nti7flow.events.transforms.hyperlog import Hyperlog
from nti7flow.events.transforms.logicle import Logicle

AnyTransform = Linear | Log | Arcsinh | Logicle | Hyperlog | FlowJoBiex | FlowJoLog
_KINDS: dict[str, type[AnyTransform]] = {
    cls.kind: cls for cls in (Linear, Log, Arcsinh, Logicle, Hyperlog, FlowJoBiex, FlowJoLog)
}


def transform_to_dict(transform: Transform) -> dict[str, Any]:
    """Return the transform as plain numbers, ready for JSON."""
    return {"kind": transform.kind, **asdict(transform)}  # type: ignore[call-overload]


def transform_from_dict(data: dict[str, Any]) -> Transform:
    """Rebuild a transform from `transform_to_dict`; raises ValueError where it is none."""
    parameters = dict(data)
    kind = parameters.pop("kind", None)
    if kind not in _KINDS:
        raise ValueError(f"unknown transform '{kind}', known: {', '.join(sorted(_KINDS))}")
    try:
        return _KINDS[kind](**parameters)
    except TypeError as error:
        raise ValueError(f"{kind} transform: {error}") from None
