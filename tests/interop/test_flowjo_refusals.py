"""What FlowKit would drop, guess or could not apply in a FlowJo workspace is refused, by name and line."""

import subprocess
import sys

import pytest
import wsp_documents as wsp

from nti7flow.errors import StrategyError
from nti7flow.interop.flowjo.document import through_flowkit
from nti7flow.interop.flowjo.gates import Axis, FlowJoGate
from nti7flow.interop.flowjo.scales import Scale
from nti7flow.interop.flowjo.workspace import read_workspace
from nti7flow.interop.xml import parse_bytes

SCALES = [wsp.linear("FSC-A"), wsp.linear("SSC-A"), wsp.linear("Dragged", 500, 9000), wsp.linear("Gained", 0, 100, 2)]
SCALES += [wsp.biex("B1-A"), wsp.biex("Comp-B1-A"), wsp.log("R1-A"), wsp.log("Comp-R1-A")]
BOX = wsp.rectangle({"FSC-A": (50_000, 200_000)})
FOCI, EDGE = [(100, 128), (156, 128)], [(60, 128), (196, 128), (128, 70), (128, 186)]
TRIANGLE = [(0, 0), (10, 0), (0, 10)]
SPILL = [[1, 0.1], [0.2, 1]]
MATRIX = wsp.matrix(["B1-A", "R1-A"], SPILL)


def read(document):
    return read_workspace("made.wsp", parse_bytes(document, "made.wsp"))


def problems(*populations, scales=SCALES, **parts):
    """What is listed of a sample with these gates; and the document."""
    document = wsp.workspace(wsp.SampleText("a.fcs", populations, scales, **parts))
    workspace = read(document)
    with pytest.raises(StrategyError) as error:
        workspace.strategy("a.fcs")
    assert error.value.path == "made.wsp: sample a.fcs"
    return error.value.problems, document


GATES = {
    "curly": (wsp.gate("CurlyQuad", wsp.dimension("FSC-A")), "gates of kind CurlyQuad are not known to FlowKit"),
    "quadrants": (wsp.gate("QuadrantGate", ""), "gates of kind QuadrantGate are not known to FlowKit"),
    "ranges": (wsp.gate("RangeGate", ""), "gates of kind RangeGate are not known to FlowKit"),
    "two": (BOX + BOX, "it has 2 gates; one was expected"),
    "none": ("", "it has 0 gates; one was expected"),
    "no dimensions": (wsp.gate("RectangleGate", ""), "it has no dimensions"),
    "derived": (
        wsp.gate("RectangleGate", "<gating:dimension gating:min='1'><data-type:new-dimension/></gating:dimension>"),
        "a dimension names no channel of the file, or several",
    ),
    "no scale": (wsp.rectangle({"V9-A": (1, 2)}), "channel V9-A has no transformation in the sample"),
    "complement": (wsp.rectangle({"FSC-A": (1, 2)}, inside=2), "eventsInside is 2; 0 or 1 was expected"),
    "complement of words": (wsp.rectangle({"FSC-A": (1, 2)}, inside="true"), "eventsInside is true"),
    "reversed": (wsp.rectangle({"FSC-A": (2, 1)}), "on FSC-A: lower bound 2 is not below upper bound 1"),
    "no width": (wsp.rectangle({"SSC-A": (None, 9), "FSC-A": (2, 2)}), "on FSC-A: lower bound 2 is not below"),
    "NaN": (wsp.rectangle({"FSC-A": ("NaN", 1)}), "its min is not a finite number"),
    "infinite": (wsp.rectangle({"FSC-A": (0, "Infinity")}), "its max is not a finite number"),
    "too large": (wsp.rectangle({"FSC-A": (0, "1e999")}), "its max is not a finite number"),
    "no number": (wsp.rectangle({"FSC-A": (0, "1_000")}), "its max is not a finite number"),
    "off scale": (wsp.rectangle({"B1-A": (300_000, 400_000)}), "on B1-A: the scale has no room between 300000 and"),
    "below the log": (wsp.rectangle({"R1-A": (-5, 2)}), "on R1-A: the scale has no room between -5 and 2"),
    "same axes": (wsp.polygon("FSC-A", "FSC-A", TRIANGLE), "two dimensions are FSC-A"),
    "two vertices": (wsp.polygon("FSC-A", "SSC-A", TRIANGLE[:2]), "a polygon needs three vertices, found 2"),
    "short vertex": (wsp.polygon("FSC-A", "SSC-A", [*TRIANGLE, (1,)]), "a vertex has 1 coordinates; 2 were expected"),
    "odd vertex": (wsp.polygon("FSC-A", "SSC-A", [*TRIANGLE, (1, "x")]), "its value is not a finite number"),
    "one axis": (wsp.gate("PolygonGate", wsp.dimension("FSC-A")), "it has 1 dimensions; 2 were expected"),
    "circle": (
        wsp.ellipse("FSC-A", "SSC-A", (9, 9), (5, 5)),
        "its foci are the same point, and FlowKit takes no circles",
    ),
    "one focus": (wsp.ellipse_of("FSC-A", "SSC-A", FOCI[:1], EDGE), "needs 2 foci and 4 edge points, found 1 and 4"),
    "three ends": (wsp.ellipse_of("FSC-A", "SSC-A", FOCI, EDGE[:3]), "needs 2 foci and 4 edge points, found 2 and 3"),
    "ends swapped": (wsp.ellipse_of("FSC-A", "SSC-A", FOCI, EDGE[2:] + EDGE[:2]), "are not the ends of its axes"),
    "foci outside": (wsp.ellipse_of("FSC-A", "SSC-A", [(0, 128), (256, 128)], EDGE), "are not the ends of its axes"),
    "dragged ellipse": (wsp.ellipse("FSC-A", "Dragged", (9, 9), (5, 4)), "an ellipse on Dragged, whose linear scale"),
    "gained ellipse": (wsp.ellipse("Gained", "FSC-A", (9, 9), (5, 4)), "an ellipse on Gained, whose linear scale"),
    "references": (
        wsp.rectangle({"FSC-A": (1, 2)}).replace(
            "<gating:dimension", "<gating:dimension gating:transformation-ref='l'"
        ),
        "a dimension has a transformation-ref, which FlowKit drops",
    ),
}


@pytest.mark.parametrize("case", GATES)
def test_gates_are_refused_by_name(case):
    gate, why = GATES[case]
    found, document = problems(wsp.population("good", BOX, wsp.population("CD4", gate)))
    (problem,) = found
    assert problem.startswith(f"line {wsp.line_of(document, 'CD4')}: gate good/CD4: ")
    assert why in problem


def combined(kind, *dependents):
    return wsp.boolean(kind, "node", dependents)


TREES = {
    "nothing": ([combined("AndNode")], "gate node: it combines no populations"),
    "missing": ([combined("OrNode", "a", "a/b")], "gate node: it rests on a/b, which the sample does not have"),
    "two negated": ([combined("NotNode", "a", "c")], "gate node: 'not' takes one population, found 2"),
    "itself": ([combined("OrNode", "a", "node")], "gates rest on each other in a circle: node > node"),
    "own child": (
        [wsp.boolean("OrNode", "node", ["node/x"], wsp.population("x", BOX))],
        "gates rest on each other in a circle: node > node/x > node",
    ),
    "each other": (
        [combined("NotNode", "other"), wsp.boolean("NotNode", "other", ["node"])],
        "gates rest on each other in a circle: node > other > node",
    ),
    "twins": ([wsp.population("node", BOX), wsp.population("node", BOX)], "gate node: stands twice below its parent"),
    "twins of kinds": ([combined("AndNode", "a"), wsp.population("node", BOX)], "gate node: stands twice below"),
    "slash": ([wsp.population("CD4/CD8", BOX)], "gate CD4/CD8: a population needs a name"),
    "dot": ([wsp.population(".", BOX)], "gate .: a population needs a name"),
    "dots": ([wsp.population("..", BOX)], "gate ..: a population needs a name"),
    "empty": ([wsp.population("", BOX)], "gate : a population needs a name"),
    "nameless": ([wsp.population(None, BOX)], "gate : a population needs a name"),
    "script": (
        ["<ScriptNode name='s'/>"],
        "ScriptNode s: a population, or gates in a place, that FlowKit does not read",
    ),
    "counted": (["<Unknown name='u' count='5'/>"], "Unknown u: a population, or gates in a place"),
    "plugin": (
        [f"<Unknown name='u'><Subpopulations>{wsp.population('p', BOX)}</Subpopulations></Unknown>"],
        "Unknown u:",
    ),
    "astray": (
        [wsp.population("p", BOX).replace("<Graph ", f"<Unknown><Gate>{BOX}</Gate></Unknown><Graph ")],
        "Unknown in p:",
    ),
}


@pytest.mark.parametrize("case", TREES)
def test_trees_are_refused_by_name(case):
    below, why = TREES[case]
    found, _ = problems(wsp.population("a", BOX), wsp.population("c", BOX), *below)
    (problem,) = found
    assert why in problem
    assert problem.startswith("line ")


SCALE_CASES = {
    "hyperlog": (wsp.scale("hyperlog", "FSC-A", T=1, W=1, M=4, A=0), "FlowKit does not know scales of kind hyperlog"),
    "miltenyi": (wsp.scale("miltenyi", "FSC-A"), "FlowKit does not know scales of kind miltenyi"),
    "arcsinh": (wsp.scale("arcsinh", "FSC-A"), "FlowKit does not know scales of kind arcsinh"),
    "long biex": (wsp.biex("FSC-A").replace('"256"', '"4096"'), "biex scales of length 256 only, found 4096"),
    "biex without length": (wsp.scale("biex", "FSC-A", maxRange=9, neg=0, width=-9, pos=4), "has no length"),
    "flat biex": (wsp.biex("FSC-A", width=0), "flowjo_biex transform needs width <= -1"),
    "log of nothing": (wsp.log("FSC-A", 0), "needs offset > 0"),
    "logicle": (wsp.logicle("FSC-A", w=5), "logicle"),
    "fasinh": (wsp.fasinh("FSC-A", t=-1), "arcsinh transform needs t > 0"),
    "no parameter": (wsp.scale("log", "FSC-A", decades=4), "has no offset"),
    "no number": (wsp.log("FSC-A", "secret"), "its offset is not a finite number"),
    "gain": (wsp.linear("FSC-A", gain=0), "its gain is 0"),
}


@pytest.mark.parametrize("case", SCALE_CASES)
def test_scales_of_gates_are_refused_by_name_and_listed_once(case):
    scale, why = SCALE_CASES[case]
    found, document = problems(wsp.population("a", BOX), wsp.population("b", BOX), scales=[scale])
    (problem,) = found
    assert problem.startswith(f"line {wsp.line_of(document, '<transforms:')}: transformation of FSC-A: ")
    assert why in problem
    assert "secret" not in problem


def test_scales_that_no_gate_needs_do_not_matter():
    others = [scale.replace("FSC-A", "other") for scale, _ in SCALE_CASES.values()]
    document = wsp.workspace(wsp.SampleText("a.fcs", [wsp.population("p", BOX)], [*SCALES, *others]))
    assert len(read(document).strategy("a.fcs").populations) == 1


def test_channel_with_two_scales_is_refused_where_they_differ():
    twice = [wsp.linear("FSC-A"), wsp.linear("FSC-A", 0, 1000)]
    (problem,), _ = problems(wsp.population("p", BOX), scales=twice)
    assert "channel FSC-A has several transformations; FlowKit takes the last" in problem
    document = wsp.workspace(wsp.SampleText("a.fcs", [wsp.population("p", BOX)], twice[:1] * 2))
    assert len(read(document).strategy("a.fcs").populations) == 1


MATRICES = {
    "two": (MATRIX + MATRIX, "matrix Acquisition-defined: one of 2 of the sample; FlowKit takes one"),
    "nameless": (wsp.matrix(["B1-A"], [[1]], name=None), "matrix without a name: FlowKit needs a name for it"),
    "reserved": (wsp.matrix(["B1-A"], [[1]], name="FCS"), "matrix FCS: FlowKit needs a name for it"),
    "singular": (wsp.matrix(["B1-A", "R1-A"], [[1, 1], [1, 1]]), "the matrix is singular"),
    "flat": (wsp.matrix(["B1-A", "R1-A"], [[1], [0]], columns=["B1-A"]), "do not all have the same detectors"),
    "wide": (wsp.matrix(["B1-A"], [[1, 0]], columns=["B1-A", "R1-A"]), "it is not square: 1 rows of 2"),
    "row missing": (
        wsp.matrix(["B1-A", "R1-A"], SPILL, rows=["B1-A", "V1-A"]),
        "its rows are not those of its parameters",
    ),
    "row twice": (
        wsp.matrix(["B1-A", "R1-A"], SPILL, rows=["B1-A", "B1-A"]),
        "its rows are not those of its parameters",
    ),
    "column twice": (wsp.matrix(["B1-A"], [[1, 0]], columns=["B1-A"] * 2), "a detector stands twice in a row"),
    "parameter twice": (
        wsp.matrix(["B1-A", "B1-A"], SPILL, rows=["B1-A", "R1-A"], columns=["B1-A", "R1-A"]),
        "its parameters have no names, or one",
    ),
    "no parameters": (wsp.matrix([], []), "its parameters have no names, or one stands twice"),
    "no number": (wsp.matrix(["B1-A"], [["NaN"]]), "its value is not a finite number"),
    "weighted": (wsp.matrix(["B1-A"], [[1]], spectral=1, method="WLS"), "by least squares (OLS) only, found WLS"),
    "spectral": (
        wsp.matrix(["B1-A", "R1-A"], [[1, 0, 2]] * 2, columns=["B1-A", "R1-A", "V1-A"], spectral=1),
        "the matrix is singular",
    ),
}


@pytest.mark.parametrize("case", MATRICES)
def test_matrices_are_refused_by_name(case):
    matrix, why = MATRICES[case]
    found, _ = problems(wsp.population("p", wsp.rectangle({"Comp-B1-A": (1, 2000)})), matrix=matrix)
    (problem,) = found
    assert problem.startswith("line ")
    assert why in problem


def test_all_problems_of_a_sample_are_in_one_listing():
    found, document = problems(
        wsp.population("a", wsp.gate("CurlyQuad", "")),
        wsp.population("b", wsp.rectangle({"FSC-A": (2, 1)}), wsp.population("..", BOX)),
        wsp.boolean("AndNode", "c", ["nothing"]),
        matrix=MATRIX + MATRIX,
    )
    assert [problem.split(": ")[1] for problem in found] == [
        "matrix Acquisition-defined",
        "gate b/..",
        "gate a",
        "gate b",
        "gate c",
    ]
    lines = [int(problem.split()[1].rstrip(":")) for problem in found]
    assert lines[2] == wsp.line_of(document, 'Population name="a"')
    assert lines[4] == wsp.line_of(document, "AndNode")


def test_names_are_cut_and_cannot_steer_a_terminal():
    (problem,), _ = problems(wsp.population("x\u202e" + "y" * 300, wsp.gate("CurlyQuad", "")))
    assert "\\u202e" in problem
    assert len(problem) < 250


def test_sample_needs_one_sample_node():
    document = wsp.workspace(wsp.SampleText("a.fcs", [wsp.population("p", BOX)], SCALES))
    begin, end = document.index(b"<SampleNode"), document.index(b"</Sample>")
    for node in (b"", document[begin:end] * 2):
        workspace = read(document[:begin] + node + document[end:])
        assert workspace.samples == ("a.fcs",)  # else by the file that it was opened from
        with pytest.raises(StrategyError, match=f"line 2: it has {2 * bool(node)} SampleNodes; one was expected"):
            workspace.strategy("a.fcs")


def test_sample_of_which_flowkit_reads_parts_that_are_not_needed():
    """FlowKit ends with an AttributeError without DataSet or Keywords; nothing of them decides what is inside."""
    text = wsp.workspace(wsp.SampleText("a.fcs", [wsp.population("p", BOX)], SCALES)).decode()
    begin, end = text.index("<DataSet"), text.index("/>", text.index("<DataSet")) + 2
    workspace = read((text[:begin] + text[end:]).replace("<Keywords></Keywords>", "").encode())
    assert len(workspace.strategy("a.fcs").populations) == 1


def test_stretched_time_needs_to_know_the_step():
    text = wsp.SampleText(
        "a.fcs", [wsp.population("p", wsp.rectangle({"Time": (1, 2)}))], [wsp.linear("Time", 0, 9, 0.5)]
    )
    with pytest.raises(StrategyError, match="FlowJo stretched time by a gain, and the sample has no Keywords"):
        read(wsp.workspace(text).replace(b"<Keywords></Keywords>", b"")).strategy("a.fcs")


def test_workspace_of_a_later_flowjo_is_read():
    assert read(wsp.workspace(wsp.SampleText("a.fcs")).replace(b'"10.8.1"', b'"11.0"')).samples == ("a.fcs",)


def test_workspace_without_samples_is_refused():
    with pytest.raises(StrategyError, match="is a workspace without samples"):
        read(wsp.workspace())


def test_what_holds_no_gates_of_samples_is_ignored():
    """Groups have gates, tables and layouts name populations, and scripts are scripts."""
    document = wsp.workspace(wsp.SampleText("a.fcs", [wsp.population("p", BOX)], SCALES))
    bad = wsp.population("g", wsp.gate("CurlyQuad", ""))
    with_group = document.replace(b"</Groups>", f"{wsp.group('g', [], bad)}</Groups>".encode())
    with_table = with_group.replace(b"<TableEditor/>", f"<TableEditor><Table>{bad}</Table></TableEditor>".encode())
    workspace = read(with_table)
    assert [p.id for p in workspace.strategy("a.fcs").populations] == ["p"]
    assert workspace.groups["g"] == ()


def test_large_trees_are_refused_at_once():
    many = [wsp.population(f"p{i}", BOX) for i in range(20_000)]
    (problem,), _ = problems(*many)
    assert "it has more than 5,000 gates" in problem


def test_deep_trees_are_refused():
    names = [f"p{i}" for i in range(101)]
    (problem,), _ = problems(wsp.chain(names, BOX))
    assert "it has gates more than 100 deep" in problem
    with pytest.raises(StrategyError, match="nested more than 256 deep"):
        read(wsp.workspace(wsp.SampleText("a.fcs", [wsp.chain([f"p{i}" for i in range(3000)], BOX)], SCALES)))


def test_tree_of_any_depth_is_refused_where_the_parser_takes_it():
    from lxml import etree

    document = wsp.workspace(wsp.SampleText("a.fcs", [wsp.chain([f"p{i}" for i in range(1000)], BOX)], SCALES))
    root = etree.fromstring(document, etree.XMLParser(huge_tree=True))
    with pytest.raises(StrategyError, match="it has gates more than 100 deep"):
        read_workspace("made.wsp", root).strategy("a.fcs")


def test_trees_up_to_the_limits_are_read():
    names = [f"p{i}" for i in range(100)]
    document = wsp.workspace(wsp.SampleText("a.fcs", [wsp.chain(names, BOX)], SCALES))
    strategy = read(document).strategy("a.fcs")
    assert [p.id for p in strategy.populations] == names
    assert [p.parent for p in strategy.populations] == [None, *names[:-1]]


def test_names_of_megabytes_are_refused():
    (problem,), _ = problems(wsp.population("n" * 3_000_000, BOX))
    assert "the names to a gate have more than 2,000 letters" in problem


def test_sample_with_too_many_elements_is_refused():
    outline = [(0, i) for i in range(100_001)]  # a vertex and its coordinates are three elements
    (problem,), _ = problems(wsp.population("p", wsp.polygon("FSC-A", "SSC-A", outline)))
    assert "its gates, scales and matrices have more than 300,000 elements" in problem


OPENED = """
import sys
touched = []
def watch(event, arguments):
    if event.startswith(("socket", "urllib")) or event == "open" and "SECRET" in str(arguments[0]):
        touched.append(event)
sys.addaudithook(watch)
import numpy as np
from nti7flow.events.made import make_sample
from nti7flow.interop.flowjo.workspace import read_workspace
from nti7flow.interop.flowjo.document import through_flowkit
from nti7flow.interop.flowjo.gates import Axis, FlowJoGate
from nti7flow.interop.flowjo.scales import Scale
from nti7flow.interop.xml import parse_xml
workspace = read_workspace(sys.argv[1], parse_xml(sys.argv[1]))
for name in workspace.samples:
    workspace.strategy(name)
    workspace.match(make_sample(np.ones((3, 1)), ["FSC-A"], name=name))
print(touched, len(workspace.samples), workspace.entries[0].files)
"""


def test_addresses_are_never_followed(tmp_path):
    (tmp_path / "SECRET.fcs").write_bytes(b"FCS3.1")
    addresses = [
        (tmp_path / "SECRET.fcs").as_uri(),
        "../../SECRET.fcs",
        "file:///etc/SECRET",
        "http://localhost:9/SECRET.fcs",
        "\\\\server\\share\\SECRET.fcs",
        "http://[SECRET",
        "file:///%00/SECRET%",
    ]
    texts = [
        wsp.SampleText(f"{i}.fcs", [wsp.population("p", BOX)], SCALES, uri=address)
        for i, address in enumerate(addresses)
    ]
    (tmp_path / "a.wsp").write_bytes(wsp.workspace(*texts))
    done = subprocess.run(
        [sys.executable, "-c", OPENED, tmp_path / "a.wsp"], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split("\n")[0] == "[] 7 ('SECRET.fcs',)"


def test_what_flowkit_itself_refuses_is_told_by_the_place_of_the_gate():
    """Gates that get past the checks all the same."""
    axis = Axis("FSC-A", "FSC-A", False, Scale("", {}, None))
    good = FlowJoGate("RectangleGate", (axis,), True, bounds=((1.0, 2.0),))
    flat = FlowJoGate("RectangleGate", (axis,), True, bounds=((1.0, 1.0),))
    odd = FlowJoGate("CurlyQuad", (axis,), True)
    gates, matrices, problems = through_flowkit([good] * 150 + [flat], None)
    assert (len(gates), matrices) == (100, {})
    assert problems == {150: "gate on FSC-A: lower bound 1 is not below upper bound 1"}
    assert through_flowkit([good] * 120 + [odd], None)[2] == {
        100: "FlowKit cannot read it, or one of those after it (KeyError)"
    }
