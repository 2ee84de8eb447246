"""A small tube, and strategies of every kind for it, to be written as Gating-ML and read by FlowKit."""

import warnings

import numpy as np

from nti7flow.events.fcs import read_fcs, write_events
from nti7flow.events.spectrum import SpectrumMatrix
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import (
    Arcsinh,
    FlowJoBiex,
    FlowJoLog,
    Hyperlog,
    Linear,
    Log,
    Logicle,
)
from nti7flow.gating.dimensions import Dimension, RatioDimension
from nti7flow.gating.gates import (
    BooleanGate,
    EllipsoidGate,
    Operand,
    PolygonGate,
    QuadrantGate,
    RectangleGate,
)
from nti7flow.gating.strategy import GatingStrategy, Population
from nti7flow.gating.values import DisplayValues

IDENTITY = Linear(1.0, 0.0)
DETECTORS = ("FSC-A", "SSC-A", "FITC-A", "PE-A", "APC-A", "BV421-A")
MARKERS = ("", "", "CD3", "CD4", "CD8", "")
DYES = DETECTORS[2:]
OWN = Spillover(DYES, np.eye(4) + 0.07 * np.eye(4, k=1) + 0.02 * np.eye(4, k=-2), "keyword")
#: Named matrices: another spillover, one that is not scaled, one of three dyes in four detectors, one out of order.
MATRICES = {
    "other": Spillover(("PE-A", "APC-A"), np.array([[1.0, 0.3], [0.1, 1.0]]), "single stains"),
    "unscaled: 2 x": SpectrumMatrix(DYES, DYES, 2.0 * np.eye(4) + 0.1, "unmixing"),
    "spectral": SpectrumMatrix(
        DYES,
        ("APC-A", "FITC-A", "PE-A"),
        np.array([[0.0, 0.2, 1.0, 0.4], [1.0, 0.3, 0.0, 0.1], [0.1, 0.9, 0.2, 0.0]]),
        "s",
    ),
    "turned": SpectrumMatrix(("FITC-A", "PE-A"), ("PE-A", "FITC-A"), np.array([[0.2, 1.0], [1.0, 0.1]]), "turned"),
}
SCALES = (
    IDENTITY,
    Linear(262144.0, 100.0),
    Log(262144.0, 4.5),
    Arcsinh(262144.0, 4.0, 1.0),
    Logicle(262144.0, 0.5, 4.5, 0.0),
    Logicle(10000.0, 1.0, 4.5, 0.5),
    Hyperlog(262144.0, 0.5, 4.5, 0.0),
)
FLOWJO = (FlowJoBiex(), FlowJoBiex(1.0, -100.0, 4.5, 262144.0), FlowJoLog(10.0, 4.0))


def write_small_tube(path, *, n_events=400, seed=0):
    """Write a tube; some values are 0, so that ratios are infinite or no number."""
    rng = np.random.default_rng(seed)
    events = np.exp(rng.normal(7.0, 1.5, (n_events, len(DETECTORS)))) - 300.0
    events[:, 3:][rng.random((n_events, 3)) < 0.1] = 0.0
    numbers = ",".join(repr(float(v)) for v in OWN.matrix.ravel())
    write_events(
        path,
        events.astype(np.float32),
        DETECTORS,
        markers=MARKERS,
        keywords={"$SPILLOVER": f"4,{','.join(DYES)},{numbers}"},
    )
    return read_fcs(path)


def flowkit_members(tube, path):
    """Which events are in each gate of a Gating-ML document, (n_events,) of bool by id, by FlowKit alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import flowkit

        results = flowkit.parse_gating_xml(str(path)).gate_sample(flowkit.Sample(str(tube)))
        names = [str(row.gate_name) for row in results.report.itertuples(index=False)]
        return {name: np.asarray(results.get_gate_membership(name)) for name in names}


class Dice:
    """Makes random strategies for a tube: gates of every kind, anywhere in a tree, on any scale."""

    def __init__(self, sample, seed, *, bound=True, flowjo=True):
        self.sample, self.bound = sample, bound
        self.rng = np.random.default_rng(seed)
        self.scales = (*SCALES, *FLOWJO) if flowjo else SCALES
        self.populations = []

    def pick(self, choices):
        return choices[int(self.rng.integers(len(choices)))]

    def strategy(self, n_populations=12):
        names = [
            "Q1: CD4+ , CD8-",
            "root",
            "γδ T",
            "Singlets/Live",
            "a.1",
            "a",
            "_x0041_",
            "logicle",
            "spillover",
            "FITC-A",
        ]
        while len(self.populations) < n_populations:
            parent = self.pick([None, None, *self.populations])
            gates = self.pick(
                [self.rectangle, self.rectangle, self.polygon, self.ellipsoid, self.quadrants, self.boolean]
            )
            for gate in gates():
                i = len(self.populations)
                name = names[i] if i < len(names) else f"p{i}"
                status, flags = self.pick([("ok", ()), ("borrowed", ("few_events", "x:y"))])
                parent_id = None if parent is None else parent.id
                self.populations.append(Population(name, f"<{name}> & co", parent_id, gate, status, flags))
        sha256 = self.sample.sha256 if self.bound else ""
        own = OWN if self.bound else Spillover.none()
        return GatingStrategy(
            "dice@1.0.0", "tube" if self.bound else "", sha256, 0, own, tuple(self.populations), MATRICES
        )

    def matrix(self):
        return self.pick(["", "", "none", *MATRICES])

    def axis(self, channel, matrix, scales):
        marker = dict(zip(DETECTORS, MARKERS, strict=True))[channel] if self.bound else ""
        if matrix == "none":
            return Dimension(channel, marker, False, self.pick(scales))
        return Dimension(channel, marker, True, self.pick(scales), matrix)

    def ratio(self):
        x, y = self.rng.choice(DETECTORS, 2, replace=False)
        offsets = float(self.pick([0.0, 10.0])), float(self.pick([0.0, -3.5]))
        return RatioDimension(str(x), str(y), 2.0, *offsets, self.pick(SCALES))  # FlowJo has no ratios

    def axes(self, n, scales, *, alike):
        """Some axes; ``alike``: of different channels and one matrix, as FlowKit can have them in a gate."""
        if not alike:
            return tuple(
                self.ratio() if self.rng.random() < 0.2 else self.axis(self.pick(DETECTORS), self.matrix(), scales)
                for _ in range(n)
            )
        matrix = self.matrix()
        channels = [str(c) for c in self.rng.choice(DYES[:3] if matrix == "spectral" else DYES, n, replace=False)]
        return tuple(self.axis(c, matrix, scales) for c in channels)

    def values(self, axes):
        """Finite display values on some axes, shape (n, n_axes)."""
        values = DisplayValues(self.sample, OWN, MATRICES).of(axes, np.arange(self.sample.n_events))
        finite = values[np.isfinite(values).all(axis=1)]
        finite = finite + self.rng.normal(0.0, 1e-6, finite.shape) * finite.std(axis=0)  # no bound exactly on an event
        return finite if len(finite) > 10 else np.random.default_rng(0).normal(0.5, 0.2, (50, len(axes)))

    def rectangle(self):
        axes = self.axes(int(self.rng.integers(1, 4)), self.scales, alike=self.rng.random() < 0.5)
        values = self.values(axes)
        lower, upper = [], []
        for column in values.T:
            low, high = (float(v) for v in np.quantile(column, [self.rng.uniform(0, 0.4), self.rng.uniform(0.5, 1)]))
            low, high = (low, high) if low < high else (low - 1.0, low + 1.0)
            sides = self.pick([(low, high), (low, high), (low, None), (None, high), (None, None)])
            lower.append(sides[0])
            upper.append(sides[1])
        return [RectangleGate(axes, tuple(lower), tuple(upper), complement=self.rng.random() < 0.3)]

    def polygon(self):
        axes = self.axes(2, SCALES, alike=True)
        values = self.values(axes)
        corners = values[self.rng.integers(0, 10, 5)] + self.rng.normal(0.0, 0.1, (5, 2)) * values.std(axis=0)
        vertices = tuple((float(x), float(y)) for x, y in corners)
        return [PolygonGate(axes, vertices, complement=self.rng.random() < 0.3)]

    def ellipsoid(self):
        axes = self.axes(int(self.rng.integers(2, 4)), SCALES, alike=True)
        values = self.values(axes)
        spread = np.cov(values.T) + np.eye(len(axes)) * 1e-6 * values.var()
        covariance = tuple(tuple(float(v) for v in row) for row in spread)
        return [
            EllipsoidGate(
                axes, tuple(float(v) for v in np.median(values, axis=0)), covariance, float(self.rng.uniform(0.5, 3))
            )
        ]

    def quadrants(self):
        axes = self.axes(2, self.scales, alike=self.rng.random() < 0.8)
        dividers = tuple(
            tuple(sorted({float(v) for v in np.quantile(c, self.rng.uniform(0.2, 0.8, int(self.rng.integers(1, 3))))}))
            for c in self.values(axes).T
        )
        name = self.pick(["Q", "CD4 × CD8"])
        places = [(i, j) for i in (None, *range(len(dividers[0]) + 1)) for j in (None, *range(len(dividers[1]) + 1))]
        chosen = self.rng.choice(len(places), 3, replace=False)
        return [QuadrantGate(name, axes, dividers, places[int(i)]) for i in chosen]

    def boolean(self):
        if not self.populations:
            return self.rectangle()
        operands = tuple(
            Operand(self.pick(self.populations).id, bool(self.rng.random() < 0.4))
            for _ in range(self.rng.integers(1, 4))
        )
        return [BooleanGate(self.pick(["and", "or"]), operands)]
