"""FlowCytometryTools: its measurements, plates and gates from and to ours.

Its last release, 0.5.1, is older than the Pythons we support: `load` makes it importable. It is fed our events,
not those of its own parser: a measurement made here holds scale values in double precision.

Its gates act on the columns of a measurement, ours on display values. So each dimension of a gate has a column: a
channel itself where there is neither compensation nor transform, else one that is added for the strategy.
"""

from __future__ import annotations

import builtins
import collections
import collections.abc
import importlib
import inspect
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from threading import RLock
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from nti7flow.errors import ConfigError
from nti7flow.events.sample import Sample
from nti7flow.gating.gates import EllipsoidGate, GeometricGate, PolygonGate, QuadrantGate, RectangleGate
from nti7flow.gating.strategy import GatingStrategy
from nti7flow.interop.flowcytometrytools.gates import Names, gate_to_peer, strategy_from_peer, strategy_to_peer
from nti7flow.interop.flowcytometrytools.samples import (
    Measured,
    Tubes,
    compare_memberships,
    make_measurement,
    make_plate,
)

if TYPE_CHECKING:
    from FlowCytometryTools import FCMeasurement, FCPlate

PACKAGE = "FlowCytometryTools"
_lock = RLock()


class _ArgSpec(NamedTuple):
    args: Any
    varargs: Any
    keywords: Any
    defaults: Any


def _getargspec(function: Any) -> _ArgSpec:
    """Describe a function as ``inspect`` did up to Python 3.10."""
    return _ArgSpec(*inspect.getfullargspec(function)[:4])


def _stand_in(module: ModuleType, **more: Any) -> ModuleType:
    """Copy a module with further names in it; the module itself stays as it is."""
    copy = ModuleType(module.__name__, module.__doc__)
    vars(copy).update(vars(module) | more)
    return copy


_ABSTRACT = {name: getattr(collections.abc, name) for name in collections.abc.__all__}
#: What FlowCytometryTools, and nobody else, gets for these names.
_STAND_INS = {
    "collections": _stand_in(collections, **_ABSTRACT),
    "inspect": _stand_in(inspect, getargspec=_getargspec),
}


def _import_for_it(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
    """``__import__`` of its modules: modules that have lost names it uses come as stand-ins."""
    if name in _STAND_INS:
        return _STAND_INS[name]
    if name == "numpy.lib.shape_base":  # gone in NumPy 2; it takes apply_along_axis from there
        return np
    found = builtins.__import__(name, globals, locals, fromlist, level)
    if name == "matplotlib" and "inspect" in (fromlist or ()):  # which happens to be there, and is no part of it
        return _stand_in(found, inspect=_STAND_INS["inspect"])
    return found


class _Loader(SourceFileLoader):
    """Runs a module with an ``__import__`` of its own."""

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = vars(builtins) | {"__import__": _import_for_it}
        super().exec_module(module)

    def source_to_code(self, *args: Any, **more: Any) -> CodeType:  # type: ignore[override]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escape sequences
            return super().source_to_code(*args, **more)


class _Finder:
    """Finds the modules of FlowCytometryTools, for `_Loader`."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name.partition(".")[0] != PACKAGE:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(name, str(spec.origin))
        return spec


@contextmanager
def _finder() -> Iterator[None]:
    """Put the finder in place, and take it away again; half an import is taken away too."""
    before = _loaded()
    sys.meta_path.insert(0, _Finder)
    try:
        yield
    except BaseException:
        for name in _loaded() - before:
            del sys.modules[name]
        raise
    finally:
        sys.meta_path.remove(_Finder)


def _loaded() -> set[str]:
    return {name for name in list(sys.modules) if name.partition(".")[0] == PACKAGE}


def load() -> Any:
    """Import FlowCytometryTools, and nothing else changes: no module is patched, not even for a moment.

    It needs names that ``collections``, ``inspect`` and NumPy have lost. Its own modules get them, from stand-ins that
    nobody else sees, while they are imported and whenever they run.

    Returns
    -------
    module
        The package.

    Raises
    ------
    ConfigError
        It, or a package that it needs, is not installed.
    """
    with _lock:
        if sys.modules.get(PACKAGE) is None:
            try:
                with _finder():
                    importlib.import_module(PACKAGE)
            except ModuleNotFoundError as error:
                raise ConfigError(
                    f"FlowCytometryTools cannot be used, because {error.name} is not installed. Run: "
                    "pip install 'nti7flow[flowcytometrytools]'"
                ) from error
        for name in _loaded():  # somebody may have imported it in another way
            for key, stand_in in _STAND_INS.items():
                if inspect.ismodule(vars(sys.modules[name]).get(key)):
                    setattr(sys.modules[name], key, stand_in)
        return sys.modules[PACKAGE]


@overload
def to_flowcytometrytools(
    given: Sample, *, strategy: GatingStrategy | None = None, names: Names = "detectors", name: str | None = None
) -> FCMeasurement: ...
@overload
def to_flowcytometrytools(
    given: Tubes,
    *,
    strategy: GatingStrategy | None = None,
    names: Names = "detectors",
    name: str | None = None,
    wells: Mapping[str, str] | None = None,
) -> FCPlate: ...
@overload
def to_flowcytometrytools(given: GatingStrategy, *, names: Names = "detectors") -> dict[str, Any]: ...
@overload
def to_flowcytometrytools(given: GeometricGate, *, names: Names = "detectors") -> Any: ...
def to_flowcytometrytools(
    given: Sample | Tubes | GatingStrategy | GeometricGate,
    *,
    strategy: GatingStrategy | None = None,
    names: Names = "detectors",
    name: str | None = None,
    wells: Mapping[str, str] | None = None,
) -> Any:
    """Return a sample, several, a strategy or a gate as FlowCytometryTools has it.

    Parameters
    ----------
    given : Sample, str, Path, sequence, mapping, GatingStrategy or gate
        A sample becomes an ``FCMeasurement``. A folder of FCS files, and several samples or paths of files, in order or
        by name, become an ``FCPlate``. A strategy becomes a dict of its gates by population, each with those of its
        ancestors in it, without populations that have no gate.
    strategy : GatingStrategy, optional
        Add a column of display values for each of its dimensions that is compensated or transformed: its gates need
        them.
    names : str
        How channels are called: ``detectors`` ($PnN) or ``markers``, where there is one.
    name : str, optional
        ID of the measurement or plate.
    wells : mapping of str to str, optional
        Well, such as ``A1``, of each sample by its name: the key of a mapping, or the name of the file, with its suffix
        or without. By default the keys of a mapping where all of them are wells, else row by row in the order of names.

    Returns
    -------
    FCMeasurement, FCPlate, dict of str to gate, or gate
        Scale values in double precision, as `Sample.columns` gives them, and the keywords of the file. ``gate`` of a
        measurement counts the same events as the population or the gate it is of.

    Raises
    ------
    StrategyError
        A gate that they have no word for; lists all of them by name.
    InputError
        Samples that do not fit on a plate, or channels with the same name.
    ConfigError
        FlowCytometryTools is not installed.

    Examples
    --------
    >>> import nti7flow as nf
    >>> tube = nf.read_fcs("tube.fcs")  # doctest: +SKIP
    >>> strategy = nf.read_strategy("gates.xml").for_sample(tube)  # doctest: +SKIP
    >>> measurement = nf.to_flowcytometrytools(tube, strategy=strategy)  # doctest: +SKIP
    >>> measurement.gate(nf.to_flowcytometrytools(strategy)["cd4_t"]).counts  # doctest: +SKIP
    """
    peer = load()
    if isinstance(given, Sample):
        return make_measurement(peer, given, name=name or given.path.stem, strategy=strategy, names=names)
    if isinstance(given, GatingStrategy):
        return strategy_to_peer(peer, given, names=names)
    if isinstance(given, RectangleGate | PolygonGate | EllipsoidGate | QuadrantGate):
        return gate_to_peer(peer, given, names=names)
    if isinstance(given, str | Path | Mapping | Sequence):
        return make_plate(peer, given, name=name, wells=wells, strategy=strategy, names=names)
    raise TypeError(f"samples, a GatingStrategy or a gate were expected, found {type(given).__name__}")


def from_flowcytometrytools(
    given: Any, *, measurement: FCMeasurement | None = None
) -> Sample | dict[str, Sample] | GatingStrategy:
    """Return a measurement, plate or gates of FlowCytometryTools as ours.

    Parameters
    ----------
    given : FCMeasurement, FCPlate, gate, or mapping of str to gate
        A measurement becomes the `Sample` of its file, if it still holds all the events of it, else one of the events
        in its data frame, whatever was done to them. A plate becomes a dict of samples by well. Gates become a
        `GatingStrategy` for any tube, with a population for each and for the parts of composite gates.
    measurement : FCMeasurement, optional
        What the gates are for: their channels are looked up in it, their bounds taken in the precision of its events,
        and the memberships compared event by event.

    Returns
    -------
    Sample, dict of str to Sample, or GatingStrategy
        The strategy's bounds are values of the data frame. Applied to the sample of the same measurement, it counts the
        same events as ``measurement.gate``.

    Raises
    ------
    StrategyError
        A gate that cannot be said by ours; lists all of them by name. With ``measurement``, also one that would not
        count the same events: some are not a number, which is left of and below a ``QuadGate``'s lines, or too near to
        the outline of a ``PolyGate`` for its arithmetic.
    InputError
        A measurement without numbers, or whose file is not there or cannot be read.
    ConfigError
        FlowCytometryTools is not installed.

    Examples
    --------
    >>> import nti7flow as nf
    >>> gates = {"cells": ThresholdGate(1000.0, "FSC-A", "above")}  # doctest: +SKIP
    >>> strategy = nf.from_flowcytometrytools(gates, measurement=measurement)  # doctest: +SKIP
    >>> strategy.apply(nf.from_flowcytometrytools(measurement))["cells"].size  # doctest: +SKIP
    """
    peer = load()
    if isinstance(given, peer.FCMeasurement):
        return Measured(given).sample()
    if isinstance(given, peer.FCCollection):
        places = given.get_positions() if isinstance(given, peer.FCPlate) else {key: (key, "") for key in given}
        return {"".join(map(str, places[key])): Measured(one).sample() for key, one in given.items()}
    gates = dict(given) if isinstance(given, Mapping) else {str(getattr(given, "name", "gate")): given}
    if measurement is None:
        return strategy_from_peer(peer, gates, None)
    measured = Measured(measurement)
    strategy = strategy_from_peer(peer, gates, measured.columns)
    compare_memberships(gates, strategy, measured)
    return strategy
