"""Display transforms: scale values to display units and back.

Those of Gating-ML 2.0 (ISAC, 2015) map the top of scale ``t`` to 1; FlowJo's own keep the display units of its
workspaces. All of them are increasing, take arrays of any shape, return float64, and keep NaN as it is.
"""

from nti7flow.events.transforms.base import LN10, MOST_DECADES, Floats, Transform
from nti7flow.events.transforms.closed_form import Arcsinh, Linear, Log
from nti7flow.events.transforms.flowjo import FlowJoBiex, FlowJoLog
from nti7flow.events.transforms.hyperlog import Hyperlog
from nti7flow.events.transforms.logicle import NEGATIVE_PERCENTILE, WIDTH_STEP, Logicle, logicle_width
from nti7flow.events.transforms.registry import transform_from_dict, transform_to_dict

__all__ = [
    "LN10",
    "MOST_DECADES",
    "NEGATIVE_PERCENTILE",
    "WIDTH_STEP",
    "Arcsinh",
    "Floats",
    "FlowJoBiex",
    "FlowJoLog",
    "Hyperlog",
    "Linear",
    "Log",
    "Logicle",
    "Transform",
    "logicle_width",
    "transform_from_dict",
    "transform_to_dict",
]
