"""The registry: a method is a pure function from a histogram to a placement, with a name and a version.

Old versions stay callable for ever: a change of results is a new version beside the old one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from nti7flow.errors import ConfigError, did_you_mean
from nti7flow.gating.histogram import Histogram


class Parameters(BaseModel):
    """Base of the parameters a method takes from a template; unknown ones are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a method puts its gate, in display units, or why it cannot.

    Attributes
    ----------
    lower, upper : float or None
        Bounds of a one-dimensional gate.
    vertices : tuple or None
        Outline of a two-dimensional gate.
    reason : str
        Why no gate could be placed; empty when one was.
    absent : bool
        Whether that is because there is no such population: a finding, not a failure.
    flags : tuple of str
        What a person should look at although the gate is placed.
    diagnostics : mapping
        Numbers that a person can judge the fit by.
    """

    lower: float | None = None
    upper: float | None = None
    vertices: tuple[tuple[float, float], ...] | None = None
    reason: str = ""
    absent: bool = False
    flags: tuple[str, ...] = ()
    diagnostics: Mapping[str, Any] = field(default_factory=dict)

    @property
    def placed(self) -> bool:
        """Whether there is a gate."""
        return not self.reason


Fit = Callable[[Histogram, Any], Placement]


@dataclass(frozen=True, slots=True)
class Method:
    """One version of one method.

    Attributes
    ----------
    n_dimensions : int
        Axes of the histogram it fits.
    coarser : int
        How many bins of a histogram are taken together before it is fitted: fewer bins are faster.
    edge : bool
        Whether it draws the edge of what it is fitted on: with ``fit_on``, a population known to be negative.
    lowest : bool
        Whether that histogram is of the lowest display value of each event over two or more raw channels, on each of
        which its bound then holds.
    """

    name: str
    version: int
    n_dimensions: int
    parameters: type[Parameters]
    fit: Fit
    lowest: bool = False
    coarser: int = 1
    edge: bool = False

    @property
    def reference(self) -> str:
        """``name@version``, as templates write it."""
        return f"{self.name}@{self.version}"


_METHODS: dict[tuple[str, int], Method] = {}


def method(
    name: str,
    version: int,
    *,
    n_dimensions: int,
    parameters: type[Parameters],
    lowest: bool = False,
    coarser: int = 1,
    edge: bool = False,
) -> Callable[[Fit], Fit]:
    """Register a fit function under a name and version."""

    def register(fit: Fit) -> Fit:
        if (name, version) in _METHODS:
            raise ValueError(f"method {name}@{version} is registered twice")
        _METHODS[name, version] = Method(name, version, n_dimensions, parameters, fit, lowest, coarser, edge)
        return fit

    return register


def known_methods() -> tuple[Method, ...]:
    """All registered methods, by name and version."""
    return tuple(_METHODS[key] for key in sorted(_METHODS))


def find_method(reference: str) -> Method:
    """Return the method for ``name@version``; raises `ConfigError` listing what is known."""
    name, _, version = reference.partition("@")
    known = [m.reference for m in known_methods()]
    if not version.isdigit():
        raise ConfigError(
            f"method '{reference}' must say its version, as in '{name or 'density_valley'}@1'; "
            f"known: {', '.join(known)}."
        )
    found = _METHODS.get((name, int(version)))
    if found is None:
        raise ConfigError(f"unknown method '{reference}'; known: {', '.join(known)}.{did_you_mean(reference, known)}")
    return found
