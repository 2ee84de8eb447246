"""What FlowKit would drop, guess or could not apply is refused by name, with its line."""

import pytest
from gml_documents import (
    axis,
    boolean,
    divider,
    ellipsoid,
    gate,
    matrix,
    polygon,
    quadrants,
    ratio,
    rectangle,
    transform,
    write,
)

from nti7flow.errors import StrategyError
from nti7flow.interop.strategies import read_strategy

LINEAR = transform("L", "flin", T=1000, A=0)
RATIO = ratio("R", "X", "Y")
SPECTRA = matrix("M", ("FITC", "PE"), ("X", "Y"), ((1, 0.5), (0, 1)))
QUADRANTS = quadrants("Q", [divider("q", "X", 1)], {"Q1": {"q": 1}})
CORNERS = ((0, 0), (1, 0), (1, 1))
ROUND = ((1, 0), (0, 1))
QUADRANT = '<g:Quadrant g:id="Q1"><g:position g:divider_ref="q" g:location="1"/></g:Quadrant>'
SELF = '<g:gateReference g:ref="A"/>'


def problems(tmp_path, *parts):
    with pytest.raises(StrategyError) as refusal:
        read_strategy(write(tmp_path, *parts))
    return list(refusal.value.problems)


#: Parts of a document, and what is wrong with it; A to C are its gates.
ELEMENTS = {
    "an unknown gate": (
        ['<g:CircleGate g:id="A"/>', rectangle("B")],
        ["line 3: gate A: CircleGate is no element of Gating-ML 2.0 in Gating-ML"],
    ),
    "a gate in an element of others": (
        ['<a:sample xmlns:a="urn:a">' + rectangle("A") + rectangle("B") + "</a:sample>", rectangle("C")],
        ["line 3: element sample does not belong in Gating-ML; 2 gates in it would be dropped"],
    ),
    "a gate in a gate": (
        [rectangle("A", axis(), rectangle("B"))],
        ["line 3: gate A: gate B stands in RectangleGate, where it would be dropped"],
    ),
    "a gate of another namespace": (
        ['<RectangleGate xmlns="urn:a" g:id="A"/>', rectangle("B")],
        ["line 3: gate A: RectangleGate is no element of Gating-ML 2.0 in Gating-ML"],
    ),
    "XInclude": (
        ['<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="gates.xml"/>', rectangle("A")],
        ["line 3: element include does not belong in Gating-ML"],
    ),
    "text": ([rectangle("A") + "words"], ["line 2: Gating-ML has text, where Gating-ML 2.0 has none"]),
    "no gates": (["<d:custom_info>none</d:custom_info>", LINEAR], ["line 2: there are no gates"]),
    "a parent without its prefix": (
        [rectangle("A"), rectangle("B", more=' parent_id="A"')],
        ["line 4: gate B: attribute parent_id of RectangleGate has no prefix, and would be dropped"],
    ),
    "an attribute of nobody": (
        [rectangle("A", more=' g:parent-id="A" g:colour="red"')],
        ["line 3: gate A: RectangleGate has attributes that are not of Gating-ML 2.0: colour, parent-id"],
    ),
    "FlowJo's complement": (
        [rectangle("A", more=' eventsInside="0"')],
        ["line 3: gate A: RectangleGate has attributes that are not of Gating-ML 2.0: eventsInside"],
    ),
    "another type": (
        [rectangle("A", more=' xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:type="g:PolygonGate_Type"')],
        ["line 3: gate A: RectangleGate has attributes that are not of Gating-ML 2.0: type"],
    ),
    "elements in another order": (
        [gate("QuadrantGate", "Q", QUADRANT + divider("q", "X", 1))],
        ["line 3: is not valid Gating-ML 2.0"],
    ),
}
IDS = {
    "two gates": ([rectangle("A"), rectangle("A")], ["line 4: gate A: line 3 has this id too"]),
    "a gate and a transform": (
        [transform("A", "flin", T=1, A=0), rectangle("A")],
        ["line 4: gate A: line 3 has this id too"],
    ),
    "two quadrants": (
        [QUADRANTS, quadrants("P", [divider("p", "X", 1)], {"Q1": {"p": 1}})],
        ["line 4: quadrant Q1: line 3 has this id too"],
    ),
    "two dividers": (
        [quadrants("Q", [divider("q", "X", 1), divider("q", "Y", 1)], {"Q1": {"q": 1}})],
        ["line 3: divider q: line 3 has this id too"],
    ),
    "two transforms": ([LINEAR, LINEAR, rectangle("A")], ["line 4: transform L: line 3 has this id too"]),
    "two matrices": ([SPECTRA, SPECTRA, rectangle("A")], ["line 4: matrix M: line 3 has this id too"]),
    "none": ([rectangle(None)], ["line 3: gate (no id): RectangleGate has no id"]),
    "no name": (
        [rectangle("CD4 T cells")],
        ["line 3: gate CD4 T cells: an id has letters, digits, '.', '-' and '_', and begins with a letter"],
    ),
    "a digit first": (
        [rectangle("4CD")],
        ["line 3: gate 4CD: an id has letters, digits, '.', '-' and '_', and begins with a letter"],
    ),
    "root": ([rectangle("root")], ["line 3: gate root: FlowKit calls all events so; give another id"]),
}
TRANSFORMS = {
    "not defined": (
        [rectangle("A", axis(transform="logicle1"))],
        ["line 3: gate A: transform logicle1 is not defined"],
    ),
    "nearly": (
        [transform("logicle1", "flin", T=1, A=0), rectangle("A", axis(transform="logicle"))],
        ["line 4: gate A: transform logicle is not defined. Did you mean 'logicle1'?"],
    ),
    "unknown kind": (
        ['<t:transformation t:id="L"><t:biex t:T="1"/></t:transformation>', rectangle("A", axis(transform="L"))],
        ["line 3: transform L: element biex does not belong in transformation"],
    ),
    "two kinds": (
        [LINEAR.replace("</t:transformation>", '<t:flog t:T="1" t:M="1"/></t:transformation>'), rectangle("A")],
        [
            "line 3: transform L: transformation needs exactly one of fasinh, flin, flog, fratio, hyperlog, logicle; "
            "found 2"
        ],
    ),
    "a parameter missing": ([transform("L", "flin", T=1), rectangle("A")], ["line 3: transform L: flin has no A"]),
    "not a number": (
        [transform("L", "flin", T="NaN", A=0), rectangle("A")],
        ["line 3: transform L: T of flin is no finite number"],
    ),
    "infinite": (
        [transform("L", "flin", T="INF", A="1e999"), rectangle("A")],
        ["line 3: transform L: A of flin is no finite number", "line 3: transform L: T of flin is no finite number"],
    ),
    "impossible": (
        [transform("L", "flog", T=-1, M=4), rectangle("A")],
        ["line 3: transform L: log transform needs t > 0 and m > 0, found t=-1.0, m=4.0"],
    ),
    "bounded": (
        [LINEAR.replace("t:id", 't:boundMax="1" t:id'), rectangle("A")],
        ["line 3: transform L: FlowKit ignores boundMax; remove it"],
    ),
    "a ratio as a scale": (
        [RATIO, rectangle("A", axis(transform="R"))],
        ["line 4: gate A: transform R is a ratio, and scales no channel"],
    ),
    "a scale as a ratio": (
        [LINEAR, rectangle("A", axis(ratio="L"))],
        ["line 4: gate A: transform L is no ratio, and makes no new dimension"],
    ),
    "no ratio": ([rectangle("A", axis(ratio="R"))], ["line 3: gate A: ratio R is not defined"]),
    "a ratio of three": (
        [ratio("R", "X", "Y", "Z"), rectangle("A")],
        ["line 3: transform R: a ratio is of two channels, found 3"],
    ),
    "a ratio of nothing": (
        [ratio("R", "X", ""), rectangle("A")],
        ["line 3: transform R: the name of a channel is empty"],
    ),
    "a compensated ratio": (
        [RATIO, rectangle("A", axis(ratio="R", compensation="FCS"))],
        ["line 4: gate A: FlowKit takes ratios of raw values; set compensation-ref to uncompensated"],
    ),
    "a divider on a ratio": (
        [RATIO, QUADRANTS.replace('<d:fcs-dimension d:name="X"/>', '<d:new-dimension d:transformation-ref="R"/>')],
        ["line 4: gate Q: FlowKit has no dividers on a ratio; use rectangle gates"],
    ),
}
COMPENSATION = {
    "a matrix that is not there": (
        [rectangle("A", axis(compensation="M"))],
        ["line 3: gate A: matrix M is not defined"],
    ),
    "not said": ([rectangle("A", axis(compensation=None))], ["line 3: gate A: dimension has no compensation-ref"]),
    "empty": (
        [rectangle("A", axis(compensation=""))],
        ["line 3: gate A: compensation-ref is empty; say uncompensated, FCS or a matrix"],
    ),
    "two in one gate": (
        [SPECTRA, rectangle("A", axis("X", compensation="M"), axis("Z", compensation="FCS"))],
        ["line 4: gate A: is compensated by FCS and M; FlowKit takes one matrix for a gate: split it"],
    ),
    "a raw channel of the matrix": (
        [SPECTRA, rectangle("A", axis("X", compensation="M"), axis("Y"))],
        [
            "line 4: gate A: Y is uncompensated, but another dimension is not, and FlowKit would compensate both; "
            "split the gate"
        ],
    ),
    "a raw channel beside the matrix in the file": (
        [polygon("A", CORNERS, axis("FL1-H", compensation="FCS"), axis("FL2-H"))],
        [
            "line 3: gate A: FL2-H is uncompensated, but another dimension is not, and FlowKit would compensate both; "
            "split the gate"
        ],
    ),
    "a dye that is a detector too": (
        [matrix("M", ("Y", "Z"), ("X", "Y"), ROUND), rectangle("A", axis("Y", 1, compensation="M"))],
        ["line 4: gate A: Y could be a dye or a detector of matrix M: rename the dye"],
    ),
    "a dye and its detector": (
        [SPECTRA, rectangle("A", axis("X", 1, compensation="M"), axis("FITC", 1, compensation="M"))],
        ["line 4: gate A: X is on two axes, and FlowKit would scale it twice"],
    ),
    "not square": (
        [matrix("M", ("a", "b"), ("X", "Y", "Z"), ((1, 0, 0), (0, 1, 0))), rectangle("A")],
        ["line 3: matrix M: 2 dyes in 3 detectors; FlowKit takes square matrices only"],
    ),
    "a spectrum missing": (
        [matrix("M", ("a", "b"), ("X", "Y"), ROUND[:1]), rectangle("A")],
        ["line 3: matrix M: 1 spectra for 2 dyes"],
    ),
    "a coefficient missing": (
        [matrix("M", ("a", "b"), ("X", "Y"), ((1, 0), (0,))), rectangle("A")],
        ["line 3: matrix M: a spectrum of 1 coefficients for 2 detectors"],
    ),
    "not a number": (
        [matrix("M", ("a", "b"), ("X", "Y"), ((1, "NaN"), (0, 1))), rectangle("A")],
        ["line 3: matrix M: value of coefficient is no finite number"],
    ),
    "names twice": (
        [matrix("M", ("a", "a"), ("X", "X"), ROUND), rectangle("A")],
        ["line 3: matrix M: detector X stands twice", "line 3: matrix M: dye a stands twice"],
    ),
    "called as none": (
        [matrix("Fcs", ("a", "b"), ("X", "Y"), ROUND), rectangle("A")],
        ["line 3: matrix Fcs: this id means no matrix, or the one in the FCS file; give another"],
    ),
    "inverted already": (
        [matrix("M", ("a", "b"), ("X", "Y"), ROUND, more=' t:matrix-inverted-already="1"'), rectangle("A")],
        ["line 3: matrix M: FlowKit ignores that it is inverted already; write the spectra themselves"],
    ),
}
GEOMETRY = {
    "no channel": (
        [rectangle("A", axis().replace(' d:name="X"', ""))],
        ["line 3: gate A: fcs-dimension has no name"],
    ),
    "an empty channel": ([rectangle("A", axis(" "))], ["line 3: gate A: the name of a channel is empty"]),
    "two channels": (
        [rectangle("A", axis(inside='<d:fcs-dimension d:name="Y"/>'))],
        ["line 3: gate A: dimension needs exactly one of fcs-dimension, new-dimension; found 2"],
    ),
    "a channel twice": (
        [rectangle("A", axis("X", 1), axis("X", high=2))],
        ["line 3: gate A: X is on two axes, and FlowKit would scale it twice"],
    ),
    "not a number": (
        [rectangle("A", axis("X", "NaN", 1))],
        ["line 3: gate A: min of dimension is no finite number"],
    ),
    "words": ([rectangle("A", axis("X", 1, "two"))], ["line 3: gate A: max of dimension is no finite number"]),
    "a number of Python": (
        [rectangle("A", axis("X", "1_000"))],
        ["line 3: gate A: min of dimension is no finite number"],
    ),
    "nothing above infinity": (
        [rectangle("A", axis("X", "INF"))],
        ["line 3: gate A: min of dimension is no finite number"],
    ),
    "reversed": ([rectangle("A", axis("X", 2, 1))], ["line 3: gate A: min 2 is not below max 1"]),
    "equal": ([rectangle("A", axis("X", 1, 1.0))], ["line 3: gate A: min 1 is not below max 1"]),
    "no dimension": ([gate("RectangleGate", "A", "")], ["line 3: gate A: has no dimension"]),
    "a polygon of a line": (
        [polygon("A", CORNERS, axis("X"))],
        ["line 3: gate A: a polygon needs two dimensions, found 1"],
    ),
    "a polygon in space": (
        [polygon("A", CORNERS, axis("X"), axis("Y"), axis("Z"))],
        ["line 3: gate A: a polygon needs two dimensions, found 3"],
    ),
    "two vertices": (
        [polygon("A", CORNERS[:2])],
        ["line 3: gate A: a polygon needs three vertices or more, found 2"],
    ),
    "a vertex that is no number": (
        [polygon("A", ((0, 0), (1, "NaN"), (1, 1)))],
        ["line 3: gate A: value of coordinate is no finite number"],
    ),
    "a vertex of three": (
        [polygon("A", ((0, 0, 0), (1, 0), (1, 1)))],
        ["line 3: gate A: a vertex needs two coordinates, found 3"],
    ),
    "a polygon with bounds": (
        [polygon("A", CORNERS, axis("X", 1), axis("Y"))],
        ["line 3: gate A: only rectangles have min and max; they would be dropped"],
    ),
    "not positive definite": (
        [ellipsoid("A", (0, 0), ((1, 2), (2, 1)), 1)],
        ["line 3: gate A: the covariance matrix of an ellipsoid gate is not positive definite"],
    ),
    "a covariance of another size": (
        [ellipsoid("A", (0, 0), ((1, 0),), 1)],
        [
            "line 3: gate A: an ellipsoid gate needs two or more dimensions, a mean and a row of covariance for each",
        ],
    ),
    "a covariance that is no number": (
        [ellipsoid("A", (0, 0), ((1, "INF"), (0, 1)), 1)],
        ["line 3: gate A: value of entry is no finite number"],
    ),
    "an ellipsoid of a line": (
        [ellipsoid("A", (0,), ((1,),), 1, axis("X"))],
        [
            "line 3: gate A: an ellipsoid gate needs two or more dimensions, a mean and a row of covariance for each",
        ],
    ),
    "a distance of 0": (
        [ellipsoid("A", (0, 0), ROUND, 0)],
        ["line 3: gate A: the distance square of an ellipsoid gate must be above 0, found 0.0"],
    ),
    "no distance": (
        [ellipsoid("A", (0, 0), ROUND, None)],
        ["line 3: gate A: EllipsoidGate needs exactly one of distanceSquare; found 0"],
    ),
    "a divider without values": (
        [quadrants("Q", [divider("q", "X")], {"Q1": {"q": 1}})],
        ["line 3: gate Q: divider q: has no value"],
    ),
    "a divider twice at one place": (
        [quadrants("Q", [divider("q", "X", 1, "1.0")], {"Q1": {"q": 1}})],
        ["line 3: gate Q: divider q: has a value twice"],
    ),
    "a divider that is no number": (
        [quadrants("Q", [divider("q", "X", "NaN")], {"Q1": {"q": 1}})],
        ["line 3: gate Q: divider q: a value is no finite number"],
    ),
    "two dividers of a channel": (
        [quadrants("Q", [divider("q", "X", 1), divider("p", "X", 2)], {"Q1": {"q": 1, "p": 1}})],
        ["line 3: gate Q: X is on two axes, and FlowKit would scale it twice"],
    ),
    "no divider": (
        [quadrants("Q", [], {"Q1": {"q": 1}})],
        ["line 3: gate Q: has no divider", "line 3: gate Q: quadrant Q1: the gate has no divider q"],
    ),
    "no quadrant": ([quadrants("Q", [divider("q", "X", 1)], {})], ["line 3: gate Q: has no quadrant"]),
    "a quadrant anywhere": (
        [quadrants("Q", [divider("q", "X", 1)], {"Q1": {}})],
        ["line 3: gate Q: quadrant Q1: has no position"],
    ),
    "a position on another divider": (
        [quadrants("Q", [divider("q", "X", 1)], {"Q1": {"p": 1}})],
        ["line 3: gate Q: quadrant Q1: the gate has no divider p"],
    ),
    "two positions on a divider": (
        [QUADRANTS.replace("</g:Quadrant>", '<g:position g:divider_ref="q" g:location="0"/></g:Quadrant>')],
        ["line 3: gate Q: quadrant Q1: has two positions on divider q"],
    ),
    "a position that is no number": (
        [quadrants("Q", [divider("q", "X", 1)], {"Q1": {"q": "NaN"}})],
        ["line 3: gate Q: quadrant Q1: location of position is no finite number"],
    ),
}
TREE = {
    "no such parent": ([rectangle("A", parent="B")], ["line 3: gate A: parent B is not defined"]),
    "a set as parent": (
        [QUADRANTS, rectangle("A", parent="Q")],
        ["line 4: gate A: parent Q is a set of quadrants; name one of its quadrants"],
    ),
    "a set as operand": (
        [QUADRANTS, boolean("A", "not", "Q")],
        ["line 4: gate A: operand Q is a set of quadrants; name one of its quadrants"],
    ),
    "its own parent": ([rectangle("A", parent="A")], ["line 3: gates rest on each other in a circle: A > A"]),
    "a circle of parents": (
        [rectangle("A", parent="C"), rectangle("B", parent="A"), rectangle("C", parent="B")],
        ["line 3: gates rest on each other in a circle: A > C > B > A"],
    ),
    "a circle through a quadrant": (
        [quadrants("Q", [divider("q", "X", 1)], {"Q1": {"q": 1}}, parent="A"), rectangle("A", parent="Q1")],
        ["line 3: gates rest on each other in a circle: Q1 > Q > A > Q1"],
    ),
    "a circle of operands": (
        [rectangle("A"), boolean("B", "not", "C"), boolean("C", "and", "A", "B")],
        ["line 4: gates rest on each other in a circle: B > C > B"],
    ),
    "an operand gated from it": (
        [boolean("A", "not", "B"), rectangle("B", parent="A")],
        ["line 3: gates rest on each other in a circle: A > B > A"],
    ),
    "no such operand": (
        [rectangle("A"), boolean("B", "and", "A", "C")],
        ["line 4: gate B: operand C is not defined"],
    ),
    "its parent as operand": (
        [rectangle("A"), rectangle("B"), boolean("C", "and", "A", "B", parent="A")],
        ["line 5: gate C: combines its own parent A, which FlowKit cannot; leave one out"],
    ),
    "no operation": (
        [gate("BooleanGate", "A", "")],
        ["line 3: gate A: BooleanGate needs exactly one of and, not, or; found 0"],
    ),
    "two operations": (
        [rectangle("A"), gate("BooleanGate", "B", f"<g:not>{SELF}</g:not><g:and>{SELF}{SELF}</g:and>")],
        ["line 4: gate B: BooleanGate needs exactly one of and, not, or; found 2"],
    ),
    "an operation that is none": (
        [rectangle("A"), boolean("B", "xor", "A", "A")],
        ["line 4: gate B: element xor does not belong in BooleanGate"],
    ),
    "not of two": (
        [rectangle("A"), rectangle("B"), boolean("C", "not", "A", "B")],
        ["line 5: gate C: 'not' takes one population, found 2"],
    ),
    "and of one": (
        [rectangle("A"), boolean("B", "and", "A")],
        ["line 4: gate B: 'and' takes two populations or more, found 1"],
    ),
    "a complement that is neither": (
        [rectangle("A"), boolean("B", "not", ("A", "True"))],
        ["line 4: gate B: use-as-complement is neither true nor false"],
    ),
}


@pytest.mark.parametrize(("parts", "expected"), ELEMENTS.values(), ids=ELEMENTS)
def test_elements_and_attributes(tmp_path, parts, expected):
    assert problems(tmp_path, *parts) == expected


@pytest.mark.parametrize(("parts", "expected"), IDS.values(), ids=IDS)
def test_ids(tmp_path, parts, expected):
    assert problems(tmp_path, *parts) == expected


@pytest.mark.parametrize(("parts", "expected"), TRANSFORMS.values(), ids=TRANSFORMS)
def test_transforms_and_ratios(tmp_path, parts, expected):
    assert problems(tmp_path, *parts) == expected


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        ("flin", {"T": 0, "A": 0}),
        ("flog", {"T": 10, "M": 0}),
        ("fasinh", {"T": 10, "M": 4, "A": 5}),
        ("logicle", {"T": 1000, "W": 3, "M": 4, "A": 0}),
        ("logicle", {"T": 1000, "W": 0.5, "M": 4, "A": 4}),
        ("hyperlog", {"T": 1000, "W": 0, "M": 4, "A": 0}),
        ("hyperlog", {"T": 1000, "W": 0.5, "M": 4, "A": -1}),
    ],
)
def test_parameters_that_the_standard_does_not_allow(tmp_path, kind, numbers):
    (problem,) = problems(tmp_path, transform("L", kind, **numbers), rectangle("A"))
    assert problem.startswith("line 3: transform L: ")
    assert "transform needs t > 0" in problem


@pytest.mark.parametrize(("parts", "expected"), COMPENSATION.values(), ids=COMPENSATION)
def test_compensation(tmp_path, parts, expected):
    assert problems(tmp_path, *parts) == expected


def test_a_singular_matrix(tmp_path):
    (problem,) = problems(tmp_path, matrix("M", ("a", "b"), ("X", "Y"), ((1, 1), (1, 1))), rectangle("A"))
    assert problem.startswith("line 3: matrix M: ")
    assert "the matrix is singular" in problem


@pytest.mark.parametrize(("parts", "expected"), GEOMETRY.values(), ids=GEOMETRY)
def test_geometry(tmp_path, parts, expected):
    assert problems(tmp_path, *parts) == expected


@pytest.mark.parametrize(("parts", "expected"), TREE.values(), ids=TREE)
def test_parents_and_operands(tmp_path, parts, expected):
    assert problems(tmp_path, *parts) == expected


def test_all_problems_stand_in_one_listing_in_the_order_of_the_file(tmp_path):
    parts = [
        rectangle("A", axis("X", 2, 1), axis("", transform="t")),
        transform("L", "flog", T=1, M="x"),
        boolean("B", "and", "A", "nobody", parent="nothing"),
    ]
    path = write(tmp_path, *parts)
    with pytest.raises(StrategyError) as refusal:
        read_strategy(path)
    assert str(refusal.value).splitlines() == [
        f"{path}: line 3: gate A: min 2 is not below max 1",
        f"{path}: line 3: gate A: the name of a channel is empty",
        f"{path}: line 3: gate A: transform t is not defined",
        f"{path}: line 4: transform L: M of flog is no finite number",
        f"{path}: line 5: gate B: operand nobody is not defined",
        f"{path}: line 5: gate B: parent nothing is not defined",
    ]


def test_a_long_listing_is_cut(tmp_path):
    found = problems(tmp_path, *[rectangle(f"g{i}", axis("X", 2, 1)) for i in range(150)])
    assert found[99:] == ["line 102: gate g99: min 2 is not below max 1", "and 50 more problems"]


def test_names_in_messages_cannot_steer_a_terminal_and_are_cut(tmp_path):
    (problem,) = problems(tmp_path, rectangle("A", axis("X", 1, transform="\x9b2J" + "a" * 5000)))
    assert problem == rf"line 3: gate A: transform \x9b2J{'a' * 77}… is not defined"


def test_problems_past_the_last_line_that_libxml2_counts(tmp_path):
    (problem,) = problems(tmp_path, "\n" * 70_000 + rectangle("A", axis("X", 2, 1)))
    assert problem == "after line 65534: gate A: min 2 is not below max 1"


def test_the_documents_of_these_tests_are_valid_but_for_what_is_wrong(tmp_path):
    whole = [LINEAR, RATIO, SPECTRA, QUADRANTS, rectangle("A"), polygon("B", CORNERS), ellipsoid("C", (0, 0), ROUND, 1)]
    strategy = read_strategy(
        write(tmp_path, *whole, boolean("D", "and", "A", ("B", "true")), boolean("E", "not", "Q1"))
    )
    assert [p.id for p in strategy.populations] == ["A", "B", "C", "Q1", "D", "E"]
