"""FlowKit's strategies as ours. Either they hold the very same events, or the gate is refused by name."""

import numpy as np
import pytest
from random_tubes import DETECTORS, MARKERS
from test_random_strategies import flowkit_says

from nti7flow.errors import Nti7flowError, StrategyError
from nti7flow.events.fcs import read_fcs, write_events
from nti7flow.interop.flowkit.conversion import from_flowkit
from nti7flow.interop.flowkit.package import load

ROOT = ("root",)
RAW = "uncompensated"
INF, NAN = float("inf"), float("nan")


@pytest.fixture(scope="module")
def flowkit():
    return load()


@pytest.fixture(scope="module")
def make(flowkit):
    return Make(flowkit)


@pytest.fixture(scope="module")
def tube(tmp_path_factory):
    rng = np.random.default_rng(5)
    events = rng.integers(-5, 60, (400, len(DETECTORS))).astype(float)
    path = tmp_path_factory.mktemp("tube") / "tube.fcs"
    numbers = np.eye(5) + np.triu(np.full((5, 5), 0.125), 1)  # nobody rounds these
    spillover = f"5,{','.join(DETECTORS[2:7])},{','.join(map(str, numbers.ravel()))}"
    write_events(path, events, DETECTORS, markers=MARKERS, keywords={"$SPILLOVER": spillover})
    return path


class Make:
    """Short words for FlowKit's gates."""

    def __init__(self, flowkit):
        self.flowkit, self.gates = flowkit, flowkit.gates

    def axis(self, name, matrix=RAW, transform=None, *, low=None, high=None):
        return self.flowkit.Dimension(name, matrix, transform, range_min=low, range_max=high)

    def ratio(self, name="Ratio", matrix=RAW, transform=None, **bounds):
        return self.flowkit.RatioDimension(name, matrix, transform, **bounds)

    def at_least(self, channel="FL1-A", low=20.0, name="A"):
        return self.gates.RectangleGate(name, [self.axis(channel, low=low)])

    def box(self, *axes, name="A"):
        return self.gates.RectangleGate(name, list(axes))

    def polygon(self, *axes, points=((0.0, 0.0), (50.0, 0.0), (50.0, 60.0))):
        return self.gates.PolygonGate("A", list(axes), [list(point) for point in points])

    def ellipsoid(self, mean, covariance, square=4.0):
        axes = [self.axis("FL1-A"), self.axis("FL2-A")]
        return self.gates.EllipsoidGate("A", axes, mean, np.array(covariance), square)

    def boolean(self, kind, *names, name="B"):
        references = [{"ref": n.lstrip("!"), "path": ROOT, "complement": n.startswith("!")} for n in names]
        return self.gates.BooleanGate(name, kind, references)

    def quadrants(self, *ranges, values=(10.0, 20.0, 30.0)):
        divider = self.flowkit.QuadrantDivider("d", "FL1-A", RAW, list(values))
        quadrants = [self.gates.Quadrant(f"Q{i}", ["d"], [pair]) for i, pair in enumerate(ranges)]
        return self.gates.QuadrantGate("A", [divider], quadrants)

    def strategy(self, *gates, transforms=None, matrices=None):
        """A strategy of gates, or of gates with their paths."""
        made = self.flowkit.GatingStrategy()
        for name, matrix in (matrices or {}).items():
            made.add_comp_matrix(name, matrix)
        for name, transform in (transforms or {}).items():
            made.add_transform(name, transform)
        for gate in gates:
            made.add_gate(*(gate if isinstance(gate, tuple) else (gate, ROOT)))
        return made

    def matrix(self, dyes, detectors=("FL1-A", "FL2-A")):
        return self.flowkit.Matrix(np.array([[1.0, 0.5], [0.0, 1.0]]), list(detectors), list(dyes))


def check_same_events(peer, tube):
    """Compare event by event; names of populations are unique."""
    flowkit = load()
    members, says = from_flowkit(peer).apply(read_fcs(tube)), flowkit_says(flowkit, peer, tube)
    assert sorted(members) == sorted(says.report["gate_name"])
    for name in members:
        assert np.flatnonzero(says.get_gate_membership(name) != members.mask(name)).tolist() == [], name


def check_same_events_or_refused(peer, tube):
    """Refused when it is taken over, or when it meets a tube; by one of our own errors."""
    try:
        from_flowkit(peer).apply(read_fcs(tube))
    except Nti7flowError:
        return
    check_same_events(peer, tube)


def test_gates_of_every_kind(make, tube):
    strategy = make.strategy(
        make.at_least("FL1-A", 20.0),
        (make.polygon(make.axis("FL2-A"), make.axis("CD8")), ("root", "A")),
        make.boolean("not", "A"),
        make.boolean("and", "A", "!B", name="C"),
        make.boolean("or", "A", "!B", name="D"),
        make.box(make.axis("FL3-A", "FCS", low=3.0), make.axis("FSC-A", low=10.0), name="E"),
    )
    strategy.rename_gate("A", "Polygon", ("root", "A"))
    check_same_events(strategy, tube)


@pytest.mark.parametrize("complement", [True, False])
def test_complements(make, tube, complement):
    rectangle = make.gates.RectangleGate("A", [make.axis("FL1-A", low=20.0)], use_complement=complement)
    axes = [make.axis("FL1-A"), make.axis("FL2-A")]
    polygon = make.gates.PolygonGate("B", axes, [[0, 0], [50, 0], [50, 60]], use_complement=complement)
    check_same_events(make.strategy(rectangle, polygon), tube)


def test_quadrants_with_gates_below_them_and_names_that_stand_twice(make, tube):
    strategy = make.strategy(
        make.quadrants((None, 10.0), (10.0, 20.0), (30.0, None)),
        (make.at_least("FL2-A", name="X"), ("root", "A", "Q1")),
        (make.at_least("FL2-A", 30.0, name="X"), ("root", "A", "Q2")),
        (make.gates.BooleanGate("B", "or", [{"ref": "X", "path": ("root", "A", "Q1"), "complement": True}]), ROOT),
    )
    ours = from_flowkit(strategy)
    assert sorted(p.id for p in ours.populations) == ["A/Q1/X", "A/Q2/X", "B", "Q0", "Q1", "Q2"]
    assert ours.population("A/Q1/X").parent == "Q1"
    members, says = ours.apply(read_fcs(tube)), flowkit_says(make.flowkit, strategy, tube)
    for name in ours.populations:
        if "/" not in name.id:
            assert np.array_equal(members.mask(name.id), says.get_gate_membership(name.id))
    for place in ("Q1", "Q2"):
        theirs = says.get_gate_membership("X", ("root", "A", place))
        assert np.array_equal(members.mask(f"A/{place}/X"), theirs)


def test_gates_made_for_one_sample(make):
    strategy = make.strategy(make.at_least(low=20.0))
    strategy.add_gate(make.at_least(low=50.0), ROOT, sample_id="tube.fcs")
    lower = {
        key: from_flowkit(strategy, sample_id=key).populations[0].gate.lower for key in (None, "tube.fcs", "other")
    }
    assert lower == {None: (20.0,), "tube.fcs": (50.0,), "other": (20.0,)}


@pytest.mark.parametrize(
    "pairs",
    [
        [(10.0, 30.0)],
        [(None, 30.0)],
        [(None, None)],
        [(10.0, None)],
        [(None, 20.0), (20.0, None)],
        [(11.0, 20.0)],
        [(10.0, 21.0)],
        [(20.0, 10.0)],
        [(NAN, 10.0)],
        [(-INF, 10.0)],
    ],
    ids=str,
)
def test_quadrants_over_other_than_one_interval(make, tube, pairs):
    check_same_events_or_refused(make.strategy(make.quadrants(*pairs)), tube)


@pytest.mark.parametrize("values", [(20.0, 20.0), (30.0, 10.0), (10.0,), (NAN, 10.0), (INF, 10.0), ()], ids=str)
def test_dividers_that_are_odd(make, tube, values):
    check_same_events_or_refused(make.strategy(make.quadrants((10.0, None), values=values)), tube)


def test_channels_that_are_compensated_in_part(make, tube):
    half = {"M": make.matrix(["FL1-A", "FL2-A"])}
    for first, second in (
        ("FCS", "FL3-A"),
        ("FCS", "CD8"),
        ("M", "FL1-A"),
        ("M", "CD3"),
        ("M", "FL3-A"),
        ("FCS", "FSC-A"),
    ):
        axes = make.axis("FL2-A", first, low=3.0), make.axis(second, low=3.0, high=30.0)
        check_same_events_or_refused(make.strategy(make.box(*axes), matrices=half), tube)


@pytest.mark.parametrize("dye", ["PE", "CD8", "FL3-A", "Time", "FL1-A", "CD4"])
def test_a_dye_that_is_called_as_a_channel(make, tube, dye):
    """FlowKit looks among the channels first, so that such a dye is another one there."""
    strategy = make.strategy(make.box(make.axis(dye, "M", low=5.0)), matrices={"M": make.matrix(["FL1-A", dye])})
    check_same_events_or_refused(strategy, tube)


def test_one_channel_on_two_axes(make, tube):
    transforms = {"Log": make.flowkit.transforms.LogTransform(100.0, 4.0)}
    for second in ("FL1-A", "CD3"):
        for transform in (None, "Log"):
            axes = make.axis("FL1-A", transform=transform), make.axis(second, transform=transform)
            points = ((0.6, 0.0), (0.9, 0.0), (0.9, 1.0), (0.6, 1.0)) if transform else ((0, 0), (50, 0), (50, 60))
            strategy = make.strategy(make.polygon(*axes, points=points), transforms=transforms)
            check_same_events_or_refused(strategy, tube)


def ratios(make):
    return {"Ratio": make.flowkit.transforms.RatioTransform(["FL1-A", "FSC-A"], 1.0, 0.0, -0.5)}


def test_ratios(make, tube):
    closed = make.box(make.ratio(range_min=0.5, range_max=2.0))
    with_channel = make.box(make.axis("FL1-A", "FCS", low=3.0), make.ratio(range_min=0.5, range_max=2.0), name="B")
    check_same_events(make.strategy(closed, with_channel, transforms=ratios(make)), tube)


@pytest.mark.parametrize("bounds", [{"range_min": 0.5}, {"range_max": 0.5}, {}], ids=str)
def test_a_ratio_without_a_bound(make, bounds):
    """FlowKit fails on these when it is applied. Ours is whatever the bound says, or refused by name."""
    try:
        ours = from_flowkit(make.strategy(make.box(make.ratio(**bounds)), transforms=ratios(make)))
    except StrategyError as error:
        assert "gate A" in str(error)
        return
    gate = ours.populations[0].gate
    assert (gate.lower, gate.upper) == ((bounds.get("range_min"),), (bounds.get("range_max"),))


REFUSED = {
    "a compensated ratio": lambda make: make.box(make.ratio(matrix="FCS", range_min=0.5, range_max=2.0)),
    "two matrices": lambda make: make.box(make.axis("FL1-A", "FCS", low=1.0), make.axis("FL2-A", "M", low=1.0)),
    "no such matrix": lambda make: make.box(make.axis("FL1-A", "Other", low=1.0)),
    "no such transform": lambda make: make.box(make.axis("FL1-A", transform="Other", low=1.0)),
    "no such ratio": lambda make: make.box(make.ratio("Other", range_min=1.0, range_max=2.0)),
    "a ratio as transform": lambda make: make.box(make.axis("FL1-A", transform="Ratio", low=1.0)),
    "a transform as ratio": lambda make: make.box(make.ratio("Log", range_min=1.0, range_max=2.0)),
    "a bound that is no number": lambda make: make.at_least(low=NAN),
    "bounds the wrong way round": lambda make: make.box(make.axis("FL1-A", low=3.0, high=2.0)),
    "no dimensions": lambda make: make.box(),
    "two vertices": lambda make: make.polygon(make.axis("FL1-A"), make.axis("FL2-A"), points=((0, 0), (1, 1))),
    "three dimensions": lambda make: make.polygon(*(make.axis(name) for name in DETECTORS[:3])),
    "a vertex that is no number": lambda make: make.polygon(
        make.axis("FL1-A"), make.axis("FL2-A"), points=((0, 0), (1, NAN), (1, 1))
    ),
    "not positive definite": lambda make: make.ellipsoid([1.0, 1.0], [[1.0, 2.0], [2.0, 1.0]]),
    "singular": lambda make: make.ellipsoid([1.0, 1.0], [[1.0, 1.0], [1.0, 1.0]]),
    "no distance": lambda make: make.ellipsoid([1.0, 1.0], [[1.0, 0.0], [0.0, 1.0]], 0.0),
    "a mean too many": lambda make: make.ellipsoid([1.0, 1.0, 1.0], np.eye(3).tolist()),
    "not two": lambda make: make.boolean("not", "Z", "Z", name="A"),
    "and nothing": lambda make: make.boolean("and", name="A"),
    "a population that is not there": lambda make: make.boolean("and", "Nobody", "Z", name="A"),
    "itself": lambda make: make.boolean("not", "A", name="A"),
}


@pytest.mark.parametrize("gate", REFUSED.values(), ids=REFUSED.keys())
def test_what_flowkit_would_drop_guess_or_fail_on_is_refused_by_name(make, gate):
    transforms = ratios(make) | {"Log": make.flowkit.transforms.LogTransform(100.0, 4.0)}
    matrices = {"M": make.matrix(["FL1-A", "FL2-A"])}
    peer = make.strategy(make.at_least(name="Z"), gate(make), transforms=transforms, matrices=matrices)
    with pytest.raises(StrategyError, match=r"\bA\b") as caught:
        from_flowkit(peer)
    assert all(problem.isprintable() for problem in caught.value.problems)


def test_all_problems_are_in_one_listing(make):
    with pytest.raises(StrategyError) as caught:
        from_flowkit(make.strategy(make.at_least(low=NAN), make.box(make.axis("FL1-A", "Other"), name="B")))
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["gate A", "gate B"]


def test_circles_are_refused_by_the_names_in_them(make):
    circle = make.strategy(make.boolean("not", "B", name="A"), make.boolean("or", "A", "Z"), make.at_least(name="Z"))
    with pytest.raises(StrategyError, match=r"circle: (A > B > A|B > A > B)"):
        from_flowkit(circle)


@pytest.mark.parametrize(
    ("numbers", "detectors"),
    [
        ([[1, 1], [1, 1]], ["FL1-A", "FL2-A"]),
        ([[1, NAN], [0, 1]], ["FL1-A", "FL2-A"]),
        ([[1, 0], [0, 1]], ["FL1-A"] * 2),
    ],
)
def test_matrices_that_cannot_be_are_refused_by_name(make, numbers, detectors):
    matrix = make.flowkit.Matrix(np.array(numbers, float), detectors, detectors)
    with pytest.raises(StrategyError, match="matrix M"):
        from_flowkit(make.strategy(make.box(make.axis("FL1-A", "M", low=1.0)), matrices={"M": matrix}))


@pytest.mark.parametrize("name", ["a b", "CD4+, CD8-", "γδ", "*", "?", "a\tb", "x.y", "…"])
def test_names_of_gates_travel(make, tube, name):
    below = make.at_least("FL2-A", name="below"), ("root", name)
    check_same_events(make.strategy(make.at_least(name=name), below), tube)


def test_a_gate_called_as_flowkit_calls_all_events(make, tube):
    """FlowKit applies what is below such a gate to all events."""
    below = make.at_least("FL2-A", name="below"), ("root", "root")
    check_same_events_or_refused(make.strategy(make.at_least(name="root"), below), tube)


def test_a_hostile_name_does_not_steer_the_terminal(make):
    with pytest.raises(StrategyError) as caught:
        from_flowkit(make.strategy(make.at_least(low=NAN, name="\x1b[2J" + "x" * 500)))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300
