"""How the populations of a Gating-ML document rest on each other, and how much of one is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nti7flow.errors import StrategyError
from nti7flow.interop.gatingml.definitions import GATE_TAGS, Definitions
from nti7flow.interop.gatingml.grammar import Problems, called, elements, full, shown

# FlowKit builds its tree anew for every gate, and searches it for every reference of a boolean gate. All four limits
# together are some ten seconds of its time; the largest panels of real studies are a tenth of any.
#: Most gates and quadrants.
MOST_GATES = 1_000
#: Most gates on top of each other; a quadrant counts twice.
DEEPEST = 50
#: Most references of boolean gates, times gates.
MOST_LOOKUPS = 600_000
#: Most elements that say something about gates, and with those that programs write for themselves.
MOST_ELEMENTS, MOST_WITH_CUSTOM = 150_000, 1_000_000
#: Most dividing values of one gate of quadrants.
MOST_DIVIDERS = 100

#: Gates of a circle that are named.
_NAMED = 10
_POPULATIONS = GATE_TAGS | {full("g:Quadrant")}


def check_size(root: Any, path: str) -> None:
    """Refuse a document that would keep FlowKit busy for long, before anything else is looked at."""
    if any(n == MOST_WITH_CUSTOM for n, _ in enumerate(root.iter())):
        raise StrategyError(path, [f"holds more than {MOST_WITH_CUSTOM:,} elements: split the file"])
    n_elements = n_gates = n_references = 0
    for node in elements(root):
        n_elements += 1
        n_gates += node.tag in _POPULATIONS
        n_references += node.tag == full("g:gateReference")
    if n_gates > MOST_GATES:
        raise StrategyError(path, [f"holds {n_gates:,} gates; up to {MOST_GATES:,} are read: split the file"])
    if n_elements > MOST_ELEMENTS:
        raise StrategyError(path, [f"holds {n_elements:,} elements; up to {MOST_ELEMENTS:,} are read: split the file"])
    if n_references * n_gates > MOST_LOOKUPS:
        most = MOST_LOOKUPS // n_gates
        raise StrategyError(
            path, [f"has {n_references:,} references of boolean gates among {n_gates:,} gates; up to {most:,} are read"]
        )
    for node in root.iterchildren(full("g:QuadrantGate")):
        n = len(node.findall(f"{full('g:divider')}/{full('g:value')}"))
        if n > MOST_DIVIDERS:
            raise StrategyError(path, [f"{called(node)}: has {n:,} dividing values; up to {MOST_DIVIDERS} are read"])


def check_tree(known: Definitions, problems: Problems) -> None:
    """Find parents and operands that are not there, circles, and gates that are too deep."""
    for name, node in [*known.populations.items(), *known.sets.items()]:
        parent = node.get(full("g:parent_id"))
        if parent is not None:
            _check_reference(node, parent, f"{called(node)}: parent", known, problems)
        for reference in _references(node):
            operand = reference.get(full("g:ref"), "")
            _check_reference(reference, operand, f"{called(node)}: operand", known, problems)
            if operand == parent and operand != name:
                problems.add(
                    reference,
                    f"{called(node)}: combines its own parent {shown(operand)}, which FlowKit cannot; leave one out",
                )
    circle = _circle(known)
    if circle:
        names = " > ".join(map(shown, circle[:_NAMED])) + (" > …" if len(circle) > _NAMED else "")
        problems.add(_node(known, circle[0]), f"gates rest on each other in a circle: {names}")
    else:
        _check_depth(known, problems)


def _check_reference(node: Any, name: str, what: str, known: Definitions, problems: Problems) -> None:
    if name in known.sets:
        problems.add(node, f"{what} {shown(name)} is a set of quadrants; name one of its quadrants")
    elif name not in known.populations:
        problems.add(node, f"{what} {shown(name)} is not defined{problems.hint(name, known.populations)}")


def _references(node: Any) -> Iterator[Any]:
    for operation in node.iterchildren(*map(full, ("g:and", "g:or", "g:not"))):
        yield from operation.iterchildren(full("g:gateReference"))


def _node(known: Definitions, name: str) -> Any:
    return known.populations[name] if name in known.populations else known.sets[name]


def _needs(known: Definitions, name: str) -> list[str]:
    """Return the populations and sets that one rests on, as far as they are defined."""
    if name in known.set_of:
        return [known.set_of[name]]
    node = _node(known, name)
    needs = [node.get(full("g:parent_id"), ""), *(r.get(full("g:ref"), "") for r in _references(node))]
    return [n for n in needs if n in known.populations or n in known.sets]


def _circle(known: Definitions) -> list[str]:
    """Return populations that rest on each other, the first one again at the end; empty where none do."""
    done: set[str] = set()
    for start in [*known.populations, *known.sets]:
        path: dict[str, Iterator[str]] = {}  # in the order of the walk
        name = start
        while True:
            if name not in done and name not in path:
                path[name] = iter(_needs(known, name))
            elif name in path:
                walked = list(path)
                return [*walked[walked.index(name) :], name]
            # The next one that the last of the path needs; where there is none, the path grows shorter.
            following = None
            while path and following is None:
                last = next(reversed(path))
                following = next(path[last], None)
                if following is None:
                    done.add(last)
                    del path[last]
            if following is None:
                break
            name = following
    return []


def _check_depth(known: Definitions, problems: Problems) -> None:
    depths: dict[str, int] = {}
    for name in [*known.populations, *known.sets]:
        chain = [name]
        while chain[-1] not in depths:
            above = known.set_of.get(chain[-1]) or _node(known, chain[-1]).get(full("g:parent_id"))
            if above not in known.populations and above not in known.sets:
                depths[chain[-1]] = 1
            else:
                chain.append(above)
        for child, parent in zip(chain[-2::-1], chain[:0:-1], strict=True):
            depths[child] = depths[parent] + 1
    if depths and max(depths.values()) > DEEPEST:
        name = max(depths, key=lambda name: depths[name])
        problems.add(
            _node(known, name),
            f"{called(_node(known, name))}: has {depths[name] - 1:,} gates above it; up to {DEEPEST - 1} are read",
        )
