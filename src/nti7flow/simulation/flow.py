"""How the sample stream runs: when each particle passes, and what disturbs it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from operator import mul

import numpy as np

from nti7flow.simulation.cells import Floats

_STEP_S = 0.05
#: How long a clog takes to clear at its end.
_CLEARING_S = 1.5


@dataclass(frozen=True, slots=True)
class Clog:
    """The needle is partly blocked for a while.

    Attributes
    ----------
    at_s, lasts_s : float
        When and for how long.
    flow_left : float
        Factor on the flow rate.
    light_left : float
        Factor on the light collected: the stream leaves the focus.
    """

    at_s: float
    lasts_s: float
    flow_left: float = 0.15
    light_left: float = 0.85


@dataclass(frozen=True, slots=True)
class Flow:
    """The sample stream of one tube.

    Attributes
    ----------
    ul_per_s : float
        Flow rate.
    wander : float
        Spread of the flow rate over minutes (log units).
    steps : tuple of (float, float)
        Someone turned the knob: second, and factor on the flow rate from then on.
    clog : Clog, optional
        None where the stream ran free.
    carry_over : float
        Events of the tube before, expected within the first seconds.
    """

    ul_per_s: float = 0.6
    wander: float = 0.04
    steps: tuple[tuple[float, float], ...] = ()
    clog: Clog | None = None
    carry_over: float = 0.0


@dataclass(frozen=True, eq=False)
class Stream:
    """A course of the flow: the volume that has passed at each of many moments.

    Attributes
    ----------
    seconds, volume_ul, light : ndarray of float64, shape (k,)
        Moments, volume passed until then, and share of the light collected.
    """

    seconds: Floats
    volume_ul: Floats
    light: Floats

    def seconds_at(self, volume_ul: Floats | float) -> Floats:
        """When each volume has passed."""
        return np.asarray(np.interp(volume_ul, self.volume_ul, self.seconds))

    def volume_at(self, seconds: Floats | float) -> Floats:
        """Volume that has passed at each moment, microlitres."""
        return np.asarray(np.interp(seconds, self.seconds, self.volume_ul))

    def light_at(self, seconds: Floats) -> Floats:
        """Share of the light collected at each moment."""
        return np.asarray(np.interp(seconds, self.seconds, self.light))


def run_stream(rng: np.random.Generator, flow: Flow, volume_ul: float) -> Stream:
    """Draw the course of the flow until a volume has passed."""
    # Long enough for all of it to pass, however slow the knob and a clog make it.
    slowest = min(accumulate((factor for _, factor in flow.steps), mul, initial=1.0))
    lasts_s = 2.5 * volume_ul / (flow.ul_per_s * slowest) + (flow.clog.lasts_s if flow.clog else 0.0)
    n = int(np.ceil(lasts_s / _STEP_S)) + 2
    seconds = np.arange(n, dtype=np.float64) * _STEP_S
    # A slow random walk held near zero: pressure regulators wander over tens of seconds.
    memory = np.exp(-_STEP_S / 30.0)
    kicks = rng.standard_normal(n) * flow.wander * np.sqrt(1 - memory**2)
    walk = np.fromiter(accumulate(kicks.tolist(), lambda level, kick: memory * level + kick), np.float64, n)
    rate = flow.ul_per_s * np.exp(walk)
    light = np.ones(n)
    for at_s, factor in flow.steps:
        rate[seconds >= at_s] *= factor
    if flow.clog is not None:
        # It blocks quickly and clears by degrees.
        since = seconds - flow.clog.at_s
        depth = np.clip(since / (0.08 * flow.clog.lasts_s), 0, 1) * np.clip(
            (flow.clog.lasts_s - since) / _CLEARING_S, 0, 1
        )
        rate *= 1 - depth * (1 - flow.clog.flow_left)
        light *= 1 - depth * (1 - flow.clog.light_left)
    volume = np.zeros(n)
    volume[1:] = np.cumsum(rate[:-1] * _STEP_S)
    return Stream(seconds, volume, light)
