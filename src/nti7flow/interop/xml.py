"""XML from anywhere, read so that it can do nothing: no DTD, no entities, nothing fetched, bounded in size."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.parsers import expat

from nti7flow.errors import FcsError, StrategyError
from nti7flow.events.fcs.opening import open_regular, read_span

#: Largest file that is read. Workspaces of large studies have 100 to 200 MB.
MOST_BYTES = 512 * 2**20
#: Most elements and attributes together; in memory each takes some 100 bytes, in a file of hostile tags only two.
MOST_NODES = 20_000_000
#: Most attributes of an element; looking through them takes time that grows with the square.
MOST_ATTRIBUTES = 500
#: Deepest nesting, that of libxml2; FlowJo nests two elements for each gate.
DEEPEST = 256
#: Longest text, tag or comment in bytes, that of libxml2.
LONGEST = 10_000_000
#: The root element begins within so many bytes.
LONGEST_PROLOG = 1_000_000

_CUT_OFF = {
    expat.errors.codes[message]
    for message in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
}
_ENCODINGS = {
    expat.errors.codes[message]
    for message in (expat.errors.XML_ERROR_UNKNOWN_ENCODING, expat.errors.XML_ERROR_INCORRECT_ENCODING)
}
_INVALID = expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]
#: What may stand before the first tag: byte order marks, white space, and the zeros of UTF-16.
_BEFORE = b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n"
_DOCTYPE = "has a document type (DOCTYPE), which is not read: remove it"
_ENCODING = "is XML in an encoding that is not known, or not in the one that it says; save it as UTF-8"


def parse_xml(path: str | Path) -> Any:
    """Read an XML file and return its root element.

    A document type (DTD) is refused before anything of it is read, so that no entity can be declared; nothing is
    fetched, whatever the document names (schema locations, XInclude, ``xml:base``); comments and processing
    instructions are left out.

    Parameters
    ----------
    path : str or Path
        A regular file of at most `MOST_BYTES`, in any encoding that it declares and expat knows.

    Returns
    -------
    lxml.etree._Element
        The root; ``sourceline`` of an element is its line in the file.

    Raises
    ------
    StrategyError
        No such file, no regular file, empty, too large, not XML, cut off, with a document type, or nested too deep.
        Never quotes the content.
    """
    return parse_bytes(read_document(path), path)


def read_document(path: str | Path) -> bytes:
    """Return the bytes of a regular file that is neither empty nor too large; raises `StrategyError`."""
    try:
        with open_regular(Path(path)) as (stream, status):
            if status.st_size > MOST_BYTES:
                raise StrategyError(
                    str(path),
                    [f"has {status.st_size / 2**20:,.0f} MB; files of gates of up to {MOST_BYTES >> 20:,} MB are read"],
                )
            return read_span(stream, 0, status.st_size - 1, path=str(path))
    except FcsError as error:
        raise StrategyError(str(path), [f"{error.title}: found {error.found}"]) from None


def parse_bytes(data: bytes, path: str | Path) -> Any:
    """Parse the bytes of an XML document; see `parse_xml`. ``path`` is for messages alone."""
    from lxml import etree

    _check_prolog(data, str(path))
    nodes = data.count(b"<") + 2 * data.count(b"=")
    if nodes > MOST_NODES:
        raise StrategyError(
            str(path), [f"has about {nodes:,} elements and attributes; up to {MOST_NODES:,} are read: split the file"]
        )
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        # What libxml2 says quotes the document.
        unknown = error.code == etree.ErrorTypes.ERR_UNSUPPORTED_ENCODING
        raise StrategyError(str(path), [_ENCODING if unknown else _why(data, error.position[0])]) from None
    if root.getroottree().docinfo.internalDTD is not None:  # libxml2 took another encoding than expat
        raise StrategyError(str(path), [_DOCTYPE])
    crowded = root.xpath("descendant-or-self::*[count(@*) > $most]", most=MOST_ATTRIBUTES)
    if crowded:
        raise StrategyError(
            str(path), [f"line {crowded[0].sourceline}: an element has more than {MOST_ATTRIBUTES:,} attributes"]
        )
    return root


class _Found(Exception):
    """Ends a parse: the root element, or why the document is refused."""


def _check_prolog(data: bytes, path: str) -> None:
    """Refuse what does not begin like XML, and any document type, at its first letter."""
    parser = expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise _Found(f"line {parser.CurrentLineNumber}: {_DOCTYPE}")

    def accept(*_: object) -> None:
        raise _Found

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = accept
    problem = "begins with more than a megabyte of other things than elements"
    try:
        if not data[:4096].lstrip(_BEFORE).startswith(b"<"):
            raise _Found("is not XML")
        parser.Parse(data[:LONGEST_PROLOG], len(data) <= LONGEST_PROLOG)
    except _Found as found:
        if not found.args:
            return
        problem = str(found)
    except expat.ExpatError as error:
        problem = _explain(data, error)
    except Exception:  # whatever a codec of Python says to an encoding that is none
        problem = _ENCODING
    raise StrategyError(path, [problem])


def _why(data: bytes, line: int) -> str:
    """Say why libxml2 took a document to be no XML, without its words."""
    parser, depth = expat.ParserCreate(namespace_separator=" "), 0

    def begin(*_: object) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise _Found(f"line {parser.CurrentLineNumber}: elements are nested more than {DEEPEST} deep")

    def end(*_: object) -> None:
        nonlocal depth
        depth -= 1

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    try:
        for start in range(0, len(data), LONGEST_PROLOG):
            parser.Parse(data[start : start + LONGEST_PROLOG], False)
            if start - parser.CurrentByteIndex > 2 * LONGEST:  # expat takes its time over such a tag
                break
        else:
            parser.Parse(b"", True)
    except _Found as found:
        return str(found)
    except expat.ExpatError as error:
        return _explain(data, error)
    return f"line {line}: is not well-formed XML, or has a text or tag of more than {LONGEST // 10**6} MB"


def _explain(data: bytes, error: expat.ExpatError) -> str:
    where = f"line {error.lineno}: "
    if error.code in _ENCODINGS:
        return _ENCODING
    if error.code in _CUT_OFF:
        return f"{where}is cut off: the file ends before its elements do; copy or export it again"
    if error.code == _INVALID and _is_no_utf8(data):
        return f"{where}is not UTF-8, which XML is unless it says otherwise; save it as UTF-8"
    return f"{where}is not well-formed XML: {expat.ErrorString(error.code)}"


def _is_no_utf8(data: bytes) -> bool:
    declaration = data[:200].partition(b"?>")[0].lower()
    if b"encoding" in declaration and b"utf-8" not in declaration:
        return False
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False
