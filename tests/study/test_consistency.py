"""A tube that stands out among those of its batch: by names, matrix or bead lot."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path

import pytest

from nti7flow.events.spillover import Spillover
from nti7flow.study.consistency import check_together
from nti7flow.study.plan import make_plan
from nti7flow.study.tube import Progress, RefusedTube, gate_wave
from nti7flow.trial import SampleRow

TUBE = Path(__file__).parents[1] / "tubes" / "SIM-001_day00_tbnk.fcs"


def gate(template, **options):
    plan = make_plan([TUBE], template=template, **options)
    return gate_wave(plan, plan.tubes[0], 0, Progress(), {})


@pytest.fixture(scope="module")
def one(plain):
    return gate(plain)


def tube_of(one, name, *, batch="march", lot=None, day=1, spill=None):
    """The same tube under another name, in another batch, with another lot or matrix."""
    at = datetime(2026, 3, day, 9, tzinfo=UTC)
    row = SampleRow(f"{name}.fcs", name, specimen=name, batch=batch, bead_lot=lot, acquired_at=at)
    own = one.strategy.spillover
    matrix = own.matrix.copy()
    for place, value in (spill or {}).items():
        matrix[place] += value
    strategy = replace(one.strategy, spillover=Spillover(own.detectors, matrix, own.source))
    return replace(one, tube=replace(one.tube, sample=name, row=row), strategy=strategy)


def told(tubes):
    """Checks that were added, by sample; each is a flag of the tube and of all of its counts too."""
    found = {}
    for before, after in zip(tubes, check_together(tubes), strict=True):
        checks = after.quality[len(before.quality) :]
        for check in checks:
            flag = check["check"].split()[0]
            assert check["severity"] == after.flags[flag] == "review"
            assert all(flag in count.flags and count.severity in ("review", "invalid") for count in after.counts)
        if checks:
            found[after.tube.sample] = [check["check"] for check in checks]
        else:
            assert after == before
    return found


def test_tubes_alike_are_left_as_they_are(one):
    assert told([tube_of(one, name, lot="BD1", day=day) for day, name in enumerate("abcd", 1)]) == {}


def test_names_exchanged_in_one_tube_are_told(one, plain):
    usual = [tube_of(one, name) for name in "abc"]
    exchanged = gate(plain, markers={"CD3": "APC-Cy7-A", "CD8": "FITC-A"})
    odd = tube_of(exchanged, "odd")
    text = "markers_differ CD3 on APC-Cy7-A, CD8 on FITC-A, unlike others of the batch"
    assert told([*usual, odd]) == {"odd": [text]}
    assert told([*usual[:2], odd]) == {}, "three tubes are too few to say who is odd"
    assert told([*usual[:2], odd, tube_of(exchanged, "odder")]) == {}, "two against two"
    assert told([*usual, tube_of(exchanged, "april", batch="april")]) == {}, "another batch may be stained otherwise"


def test_a_matrix_unlike_the_others_is_told(one):
    names = one.strategy.spillover.detectors
    usual = [tube_of(one, name, spill={(0, 1): 0.01 * i}) for i, name in enumerate("abcde")]
    assert told([*usual, tube_of(one, "near", spill={(0, 2): 0.04})]) == {}
    found = told([*usual, tube_of(one, "odd", spill={(0, 2): 0.06, (1, 3): 0.2})])
    assert found == {"odd": [f"spillover_differs {names[1]} into {names[3]}, from others of the batch"]}


def test_a_coefficient_that_differs_everywhere_is_no_sign(one):
    tubes = [tube_of(one, name, spill={(0, 1): 0.1 * i}) for i, name in enumerate("abcdef")]
    assert told(tubes) == {}


def test_a_lot_between_tubes_of_another_is_told(one):
    days = {"a": 1, "b": 2, "odd": 3, "c": 4, "d": 5}
    tubes = [tube_of(one, name, day=day, lot="X" if name == "odd" else "BD1") for name, day in days.items()]
    wanted = {"odd": ["bead_lot_differs X, where tubes before and after have BD1"]}
    assert told(tubes) == wanted
    assert all(told(order) == wanted for order in list(permutations(tubes))[::20]), "in any order"
    april = tube_of(one, "april", batch="april", day=20, lot="X")
    assert told([*tubes, april]) == {}, "a lot that others have is a lot of the laboratory"


def test_the_first_tube_of_a_new_lot_is_not_told(one):
    tubes = [tube_of(one, name, day=day, lot="BD1") for day, name in enumerate("abcd", 1)]
    assert told([*tubes, tube_of(one, "new", day=9, lot="BD2")]) == {}


def test_what_was_refused_stays_as_it_is(one):
    refused = RefusedTube(one.tube, "why")
    assert check_together([refused]) == [refused]


def test_no_matrix_is_no_difference(one):
    bare = [
        replace(t, strategy=replace(t.strategy, spillover=Spillover.none())) for t in [tube_of(one, n) for n in "abcd"]
    ]
    assert told(bare) == {}
