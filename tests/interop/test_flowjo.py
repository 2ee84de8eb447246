"""FlowJo workspaces: the same events as FlowKit, and the counts that FlowJo stored."""

import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
import wsp_documents as wsp
import wsp_random

from nti7flow.errors import StrategyError, UnknownMarker
from nti7flow.events.fcs import read_fcs, write_fcs
from nti7flow.events.made import make_sample
from nti7flow.gating.gates import RectangleGate
from nti7flow.interop.flowjo.workspace import read_workspace
from nti7flow.interop.flowkit.package import load
from nti7flow.interop.xml import parse_bytes

#: Real workspaces, with where their tubes are.
REAL = {
    "coereba_tcell/inst/extdata/CytoML.wsp": 30,
    "flowsom_wsp/inst/extdata/gating.wsp": 15,
    "luciernaga_cellcounts/inst/extdata/CellCounts.wsp": 4,
}
SIMPLE = (
    "simple_diamond_example/simple_diamond_example_quad_gate.wsp",
    "simple_diamond_example/test_data_diamond_asinh_rect.wsp",
    "simple_diamond_example/test_data_diamond_asinh_rect2.wsp",
    "simple_diamond_example/test_data_diamond_biex_rect.wsp",
    "simple_line_example/simple_poly_and_rect.wsp",
    "simple_line_example/simple_poly_and_rect_v2_poly50.wsp",
    "simple_line_example/single_ellipse_51_events.wsp",
)
DETECTORS = ("FSC-A", "SSC-A", "B1-A", "R1-A", "V1-A", "V2 +A", "Größe", "Time")
STAINED = DETECTORS[2:6]
SPILL = [[1, 0.12, 0, 0.03], [0.05, 1, 0, 0], [0.004, 0, 1, 0.31], [0, 0.02, 0.2, 1]]
PLAIN = wsp.rectangle({"FSC-A": (50_000, 200_000)})


@pytest.fixture(scope="module")
def tube(tmp_path_factory):
    """A tube on disk, with negative values, values beyond every scale, and values exactly on likely edges."""
    rng = np.random.default_rng(4)
    n = 4000
    dim, bright = rng.normal(0, 300, (n, 4)), rng.lognormal(9, 1.6, (n, 4))
    stained = np.where(rng.random((n, 4)) < 0.5, dim, bright).round()
    scatter = rng.uniform(0, 262_144, (n, 2)).round(-3)
    size = rng.uniform(0, 1000, n).round()
    events = np.column_stack([scatter, stained, size, np.arange(n)])
    path = tmp_path_factory.mktemp("tube") / "tube 1+é.fcs"
    stored = make_sample(events, DETECTORS, name="t", keywords={"$FIL": "original.fcs"})
    write_fcs(replace(stored, keywords={**stored.keywords, "$TIMESTEP": "0.01"}), path)
    return path


@pytest.fixture(scope="module")
def sample(tube):
    return read_fcs(tube)


def read(document, path="made.wsp"):
    return read_workspace(path, parse_bytes(document, path))


def memberships_by_flowkit(path, sample_name, tube):
    """Membership of every population, by its path."""
    fk = load()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        loaded = fk.Sample(tube, sample_id=sample_name, use_flowjo_labels=True, ignore_offset_error=True)
        workspace = fk.Workspace(str(path), fcs_samples=[loaded])
        workspace.analyze_samples(sample_id=sample_name, verbose=False)
        found = {}
        for name, ancestors in workspace.get_gate_ids(sample_name):
            found[(*ancestors[1:], name)] = workspace.get_gate_membership(sample_name, name, ancestors)
    return found


def assert_the_same(workspace, name, path, tube, sample):
    ours = workspace.apply(sample)
    theirs = memberships_by_flowkit(path, name, tube)
    assert len(ours) == len(theirs)
    for gates, mask in theirs.items():
        population = gates[-1] if gates[-1] in ours else "/".join(gates)
        assert np.flatnonzero(ours.mask(population) != mask).tolist() == [], gates


@pytest.mark.parametrize("file", REAL)
def test_counts_are_those_that_flowjo_stored(shared_data, file):
    path = shared_data / file
    workspace = read_workspace(path, parse_bytes(path.read_bytes(), path))
    compared = 0
    for tube in sorted(path.parent.glob("*.fcs")):
        sample = read_fcs(tube)
        members, counts = workspace.apply(sample), workspace.stored_counts(workspace.match(sample))
        assert counts[""] == sample.n_events
        for population, rows in members.items():
            assert abs(len(rows) - counts[population]) <= (
                0 if "CytoML" in file else max(5, 0.002 * counts[population])
            )
            compared += 1
    assert compared == REAL[file]


@pytest.mark.parametrize("file", [*REAL, *(f"flowkit/data/{name}" for name in SIMPLE)])
def test_real_workspaces_hold_the_same_events_as_in_flowkit(shared_data, file):
    path = shared_data / file
    workspace = read_workspace(path, parse_bytes(path.read_bytes(), path))
    for name in workspace.samples[:2]:
        tube = path.parent / name
        assert_the_same(workspace, name, path, tube, read_fcs(tube))


def scales(kinds=None):
    """A scale of each kind, the same for a channel and for its compensated values."""
    kinds = kinds or (wsp.biex, wsp.logicle, wsp.log, wsp.fasinh)
    made = [wsp.linear("FSC-A"), wsp.linear("SSC-A"), wsp.linear("Größe", 100, 900), wsp.linear("Time", 0, 40)]
    for kind, channel in zip(kinds, STAINED, strict=True):
        made += [kind(channel), kind(f"Comp-{channel}")]
    return made


@pytest.mark.parametrize("seed", range(24))
def test_random_workspaces_hold_the_same_events_as_in_flowkit(tmp_path, tube, sample, seed):
    rng = np.random.default_rng(seed)
    compensated = bool(seed % 3)
    kinds = [(wsp.biex, wsp.logicle, wsp.log, wsp.fasinh), (wsp.biex,) * 4, (wsp.logicle,) * 4][seed % 3]
    channels = [f"Comp-{c}" for c in STAINED] if compensated else STAINED
    text = wsp.SampleText(
        tube.name,
        wsp_random.populations(rng, channels),
        scales(kinds),
        wsp.matrix(STAINED, SPILL) if compensated else "",
    )
    path = tmp_path / "random.wsp"
    path.write_bytes(wsp.workspace(text))
    workspace = read(path.read_bytes(), path)
    assert_the_same(workspace, tube.name, path, tube, sample)


def made(*populations, **parts):
    """A workspace of the tube with some gates."""
    text = wsp.SampleText("tube 1+é.fcs", populations, parts.pop("scales", scales()), **parts)
    return read(wsp.workspace(text))


def raw(sample, channel):
    return sample.columns([channel])[:, 0]


def test_spectral_matrix_is_solved_by_least_squares_as_in_flowkit(tmp_path, tube, sample):
    spectra = [[1, 0.2, 0.4, 0.1], [0.1, 1, 0.05, 0.7]]
    columns = ("V1-A", "B1-A", "V2 +A", "R1-A")  # the two dyes in another order, among all detectors
    matrix = wsp.matrix(["B1-A", "R1-A"], [[r[2], r[0], r[3], r[1]] for r in spectra], columns=columns, spectral=1)
    in_order = wsp.matrix(["B1-A", "R1-A"], spectra, columns=("B1-A", "R1-A", "V1-A", "V2 +A"), spectral=1)
    gates = [wsp.population("both", wsp.polygon("Comp-B1-A", "Comp-R1-A", [(-200, -200), (9000, 0), (5000, 40_000)]))]
    path = tmp_path / "spectral.wsp"
    path.write_bytes(wsp.workspace(wsp.SampleText(tube.name, gates, scales(), in_order)))
    assert_the_same(read(path.read_bytes(), path), tube.name, path, tube, sample)
    # FlowKit takes columns to stand in the order of the dyes; by their names they are the same matrix.
    other = made(*gates, matrix=matrix).apply(sample)["both"]
    assert np.array_equal(other, read(path.read_bytes(), path).apply(sample)["both"])
    assert len(other) > 100


def test_rows_and_columns_of_a_matrix_are_taken_by_name(sample):
    order = [2, 0, 3, 1]
    names = [STAINED[i] for i in order]
    shuffled = wsp.matrix(STAINED, [[SPILL[i][j] for j in order] for i in order], columns=names, rows=names)
    gate = wsp.population("p", wsp.rectangle({"Comp-B1-A": (500, None), "Comp-V1-A": (None, 3000)}))
    expected = made(gate, matrix=wsp.matrix(STAINED, SPILL)).apply(sample)["p"]
    assert np.array_equal(made(gate, matrix=shuffled).apply(sample)["p"], expected)


def test_channel_by_its_own_name_is_not_compensated(sample):
    """FlowKit would compensate it."""
    gates = [wsp.population(name, wsp.rectangle({name: (1000, 20_000)})) for name in ("B1-A", "Comp-B1-A")]
    members = made(*gates, matrix=wsp.matrix(STAINED, SPILL)).apply(sample)
    values = raw(sample, "B1-A")
    assert np.array_equal(members["B1-A"], np.flatnonzero((values >= 1000) & (values < 20_000)))
    spread = np.column_stack([raw(sample, c) for c in STAINED]) @ np.linalg.inv(SPILL)
    assert np.array_equal(members["Comp-B1-A"], np.flatnonzero((spread[:, 0] >= 1000) & (spread[:, 0] < 20_000)))
    assert len(members["B1-A"]) != len(members["Comp-B1-A"])


def test_compensated_values_have_a_scale_of_their_own(sample):
    """FlowKit would take that of the channel."""
    own = [wsp.linear("FSC-A"), wsp.biex("B1-A"), wsp.log("Comp-B1-A", 10, 4)]
    matrix = wsp.matrix(STAINED, SPILL)
    workspace = made(wsp.population("p", wsp.rectangle({"Comp-B1-A": (1000, 2000)})), scales=own, matrix=matrix)
    gate = workspace.strategy("tube 1+é.fcs").population("p").gate
    assert isinstance(gate, RectangleGate)
    assert (gate.dimensions[0].detector, gate.dimensions[0].transform.kind) == ("B1-A", "flowjo_log")
    assert gate.lower == (pytest.approx(0.5),)


@pytest.mark.parametrize(
    ("gain", "keywords", "ticks"),
    [
        ("1", {"$TIMESTEP": "0.01"}, (1000, 2000)),
        ("0.0125", {"$TIMESTEP": "0.01"}, (800, 1600)),
        ("0.02", {"$TIMESTEP": "0.01"}, (500, 1000)),
    ],
)
def test_time_is_in_seconds_of_the_clock(sample, gain, keywords, ticks):
    """FlowJo writes seconds per tick as a gain; FlowKit would take ``$TIMESTEP``."""
    own = [wsp.linear("Time", 0, 40, gain)]
    workspace = made(wsp.population("p", wsp.rectangle({"Time": (10, 20)})), scales=own, keywords=keywords)
    found = workspace.apply(sample)["p"]
    assert abs(found[0] - ticks[0]) <= 1  # a bound on a tick is rounded to either side
    assert abs(found[-1] - (ticks[1] - 1)) <= 1


def test_time_without_a_step_is_in_ticks(tmp_path):
    tube = tmp_path / "a.fcs"
    write_fcs(make_sample(np.arange(100.0)[:, None], ["Time"], name="a"), tube)
    gate = wsp.population("p", wsp.rectangle({"Time": (1, 2)}))
    text = wsp.SampleText("a.fcs", [gate], [wsp.linear("Time", 0, 9, "0.1")])
    assert read(wsp.workspace(text)).apply(read_fcs(tube))["p"].tolist() == list(range(10, 20))


@pytest.mark.parametrize("bounds", [(0, 0), (-500, 262_144), (0.053, 0.034), (300_000, 262_144), (105_000, 135_000)])
def test_linear_scale_does_not_decide_what_is_inside(sample, bounds):
    """FlowJo writes such for time and for axes somebody dragged; FlowKit divides by 0, or turns the axis round."""
    own = [wsp.linear("FSC-A", *bounds), wsp.linear("SSC-A", *bounds)]
    gates = [
        wsp.population("box", wsp.rectangle({"FSC-A": (50_500, 200_500)})),
        wsp.population("out", wsp.polygon("FSC-A", "SSC-A", [(500, 500), (500, 260_250), (260_250, 500)], inside=0)),
    ]
    members = made(*gates, scales=own).apply(sample)
    x, y = raw(sample, "FSC-A"), raw(sample, "SSC-A")
    assert np.array_equal(members["box"], np.flatnonzero((x > 50_500) & (x < 200_500)))
    assert np.array_equal(members["out"], np.flatnonzero(~((x > 500) & (y > 500) & (x + y < 260_750))))


def test_channels_and_matrix_where_flowjo_wrote_an_underscore_for_a_slash(tmp_path):
    rng = np.random.default_rng(1)
    tube, path = tmp_path / "a.fcs", tmp_path / "a.wsp"
    write_fcs(make_sample(rng.normal(5000, 3000, (500, 3)), ["FSC-A", "V1/A", "V2_A"], name="a"), tube)
    gate = wsp.population("p", wsp.polygon("Comp-V1_A", "Comp-V2_A", [(0, 0), (9000, 1000), (4000, 9000)]))
    matrix = wsp.matrix(["V1_A", "V2_A"], [[1, 0.3], [0.1, 1]])
    path.write_bytes(
        wsp.workspace(
            wsp.SampleText("a.fcs", [gate], [wsp.biex("Comp-V1_A"), wsp.biex("V1_A"), wsp.biex("V2_A")], matrix)
        )
    )
    workspace = read(path.read_bytes(), path)
    sample = read_fcs(tube)
    assert_the_same(workspace, "a.fcs", path, tube, sample)
    (matrix,) = workspace.for_sample(sample).matrices.values()
    assert matrix.detectors == ("V1/A", "V2_A")


def test_upright_ellipse_is_that_of_flowkit(tmp_path, tube, sample):
    """Its slope is infinite."""
    gate = wsp.population(
        "p", wsp.ellipse_of("FSC-A", "SSC-A", [(128, 90), (128, 170)], [(128, 60), (128, 200), (60, 130), (196, 130)])
    )
    path = tmp_path / "ellipse.wsp"
    path.write_bytes(wsp.workspace(wsp.SampleText(tube.name, [gate], scales())))
    workspace = read(path.read_bytes(), path)
    assert_the_same(workspace, tube.name, path, tube, sample)
    # Half axes of 70 and sqrt(70² - 40²) of 256 on both axes.
    x, y = (raw(sample, c) / 1024 for c in ("FSC-A", "SSC-A"))
    expected = ((y - 130) / 70) ** 2 + (x - 128) ** 2 / (70**2 - 40**2) <= 1
    assert abs(len(workspace.apply(sample)["p"]) - expected.sum()) <= 0.01 * expected.sum()


def test_populations_are_called_by_name_where_that_is_clear():
    tree = [
        wsp.population("Live", PLAIN, wsp.population("CD4", PLAIN), wsp.population("CD8", PLAIN)),
        wsp.population("Dead", PLAIN, wsp.population("CD4", PLAIN)),
        wsp.boolean("OrNode", "any CD4", ["Live/CD4", "Dead/CD4"], wsp.population("root", PLAIN)),
    ]
    other = [wsp.population("Live", PLAIN, wsp.population("CD8", PLAIN)), wsp.population("any CD4", PLAIN)]
    workspace = read(wsp.workspace(wsp.SampleText("a.fcs", tree, scales()), wsp.SampleText("b.fcs", other, scales())))
    strategy = workspace.strategy("a.fcs")
    assert {p.id: (p.label, p.parent) for p in strategy.populations} == {
        "Live": ("Live", None),
        "Live/CD4": ("CD4", "Live"),
        "CD8": ("CD8", "Live"),
        "Dead": ("Dead", None),
        "Dead/CD4": ("CD4", "Dead"),
        "any CD4": ("any CD4", None),
        "root": ("root", "any CD4"),
    }
    assert [o.population for o in strategy.population("any CD4").gate.operands] == ["Live/CD4", "Dead/CD4"]
    assert [p.id for p in workspace.strategy("b.fcs").populations] == ["Live", "CD8", "any CD4"]
    assert strategy.template == "made.wsp"


def test_population_may_combine_one_that_stands_after_it(sample):
    tree = [wsp.boolean("NotNode", "not", ["box"]), wsp.population("box", PLAIN)]
    workspace = made(*tree)
    assert [p.id for p in workspace.strategy(workspace.samples[0]).populations] == ["box", "not"]
    members = workspace.apply(sample)
    assert np.array_equal(members.mask("not"), ~members.mask("box"))


def test_stored_counts_are_those_that_flowjo_made():
    tree = [
        wsp.population("a", PLAIN, wsp.population("b", PLAIN, count=0), count=12),
        wsp.population("c", PLAIN, count=-1),
        wsp.population("d", PLAIN, count=None),
        wsp.boolean("NotNode", "e", ["a"], count="9" * 400),
        wsp.boolean("AndNode", "f", ["a", "c"], wsp.population("b", PLAIN, count="many"), count=7),
    ]
    workspace = made(*tree, count=99)
    assert workspace.stored_counts(workspace.samples[0]) == {"": 99, "a": 12, "a/b": 0, "f": 7}
    assert made(count=-1).stored_counts("tube 1+é.fcs") == {}


def test_sample_without_gates_is_a_strategy_without_populations(sample):
    workspace = made()
    assert workspace.for_sample(sample).populations == ()
    assert len(workspace.apply(sample)) == 0


def test_sample_that_cannot_be_read_does_not_cost_the_others():
    bad = wsp.SampleText("b.fcs", [wsp.population("p", wsp.gate("CurlyQuad", ""))], scales())
    nothing = wsp.SampleText("c.fcs", [wsp.population("p", PLAIN)], [wsp.scale("miltenyi", "FSC-A")])
    good = wsp.SampleText("a.fcs", [wsp.population("p", PLAIN)], [*scales(), wsp.scale("miltenyi", "unused")])
    workspace = read(wsp.workspace(bad, nothing, good))
    for name, found in {"b.fcs": "CurlyQuad", "c.fcs": "miltenyi"}.items():
        with pytest.raises(StrategyError, match=found):
            workspace.strategy(name)
    assert [p.id for p in workspace.strategy("a.fcs").populations] == ["p"]


def test_workspace_can_be_sent_to_another_process(sample):
    workspace = made(wsp.population("p", PLAIN), count=3)
    sent = pickle.loads(pickle.dumps(workspace))
    assert sent == workspace
    assert sent.for_sample(sample) == workspace.for_sample(sample)
    assert sent.stored_counts(sent.samples[0]) == {"": 3}


def test_workspace_says_what_it_holds():
    workspace = read(
        wsp.workspace(wsp.SampleText("a.fcs"), wsp.SampleText("b.fcs"), groups={"Day 1": [2], "empty": []})
    )
    assert workspace.samples == ("a.fcs", "b.fcs")
    assert workspace.groups == {"All Samples": ("a.fcs", "b.fcs"), "Day 1": ("b.fcs",), "empty": ()}
    assert repr(workspace) == "<Workspace made.wsp: 2 samples, 3 groups>"


def named(sample, **texts):
    """A workspace whose samples have names, addresses and keywords as told."""
    parts = [
        wsp.SampleText(name, uri=uri, keywords={} if fil is None else {"$FIL": fil})
        for name, (uri, fil) in texts.items()
    ]
    return read(wsp.workspace(*parts))


def test_file_is_recognised_by_name_then_address_then_keyword(sample):
    """The file is "tube 1+é.fcs", its $FIL "original.fcs"."""
    by_keyword = {"k": ("file:/x/other.fcs", "original.fcs")}
    by_address = {"u": ("file:/V:/a%20b/tube%201+%C3%A9.fcs", "other.fcs")}
    by_name = {"tube 1+é.fcs": ("file:/x/other.fcs", None)}
    nothing = {"n": ("file:/x/tube.fcs", "")}
    assert named(sample, **nothing, **by_keyword).match(sample) == "k"
    assert named(sample, **nothing, **by_keyword, **by_address).match(sample) == "u"
    assert named(sample, **by_keyword, **by_address, **by_name).match(sample) == "tube 1+é.fcs"
    assert named(sample, w=("C:\\data\\tube 1+é.fcs", None)).match(sample) == "w"
    assert named(sample, f=("", "tube 1+é.fcs")).match(sample) == "f"


def test_file_that_is_no_sample_is_refused_with_what_there_is(sample):
    workspace = named(sample, **{"tube 2.fcs": ("file:/tube%201.fcs", None)}, b=("", None))
    with pytest.raises(StrategyError, match=r"no sample is tube 1.*it has tube 2.fcs, b. Did you mean 'tube 1.fcs'"):
        workspace.match(sample)
    with pytest.raises(StrategyError, match=r"no sample is tube 2; it has tube 2.fcs, b. Did you mean"):
        workspace.strategy("tube 2")


def test_two_samples_of_one_name_are_told_apart_by_their_groups(sample):
    """FlowKit would lose the first."""
    name = "tube 1+é.fcs"
    texts = [wsp.SampleText(name, [wsp.population(p, PLAIN, count=i)], scales()) for i, p in enumerate(("a", "b"))]
    document = wsp.workspace(*texts, groups={"one": [1], "two": [2], "both": [1, 2]})
    workspace = read(document)
    for ask in (workspace.match, workspace.for_sample, workspace.apply):
        with pytest.raises(StrategyError) as error:
            ask(sample)
        assert "2 samples are tube 1" in str(error.value)
        assert "--group" in str(error.value)
        assert "group one, both" in str(error.value)
    with pytest.raises(StrategyError, match="2 samples in group both are"):
        workspace.strategy(name, group="both")
    assert [p.id for p in workspace.for_sample(sample, group="one").populations] == ["a"]
    assert list(workspace.apply(sample, group="two")) == ["b"]
    assert workspace.match(sample, group="two") == name
    assert workspace.stored_counts(name, group="one") == {"a": 0}
    assert workspace.stored_counts(name, group="two") == {"b": 1}
    with pytest.raises(
        StrategyError, match=r"has no group tow; it has All Samples, one, two, both. Did you mean 'two'"
    ):
        workspace.match(sample, group="tow")


def test_group_of_all_samples_is_there_even_if_not_written(sample):
    document = wsp.workspace(wsp.SampleText("tube 1+é.fcs")).replace(b"All Samples", b"Mine")
    assert read(document).match(sample, group="All Samples") == "tube 1+é.fcs"


def test_bound_strategy_has_the_name_it_is_given(sample):
    strategy = made(wsp.population("p", PLAIN)).for_sample(sample, name="S1", spillover="none")
    assert (strategy.sample, strategy.sha256) == ("S1", sample.sha256)


def test_channel_that_the_tube_lacks_is_said_when_it_is_bound(sample):
    gate = wsp.population("p", wsp.rectangle({"tSNE_1": (0, 1)}))
    workspace = made(gate, scales=[wsp.linear("tSNE_1", 0, 100)])
    assert workspace.strategy(workspace.samples[0]).populations
    with pytest.raises(UnknownMarker, match="tSNE_1"):
        workspace.for_sample(sample)
