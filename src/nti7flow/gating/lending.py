"""Shrinkage: a threshold that a tube's own data place badly leans on its batch and on earlier visits of its subject.

A gate is a vector of numbers: its bounds, or the points of its outline. Within a batch these vectors scatter around a
middle with a variance of their own, tau squared; each comes with the variance its own data leave open. The best guess
for one tube lies between middle and own value, at the own value's share w = tau² / (tau² + own variance) of the way
(the empirical Bayes estimate of a normal mean; Efron and Morris, J Am Stat Assoc 1973). Middle and tau are the median
and the median absolute deviation, so that a few wrong gates do not move those of others. What lies far from the middle
is no such guess: it is kept as it is, and said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nti7flow.gating.methods.registry import Placement

Floats = NDArray[np.float64]
Lender = Literal["batch", "subject", "baseline"]

#: Whose gate it is, where a tube's own data have no say in it.
FMO, BASELINE, LOCKED = "fmo", "baseline", "locked"

#: Flag of a gate that could not be moved to a batch, for want of control specimens.
NOT_BRIDGED = "not_bridged"
#: Fewer gates than this tell no spread between tubes: nothing is borrowed from them.
LEAST_LENDERS = 3
#: Tubes differ by at least this much, display units: staining and gains are never the same.
LEAST_SPREAD = 0.005
#: Standard deviations from the middle of the batch beyond which a gate is an outlier.
FAR = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """A gate as one tube's own data place it.

    ``spread`` is the standard deviation of each of its numbers over replicates of the data, display units on a scale
    that all tubes share.
    """

    placement: Placement
    spread: float

    @property
    def vector(self) -> Floats:
        """Bounds, or the points of the outline one after another, display units, shape (k,)."""
        return vector_of(self.placement)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tube stands among others.

    Attributes
    ----------
    batch, subject : str
        Staining batch, and person; empty where not known. Tubes without a batch are one of their own.
    collected : float or None
        When the specimen was drawn, on any scale that orders draws; None where not known.
    lends : bool
        False for tubes that lack a stain, whose gates are no example.
    control : bool
        Whether it is the control specimen of its batch.
    baseline : bool
        Whether it was drawn before the first dose.
    """

    batch: str = ""
    subject: str = ""
    collected: float | None = None
    lends: bool = True
    control: bool = False
    baseline: bool = False

    def is_earlier(self, other: Place) -> bool:
        """Whether this is a draw of the same person before another."""
        if not self.subject or self.subject != other.subject or self.collected is None or other.collected is None:
            return False
        return self.collected < other.collected


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """What the others say of a tube's gate.

    Attributes
    ----------
    placement : Placement
        Where it is expected.
    spread : float
        Standard deviation of each of its numbers around that, between tubes, display units.
    n_lenders : int
        Gates that this rests on.
    source : str
        Whose they are: ``batch``, ``batch and subject``, ``study``, ``fmo``, ``baseline``, ``locked``.
    instead : bool
        Whether it is the gate, whatever the tube's own data say.
    flags : tuple of str
        What a person should know about it.
    """

    placement: Placement
    spread: float
    n_lenders: int
    source: str
    instead: bool = False
    flags: tuple[str, ...] = ()

    @property
    def vector(self) -> Floats:
        """Its numbers, display units, shape (k,)."""
        return vector_of(self.placement)


@dataclass(frozen=True, slots=True, eq=False)
class Shrunk:
    """A gate between a tube's own and what others say, with the own one's share in it.

    ``distance`` is that between the two in standard deviations, NaN without an own one.
    """

    placement: Placement
    spread: float
    weight: float
    distance: float

    @property
    def far(self) -> bool:
        """Whether the own gate is an outlier; it is then the gate, unmoved."""
        return self.distance > FAR


def vector_of(placement: Placement) -> Floats:
    """Numbers of a placed gate, shape (k,)."""
    if placement.vertices is not None:
        return np.array(placement.vertices, np.float64).ravel()
    return np.array([bound for bound in (placement.lower, placement.upper) if bound is not None], np.float64)


def moved_to(placement: Placement, vector: Floats) -> Placement:
    """Return a placement of the same kind with other numbers."""
    if placement.vertices is not None:
        return Placement(vertices=tuple((float(x), float(y)) for x, y in vector.reshape(-1, 2)))
    numbers = iter(vector.tolist())
    lower = next(numbers) if placement.lower is not None else None
    return Placement(lower=lower, upper=next(numbers) if placement.upper is not None else None)


def shrink(own: Own | None, prior: Prior) -> Shrunk:
    """Return the gate between a tube's own, where there is one, and what the others say."""
    middle = prior.vector
    if own is not None and len(own.vector) != len(middle) and not prior.instead:
        return Shrunk(own.placement, own.spread, 1.0, math.nan)  # another kind of outline
    if own is None or prior.instead:
        return Shrunk(prior.placement, prior.spread * math.sqrt(1 + 1 / prior.n_lenders), 0.0, math.nan)
    between, within = prior.spread**2, own.spread**2
    offset = own.vector - middle
    distance = _distance(offset, own, prior)
    if distance > FAR:
        return Shrunk(own.placement, own.spread, 1.0, distance)
    weight = between / (between + within)
    spread = math.sqrt(weight * within + (1 - weight) ** 2 * between / prior.n_lenders)
    return Shrunk(moved_to(prior.placement, middle + weight * offset), spread, weight, distance)


def make_priors(owns: Mapping[str, Own], places: Mapping[str, Place], lenders: Sequence[Lender]) -> dict[str, Prior]:
    """For each tube, what the others of its batch, and earlier ones of its subject, say of one population's gate.

    Parameters
    ----------
    owns : mapping of str to Own
        By tube; tubes whose own data placed no gate are not in it.
    places : mapping of str to Place
        Every tube of the template, in any order.
    lenders : sequence of {"batch", "subject"}
        ``subject`` adds what earlier visits say. They are compared by how far they lay from the middles of their own
        batches: lots and settings differ between batches. Those that were outliers in their batch say nothing of a tube
        that has no gate of its own.

    Returns
    -------
    dict of str to Prior
        Tubes to which too few others can lend are not in it. Where a batch is too small for a middle of its own, that
        of all batches is taken, with the spread between batches in it.
    """
    lent = _of_one_kind({name: owns[name] for name in sorted(owns) if places[name].lends})
    if len(lent) < LEAST_LENDERS:
        return {}
    everyone = _middle(list(lent.values()), "study")
    batches: dict[str, list[Own]] = {}
    for name, own in lent.items():
        batches.setdefault(places[name].batch, []).append(own)
    middles = {b: _middle(members, "batch") for b, members in batches.items() if len(members) >= LEAST_LENDERS}
    priors = {name: middles.get(place.batch, everyone) for name, place in places.items()}
    if "subject" not in lenders:
        return priors
    off = {name: own.vector - priors[name].vector for name, own in lent.items()}
    share = _subject_share(off, lent, places)
    # A visit with another gain or matrix is far from its own batch, and says nothing of the person's others. A gate of
    # their own holds against it; without one they would be gated by it alone.
    alike = {name: vector for name, vector in off.items() if _distance(vector, lent[name], priors[name]) <= FAR}
    return {
        name: _with_visits(prior, _before(name, off if name in owns else alike, places), share)
        for name, prior in priors.items()
    }


def _distance(offset: Floats, own: Own, prior: Prior) -> float:
    """How far a gate is from where the others expect it, in standard deviations."""
    return float(np.sqrt(np.mean(offset**2) / (prior.spread**2 + own.spread**2)))


def _of_one_kind(owns: Mapping[str, Own]) -> dict[str, Own]:
    """Those whose gates have as many numbers as most have: gates of different kinds have no middle."""
    sizes = [len(own.vector) for own in owns.values()]
    most = max(sorted(set(sizes)), key=sizes.count, default=0)
    return {name: own for name, own in owns.items() if len(own.vector) == most}


def priors_of_controls(owns: Mapping[str, Own], places: Mapping[str, Place]) -> dict[str, Prior]:
    """For each tube, the gate of the tubes of its batch that were stained without the marker.

    Parameters
    ----------
    owns : mapping of str to Own
        Of the tubes without the marker (FMO), by tube.
    places : mapping of str to Place
        Every tube of the template.
    """
    batches: dict[str, list[Own]] = {}
    for name, own in sorted(_of_one_kind(owns).items()):
        batches.setdefault(places[name].batch, []).append(own)
    return {name: _instead(batches[p.batch], FMO) for name, p in places.items() if p.batch in batches}


def priors_of_baseline(owns: Mapping[str, Own], places: Mapping[str, Place]) -> dict[str, Prior]:
    """For each tube, the gate of its subject's baseline, moved by what the control specimens of the two batches say.

    A gate that is placed anew at each visit follows what the drug does to the marker. What lies between batches, other
    lots and gains, moves the gate of the control specimen as it moves the patient's.
    """
    one_kind = _of_one_kind(owns)
    controls = control_middles(one_kind, places)
    at_baseline: dict[str, list[str]] = {}
    for name in sorted(one_kind):
        if places[name].baseline and places[name].subject:
            at_baseline.setdefault(places[name].subject, []).append(name)
    priors = {}
    for name, place in places.items():
        if lenders := at_baseline.get(place.subject):
            moved = [bridged(one_kind[n].placement, controls, places[n].batch, place.batch) for n in lenders]
            sure = all(each is not None for each in moved)
            members = [
                one_kind[n] if each is None else Own(each, one_kind[n].spread)
                for n, each in zip(lenders, moved, strict=True)
            ]
            priors[name] = _instead(members, BASELINE, () if sure else (NOT_BRIDGED,))
    return priors


def control_middles(owns: Mapping[str, Own], places: Mapping[str, Place]) -> dict[str, Floats]:
    """Where the gates of the control specimens lie, by batch: the middle of each number."""
    batches: dict[str, list[Floats]] = {}
    for name in sorted(owns):
        if places[name].control and places[name].lends:
            batches.setdefault(places[name].batch, []).append(owns[name].vector)
    return {batch: np.median(vectors, axis=0) for batch, vectors in batches.items()}


def bridged(placement: Placement, controls: Mapping[str, Floats], of: str, to: str) -> Placement | None:
    """Move a gate from one batch to another as the gate of their control specimens moves; None where one has none."""
    if of == to:
        return placement
    if of not in controls or to not in controls:
        return None
    return moved_to(placement, vector_of(placement) + controls[to] - controls[of])


def _instead(members: Sequence[Own], source: str, flags: tuple[str, ...] = ()) -> Prior:
    vectors = np.array([own.vector for own in members])
    between = float(np.sqrt(np.mean(vectors.var(axis=0))))
    spread = math.hypot(between, float(np.mean([own.spread for own in members])))
    placement = moved_to(members[0].placement, np.median(vectors, axis=0))
    return Prior(placement, spread, len(members), source, instead=True, flags=flags)


def _middle(members: Sequence[Own], source: str) -> Prior:
    vectors = np.array([own.vector for own in members])
    middle = np.median(vectors, axis=0)
    # Over all numbers of a gate together: one of them alone may seem not to vary at all.
    total = 1.4826 * float(np.median(np.sqrt(np.mean((vectors - middle) ** 2, axis=1))))
    within = float(np.median([own.spread for own in members]))
    spread = math.sqrt(max(total**2 - within**2, LEAST_SPREAD**2))
    return Prior(moved_to(members[0].placement, middle), spread, len(members), source)


def _subject_share(off: Mapping[str, Floats], lent: Mapping[str, Own], places: Mapping[str, Place]) -> float:
    """Share of the variance between tubes of a batch that is between people: visits of one person resemble each other.

    The mean product of pairs of visits of one person, over the mean square of all (an intraclass correlation), without
    what each tube's own data leave open, and without outliers.
    """
    size = {name: float(np.sqrt(np.mean(vector**2))) for name, vector in off.items()}
    limit = 3 * 1.4826 * float(np.median(list(size.values())))
    people: dict[str, list[Floats]] = {}
    for name, vector in off.items():
        if places[name].subject and size[name] <= limit:
            people.setdefault(places[name].subject, []).append(vector)
    repeated = [np.array(visits) for visits in people.values() if len(visits) > 1]
    if not repeated:
        return 0.0
    n_pairs = sum(len(v) * (len(v) - 1) for v in repeated)
    products = sum(float((v.sum(axis=0) ** 2 - (v**2).sum(axis=0)).mean()) for v in repeated) / n_pairs
    squares = float(np.mean([np.mean(visit**2) for visits in repeated for visit in visits]))
    within = float(np.median([own.spread**2 for own in lent.values()]))
    return float(np.clip(products / max(squares - within, LEAST_SPREAD**2), 0.0, 0.9))


def _before(name: str, off: Mapping[str, Floats], places: Mapping[str, Place]) -> list[Floats]:
    return [off[other] for other in off if places[other].is_earlier(places[name])]


def _with_visits(prior: Prior, visits: Sequence[Floats], share: float) -> Prior:
    """Move what the batch says by what the subject's earlier visits say, as far as people differ at all."""
    visits = [visit for visit in visits if len(visit) == len(prior.vector)]
    if not visits or share <= 0:
        return prior
    weight = len(visits) * share / (1 + (len(visits) - 1) * share)
    spread = max(prior.spread * math.sqrt(1 - weight * share), LEAST_SPREAD)
    vector = prior.vector + weight * np.median(visits, axis=0)
    placement = moved_to(prior.placement, vector)
    return Prior(placement, spread, prior.n_lenders + len(visits), f"{prior.source} and subject")
