"""``mixture``: a threshold between two populations of a mixture of normal components.

Components are not populations. BIC takes as many of them as the shape of the data needs, so a skewed or heavy-tailed
population is made of several; those between which the fitted density has no real valley are then joined (the ridgeline
ratio of Hennig, Adv Data Anal Classif 4:3, 2010, which on one axis is the depth of the dip). The threshold lies where
the fitted density is lowest between two populations, or where an event is as likely of the one as of the other.

Counts of ions are often exactly zero, as are values below an instrument's threshold: such values pile up in a spike
that is narrower than any population, is given a component of its own, and draws no threshold unless it is asked to.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nti7flow.gating.histogram import Histogram
from nti7flow.gating.methods.registry import Placement, method
from nti7flow.gating.methods.thresholds import DEBRIS, ValleyParameters, bandwidth, excess, valley_floor

Floats = NDArray[np.float64]

#: Bins of the histogram in one bin of the fit, which is 1/128 display unit then: half of the narrowest component.
COARSE = 4
#: Standard deviation of the narrowest component, display units: half of that of the tightest stained population, so
#: that none settles on a chance bump. Integers on the scale arcsinh(x / 5) are 0.02 apart near 0: no valleys between.
NARROWEST = 0.015
#: A lowest population with a standard deviation below this is a pile-up at one value.
SPIKE = 0.02
#: A new component is tried at places this far apart, with these standard deviations (display units) and weights.
TRIAL_STEP, TRIAL_SPREADS, TRIAL_WEIGHTS = 0.03, (0.02, 0.07), (0.004, 0.1)
#: Rounds of expectation and maximisation after each new component, and for the mixture that was chosen.
ROUNDS, LAST_ROUNDS = 12, 40


class MixtureParameters(ValleyParameters):
    """Parameters of ``mixture``."""

    max_components: int = Field(6, ge=2, le=12, description="BIC chooses among mixtures of up to so many components.")
    depth: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Two populations are one unless the fitted density between them falls to this fraction of the "
        "lower mode (0.5: two normal populations of one size, 3.3 standard deviations apart).",
    )
    boundary: Literal["valley", "posterior"] = Field(
        "valley",
        description="valley: the middle of the floor of the fitted density, which hardly depends on how many events "
        "the populations hold; posterior: where an event is as likely of the components above as of those below.",
    )
    zero_inflation: bool = Field(
        True,
        description="Values piled up at the low end are measurements that were lost, and draw no threshold; false: "
        "they are negative cells.",
    )


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """Normal components in order of position; arrays of shape (n_components,), positions in display units.

    Attributes
    ----------
    bic : tuple of float
        Of the mixtures of 1, 2, 3 … components that were compared; the smallest was chosen.
    """

    weights: Floats
    means: Floats
    spreads: Floats
    bic: tuple[float, ...]

    def widened(self, sigma: float) -> Mixture:
        """Mixture of the values after normal noise of standard deviation ``sigma``, display units."""
        return replace(self, spreads=np.hypot(self.spreads, sigma))

    def densities(self, x: Floats) -> Floats:
        """Density of each component at points of shape (n,), per display unit; shape (n_components, n)."""
        z = (x - self.means[:, None]) / self.spreads[:, None]
        return np.asarray(np.exp(-0.5 * z * z) * (self.weights / self.spreads / math.sqrt(2 * math.pi))[:, None])


@dataclass(frozen=True, slots=True)
class _Populations:
    """What the fitted density says: points of a fine grid, density there, modes of populations and valleys between."""

    x: Floats
    density: Floats
    modes: tuple[int, ...]
    valleys: tuple[int, ...]

    def moments(self) -> list[tuple[float, float, float]]:
        """Share, mean and standard deviation of each population, the density being parted at the valleys."""
        total, out = self.density.sum(), []
        for first, last in pairwise((0, *self.valleys, len(self.x))):
            x, density = self.x[first:last], self.density[first:last]
            mass = density.sum()
            mean = float(x @ density / mass)
            out.append((float(mass / total), mean, math.sqrt(float((x - mean) ** 2 @ density / mass))))
        return out


@method("mixture", 1, n_dimensions=1, parameters=MixtureParameters)
def mixture(histogram: Histogram, parameters: MixtureParameters) -> Placement:
    """Threshold between two populations of a mixture of normal components, as many as BIC asks for."""
    n_events = histogram.n_events
    if n_events < parameters.min_events:
        return Placement(reason=f"only {n_events} events, {parameters.min_events} are needed")
    fit = fit_mixture(histogram, parameters.max_components)
    found = _find_populations(fit, histogram, parameters)
    moments = found.moments()
    is_spiked = parameters.zero_inflation and len(moments) > 1 and moments[0][2] < SPIKE
    diagnostics = _describe(fit) | {"n_populations": len(moments) - is_spiked}
    if is_spiked:
        diagnostics["share_at_zero"] = round(moments[0][0], 4)
    valleys = range(int(is_spiked), len(found.valleys))
    if not valleys:
        beside = f" beside {100 * moments[0][0]:.0f} % of values at zero" if is_spiked else ""
        return Placement(reason=f"one population at {moments[-1][1]:.2f}{beside}", diagnostics=diagnostics)
    low, high = _window(parameters)
    inside = [i for i in valleys if low <= found.x[found.valleys[i]] <= high]
    if not inside:
        return Placement(reason="no valley inside the window", diagnostics=diagnostics)
    chosen = _choose(inside, moments, parameters)
    diagnostics |= _describe_valley(found, moments, chosen)
    threshold = _threshold(fit, found, chosen, parameters)
    lower, upper = (threshold, None) if parameters.keep == "above" else (None, threshold)
    return Placement(lower=lower, upper=upper, diagnostics=diagnostics)


@lru_cache(maxsize=2 * 21)  # a gate and its fallback ask for the mixture of the same histogram and its replicates
def fit_mixture(histogram: Histogram, max_components: int) -> Mixture:
    """Fit mixtures of 1, 2, 3 … normal components to a histogram, each grown from the last, and choose one by BIC.

    Growing follows Vlassis and Likas (Neural Process Lett 15:77, 2002): the new component is put where, with some trial
    spread and weight, it raises the likelihood most, and expectation and maximisation settle all of them. A small
    population far from the others is thereby found whatever its size, and nothing is left to chance.
    """
    axis = histogram.axes[0]
    counts = np.add.reduceat(histogram.counts, np.arange(0, axis.n_bins, COARSE))
    used = np.flatnonzero(counts)
    n = counts[used[0] : used[-1] + 1].astype(np.float64)
    x = axis.low + (np.arange(used[0], used[-1] + 1) + 0.5) * axis.width * COARSE
    n_events = float(n.sum())
    mean = float(x @ n) / n_events
    parts = np.array([[1.0], [mean], [max(math.sqrt(float((x - mean) ** 2 @ n) / n_events), NARROWEST)]])
    grown, bic = [parts], [_bic(x, n, parts)]
    for _ in range(1, max_components):
        parts = _settle(x, n, _grow(x, n, parts), ROUNDS)
        grown.append(parts)
        bic.append(_bic(x, n, parts))
        if len(bic) > 2 and bic[-1] > bic[-2] > bic[-3]:
            break
    weights, means, spreads = _settle(x, n, grown[int(np.argmin(bic))], LAST_ROUNDS)
    order = np.argsort(means, kind="stable")
    return Mixture(weights[order], means[order], spreads[order], tuple(bic))


def _density(x: Floats, parts: Floats) -> Floats:
    """Density of a mixture, but for a constant factor; never 0. ``parts`` are weights, means and spreads, (3, k)."""
    weights, means, spreads = parts
    z = (x - means[:, None]) / spreads[:, None]
    return np.asarray((weights / spreads) @ np.exp(-0.5 * z * z) + 1e-300)


def _bic(x: Floats, n: Floats, parts: Floats) -> float:
    """Bayesian information criterion, but for a constant: the smaller the better."""
    return float(-2.0 * (n @ np.log(_density(x, parts))) + (3 * parts.shape[1] - 1) * math.log(n.sum()))


def _grow(x: Floats, n: Floats, parts: Floats) -> Floats:
    """Add the trial component that raises the likelihood most."""
    places = np.linspace(x[0], x[-1], max(2, round((x[-1] - x[0]) / TRIAL_STEP) + 1))
    spreads = np.repeat(TRIAL_SPREADS, len(places))
    places = np.tile(places, len(TRIAL_SPREADS))
    z = (x - places[:, None]) / spreads[:, None]
    ratio = np.exp(-0.5 * z * z) / spreads[:, None] / _density(x, parts) - 1.0
    gains = np.array([np.log1p(weight * ratio) @ n for weight in TRIAL_WEIGHTS])
    which, best = np.unravel_index(int(gains.argmax()), gains.shape)
    weight = TRIAL_WEIGHTS[which]
    return np.column_stack([parts * [[1.0 - weight], [1.0], [1.0]], [weight, places[best], spreads[best]]])


def _settle(x: Floats, n: Floats, parts: Floats, rounds: int) -> Floats:
    """Run rounds of expectation and maximisation on bins."""
    powers = np.stack([np.ones_like(x), x, x * x])
    weights, means, spreads = parts
    n_events = n.sum()
    for _ in range(rounds):
        precision = spreads**-2.0
        # A normal density is the exponential of a parabola: all components at all points are one small product.
        parabolas = np.stack(
            [np.log(weights / spreads) - 0.5 * means * means * precision, means * precision, -0.5 * precision], axis=1
        )
        shares = np.exp(parabolas @ powers)
        shares *= n / (shares.sum(axis=0) + 1e-300)
        held, sums, squares = (shares @ powers.T).T
        alive = held > 1e-6 * n_events  # one that loses its events to the others would divide by nothing
        held, sums, squares = held[alive], sums[alive], squares[alive]
        weights, means = held / held.sum(), sums / held
        spreads = np.sqrt(np.maximum(squares / held - means * means, NARROWEST**2))
    return np.stack([weights, means, spreads])


def _find_populations(fit: Mixture, histogram: Histogram, parameters: MixtureParameters) -> _Populations:
    """Modes of the fitted density that stand out from the saddle to any higher one: by depth, and beyond chance.

    What chance can do is judged where events are counted over a stretch of the bandwidth that ``density_valley`` has:
    a component around one stray event is a high mode, but one event.
    """
    axis, n_events = histogram.axes[0], histogram.n_events
    used = np.flatnonzero(histogram.counts)
    margin = math.ceil(4 * NARROWEST / axis.width)
    x = axis.low + (np.arange(used[0] - margin, used[-1] + 1 + margin) + 0.5) * axis.width
    density = fit.densities(x).sum(axis=0)
    sigma = bandwidth(n_events)
    nearby = fit.widened(sigma).densities(x).sum(axis=0) * n_events * 2.0 * math.sqrt(math.pi) * sigma
    modes = []
    for peak in np.flatnonzero((density[1:-1] > density[:-2]) & (density[1:-1] >= density[2:])) + 1:
        saddle = _saddle(density, int(peak))
        if saddle is None:
            modes.append(int(peak))
            continue
        is_beyond_chance = excess(nearby[peak], nearby[saddle]) >= parameters.significance
        if is_beyond_chance and density[saddle] <= parameters.depth * density[peak]:
            modes.append(int(peak))
    valleys = tuple(a + int(density[a : b + 1].argmin()) for a, b in pairwise(modes))
    return _Populations(x, density, tuple(modes), valleys)


def _saddle(density: Floats, peak: int) -> int | None:
    """Index of the higher of the passes that lead from a peak to higher ground; None where nothing is higher."""
    left = np.flatnonzero(density[:peak] >= density[peak])
    right = np.flatnonzero(density[peak + 1 :] > density[peak])
    passes = [int(left[-1]) + int(density[left[-1] : peak].argmin())] if left.size else []
    passes += [peak + int(density[peak : peak + int(right[0]) + 2].argmin())] if right.size else []
    return max(passes, key=lambda at: density[at], default=None)


def _window(parameters: MixtureParameters) -> tuple[float, float]:
    low, high = parameters.window
    return -math.inf if low is None else low, math.inf if high is None else high


def _choose(valleys: list[int], moments: list[tuple[float, float, float]], parameters: MixtureParameters) -> int:
    """Choose the valley with most events on its smaller side, as ``density_valley`` does.

    One that would keep nearly everything parts off debris, and is the last choice.
    """
    below = np.cumsum([share for share, _, _ in moments])
    parted = below if parameters.keep == "above" else 1.0 - below
    parting = [i for i in valleys if parted[i] >= DEBRIS]
    return max(parting or valleys, key=lambda i: min(below[i], 1.0 - below[i]))


def _threshold(fit: Mixture, found: _Populations, valley: int, parameters: MixtureParameters) -> float:
    bottom, first, last = found.valleys[valley], found.modes[valley], found.modes[valley + 1]
    x, density = found.x[first : last + 1], found.density[first : last + 1]
    if parameters.boundary == "posterior":
        is_above = fit.means > found.x[bottom]
        likelier = fit.densities(x)[is_above].sum(axis=0) >= fit.densities(x)[~is_above].sum(axis=0)
        place = float(likelier.argmax())
    else:
        place, _ = valley_floor(density, 0, len(x) - 1, min(density[0], density[-1]))
    threshold = float(x[0] + (place - 0.5) * (x[1] - x[0]))  # grid points are the middles of bins
    return float(np.clip(threshold, *_window(parameters)))


def _describe(fit: Mixture) -> dict[str, Any]:
    n = len(fit.means)
    return {
        "n_components": n,
        "bic_gain": round(fit.bic[0] - fit.bic[n - 1], 1),
        "bic_gain_of_last": round(fit.bic[n - 2] - fit.bic[n - 1], 1) if n > 1 else 0.0,
        "components": [
            [round(float(v), 4) for v in part] for part in zip(fit.weights, fit.means, fit.spreads, strict=True)
        ],
    }


def _describe_valley(found: _Populations, moments: list[tuple[float, float, float]], valley: int) -> dict[str, Any]:
    below, above = found.modes[valley], found.modes[valley + 1]
    (n_below, mean_below, sd_below), (n_above, mean_above, sd_above) = moments[valley], moments[valley + 1]
    depth = found.density[found.valleys[valley]] / min(found.density[below], found.density[above])
    return {
        "mode_below": round(float(found.x[below]), 4),
        "mode_above": round(float(found.x[above]), 4),
        "share_below": round(n_below, 4),
        "share_above": round(n_above, 4),
        "valley_to_lower_mode": round(float(depth), 4),
        # Ashman, Bird and Zepf, Astron J 108:2348, 1994: clearly apart above 2.
        "separation": round((mean_above - mean_below) / math.sqrt((sd_below**2 + sd_above**2) / 2.0), 2),
    }
