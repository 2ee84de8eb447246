"""Which elements and attributes Gating-ML 2.0 has, and where. What stands elsewhere would be dropped by a reader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from nti7flow.errors import StrategyError, did_you_mean, printable

_STANDARD = "http://www.isac-net.org/std/Gating-ML/v2.0"
#: Prefixes as the standard writes them. ``g:id`` and the like are short for them here.
NAMESPACES = {
    "gating": f"{_STANDARD}/gating",
    "transforms": f"{_STANDARD}/transformations",
    "data-type": f"{_STANDARD}/datatypes",
}
_SHORT = {prefix[0]: uri for prefix, uri in NAMESPACES.items()}
_XML, _XSI = "http://www.w3.org/XML/1998/namespace", "http://www.w3.org/2001/XMLSchema-instance"
#: How FlowJo draws a gate.
_DRAWING = {"annoOffsetX", "annoOffsetY", "gateResolution", "isTinted", "lineWeight", "percentX", "percentY"}
_DRAWING |= {"quadId", "tint", "userDefined"}
#: Letters of a name from a file that are shown, and problems that are listed.
SHOWN, LISTED = 80, 100
#: libxml2 numbers lines up to here; all further ones are the next.
_LAST_LINE = 65_534
#: How many problems come with a guess at what was meant.
_HINTS = 10


def full(short: str) -> str:
    """Return the name of an element or attribute as lxml has it: ``g:id`` is ``{http…/gating}id``."""
    prefix, _, name = short.partition(":")
    return f"{{{_SHORT[prefix]}}}{name}"


def shown(name: object) -> str:
    """Return a name from a file as a message may show it."""
    text = str(name)
    return printable(text if len(text) <= SHOWN else text[:SHOWN] + "…")


def local(name: str) -> str:
    """Return a name without its namespace."""
    return name.rpartition("}")[2]


@dataclass
class Problems:
    """What is wrong with a document, with the lines."""

    found: list[tuple[int, str]] = field(default_factory=list)

    def add(self, node: Any, what: str) -> None:
        """Record a problem of an element."""
        self.found.append((node.sourceline or 0, what))

    def hint(self, name: str, known: Iterable[str]) -> str:
        """Name the one that may be meant, for the first few problems: looking for it takes a while."""
        if len(self.found) >= _HINTS:
            return ""
        found = did_you_mean(name[:SHOWN], (one[:SHOWN] for one in known))
        return f".{found}" if found else ""

    def refuse(self, path: str) -> None:
        """Raise `StrategyError` with all that was found, in the order of the file; do nothing where nothing was."""
        if not self.found:
            return
        lines = [
            f"line {line}: {what}" if line <= _LAST_LINE else f"after line {_LAST_LINE}: {what}"
            for line, what in sorted(dict.fromkeys(self.found))
        ]
        if len(lines) > LISTED:
            lines = [*lines[:LISTED], f"and {len(lines) - LISTED:,} more problems"]
        raise StrategyError(path, lines)


@dataclass(frozen=True)
class Element:
    """What an element may have: attributes, children, and groups of children of which exactly one stands in it."""

    required: frozenset[str]
    optional: frozenset[str]
    children: frozenset[str]
    one_of: tuple[frozenset[str], ...]
    #: The standard lets gates and transformations carry attributes of anybody.
    open: bool


def _element(
    required: str = "", optional: str = "", children: str = "", *one_of: str, is_open: bool = False
) -> Element:
    groups = [frozenset(map(full, text.split())) for text in (required, optional, children, *one_of)]
    everything = groups[2].union(*groups[3:])
    return Element(groups[0], groups[1], everything, tuple(groups[3:]), is_open)


def _gate(children: str, *one_of: str) -> Element:
    return _element("g:id", "g:parent_id g:name", f"d:custom_info {children}", *one_of, is_open=True)


def _transform(required: str, children: str = "") -> Element:
    return _element(required, "", f"d:custom_info {children}", is_open=True)


GATES = "g:RectangleGate g:PolygonGate g:EllipsoidGate g:QuadrantGate g:BooleanGate"
SCALES = "t:flin t:flog t:fasinh t:logicle t:hyperlog"
_AXIS = "d:fcs-dimension d:new-dimension"
_GRAMMAR = {
    "g:Gating-ML": _element("", "", f"{GATES} t:transformation t:spectrumMatrix d:custom_info"),
    "g:RectangleGate": _gate("g:dimension"),
    "g:PolygonGate": _gate("g:dimension g:vertex"),
    "g:EllipsoidGate": _gate("g:dimension", "g:mean", "g:covarianceMatrix", "g:distanceSquare"),
    "g:QuadrantGate": _gate("g:divider g:Quadrant"),
    "g:BooleanGate": _gate("", "g:and g:or g:not"),
    "g:dimension": _element("g:compensation-ref", "g:transformation-ref g:min g:max", "", _AXIS),
    "g:divider": _element("g:id g:compensation-ref", "g:transformation-ref", "g:value", _AXIS),
    "g:value": _element(),
    "g:Quadrant": _element("g:id", "", "g:position"),
    "g:position": _element("g:divider_ref g:location"),
    "g:vertex": _element("", "", "g:coordinate"),
    "g:mean": _element("", "", "g:coordinate"),
    "g:coordinate": _element("d:value"),
    "g:covarianceMatrix": _element("", "", "g:row"),
    "g:row": _element("", "", "g:entry"),
    "g:entry": _element("d:value"),
    "g:distanceSquare": _element("d:value"),
    "g:and": _element("", "", "g:gateReference"),
    "g:or": _element("", "", "g:gateReference"),
    "g:not": _element("", "", "g:gateReference"),
    "g:gateReference": _element("g:ref", "g:use-as-complement"),
    "d:fcs-dimension": _element("d:name"),
    "d:new-dimension": _element("d:transformation-ref"),
    "t:transformation": _element("t:id", "t:boundMin t:boundMax", "", f"{SCALES} t:fratio", is_open=True),
    "t:flin": _transform("t:T t:A"),
    "t:flog": _transform("t:T t:M"),
    "t:fasinh": _transform("t:T t:M t:A"),
    "t:logicle": _transform("t:T t:W t:M t:A"),
    "t:hyperlog": _transform("t:T t:W t:M t:A"),
    "t:fratio": _transform("t:A t:B t:C", "d:fcs-dimension"),
    "t:spectrumMatrix": _element(
        "t:id", "t:matrix-inverted-already", "t:spectrum d:custom_info", "t:fluorochromes", "t:detectors", is_open=True
    ),
    "t:fluorochromes": _element("", "", "d:fcs-dimension"),
    "t:detectors": _element("", "", "d:fcs-dimension"),
    "t:spectrum": _element("", "", "t:coefficient"),
    "t:coefficient": _element("t:value"),
}
GRAMMAR = {full(name): element for name, element in _GRAMMAR.items()}
CUSTOM = full("d:custom_info")
_GATES = frozenset(map(full, GATES.split()))
#: Elements that messages call by their ids.
_CALLED = {
    **dict.fromkeys(_GATES, "gate"),
    full("g:divider"): "divider",
    full("g:Quadrant"): "quadrant",
    full("t:transformation"): "transform",
    full("t:spectrumMatrix"): "matrix",
}


def called(node: Any) -> str:
    """Say which element of the document this is: ``gate CD4``; empty for those without an id."""
    kind = _CALLED.get(node.tag, "")
    space = node.tag[: node.tag.find("}") + 1]
    return f"{kind} {shown(node.get(f'{space}id', '(no id)'))}" if kind else ""


def elements(root: Any) -> Iterator[Any]:
    """Every element of a document but what programs put into ``custom_info`` for themselves."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [child for child in reversed(node) if child.tag != CUSTOM]


def ignored(attribute: str) -> bool:
    """Whether an attribute says nothing about gates: where a schema is, a language, a base."""
    return attribute.startswith(f"{{{_XML}}}") or attribute in (
        f"{{{_XSI}}}schemaLocation",
        f"{{{_XSI}}}noNamespaceSchemaLocation",
    )


def check_grammar(root: Any, problems: Problems) -> None:
    """Find elements and attributes that the standard does not have where they stand, and those that are missing."""
    waiting = [(root, "")]
    while waiting:
        node, where = waiting.pop()
        where = f"{called(node)}: " if called(node) else where
        grammar = GRAMMAR[node.tag]
        _check_attributes(node, grammar, where, problems)
        if node.tag != full("g:value") and _text(node):
            problems.add(node, f"{where}{local(node.tag)} has text, where Gating-ML 2.0 has none")
        strangers = [child for child in node if child.tag not in grammar.children]
        for child in strangers:
            problems.add(child, where + _stranger(child, node))
        children = [child for child in node if child.tag in grammar.children and child.tag != CUSTOM]
        for group in grammar.one_of:
            count = sum(child.tag in group for child in children)
            if count > 1 or (count == 0 and not strangers):
                names = ", ".join(sorted(map(local, group)))
                problems.add(node, f"{where}{local(node.tag)} needs exactly one of {names}; found {count}")
        waiting += [(child, where) for child in reversed(children)]


def _text(node: Any) -> str:
    return "".join(text for text in (node.text, *(child.tail for child in node)) if text).strip()


def _stranger(child: Any, parent: Any) -> str:
    name, given = shown(local(child.tag)), child.get(full("g:id"))
    if given is not None and child.tag not in GRAMMAR:
        return f"gate {shown(given)}: {name} is no element of Gating-ML 2.0 in {local(parent.tag)}"
    if child.tag in GRAMMAR:
        return f"{called(child) or 'element ' + name} stands in {local(parent.tag)}, where it would be dropped"
    dropped = sum(node.tag in _GATES for node in child.iter())
    lost = f"; {dropped:,} gate{'s' * (dropped > 1)} in it would be dropped" if dropped else ""
    return f"element {name} does not belong in {local(parent.tag)}{lost}"


def _check_attributes(node: Any, grammar: Element, where: str, problems: Problems) -> None:
    name = local(node.tag)
    for attribute in sorted(grammar.required - set(node.attrib)):
        problems.add(node, f"{where}{name} has no {local(attribute)}")
    strange = [attribute for attribute in node.attrib if not _is_known(attribute, node, grammar)]
    bare = {local(known) for known in grammar.required | grammar.optional}.intersection(strange)
    for attribute in sorted(bare):
        problems.add(node, f"{where}attribute {attribute} of {name} has no prefix, and would be dropped")
    others = sorted(shown(local(attribute)) for attribute in strange if attribute not in bare)
    if others:
        problems.add(node, f"{where}{name} has attributes that are not of Gating-ML 2.0: {', '.join(others[:LISTED])}")


def _is_known(attribute: str, node: Any, grammar: Element) -> bool:
    """Whether an attribute is one of the standard, or one that says nothing about the gate."""
    if attribute in grammar.required or attribute in grammar.optional or ignored(attribute):
        return True
    if not grammar.open:
        return False
    if attribute == "eventsInside":  # FlowJo's complement
        return bool(node.get(attribute) == "1")
    space = attribute[1:].partition("}")[0] if attribute.startswith("{") else ""
    return space not in ("", _XSI, *NAMESPACES.values()) or attribute in _DRAWING
