"""One sample of a FlowJo workspace as a strategy.

FlowKit reads a workspace well where it is as FlowKit expects, and drops or guesses the rest. So what decides counts is
checked first, all problems are listed with their lines, and FlowKit is given what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from nti7flow.errors import StrategyError
from nti7flow.events.numbers import positive
from nti7flow.events.spillover import Spillover
from nti7flow.gating.gates import BooleanGate, Operand
from nti7flow.gating.strategy import GatingStrategy, Population
from nti7flow.interop.flowjo.document import through_flowkit
from nti7flow.interop.flowjo.gates import Axis, FlowJoGate, read_gate
from nti7flow.interop.flowjo.scales import Compensation, Scale, channels_of, read_compensation, read_scale
from nti7flow.interop.flowjo.xml import POPULATIONS, Extract, attribute, children, kind_of, line_of
from nti7flow.interop.flowkit.package import SHOWN, Path_, name_of

#: What no population may be called: its path is written with slashes, and walked like folders.
_IMPOSSIBLE = ("", ".", "..")


class _Reported(Exception):
    """The problem stands in the listing."""


@dataclass(frozen=True, slots=True)
class _Node:
    """A population: one with a gate of its own, or one that combines others."""

    path: Path_
    line: int
    kind: str
    gate: FlowJoGate | None = None
    operands: tuple[Path_, ...] = ()

    @property
    def needed(self) -> list[Path_]:
        """Populations that it rests on."""
        return [path for path in (self.path[:-1], *self.operands) if path]


def strategy_of(extract: Extract, *, where: str, origin: str, id_of: Callable[[Path_], str]) -> GatingStrategy:
    """Return the strategy of a sample, for any tube.

    Parameters
    ----------
    extract : Extract
        The sample.
    where : str
        What problems are said to be in.
    origin : str
        What the gates are from; becomes ``template``.
    id_of : callable
        Gives the id of a population by its path of names, the last its own.

    Raises
    ------
    StrategyError
        The sample holds what FlowKit would drop, guess or could not apply; lists all of it by name and line.
    """
    if extract.refusal:
        raise StrategyError(where, [extract.refusal])
    reader = _Reader(extract.document(), extract.line)
    nodes = {node.path: node for node in reader.nodes()}
    reader.check_order(nodes.values())
    if reader.problems:
        raise StrategyError(where, reader.problems)
    drawn = [node for node in nodes.values() if node.gate is not None]
    gates, matrices, problems = through_flowkit([n.gate for n in drawn if n.gate is not None], reader.compensation)
    for i, why in problems.items():
        reader.refuse(drawn[i].line, drawn[i].path, why)
    if reader.problems:
        raise StrategyError(where, reader.problems)
    made = dict(zip((node.path for node in drawn), gates, strict=True))
    populations = []
    for node in _in_order(nodes):
        gate = made[node.path] if node.gate is not None else _boolean(node, id_of)
        parent = id_of(node.path[:-1]) if node.path[:-1] else None
        populations.append(Population(id_of(node.path), node.path[-1], parent, gate, "ok"))
    return GatingStrategy(origin, "", "", 0, Spillover.none(), tuple(populations), matrices)


def _boolean(node: _Node, id_of: Callable[[Path_], str]) -> BooleanGate:
    negated = node.kind == "NotNode"
    operands = tuple(Operand(id_of(path), negated) for path in node.operands)
    return BooleanGate("or" if node.kind == "OrNode" else "and", operands)


def _in_order(nodes: dict[Path_, _Node]) -> Iterator[_Node]:
    """Yield populations in the order of the workspace, but after those that they rest on."""
    done: set[Path_] = set()
    waiting = list(reversed(nodes))
    while waiting:
        path = waiting.pop()
        first = [p for p in nodes[path].needed if p not in done] if path not in done else []
        if first:
            waiting += [path, *reversed(first)]
        elif path not in done:
            done.add(path)
            yield nodes[path]


@dataclass
class _Reader:
    document: Any
    line: int
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.scales: dict[str, list[Any]] = {}
        self.read: dict[Any, Scale | None] = {}
        for scale in (s for group in children(self.document, "Transformations") for s in children(group)):
            for channel in channels_of(scale):
                self.scales.setdefault(channel, []).append(scale)
        self.compensation = self._compensation()
        self.axes: dict[str, Axis] = {}

    def refuse(self, line: int, path: Path_, why: str) -> None:
        """List a problem of a gate."""
        joined = "/".join(path)
        self.problems.append(f"line {line}: gate {name_of(joined if len(joined) <= SHOWN else path[-1])}: {why}")

    def _compensation(self) -> Compensation | None:
        matrices = children(self.document, "spilloverMatrix")
        if not matrices:
            return None
        try:
            if len(matrices) > 1:
                raise ValueError(f"one of {len(matrices)} of the sample; FlowKit takes one")
            return read_compensation(matrices[0])
        except ValueError as error:
            name = name_of(attribute(matrices[-1], "name") or "without a name")
            self.problems.append(f"line {line_of(matrices[-1])}: matrix {name}: {error}")
            return None

    def axis(self, name: str) -> Axis:
        """Axis that a channel name in a gate means; raises ValueError, or `_Reported` for what is listed already."""
        if name not in self.axes:
            self.axes[name] = self._axis(name)
        return self.axes[name]

    def _axis(self, name: str) -> Axis:
        plain = None if self.compensation is None else self.compensation.compensated(name)
        scale = self._scale(name if name in self.scales or plain is None else plain)
        if plain is not None:
            return Axis(plain, plain, True, scale)
        key = name
        if self.compensation is not None and name in self.compensation.outputs:
            while key in self.compensation.outputs or key in self.scales:
                key += " (not compensated)"
        factor = self._seconds(scale) if name.upper() in ("TIME", "HDR-T") else 1.0
        return Axis(name, key, False, scale, factor)

    def _seconds(self, scale: Scale) -> float:
        """Seconds by ``$TIMESTEP`` per second of FlowJo, which takes those of the clock where it writes a gain."""
        if scale.gain == 1:
            return 1.0
        step = self.document.get("timestep")
        if step is None:
            raise ValueError("FlowJo stretched time by a gain, and the sample has no Keywords that say from what")
        return (positive(step) or 1.0) / scale.gain

    def _scale(self, channel: str) -> Scale:
        nodes = self.scales.get(channel)
        if nodes is None:
            raise ValueError(f"channel {name_of(channel)} has no transformation in the sample")
        found = [self._read_scale(node, channel) for node in nodes]
        if found[0] is None or None in found:
            raise _Reported
        if any(scale != found[0] for scale in found):
            raise ValueError(f"channel {name_of(channel)} has several transformations; FlowKit takes the last")
        return found[0]

    def _read_scale(self, node: Any, channel: str) -> Scale | None:
        if node not in self.read:
            try:
                self.read[node] = read_scale(node)
            except ValueError as error:
                self.read[node] = None
                self.problems.append(f"line {line_of(node)}: transformation of {name_of(channel)}: {error}")
        return self.read[node]

    def nodes(self) -> Iterator[_Node]:
        """Every population of the sample, parents first; lists what is wrong with it."""
        roots = children(self.document, "SampleNode")
        if len(roots) != 1:
            self.problems.append(f"line {self.line}: it has {len(roots)} SampleNodes; one was expected")
        for unread in children(self.document, "unread"):
            self._refuse_unread(unread, ())
        self.paths: set[Path_] = set()
        found: list[tuple[Any, Path_]] = []
        waiting: list[tuple[Any, Path_]] = [(root, ()) for root in roots]
        while waiting:
            parent, path = waiting.pop()
            if path:
                found.append((parent, path))
            below: list[tuple[Any, Path_]] = []
            for child in children(parent, *POPULATIONS, "unread"):
                if kind_of(child) == "unread":
                    self._refuse_unread(child, path)
                elif self._named(child, path):
                    below.append((child, (*path, child.get("name"))))
            waiting += reversed(below)
        for node, path in found:
            yield self._node(node, path)

    def _refuse_unread(self, node: Any, path: Path_) -> None:
        named = node.get("name")
        inside = f" in {name_of('/'.join(path))}" if path else ""
        self.problems.append(
            f"line {line_of(node)}: {name_of(node.get('kind'))}{f' {name_of(named)}' if named else ''}{inside}: a "
            "population, or gates in a place, that FlowKit does not read"
        )

    def _named(self, node: Any, parent: Path_) -> bool:
        """Check the name of a population; False where what is below it cannot be told from something else."""
        name = node.get("name")
        path = (*parent, name or "")
        if name is None or name in _IMPOSSIBLE or "/" in name:
            self.refuse(
                line_of(node), path, "a population needs a name, other than . and .., without a slash: rename it"
            )
        elif path in self.paths:
            self.refuse(line_of(node), path, "stands twice below its parent; rename one")
        else:
            self.paths.add(path)
            return True
        return False

    def _node(self, node: Any, path: Path_) -> _Node:
        made = _Node(path, line_of(node), kind_of(node))
        try:
            if made.kind != "Population":
                return replace(made, operands=self._operands(node))
            gates = children(node, "Gate")
            inside = [gate for group in gates for gate in children(group)]
            if len(gates) != 1 or len(inside) != 1:
                raise ValueError(f"it has {len(inside)} gates; one was expected")
            return replace(made, gate=read_gate(inside[0], self.axis))
        except ValueError as error:
            self.refuse(made.line, path, str(error))
        except _Reported:
            pass
        return made

    def _operands(self, node: Any) -> tuple[Path_, ...]:
        names = [attribute(d, "name") or "" for group in children(node, "Dependents") for d in children(group)]
        if not names:
            raise ValueError("it combines no populations")
        if kind_of(node) == "NotNode" and len(names) != 1:
            raise ValueError(f"'not' takes one population, found {len(names)}; FlowKit takes the first")
        operands = tuple(tuple(name.split("/")) for name in names)
        for name, operand in zip(names, operands, strict=True):
            if operand not in self.paths:
                raise ValueError(f"it rests on {name_of(name)}, which the sample does not have")
        return operands

    def check_order(self, nodes: Iterable[_Node]) -> None:
        """List populations that rest on each other in a circle."""
        lines = {node.path: node.line for node in nodes}
        try:
            TopologicalSorter({node.path: node.needed for node in nodes}).prepare()
        except CycleError as error:
            circle = " > ".join(name_of("/".join(path)) for path in error.args[1])
            self.problems.append(f"line {lines[error.args[1][0]]}: gates rest on each other in a circle: {circle}")
