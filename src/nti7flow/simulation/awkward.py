"""Tubes spoilt as laboratories spoil them, and what a good analysis must say about each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from nti7flow.errors import ConfigError
from nti7flow.simulation.cytometer import Cytometer
from nti7flow.simulation.flow import Clog
from nti7flow.simulation.laboratory import TubePlan
from nti7flow.simulation.preparation import BEADS, Stop, tube_particles


@dataclass(frozen=True, slots=True)
class AwkwardCase:
    """Something that was done to a tube.

    Attributes
    ----------
    case : str
        Kind of trouble.
    sample : str
        Tube, as the sheet calls it.
    other : str
        The other tube of the pair, else empty.
    what_was_done : str
        What is wrong.
    must_say : str
        What a good analysis says about it.
    severity : str
        ``info``, ``review`` or ``invalid``: what the tube's counts deserve, where the trouble can be known.
    shown_by_data : str
        ``yes``, ``partly`` or ``no``: whether files and sheets show it by themselves.
    shown_how : str
        Where to look.
    """

    case: str
    sample: str
    other: str
    what_was_done: str
    must_say: str
    severity: str
    shown_by_data: str
    shown_how: str


AWKWARD_COLUMNS = tuple(AwkwardCase.__slots__)
#: Factor on the gain of a detector that somebody turned up.
_OVER_RANGE = 32.0
#: What a clot holds back: platelets take granulocytes and monocytes along, fewer lymphocytes.
_CLOT = {"neutrophils": 0.25, "eosinophils": 0.3, "monocytes": 0.25}
_CLOT_OTHERS = 0.55
#: Distinct tubes that the cases take.
_TUBES_NEEDED = 12
#: Tubes are swapped between people.
_PEOPLE_NEEDED = 2


def make_awkward(
    rng: np.random.Generator, plans: Sequence[TubePlan]
) -> tuple[tuple[TubePlan, ...], tuple[AwkwardCase, ...]]:
    """Spoil some tubes, each in one way; which ones is drawn.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    plans : sequence of TubePlan
        All tubes; those of patients of the first panel are spoilt.

    Returns
    -------
    plans : tuple of TubePlan
        The same tubes, some of them changed.
    cases : tuple of AwkwardCase
        What was changed.

    Raises
    ------
    ConfigError
        There are too few tubes for every case.
    """
    panel = plans[0].panel
    # Tubes that ran well: one trouble in each.
    candidates = [
        plan
        for plan in plans
        if plan.role == "patient" and plan.panel == panel and plan.flow.clog is None and plan.stop.events is not None
    ]
    people = {plan.subject for plan in candidates}
    if len(candidates) < _TUBES_NEEDED or len(people) < _PEOPLE_NEEDED:
        raise ConfigError(
            f"the awkward cases take {_TUBES_NEEDED} tubes of {_PEOPLE_NEEDED} patients, and the study has "
            f"{len(candidates)} of {len(people)}; simulate more subjects."
        )
    order = [candidates[position] for position in rng.permutation(len(candidates)).tolist()]
    spoiler = _Spoiler(order)
    spoiler.swap_two()
    spoiler.repeat_one()
    spoiler.spoil_single()
    changed = spoiler.changed
    return tuple(changed.get(plan.sample, plan) for plan in plans), tuple(spoiler.cases)


class _Spoiler:
    """Takes tubes in a drawn order, and spoils each in one way."""

    def __init__(self, order: list[TubePlan]) -> None:
        self._left = order
        self.changed: dict[str, TubePlan] = {}
        self.cases: list[AwkwardCase] = []

    def swap_two(self) -> None:
        """Put two tubes of different people into each other's place: those handled nearest in time, of one lot."""
        pairs = [
            (abs(first.stained_at - second.stained_at), place, first, second)
            for place, (first, second) in enumerate(combinations(self._left, 2))
            if first.batch == second.batch and first.subject != second.subject
        ]
        if not pairs:
            raise ConfigError("no two patients have tubes of one lot that could be swapped; simulate more subjects.")
        _, _, first, second = min(pairs, key=lambda pair: pair[:2])
        self._left = [plan for plan in self._left if plan not in (first, second)]
        for plan, other in ((first, second), (second, first)):
            # The place in the sheet stays, with its date, lot and beads; blood and person change.
            self.changed[plan.sample] = replace(
                plan, cells_per_ul=other.cells_per_ul, donor=other.donor, state=other.state, holds=other.holds
            )
            self._note(
                "swapped_tubes",
                plan,
                f"holds the blood of {other.specimen}",
                "this tube does not go with the other visits of the subject",
                severity="review",
                shown="partly",
                how="subset counts jump against the subject's own course, and against the ALC of the same draw",
                other=other.sample,
            )

    def repeat_one(self) -> None:
        """Let one file stand in the place of another of the same person."""
        subjects = [plan.subject for plan in self._left]
        first = self._take(lambda plan: subjects.count(plan.subject) > 1)
        second = self._take(lambda plan: plan.subject == first.subject)
        self.changed[second.sample] = replace(second, copy_of=first.sample, holds=first.holds)
        self._note(
            "duplicated_file",
            second,
            f"is a copy of the file of {first.sample}",
            "two samples are the same file",
            severity="invalid",
            shown="yes",
            how="SHA-256 of both files is equal; $FIL and $DATE name the other",
            other=first.sample,
        )

    def spoil_single(self) -> None:
        """Spoil one tube for each of the other cases."""
        plan = self._left.pop(0)
        self._change(
            "wrong_spillover",
            replace(plan, cytometer=replace(plan.cytometer, keyword=plan.cytometer.keyword.T.copy())),
            "the matrix in $SPILLOVER has rows and columns exchanged",
            "compensation does not fit this tube: populations lean, negatives lie far from zero",
            severity="review",
            shown="yes",
            how="medians of negative populations after compensation; the matrix differs from others of the batch",
        )
        if self._left[0].bead_lot:
            self._beads()
        plan = self._left.pop(0)
        self._change("clotted_specimen", _clotted(plan), *_CLOTTED, severity="review", shown="partly", how=_CLOTTED_HOW)
        plan = self._left.pop(0)
        detector, marker = _gating_detector(plan.cytometer)
        gain = plan.cytometer.gain.copy()
        gain[detector] *= _OVER_RANGE
        self._change(
            "over_range_gain",
            replace(plan, cytometer=replace(plan.cytometer, gain=gain)),
            f"the gain of the {marker} detector was {_OVER_RANGE:g} times too high",
            f"{marker} is saturated: events pile up at the top of range",
            severity="invalid",
            shown="yes",
            how="share of events in the last bin of the channel",
        )
        plan = self._left.pop(0)
        self._change(
            "empty_tube",
            replace(
                plan,
                cells_per_ul={},
                preparation=replace(plan.preparation, beads=0.0, debris_per_ul=6.0, ghosts_per_ul=0.0),
                stop=Stop(seconds=60.0),
                flow=replace(plan.flow, carry_over=0.0),
                holds="",
            ),
            "buffer was acquired instead of the specimen",
            "there are no cells in this tube",
            severity="invalid",
            shown="yes",
            how="number of events; no population but debris",
        )
        plan = self._left.pop(0)
        self._change(
            "truncated_file",
            replace(plan, kept=0.6),
            "the copy ended after 60 % of the bytes",
            "the file is cut short and holds fewer events than $TOT says",
            severity="invalid",
            shown="yes",
            how="offsets and $TOT against the size of the file",
        )
        plan = self._left.pop(0)
        self._change(
            "mislabelled_marker",
            replace(plan, cytometer=_relabelled(plan.cytometer)),
            "$PnS of CD4 and CD8 are exchanged",
            "CD4 and CD8 look exchanged",
            severity="review",
            shown="yes",
            how="$PnS differs from other tubes of the panel; monocytes are dim for the marker called CD8",
        )

    def _beads(self) -> None:
        plan = self._left.pop(0)
        self._change(
            "missing_beads",
            replace(plan, preparation=replace(plan.preparation, beads=0.0)),
            "no beads were in the tube, though the sheet names a lot",
            "no beads found: no concentration from this tube",
            severity="invalid",
            shown="yes",
            how="no events that are bright in every channel",
        )
        plan = self._left.pop(0)
        stated = None if plan.beads_stated is None else round(plan.beads_stated * 0.8, -1)
        self._change(
            "wrong_lot_number",
            replace(plan, bead_lot=f"{plan.bead_lot[:-1]}X", beads_stated=stated),
            "the sheet has the lot and the bead number of another pouch; concentrations come out 20 % low",
            "this lot is used in no other tube of the batch",
            severity="review",
            shown="partly",
            how="the lot against others of the day; flow lymphocytes against the ALC of the same draw",
        )

    def _take(self, fits: Callable[[TubePlan], bool]) -> TubePlan:
        position = next(position for position, plan in enumerate(self._left) if fits(plan))
        return self._left.pop(position)

    def _change(
        self, case: str, plan: TubePlan, done: str, must_say: str, *, severity: str, shown: str, how: str
    ) -> None:
        self.changed[plan.sample] = plan
        self._note(case, plan, done, must_say, severity=severity, shown=shown, how=how)

    def _note(
        self,
        case: str,
        plan: TubePlan,
        done: str,
        must_say: str,
        *,
        severity: str,
        shown: str,
        how: str,
        other: str = "",
    ) -> None:
        self.cases.append(AwkwardCase(case, plan.sample, other, done, must_say, severity, shown, how))


_CLOTTED = (
    "the blood had clotted: cells are held back, what is left sticks together, and the needle blocks",
    "the specimen is not fit for counting: few cells for the beads, many doublets, the flow was blocked",
)
_CLOTTED_HOW = "doublets, flow rate over time, and lymphocytes per bead against the ALC of the same draw"


def _clotted(plan: TubePlan) -> TubePlan:
    held = {name: per_ul * _CLOT.get(name, _CLOT_OTHERS) for name, per_ul in plan.cells_per_ul.items()}
    preparation = replace(plan.preparation, doublets=0.4, debris_per_ul=plan.preparation.debris_per_ul * 2)
    # Within the time that the tube runs at least: of the events that are waited for, some stay below the threshold.
    particles = tube_particles(held, preparation)
    per_s = plan.flow.ul_per_s / preparation.suspension_ul
    lasts_s = {
        "events": plan.stop.value / (per_s * sum(particles.values())),
        "beads": plan.stop.value / (per_s * max(particles[BEADS], 1.0)),
        "seconds": plan.stop.value,
        "volume_ul": plan.stop.value / plan.flow.ul_per_s,
    }[plan.stop.rule]
    flow = replace(plan.flow, clog=Clog(at_s=0.3 * lasts_s, lasts_s=0.6 * lasts_s, flow_left=0.08, light_left=0.8))
    return replace(plan, cells_per_ul=held, preparation=preparation, flow=flow)


def _gating_detector(cytometer: Cytometer) -> tuple[int, str]:
    """Position and name of the marker on which lymphocytes are found: CD45, else CD3."""
    marker = next(name for name in ("CD45", "CD3") if name in cytometer.markers)
    position = cytometer.markers.index(marker)
    return position, cytometer.labels[position]


def _relabelled(cytometer: Cytometer) -> Cytometer:
    other = {"CD4": "CD8", "CD8": "CD4"}
    return replace(cytometer, labels=tuple(other.get(label, label) for label in cytometer.labels))
