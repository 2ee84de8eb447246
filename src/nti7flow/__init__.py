"""FCS files and a sample sheet in; per-patient CD4, CD8 and CD19 counts over time out.

``import nti7flow as nf`` loads nothing heavy: each public name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from nti7flow._version import __version__

if TYPE_CHECKING:
    from nti7flow import plot as plot
    from nti7flow.errors import Nti7flowError as Nti7flowError
    from nti7flow.events.fcs import read_fcs as read_fcs
    from nti7flow.events.fcs import write_events as write_events
    from nti7flow.events.fcs import write_fcs as write_fcs
    from nti7flow.events.panel import Panel as Panel
    from nti7flow.events.sample import Sample as Sample
    from nti7flow.events.spillover import Spillover as Spillover
    from nti7flow.exports.gatingml import export_gatingml as export_gatingml
    from nti7flow.exports.population import export_population as export_population
    from nti7flow.exports.thresholds import export_thresholds as export_thresholds
    from nti7flow.gating.draft import draft_template as draft_template
    from nti7flow.gating.strategy import GatingStrategy as GatingStrategy
    from nti7flow.gating.template import GatingTemplate as GatingTemplate
    from nti7flow.gating.template import load_template as load_template
    from nti7flow.interop.flowcytometrytools.conversion import from_flowcytometrytools as from_flowcytometrytools
    from nti7flow.interop.flowcytometrytools.conversion import to_flowcytometrytools as to_flowcytometrytools
    from nti7flow.interop.flowjo.workspace import Workspace as Workspace
    from nti7flow.interop.flowkit.conversion import from_flowkit as from_flowkit
    from nti7flow.interop.flowkit.conversion import to_flowkit as to_flowkit
    from nti7flow.interop.gatingml.writer import write_gatingml as write_gatingml
    from nti7flow.interop.strategies import read_strategy as read_strategy
    from nti7flow.simulation.study import simulate_study as simulate_study
    from nti7flow.study.agreement import compare as compare
    from nti7flow.study.deidentify import deidentify as deidentify
    from nti7flow.study.delivery import check_delivery as check_delivery
    from nti7flow.study.explain import explain as explain
    from nti7flow.study.notebook import count as count
    from nti7flow.study.notebook import gate as gate
    from nti7flow.study.store import Run as Run
    from nti7flow.study.store import open_run as open_run

_PUBLIC = {
    "GatingStrategy": "nti7flow.gating.strategy",
    "GatingTemplate": "nti7flow.gating.template",
    "Nti7flowError": "nti7flow.errors",
    "Panel": "nti7flow.events.panel",
    "Run": "nti7flow.study.store",
    "Sample": "nti7flow.events.sample",
    "Spillover": "nti7flow.events.spillover",
    "Workspace": "nti7flow.interop.flowjo.workspace",
    "check_delivery": "nti7flow.study.delivery",
    "compare": "nti7flow.study.agreement",
    "count": "nti7flow.study.notebook",
    "deidentify": "nti7flow.study.deidentify",
    "draft_template": "nti7flow.gating.draft",
    "explain": "nti7flow.study.explain",
    "export_gatingml": "nti7flow.exports.gatingml",
    "export_population": "nti7flow.exports.population",
    "export_thresholds": "nti7flow.exports.thresholds",
    "from_flowcytometrytools": "nti7flow.interop.flowcytometrytools.conversion",
    "from_flowkit": "nti7flow.interop.flowkit.conversion",
    "gate": "nti7flow.study.notebook",
    "load_template": "nti7flow.gating.template",
    "open_run": "nti7flow.study.store",
    "plot": "nti7flow.plot",
    "read_fcs": "nti7flow.events.fcs",
    "read_strategy": "nti7flow.interop.strategies",
    "simulate_study": "nti7flow.simulation.study",
    "to_flowcytometrytools": "nti7flow.interop.flowcytometrytools.conversion",
    "to_flowkit": "nti7flow.interop.flowkit.conversion",
    "write_events": "nti7flow.events.fcs",
    "write_fcs": "nti7flow.events.fcs",
    "write_gatingml": "nti7flow.interop.gatingml.writer",
}

__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    """Import a public name the first time it is asked for (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'nti7flow' has no attribute '{name}'")
    module = importlib.import_module(_PUBLIC[name])
    value = module if name == "plot" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
