"""What a Gating-ML document defines, by id: populations, transforms, matrices; and what is wrong with those."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np

from nti7flow.errors import Nti7flowError
from nti7flow.events.spectrum import SpectrumMatrix
from nti7flow.events.transforms import Arcsinh, Hyperlog, Linear, Log, Logicle
from nti7flow.interop.flowkit.package import IN_FILE, ROOT, UNCOMPENSATED
from nti7flow.interop.gatingml.grammar import GATES, GRAMMAR, Problems, called, elements, full, local, shown

#: A number as XML Schema writes it; Python would also take "1_000" and "infinity".
NUMBER = re.compile(r"[ \t\r\n]*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[ \t\r\n]*", re.ASCII)
_UNBOUNDED = {("min", "-INF"): float("-inf"), ("max", "INF"): float("inf")}
_SCALES = {"flin": Linear, "flog": Log, "fasinh": Arcsinh, "logicle": Logicle, "hyperlog": Hyperlog}
YES, NO = ("true", "1"), ("false", "0")
GATE_TAGS = frozenset(map(full, GATES.split()))


def yes(text: str | None) -> bool:
    """Return a true or false of XML Schema."""
    return (text or "").strip() in YES


@dataclass(frozen=True)
class Spectra:
    """The names in a matrix; dye i is read in detector i."""

    dyes: tuple[str, ...]
    detectors: tuple[str, ...]


@dataclass
class Definitions:
    """What a document defines, by id."""

    scales: set[str] = field(default_factory=set)
    ratios: set[str] = field(default_factory=set)
    matrices: dict[str, Spectra] = field(default_factory=dict)
    #: Gates without sets of quadrants, and quadrants: what a parent or an operand may be.
    populations: dict[str, Any] = field(default_factory=dict)
    sets: dict[str, Any] = field(default_factory=dict)
    #: Set of each quadrant.
    set_of: dict[str, str] = field(default_factory=dict)


def define(root: Any, problems: Problems) -> Definitions:
    """Collect what a document defines; find ids that stand twice, and impossible transforms and matrices."""
    known = Definitions()
    _check_ids(root, problems)
    for node in root.iterchildren(*GATE_TAGS):
        name = node.get(full("g:id"))
        if name:  # one without is a problem of its own
            (known.sets if node.tag == full("g:QuadrantGate") else known.populations).setdefault(name, node)
        for quadrant in node.iterchildren(full("g:Quadrant")):
            part = quadrant.get(full("g:id"))
            if part:
                known.populations.setdefault(part, quadrant)
            if part and name:
                known.set_of.setdefault(part, name)
    for node in root.iterchildren(full("t:transformation")):
        _define_transform(node, known, problems)
    for node in root.iterchildren(full("t:spectrumMatrix")):
        _define_matrix(node, known, problems)
    return known


def _check_ids(root: Any, problems: Problems) -> None:
    """Ids of all kinds share one space in the standard; FlowKit takes the last of two without a word."""
    seen: dict[str, Any] = {}
    for node in elements(root):
        name = node.get(full("g:id"), node.get(full("t:id")))
        if name is None or not called(node):
            continue
        if name in seen:
            problems.add(node, f"{called(node)}: line {seen[name].sourceline} has this id too")
        elif not _is_id(name):
            problems.add(node, f"{called(node)}: an id has letters, digits, '.', '-' and '_', and begins with a letter")
        elif name == ROOT:
            problems.add(node, f"{called(node)}: FlowKit calls all events so; give another id")
        seen.setdefault(name, node)


def _is_id(name: str) -> bool:
    from lxml import etree

    try:
        begins = name[:1] == "_" or name[:1].isalpha()
        return begins and ":" not in name and bool(etree.QName(name).text == name)
    except ValueError:
        return False


def number(node: Any, attribute: str, who: str, problems: Problems) -> float | None:
    """Return the number of an attribute; None where it is missing, or is none, which is a problem."""
    text = node.get(full(attribute))
    if text is None:
        return None
    name = local(full(attribute))
    value = float(text) if NUMBER.fullmatch(text) else _UNBOUNDED.get((name, text.strip()))
    if value is None or not (isfinite(value) or text.strip() in ("INF", "-INF")):
        problems.add(node, f"{who}: {name} of {local(node.tag)} is no finite number")
        return None
    return value


def numbers(nodes: Iterable[Any], attribute: str, who: str, problems: Problems) -> list[float] | None:
    """Return the numbers of an attribute of some elements; None where one of them is none."""
    values = [number(node, attribute, who, problems) for node in nodes]
    return None if None in values else [value for value in values if value is not None]


def _define_transform(node: Any, known: Definitions, problems: Problems) -> None:
    name, who = node.get(full("t:id"), ""), called(node)
    for attribute in ("t:boundMin", "t:boundMax"):
        if node.get(full(attribute)) is not None:
            problems.add(node, f"{who}: FlowKit ignores {local(full(attribute))}; remove it")
    known.scales.add(name)
    for curve in node:
        kind = local(curve.tag)
        needed = GRAMMAR[curve.tag].required if curve.tag in GRAMMAR else frozenset()
        values = {local(a): number(curve, f"t:{local(a)}", who, problems) for a in sorted(needed)}
        if kind == "fratio":
            known.scales.discard(name)
            known.ratios.add(name)
            channels = [child.get(full("d:name")) for child in curve.iterchildren(full("d:fcs-dimension"))]
            if len(channels) != 2:
                problems.add(curve, f"{who}: a ratio is of two channels, found {len(channels)}")
            check_channels(curve, who, problems)
        elif kind in _SCALES and None not in values.values():
            try:
                _SCALES[kind](**{a.lower(): value for a, value in values.items()})  # type: ignore[arg-type]
            except ValueError as error:
                problems.add(curve, f"{who}: {error}")


def check_channels(node: Any, who: str, problems: Problems) -> None:
    """Find names of channels that are empty."""
    for child in node.iterchildren(full("d:fcs-dimension")):
        name = child.get(full("d:name"))
        if name is not None and not name.strip():
            problems.add(child, f"{who}: the name of a channel is empty")


def _define_matrix(node: Any, known: Definitions, problems: Problems) -> None:
    name, who = node.get(full("t:id"), ""), called(node)
    if name == UNCOMPENSATED or name.casefold() == IN_FILE.casefold():
        problems.add(node, f"{who}: this id means no matrix, or the one in the FCS file; give another")
    if yes(node.get(full("t:matrix-inverted-already"))):
        problems.add(node, f"{who}: FlowKit ignores that it is inverted already; write the spectra themselves")
    lists = []
    for tag in ("t:fluorochromes", "t:detectors"):
        channels = [c for part in node.iterchildren(full(tag)) for c in part.iterchildren(full("d:fcs-dimension"))]
        lists.append(tuple(c.get(full("d:name"), "") for c in channels))
        for part in node.iterchildren(full(tag)):
            check_channels(part, who, problems)
    dyes, detectors = lists
    known.matrices.setdefault(name, Spectra(dyes, detectors))
    for names, what in ((dyes, "dye"), (detectors, "detector")):
        twice = [n for i, n in enumerate(names) if n in names[:i]]
        if twice:
            problems.add(node, f"{who}: {what} {shown(twice[0])} stands twice")
    rows = list(node.iterchildren(full("t:spectrum")))
    cells = [numbers(row.iterchildren(full("t:coefficient")), "t:value", who, problems) for row in rows]
    if len(dyes) != len(detectors):
        problems.add(node, f"{who}: {len(dyes)} dyes in {len(detectors)} detectors; FlowKit takes square matrices only")
    elif len(rows) != len(dyes):
        problems.add(node, f"{who}: {len(rows)} spectra for {len(dyes)} dyes")
    else:
        _check_cells(node, cells, detectors, problems)


def _check_cells(
    node: Any, cells: Sequence[list[float] | None], detectors: tuple[str, ...], problems: Problems
) -> None:
    who, n = called(node), len(detectors)
    short = next((row for row in cells if row is not None and len(row) != n), None)
    if short is not None:
        problems.add(node, f"{who}: a spectrum of {len(short)} coefficients for {n} detectors")
    elif all(row is not None for row in cells) and len(set(detectors)) == n:
        try:
            SpectrumMatrix(detectors, detectors, np.array(cells, np.float64), "the document")
        except Nti7flowError as error:
            problems.add(node, f"{who}: {error}")
