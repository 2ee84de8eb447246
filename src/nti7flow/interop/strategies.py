"""`read_strategy`: files of gates, whoever wrote them, told apart by what they hold."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from nti7flow.errors import Nti7flowError, StrategyError
from nti7flow.gating.strategy import SCHEMA, GatingStrategy
from nti7flow.interop.gatingml.grammar import NAMESPACES, local, shown
from nti7flow.interop.xml import parse_bytes, read_document

if TYPE_CHECKING:
    from nti7flow.interop.flowjo.workspace import Workspace

#: The first version of FlowJo whose workspaces hold gates as Gating-ML does.
OLDEST_FLOWJO = 10
_GATING_ML = re.compile(r"http://www\.isac-net\.org/std/Gating-ML/v([0-9.]{1,8})/gating")
#: First bytes of what is given in place of a file of gates, and what to do about it.
_FORMATS = (
    (b"PK\x03\x04", "is a zip archive, such as FlowJo's .acs; unpack it and give the .wsp in it"),
    (b"\x1f\x8b", "is a gzip file; unpack it first"),
    (b"BZh", "is a bzip2 file; unpack it first"),
    (b"7z\xbc\xaf", "is a 7z archive; unpack it first"),
    (b"\xd0\xcf\x11\xe0", "is an old Office document"),
    (b"FCS", "is a tube (FCS) and holds no gates; give the tubes as FILES and the gates as --strategy"),
)


def read_strategy(path: str | Path) -> GatingStrategy | Workspace:
    """Read the gates that another program, or this one, wrote to a file.

    Parameters
    ----------
    path : str or Path
        Gating-ML 2.0, a FlowJo 10 workspace (``.wsp``), or a strategy from a run folder
        (``strategies/<sample>.json``). What it is, is told from its content, not from its suffix.

    Returns
    -------
    GatingStrategy or Workspace
        Gating-ML gives a strategy for any tube: apply it, or bind it with `GatingStrategy.for_sample`. A strategy that
        this package wrote is for the tube that it was made for. A workspace holds gates for each of its samples: it has
        `apply` and `for_sample` too, which find the sample of a tube.

    Raises
    ------
    StrategyError
        No such file, none of these formats, or gates that could not be applied as they are meant: anything that would
        be dropped or guessed is refused by name, all problems in one listing. Nothing that the file names is fetched.

    Examples
    --------
    >>> import nti7flow as nf
    >>> strategy = nf.read_strategy("gates.xml")  # doctest: +SKIP
    >>> members = strategy.apply(nf.read_fcs("tube.fcs"))  # doctest: +SKIP
    >>> len(members["CD4"])  # doctest: +SKIP
    8012

    A workspace finds the sample of a tube by its name, else by the file that FlowJo opened, else by ``$FIL``:

    >>> workspace = nf.read_strategy("study.wsp")  # doctest: +SKIP
    >>> workspace.samples  # doctest: +SKIP
    ('tube_01.fcs', 'tube_02.fcs')
    >>> members = workspace.apply(nf.read_fcs("tube_01.fcs"))  # doctest: +SKIP
    """
    path = Path(path)
    data = read_document(path)
    for magic, problem in _FORMATS:
        if data.startswith(magic):
            raise StrategyError(str(path), [problem])
    head = data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"{"):
        return _read_json(data, path)
    if not head.startswith(b"<") and (path.suffix.lower() in (".yaml", ".yml") or b"nti7flow/template/" in head):
        raise StrategyError(str(path), ["is a template, or other YAML; give a template as --template"])
    root = parse_bytes(data, path)
    del data  # a workspace may have 100 MB, and its tree several times that
    space, name = root.tag[1:].partition("}")[0] if root.tag.startswith("{") else "", local(root.tag)
    if name == "Gating-ML" and space == NAMESPACES["gating"]:
        from nti7flow.interop.gatingml.reader import read_gatingml

        return read_gatingml(path, root)
    if name == "Workspace":
        _check_flowjo(root, path)
        from nti7flow.interop.flowjo.workspace import read_workspace

        return read_workspace(path, root)
    _refuse(path, name, space)


def _refuse(path: Path, name: str, space: str) -> NoReturn:
    version = _GATING_ML.fullmatch(space)
    if version:
        problem = f"is Gating-ML {version[1]}; convert it to Gating-ML 2.0, or export it again from where it was made"
    elif name == "Gating-ML":
        problem = f"is Gating-ML without the namespace of version 2.0 ({NAMESPACES['gating']})"
    elif name == "bdfacs":
        problem = "is an experiment of BD FACSDiva; open it in FlowJo 10 and save a workspace, or export Gating-ML 2.0"
    else:
        problem = (
            f"is XML, but with <{shown(name)}> no file of gates; give Gating-ML 2.0 (<Gating-ML>) or a FlowJo 10 "
            "workspace (<Workspace>)"
        )
    raise StrategyError(str(path), [problem])


def _check_flowjo(root: Any, path: Path) -> None:
    """Refuse a workspace of FlowJo before version 10, which stores gates otherwise."""
    version = re.match(r"\D{0,8}(\d{1,4})(?!\d)", root.get("flowJoVersion", ""))
    if version is None or int(version[1]) < OLDEST_FLOWJO:
        found = f"of FlowJo {int(version[1])}" if version else "that does not say which FlowJo wrote it"
        raise StrategyError(
            str(path), [f"is a workspace {found}; open it in FlowJo {OLDEST_FLOWJO} or later and save it again"]
        )


def _read_json(data: bytes, path: Path) -> GatingStrategy:
    try:
        plain = json.loads(data, parse_constant=_bound)
    except (ValueError, RecursionError):  # what json says quotes nothing, but is of no use either
        raise StrategyError(str(path), ["is neither XML nor JSON"]) from None
    schema = plain.get("schema") if isinstance(plain, dict) else None
    if schema != SCHEMA:
        problem = f"is JSON, but no strategy of a run ({SCHEMA})"
        if isinstance(schema, str) and schema.startswith("nti7flow/"):
            problem = f"is {shown(schema)}; only {SCHEMA} is read as a strategy"
        raise StrategyError(str(path), [problem])
    try:
        strategy = GatingStrategy.from_dict(plain)
        whole = json.loads(json.dumps(strategy.to_dict())) == plain
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, Nti7flowError):
        whole = False
    if not whole:
        raise StrategyError(str(path), ["is no whole strategy of a run: something was changed or is missing"])
    return strategy


def _bound(text: str) -> float:
    """Return an infinite bound; what is not a number is nowhere in a strategy."""
    if text == "NaN":
        raise ValueError
    return float(text)
