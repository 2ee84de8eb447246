"""Elements of a FlowJo workspace, and what of a sample decides counts: a hundredth of what FlowJo writes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from nti7flow.events.numbers import decimal, whole_number
from nti7flow.interop.flowkit.package import Path_

_ISAC = "http://www.isac-net.org/std/Gating-ML/v2.0/"
NAMESPACES = {
    "gating": f"{_ISAC}gating",
    "transforms": f"{_ISAC}transformations",
    "data-type": f"{_ISAC}datatypes",
}
POPULATIONS = ("Population", "AndNode", "OrNode", "NotNode")
#: Most populations of a sample, most of them one in the other, and most letters in the path of one.
MOST_GATES, MOST_DEPTH, LONGEST_PATH = 5000, 100, 2000
#: Most elements of gates, scales and matrices of a sample: a vertex has three, a matrix of 500 detectors 250,000.
MOST_ELEMENTS = 300_000


def kind_of(node: Any) -> str:
    """Name of an element without its namespace; empty for what is no element."""
    return node.tag.rpartition("}")[2] if isinstance(node.tag, str) else ""


def children(node: Any, *kinds: str) -> list[Any]:
    """Return the child elements of some kinds; of all kinds where none is named."""
    return [child for child in node if kind_of(child) in kinds or (not kinds and kind_of(child))]


def attribute(node: Any, name: str) -> str | None:
    """Value of an attribute, whatever its namespace; that with a namespace where there are two."""
    found: str | None = node.get(name)
    for key, text in node.attrib.items():
        if key.endswith("}" + name):
            found = text
    return found


def number(node: Any, name: str) -> float:
    """Value of an attribute that has to be a finite number; raises ValueError."""
    text = attribute(node, name)
    value = None if text is None else decimal(text)
    if value is None:
        raise ValueError(f"has no {name}" if text is None else f"its {name} is not a finite number")
    return value


def line_of(node: Any) -> int:
    """Line of an element in the workspace: noted in an extract, else its own."""
    return int(node.get("line", 0)) or node.sourceline or 0


def element(parent: Any, prefix: str, kind: str, /, **attributes: object) -> Any:
    """Append an element as FlowKit looks for it: its namespace and that of an attribute by prefix (``gating__min``)."""
    from lxml import etree

    made = etree.SubElement(parent, _qualified(prefix, kind))
    for key, value in attributes.items():
        if value is not None:
            prefix, _, name = key.rpartition("__")
            text = repr(float(value)) if isinstance(value, float) else str(value)
            made.set(_qualified(prefix.replace("_", "-"), name), text)
    return made


def _qualified(prefix: str, name: str) -> str:
    return f"{{{NAMESPACES[prefix]}}}{name}" if prefix else name


@dataclass(frozen=True, slots=True)
class Extract:
    """What of a sample decides counts, and what FlowJo counted; holds nothing of the parsed document.

    Attributes
    ----------
    line : int
        Line of the sample in the workspace.
    packed : bytes
        The scales, matrices and populations as XML, compressed; each element has its ``line``.
    counts : tuple of (path, int or None)
        Every population with FlowJo's count, None where it stored none.
    refusal : str
        Why the sample is not read at all; empty where it is.
    """

    line: int
    packed: bytes
    counts: tuple[tuple[Path_, int | None], ...]
    refusal: str = ""

    def document(self) -> Any:
        """Return the root of the extract."""
        from lxml import etree

        # It was part of a document that passed all limits; here it may stand deeper than its parser allows.
        parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
        return etree.fromstring(zlib.decompress(self.packed), parser)


def extract(sample: Any) -> Extract:
    """Return the extract of a ``Sample`` element."""
    from lxml import etree

    line = sample.sourceline or 0
    extractor = _Extractor(etree.Element("Sample", line=str(line)))
    try:
        extractor.take(sample)
    except ValueError as error:
        return Extract(line, b"", (), str(error))
    return Extract(line, zlib.compress(etree.tostring(extractor.slim), 1), tuple(extractor.counts))


def keyword(sample: Any, name: str) -> str:
    """Value of a keyword of the sample; empty where it has none such."""
    for group in children(sample, "Keywords"):
        for node in group:
            if (attribute(node, "name") or "").upper() == name:
                return attribute(node, "value") or ""
    return ""


def count_of(node: Any) -> int | None:
    """Events that FlowJo counted in a population; None where it stored none (-1)."""
    return whole_number(attribute(node, "count") or "")


@dataclass
class _Extractor:
    """Copies what decides counts to ``slim``. Raises ValueError beyond the limits."""

    slim: Any
    counts: list[tuple[Path_, int | None]] = field(default_factory=list)
    n_gates: int = 0
    n_elements: int = 0

    def take(self, sample: Any) -> None:
        """Copy what there is of a sample."""
        if children(sample, "Keywords"):
            self.slim.set("timestep", keyword(sample, "$TIMESTEP"))
        for child in children(sample):
            kind = kind_of(child)
            if kind == "spilloverMatrix":
                self._copy(child, self.slim)
            elif kind == "Transformations":
                scales = self._make(self.slim, kind, child)
                for scale in children(child):
                    self._copy(scale, scales)
            elif kind == "SampleNode":
                self._take_populations(child)
            elif _holds_gates(child):
                self._note(child, self.slim)

    def _take_populations(self, sample_node: Any) -> None:
        waiting: list[tuple[Any, Any, Path_]] = [(sample_node, self._make(self.slim, "SampleNode", sample_node), ())]
        while waiting:
            node, made, path = waiting.pop()
            if path:
                self.counts.append((path, count_of(node)))
            self._check(len(path) <= MOST_DEPTH, node, f"it has gates more than {MOST_DEPTH} deep")
            below: list[tuple[Any, Any, Path_]] = []
            for child in children(node):
                kind = kind_of(child)
                if kind == "Subpopulations":
                    below += self._start(child, made, path)
                elif path and kind in ("Gate", "Dependents"):
                    self._copy(child, made)
                elif _holds_gates(child):
                    self._note(child, made)
            waiting += reversed(below)

    def _start(self, subpopulations: Any, parent: Any, path: Path_) -> Iterator[tuple[Any, Any, Path_]]:
        """Begin the copies of populations; notes those of other kinds, and leaves out what is none (statistics)."""
        for node in children(subpopulations):
            kind, name = kind_of(node), attribute(node, "name")
            if kind in POPULATIONS:
                self.n_gates += 1
                self._check(self.n_gates <= MOST_GATES, node, f"it has more than {MOST_GATES:,} gates")
                letters = sum(map(len, path), len(name or ""))  # repeated in the paths of all populations below
                self._check(
                    letters <= LONGEST_PATH, node, f"the names to a gate have more than {LONGEST_PATH:,} letters"
                )
                made = self._make(parent, kind, node, **({} if name is None else {"name": name}))
                yield node, made, (*path, name or "")
            elif kind.endswith("Node") or attribute(node, "count") is not None or _holds_gates(node):
                self._note(node, parent)

    def _make(self, parent: Any, kind: str, node: Any, /, **attributes: str) -> Any:
        from lxml import etree

        self._count(1, node)
        return etree.SubElement(parent, kind, line=str(node.sourceline or 0), **attributes)

    def _note(self, node: Any, parent: Any) -> None:
        """Note what holds gates and is not read."""
        self._make(parent, "unread", node, kind=kind_of(node), name=attribute(node, "name") or "")

    def _copy(self, node: Any, parent: Any) -> None:
        self._count(sum(1 for _ in node.iter()), node)
        made = deepcopy(node)
        made.tail = None
        made.set("line", str(node.sourceline or 0))
        parent.append(made)

    def _count(self, n: int, node: Any) -> None:
        self.n_elements += n
        most = f"its gates, scales and matrices have more than {MOST_ELEMENTS:,} elements"
        self._check(self.n_elements <= MOST_ELEMENTS, node, most)

    def _check(self, met: object, node: Any, why: str) -> None:
        if not met:
            raise ValueError(f"line {node.sourceline or 0}: {why}; so many are not read")


def _holds_gates(node: Any) -> bool:
    return next(node.iter(*(f"{{*}}{kind}" for kind in (*POPULATIONS, "Gate"))), None) is not None
