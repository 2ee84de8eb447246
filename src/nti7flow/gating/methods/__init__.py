"""Methods that place gates. Importing this package registers them all."""

from nti7flow.gating.methods import backgate, beads, cluster, mixture, quadrants, singlets, thresholds
from nti7flow.gating.methods.registry import Method, Placement, find_method, known_methods, method

__all__ = [
    "Method",
    "Placement",
    "backgate",
    "beads",
    "cluster",
    "find_method",
    "known_methods",
    "method",
    "mixture",
    "quadrants",
    "singlets",
    "thresholds",
]
