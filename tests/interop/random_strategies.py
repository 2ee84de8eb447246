"""Random Gating-ML 2.0 documents, each with a tube whose events lie on the edges of its gates.

The text is written here, by nothing of the package, so that a fault of its writer cannot hide one of its reader. Bounds
and vertices are values of events wherever these are the same in any sound arithmetic (`Axis.exact`): as stored, on a
scale of one formula, or compensated by a matrix that nobody rounds. Elsewhere bounds lie between events, because
programs may differ in the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from random_tubes import DETECTORS, MARKERS, MATRICES, RATIOS, SAME_FORMULA, RandomTube

RAW = "uncompensated"
#: Kinds of gates, the common ones more than once.
KINDS = ("rectangle", "rectangle", "polygon", "polygon", "ellipsoid", "quadrants", "boolean", "boolean", "boolean")
DEEPEST = 6
XMLNS = "http://www.isac-net.org/std/Gating-ML/v2.0"


@dataclass(frozen=True)
class Axis:
    """What a gate is drawn on: a channel, or a ratio, with its matrix and transform as the document names them."""

    channel: str  # $PnN, or the id of a ratio
    name: str  # as the document says it: $PnN, $PnS or dye
    matrix: str
    transform: str | None
    exact: bool


@dataclass(frozen=True)
class Place:
    """A population that others may be gated from, or combine."""

    name: str
    depth: int


class Document:
    """A document, its tube, and where events were put.

    Parameters
    ----------
    flowkit : module
        Where events lie on transformed axes is taken from FlowKit's transforms.
    seed : int
        The same seed and kinds give the same document.
    kinds : sequence of str
        Gates, in the order in which they may rest on each other.
    n_events : int
        Events of the tube, before those that are put on edges.
    """

    def __init__(self, flowkit: Any, seed: int, kinds: tuple[str, ...], *, n_events: int = 220) -> None:
        self.rng = np.random.default_rng(seed)
        self.tube = RandomTube(flowkit, self.rng, n_events)
        self.prefixes = ("gating", "transforms", "data-type") if self.rng.random() < 0.7 else ("g", "tr", "d")
        self.gates: list[str] = []
        self.places: list[Place] = []
        self.features: set[str] = set()
        self.put: list[dict[str, float]] = []
        #: Axis and edge, of every bound that events may lie on.
        self.edges: list[tuple[Axis, float]] = []
        for i, kind in enumerate(kinds):
            getattr(self, f"_{kind}")(f"{kind.capitalize()}{i}")
        self.tube.add(self.put)
        self._order = self.rng.permutation(len(self._elements()))

    # --- axes

    def _axes(self, n: int, *, ratio: bool = True) -> list[Axis]:
        """Choose axes for one gate: different channels, one matrix, one ratio at most, as FlowKit has them."""
        rng = self.rng
        matrix = str(rng.choice([RAW, "FCS", *MATRICES]))
        self.features.add(f"compensation {matrix}")
        axes = [self._axis(str(channel), matrix) for channel in rng.choice(DETECTORS, n, replace=False)]
        if ratio and rng.random() < 0.25:
            name, transform = str(rng.choice(list(RATIOS))), self._transform()
            if name == "Ratio0" and transform not in SAME_FORMULA:  # FlowKit shows infinity at -1 there
                name = "Ratio1"
            axes[int(rng.integers(n))] = Axis(name, name, RAW, transform, transform in SAME_FORMULA)
            self.features.add(f"ratio {transform is not None}")
        return axes

    def _axis(self, channel: str, matrix: str) -> Axis:
        rng, covered = self.rng, self.tube.covers(matrix, channel)
        own = RAW if not covered and rng.random() < 0.5 else matrix
        names = [channel, channel, channel]
        names += [label] if (label := MARKERS[DETECTORS.index(channel)]) else []
        if covered and matrix in MATRICES:
            detectors, dyes, _ = MATRICES[matrix]
            names.append(dyes[detectors.index(channel)])
        transform = self._transform()
        exact = transform in SAME_FORMULA and (not covered or self.tube.exact)
        return Axis(channel, str(rng.choice(names)), own, transform, exact)

    def _transform(self) -> str | None:
        transform = None if self.rng.random() < 0.4 else str(self.rng.choice(list(self.tube.transforms)))
        self.features.add(f"transform {transform and self.tube.transforms[transform][0]}")
        return transform

    def _values(self, axis: Axis) -> np.ndarray:
        return self.tube.values(axis.channel, axis.matrix, axis.transform)

    def _edges(self, axis: Axis, n: int) -> list[float]:
        """Choose n different values of events, ascending; between events where values are not exact."""
        values = self._values(axis)
        values = np.unique(values[np.isfinite(values)])
        if len(values) < n:  # all but a few below 0, on a logarithmic axis
            values = np.sort(np.append(values, np.arange(1.0, n + 1.0)))
        picked = np.sort(self.rng.choice(values, n, replace=False))
        if axis.exact:
            self.edges += [(axis, float(value)) for value in picked]
            return [float(value) for value in picked]
        gaps = np.diff(values, append=values[-1] + 1.0)[np.searchsorted(values, picked)]
        return [float(p + g * self.rng.uniform(0.2, 0.8)) for p, g in zip(picked, gaps, strict=True)]

    def _put(self, axes: list[Axis], *points: tuple[float, ...]) -> None:
        """Put events exactly there, where axes show the numbers in the file."""
        if any(a.transform or a.channel in RATIOS or a.matrix != RAW or a.channel == "Time" for a in axes):
            return
        for point in points:
            if all(float(np.float32(value)) == value for value in point):
                self.put.append({axis.channel: value for axis, value in zip(axes, point, strict=True)})

    # --- gates

    def _parent(self) -> Place | None:
        able = [place for place in self.places if place.depth < DEEPEST]
        if not able or self.rng.random() < 0.25:
            return None
        return able[-1] if self.rng.random() < 0.4 else able[int(self.rng.integers(len(able)))]

    def _add(self, tag: str, name: str, inside: str, parent: Place | None, *populations: str) -> None:
        above = f' {{g}}:parent_id="{parent.name}"' if parent else ""
        self.gates.append(f'<{{g}}:{tag} {{g}}:id="{name}"{above}>{inside}</{{g}}:{tag}>')
        depth = parent.depth + 1 if parent else 1
        self.places += [Place(population, depth) for population in populations or (name,)]
        self.features.add(f"depth {depth}")

    def _rectangle(self, name: str) -> None:
        axes = self._axes(int(self.rng.integers(1, 5)))
        inside, corners = "", []
        for axis in axes:
            low, high = self._edges(axis, 2)
            corners.append((low, high))
            # FlowKit cannot apply a ratio without both bounds.
            side = "none" if axis.channel in RATIOS else self.rng.choice(["none", "none", "min", "max"])
            self.features.add(f"open {side}")
            inside += _dimension(axis, **{k: v for k, v in (("min", low), ("max", high)) if k != side})
        self._put(axes, *zip(*corners, strict=True))
        self._put(axes, *(tuple(c[int(self.rng.integers(2))] for c in corners) for _ in range(3)))
        self.features.add(f"rectangle {len(axes)}")
        self._add("RectangleGate", name, inside, self._parent())

    def _polygon(self, name: str) -> None:
        rng, axes = self.rng, self._axes(2)
        n = int(rng.integers(3, 9))
        x, y = (rng.permutation(self._edges(axis, n)) for axis in axes)
        form = str(rng.choice(["star", "crossing", "repeated", "collinear", "closed"]))
        self.features.add(f"polygon {form}")
        vertices = list(zip(map(float, x), map(float, y), strict=True))
        if form != "crossing":
            (cx, cy), (sx, sy) = np.mean(vertices, axis=0), np.ptp(vertices, axis=0)
            vertices.sort(key=lambda v: float(np.arctan2((v[1] - cy) / sy, (v[0] - cx) / sx)))
        pairs = zip(vertices, vertices[1:] + vertices[:1], strict=True)
        middles = [((a + c) / 2, (b + d) / 2) for (a, b), (c, d) in pairs]
        self._put(axes, *vertices, *middles)
        if form == "repeated":
            vertices.insert(2, vertices[1])
        elif form == "collinear":
            vertices = [point for pair in zip(vertices, middles, strict=True) for point in pair]
        elif form == "closed":
            vertices.append(vertices[0])
        inside = "".join(_dimension(axis) for axis in axes)
        inside += "".join(f"<{{g}}:vertex>{_point(vertex)}</{{g}}:vertex>" for vertex in vertices)
        self._add("PolygonGate", name, inside, self._parent())

    def _ellipsoid(self, name: str) -> None:
        rng, n = self.rng, int(self.rng.integers(2, 4))
        self.features.add(f"ellipsoid {n}")
        if rng.random() < 0.5:  # on whole numbers: 3-4-5 triangles
            axes = [Axis(c, c, RAW, None, exact=True) for c in ("FSC-A", "SSC-A", "FL1-A")[:n]]
            mean = [self._edges(axis, 1)[0] for axis in axes]
            sigma = 2.0 ** rng.integers(-1, 2, n)
            covariance, square = np.diag(sigma**2), 25.0
            steps = [*np.eye(n) * 5, *np.eye(n) * -5, *(rng.choice([-1, 1], n) * [3, 4, 0][:n] for _ in range(4))]
            self._put(axes, *(tuple(map(float, mean + sigma * step)) for step in steps))
            self.features.add("ellipsoid surface")
        else:
            axes = self._axes(n)
            mean = [self._edges(axis, 1)[0] + 1e-3 for axis in axes]
            spread = [float(np.std(v[np.isfinite(v)])) or 1.0 for v in map(self._values, axes)]
            turned = rng.normal(size=(n, n)) * np.array(spread)[:, None]
            covariance, square = turned @ turned.T, float(rng.uniform(0.5, 4))
            covariance = (covariance + covariance.T) / 2
        rows = "".join(f"<{{g}}:row>{_point(row, 'entry')}</{{g}}:row>" for row in covariance)
        inside = "".join(_dimension(axis) for axis in axes)
        inside += f"<{{g}}:mean>{_point(mean)}</{{g}}:mean><{{g}}:covarianceMatrix>{rows}</{{g}}:covarianceMatrix>"
        inside += f'<{{g}}:distanceSquare {{d}}:value="{square!r}"/>'
        self._add("EllipsoidGate", name, inside, self._parent())

    def _quadrants(self, name: str) -> None:
        rng, axes = self.rng, self._axes(int(self.rng.integers(1, 4)), ratio=False)
        self.features.add(f"quadrants {len(axes)}")
        inside, dividers = "", []
        for i, axis in enumerate(axes):
            dividers.append(self._edges(axis, int(rng.integers(1, 4))))
            values = "".join(f"<{{g}}:value>{v!r}</{{g}}:value>" for v in rng.permutation(dividers[i]).tolist())
            inside += (
                f'<{{g}}:divider {{g}}:id="{name}.{i}"{_references(axis)}>{_channel(axis)}{values}</{{g}}:divider>'
            )
            self.features.add(f"dividers {len(dividers[i])}")
        quadrants = [f"{name}-{i}" for i in range(int(rng.integers(1, 6)))]
        for quadrant in quadrants:
            kept = [i for i in range(len(axes)) if rng.random() < 0.8] or [0]
            positions = ((f"{name}.{i}", self._location(dividers[i])) for i in kept)
            inside += f'<{{g}}:Quadrant {{g}}:id="{quadrant}">'
            inside += "".join(f'<{{g}}:position {{g}}:divider_ref="{k}" {{g}}:location="{v!r}"/>' for k, v in positions)
            inside += "</{g}:Quadrant>"
            self.features.add(f"merged {len(kept) < len(axes)}")
        self._put(axes, *(tuple(float(rng.choice(values)) for values in dividers) for _ in range(5)))
        self._add("QuadrantGate", name, inside, self._parent(), *quadrants)

    def _location(self, values: list[float]) -> float:
        """Choose a point of an interval: below all dividers, or exactly on the lower one, or above it."""
        i = int(self.rng.integers(len(values) + 1))
        if i == 0:
            return values[0] - 1.0
        upper = values[i] if i < len(values) else values[-1] + 1.0
        return values[i - 1] if self.rng.random() < 0.3 else (values[i - 1] + upper) / 2

    def _boolean(self, name: str) -> None:
        rng, parent = self.rng, self._parent()
        # FlowKit cannot read a gate that combines its own parent.
        able = [place.name for place in self.places if parent is None or place.name != parent.name]
        if not able:
            return self._rectangle(name)
        kind = str(rng.choice(["and", "or", "not"]))
        references = ""
        for operand in rng.choice(able, 1 if kind == "not" else int(rng.integers(2, 5))):
            turned = rng.choice(["", ' {g}:use-as-complement="true"', ' {g}:use-as-complement="false"'])
            references += f'<{{g}}:gateReference {{g}}:ref="{operand}"{turned}/>'
            self.features |= {f"{kind} complement {'true' in turned}", f"operand {operand.rstrip('0123456789-')}"}
        self._add("BooleanGate", name, f"<{{g}}:{kind}>{references}</{{g}}:{kind}>", parent)

    # --- the text

    @property
    def text(self) -> str:
        """The document, its elements in any order: children may stand before their parents."""
        g, t, d = self.prefixes
        elements = self._elements()
        body = "\n".join(elements[i] for i in self._order).replace("{g}", g).replace("{t}", t).replace("{d}", d)
        names = f'xmlns:{g}="{XMLNS}/gating" xmlns:{t}="{XMLNS}/transformations" xmlns:{d}="{XMLNS}/datatypes"'
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<{g}:Gating-ML {names}>\n{body}\n</{g}:Gating-ML>\n'

    def _elements(self) -> list[str]:
        curves = {
            key: f"<{{t}}:{kind} " + " ".join(f'{{t}}:{k}="{v!r}"' for k, v in numbers.items()) + "/>"
            for key, (kind, numbers) in self.tube.transforms.items()
        }
        curves |= {
            key: f'<{{t}}:fratio {{t}}:A="{a!r}" {{t}}:B="{b!r}" {{t}}:C="{c!r}">{_channels((x, y))}</{{t}}:fratio>'
            for key, (x, y, a, b, c) in RATIOS.items()
        }
        matrices = []
        for key, (detectors, dyes, _) in MATRICES.items():
            rows = "".join(
                "<{t}:spectrum>"
                + "".join(f'<{{t}}:coefficient {{t}}:value="{float(v)!r}"/>' for v in row)
                + "</{t}:spectrum>"
                for row in self.tube.matrices[key][1]
            )
            names = f"<{{t}}:fluorochromes>{_channels(dyes)}</{{t}}:fluorochromes>"
            names += f"<{{t}}:detectors>{_channels(detectors)}</{{t}}:detectors>"
            matrices.append(f'<{{t}}:spectrumMatrix {{t}}:id="{key}">{names}{rows}</{{t}}:spectrumMatrix>')
        return [
            *self.gates,
            *(f'<{{t}}:transformation {{t}}:id="{k}">{c}</{{t}}:transformation>' for k, c in curves.items()),
            *matrices,
            "<{d}:custom_info><note>not ours</note></{d}:custom_info>",
        ]

    @property
    def populations(self) -> tuple[str, ...]:
        """Names of all populations, quadrants among them."""
        return tuple(place.name for place in self.places)

    def events_on_edges(self) -> dict[str, int]:
        """How many events lie exactly on a bound or a coordinate of a vertex, for each scale."""
        found: dict[str, int] = {}
        for axis, edge in self.edges:
            key = f"{axis.transform or 'none'}{'' if axis.matrix == RAW else ' compensated'}"
            found[key] = found.get(key, 0) + int((self._values(axis) == edge).sum())
        return found


def _references(axis: Axis) -> str:
    transform = f' {{g}}:transformation-ref="{axis.transform}"' if axis.transform else ""
    return f' {{g}}:compensation-ref="{axis.matrix}"{transform}'


def _channel(axis: Axis) -> str:
    if axis.channel in RATIOS:
        return f'<{{d}}:new-dimension {{d}}:transformation-ref="{axis.name}"/>'
    return _channels([axis.name])


def _channels(names: Any) -> str:
    return "".join(f'<{{d}}:fcs-dimension {{d}}:name="{name}"/>' for name in names)


def _dimension(axis: Axis, **bounds: float) -> str:
    sides = "".join(f' {{g}}:{side}="{value!r}"' for side, value in bounds.items())
    return f"<{{g}}:dimension{_references(axis)}{sides}>{_channel(axis)}</{{g}}:dimension>"


def _point(point: Any, tag: str = "coordinate") -> str:
    return "".join(f'<{{g}}:{tag} {{d}}:value="{float(value)!r}"/>' for value in point)
