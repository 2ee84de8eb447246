"""Documents that would keep FlowKit busy for minutes are refused by name, and at once."""

import pytest
from gml_documents import axis, boolean, divider, polygon, quadrants, rectangle, write

from nti7flow.errors import StrategyError
from nti7flow.interop.gatingml import tree as limits
from nti7flow.interop.strategies import read_strategy


def problems(tmp_path, *parts):
    with pytest.raises(StrategyError) as refusal:
        read_strategy(write(tmp_path, *parts))
    return list(refusal.value.problems)


def chain(n, *, start=0):
    return [rectangle(f"g{i}", parent=f"g{i - 1}" if i > start else None) for i in range(start, start + n)]


def test_twenty_thousand_gates(tmp_path):
    gates = [rectangle(f"g{i}") for i in range(20_000)]
    assert problems(tmp_path, *gates) == ["holds 20,000 gates; up to 1,000 are read: split the file"]


def test_a_chain_of_three_thousand(tmp_path):
    assert problems(tmp_path, *chain(3_000)) == ["holds 3,000 gates; up to 1,000 are read: split the file"]


@pytest.mark.parametrize("turn", [list, lambda gates: gates[::-1]])
def test_a_deep_chain_in_either_order(tmp_path, turn):
    lines = {list: 902}
    found = problems(tmp_path, *turn(chain(900)))
    assert found == [f"line {lines.get(turn, 3)}: gate g899: has 899 gates above it; up to 49 are read"]


def test_a_circle_of_many(tmp_path):
    gates = [rectangle(f"g{i}", parent=f"g{(i + 1) % 900}") for i in range(900)]
    names = " > ".join(f"g{i}" for i in range(10))
    assert problems(tmp_path, *gates) == [f"line 3: gates rest on each other in a circle: {names} > …"]


def test_the_deepest_chain_that_is_read(tmp_path):
    strategy = read_strategy(write(tmp_path, *chain(limits.DEEPEST)))
    assert len(strategy.populations) == limits.DEEPEST
    deepest = f"has {limits.DEEPEST} gates above it; up to {limits.DEEPEST - 1} are read"
    assert problems(tmp_path, *chain(limits.DEEPEST + 1)) == [f"line 53: gate g50: {deepest}"]


def test_a_quadrant_counts_twice_in_depth(tmp_path):
    """FlowKit's tree has the set and the quadrant."""
    quadrant = quadrants("Q", [divider("q", "X", 1)], {"Q1": {"q": 1}}, parent="g47")
    assert len(read_strategy(write(tmp_path, *chain(48), quadrant)).populations) == 49
    (problem,) = problems(tmp_path, *chain(48), quadrant, rectangle("last", parent="Q1"))
    assert problem == "line 52: gate last: has 50 gates above it; up to 49 are read"


def test_quadrants_count_as_gates(tmp_path):
    parts = {f"Q{i}": {"q": 1} for i in range(limits.MOST_GATES)}
    found = problems(tmp_path, quadrants("Q", [divider("q", "X", 1)], parts))
    assert found == ["holds 1,001 gates; up to 1,000 are read: split the file"]


def test_many_references_of_boolean_gates(tmp_path):
    names = [f"g{i}" for i in range(400)]
    gates = [*map(rectangle, names), *(boolean(f"b{i}", "or", *names) for i in range(4))]
    assert problems(tmp_path, *gates) == [
        "has 1,600 references of boolean gates among 404 gates; up to 1,485 are read",
    ]
    assert len(read_strategy(write(tmp_path, *gates[:60], boolean("b", "or", *names[:60]))).populations) == 61


def test_many_vertices(tmp_path):
    corners = [(i % 7, i * i % 11) for i in range(50_000)]
    assert problems(tmp_path, polygon("A", corners)) == [
        "holds 150,006 elements; up to 150,000 are read: split the file"
    ]


def test_many_dividers(tmp_path):
    found = problems(tmp_path, quadrants("Q", [divider("q", "X", *range(101))], {"Q1": {"q": 1}}))
    assert found == ["gate Q: has 101 dividing values; up to 100 are read"]


def test_many_elements_of_other_programs(tmp_path):
    note = "<d:custom_info>" + "<a/>" * 1_000_000 + "</d:custom_info>"
    assert problems(tmp_path, note, rectangle("A")) == ["holds more than 1,000,000 elements: split the file"]
    note = "<d:custom_info>" + "<a/>" * 300_000 + "</d:custom_info>"
    assert len(read_strategy(write(tmp_path, note, rectangle("A"))).populations) == 1


def test_a_problem_in_every_gate(tmp_path):
    """Names like the one that is missing are looked for in a few problems only."""
    found = problems(tmp_path, *[rectangle(f"g{i}", axis("X", 1, transform="t"), parent=f"h{i}") for i in range(900)])
    assert found[0] == "line 3: gate g0: parent h0 is not defined"
    assert found[-1] == "and 1,700 more problems"


def test_names_of_many_letters(tmp_path):
    long = "g" * 100_000
    found = problems(tmp_path, rectangle(f"{long}1"), rectangle("A", parent=f"{long}2"))
    assert found == [f"line 4: gate A: parent {'g' * 80}… is not defined. Did you mean '{'g' * 80}'?"]
