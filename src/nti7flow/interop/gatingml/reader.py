"""Gating-ML 2.0, the standard of ISAC: read through FlowKit, after everything that FlowKit would not say is refused."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

from nti7flow.errors import StrategyError
from nti7flow.gating.strategy import GatingStrategy
from nti7flow.interop.flowkit.package import load
from nti7flow.interop.flowkit.reader import strategy_from_flowkit
from nti7flow.interop.gatingml.checks import GateChecks
from nti7flow.interop.gatingml.definitions import GATE_TAGS, define, yes
from nti7flow.interop.gatingml.grammar import CUSTOM, NAMESPACES, Problems, check_grammar, full, ignored
from nti7flow.interop.gatingml.metadata import with_metadata
from nti7flow.interop.gatingml.notes import metadata_of
from nti7flow.interop.gatingml.tree import check_size, check_tree


def read_gatingml(path: str | Path, root: Any) -> GatingStrategy:
    """Return the strategy of a Gating-ML 2.0 document.

    The document is looked through first: FlowKit drops gates that do not stand directly under the root, ignores
    parameters that it does not know, and fails on others only when it is applied.

    Parameters
    ----------
    path : str or Path
        The file; its name becomes the strategy's ``template``.
    root : lxml.etree._Element
        Its root element, from `nti7flow.interop.xml.parse_bytes`.

    Returns
    -------
    GatingStrategy
        For any tube: apply it, or bind it with `GatingStrategy.for_sample`. A strategy that this package wrote comes
        back as it was, for the tube that it was made for.

    Raises
    ------
    StrategyError
        The document is too large, is not valid, or holds what FlowKit would drop, guess or could not apply. Lists all
        problems, each with its line and the name of the gate, transform or matrix.

    References
    ----------
    Spidlen J, Moore W, Brinkman RR. ISAC's Gating-ML 2.0 data exchange standard for gating description.
    Cytometry A 2015; 87A: 683-687.
    """
    path = Path(path)
    check_size(root, str(path))
    problems = Problems()
    check_grammar(root, problems)
    known = define(root, problems)
    checks = GateChecks(known, problems)
    for gate in root.iterchildren(*GATE_TAGS):
        checks.check(gate)
    check_tree(known, problems)
    metadata = metadata_of(root)
    if not (known.populations or metadata or problems.found):
        problems.add(root, "there are no gates")
    problems.refuse(str(path))
    try:
        strategy = strategy_from_flowkit(_parse(root, path), origin=path.name)
    except StrategyError as error:
        raise StrategyError(str(path), error.problems) from None
    return with_metadata(strategy, metadata)


def _parse(root: Any, path: Path) -> Any:
    from lxml import etree

    flowkit = load()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return flowkit.parse_gating_xml(BytesIO(etree.tostring(_plain(root))))
    except Exception as error:  # FlowKit has no error of its own for documents, and its messages quote them
        line = _invalid_line(root)
        if line is not None:
            problem = f"line {line}: is not valid Gating-ML 2.0"
        else:
            problem = f"FlowKit cannot read its gates ({type(error).__name__})"
        raise StrategyError(str(path), [problem]) from None


def _plain(root: Any) -> Any:
    """Return a copy that FlowKit reads as it is meant.

    FlowKit looks for the prefixes of the root element, for ``true`` but not ``1``, and for the text before the first
    comment; what other programs wrote for themselves only keeps it busy.
    """
    from lxml import etree

    copy = etree.Element(root.tag, nsmap=NAMESPACES)
    etree.SubElement(copy, CUSTOM)  # the schema has no document without an element
    waiting = [(root, copy)]
    while waiting:
        node, plain = waiting.pop()
        for name, value in node.attrib.items():
            if not ignored(name):
                plain.set(name, value)
        complement = node.get(full("g:use-as-complement"))
        if complement is not None:
            plain.set(full("g:use-as-complement"), "true" if yes(complement) else "false")
        if node.tag == full("g:value"):
            plain.text = node.text
        waiting += [(child, etree.SubElement(plain, child.tag)) for child in node if child.tag != CUSTOM]
    return copy


def _invalid_line(root: Any) -> int | None:
    """Line at which the schema of the standard, as FlowKit has it, finds the first fault."""
    from lxml import etree

    try:
        from flowkit._resources import gml_schema
    except ImportError:
        return None
    whole = etree.ElementTree(root)
    if gml_schema.validate(whole):
        return None
    return min((entry.line for entry in gml_schema.error_log), default=None)
