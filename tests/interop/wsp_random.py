"""Random trees of FlowJo gates, of every kind that FlowKit knows."""

from __future__ import annotations

from dataclasses import dataclass, field

import wsp_documents as wsp

SCATTER = ("FSC-A", "SSC-A")
#: A gate that a ``NotNode`` carries along, and that does not count.
STALE = wsp.rectangle({"FSC-A": (1, 2)})


@dataclass
class Tree:
    """A population: its gate, or what it combines, and the populations below."""

    path: tuple[str, ...]
    gate: str = ""
    kind: str = "Population"
    operands: tuple[str, ...] = ()
    below: list[Tree] = field(default_factory=list)

    def text(self):
        inner = [tree.text() for tree in self.below]
        if self.kind == "Population":
            return wsp.population(self.path[-1], self.gate, *inner)
        copy = STALE if self.kind == "NotNode" else ""
        return wsp.boolean(self.kind, self.path[-1], self.operands, *inner, copy=copy)


def populations(rng, channels):
    """A tree of 4 to 13 populations, with nodes that combine others, and gates below those too."""
    root = Tree(())
    trees = [root]
    for i in range(rng.integers(4, 14)):
        parent = trees[rng.integers(len(trees))]
        path = (*parent.path, f"{rng.choice(['CD4+', 'ü & <b>', 'x y', 'root'])} {i}")
        others = ["/".join(tree.path) for tree in trees[1:]]
        if len(others) > 1 and rng.random() < 0.35:
            kind = str(rng.choice(["AndNode", "OrNode", "NotNode"]))
            operands = tuple(map(str, rng.choice(others, 1 if kind == "NotNode" else 2, replace=False)))
            tree = Tree(path, kind=kind, operands=operands)
        else:
            tree = Tree(path, gate(rng, channels))
        parent.below.append(tree)
        trees.append(tree)
    return [tree.text() for tree in root.below]


def gate(rng, channels):
    x, y = map(str, rng.choice([*SCATTER, *channels], 2, replace=False))
    inside = int(rng.random() < 0.8)
    kind = rng.choice(["range", "rectangle", "polygon", "polygon", "ellipse"])
    if kind == "polygon":
        return wsp.polygon(x, y, [(value(rng, x), value(rng, y)) for _ in range(rng.integers(3, 9))], inside=inside)
    if kind == "ellipse":
        long = float(rng.uniform(20, 90))
        degrees = float(rng.choice([0, 90, 45, rng.uniform(-90, 90)]))
        half_axes = (long, long * float(rng.uniform(0.2, 0.9)))
        centre = (float(rng.uniform(80, 180)), float(rng.uniform(80, 180)))
        return wsp.ellipse(x, y, centre, half_axes, degrees, inside=inside)
    bounds = {}
    for channel in (x, y) if kind == "rectangle" else (x,):
        low = value(rng, channel)
        side = rng.integers(0, 4)
        bounds[channel] = (None if side == 0 else low, None if side == 1 else low + float(rng.integers(2000, 90_000)))
    return wsp.rectangle(bounds, inside=inside)


def value(rng, channel):
    """A value on the scale of a channel, whole, so that events lie on edges."""
    if channel in SCATTER:
        return float(rng.integers(0, 250) * 1000)
    return float(round(rng.normal(0, 400) if rng.random() < 0.5 else min(rng.lognormal(8, 2), 250_000)))
