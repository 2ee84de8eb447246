"""Pictures of gated and counted tubes: pure functions that return a figure and leave pyplot alone.

Importing this room loads neither NumPy nor Matplotlib: each public name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nti7flow.plot.agreement import Compared as Compared
    from nti7flow.plot.agreement import agreement_overview as agreement_overview
    from nti7flow.plot.agreement import agreement_page as agreement_page
    from nti7flow.plot.explore import density as density
    from nti7flow.plot.figure import Picture as Picture
    from nti7flow.plot.figure import save_png as save_png
    from nti7flow.plot.forest import concentrations as concentrations
    from nti7flow.plot.forest import counts_figure as counts_figure
    from nti7flow.plot.quality import quality_page as quality_page
    from nti7flow.plot.tree import gating_tree as gating_tree
    from nti7flow.plot.variance import budget as budget
    from nti7flow.plot.variance import budget_figure as budget_figure

_PUBLIC = {
    "Compared": "nti7flow.plot.agreement",
    "Picture": "nti7flow.plot.figure",
    "agreement_overview": "nti7flow.plot.agreement",
    "agreement_page": "nti7flow.plot.agreement",
    "budget": "nti7flow.plot.variance",
    "budget_figure": "nti7flow.plot.variance",
    "concentrations": "nti7flow.plot.forest",
    "counts_figure": "nti7flow.plot.forest",
    "density": "nti7flow.plot.explore",
    "gating_tree": "nti7flow.plot.tree",
    "quality_page": "nti7flow.plot.quality",
    "save_png": "nti7flow.plot.figure",
}

__all__ = [
    "Compared",
    "Picture",
    "agreement_overview",
    "agreement_page",
    "budget",
    "budget_figure",
    "concentrations",
    "counts_figure",
    "density",
    "gating_tree",
    "quality_page",
    "save_png",
]


def __getattr__(name: str) -> Any:
    """Import a public name the first time it is asked for (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'nti7flow.plot' has no attribute '{name}'")
    value = getattr(importlib.import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
