"""Methods that place gates. Importing this package registers them all."""

from nti7flow.gating.methods import (
    arm,
    backgate,
    beads,
    cloud,
    cluster,
    landmark,
    mixture,
    quadrants,
    singlets,
    thresholds,
)
from nti7flow.gating.methods.registry import Method, Placement, find_method, known_methods, method

__all__ = [
    "Method",
    "Placement",
    "arm",
    "backgate",
    "beads",
    "cloud",
    "cluster",
    "find_method",
    "known_methods",
    "landmark",
    "method",
    "mixture",
    "quadrants",
    "singlets",
    "thresholds",
]
