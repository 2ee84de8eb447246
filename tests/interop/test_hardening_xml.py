"""XML from anywhere can do nothing: no DTD, no entities, nothing fetched, nothing quoted, no long wait."""

import os
import socket

import pytest
from gml_documents import axis, boolean, document, rectangle, transform

from nti7flow.errors import StrategyError
from nti7flow.interop import xml
from nti7flow.interop.strategies import read_strategy
from nti7flow.interop.xml import parse_xml

SECRET = "S3CRET"
LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))


def problem(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(StrategyError) as refusal:
        parse_xml(path)
    (found,) = refusal.value.problems
    assert str(refusal.value) == f"{path}: {found}"
    return found


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("<!DOCTYPE a><a/>", 1),
        ("<?xml version='1.0'?>\n<!-- first -->\n<!DOCTYPE a [\n<!ELEMENT a ANY>]>\n<a/>", 3),
        (f'<!DOCTYPE a [<!ENTITY l0 "lol">{LAUGHS}]><a>&l9;</a>', 1),
        ('<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>', 1),
        ('<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:9/p.dtd">%p;]><a/>', 1),
        ('<!DOCTYPE a PUBLIC "-//X//Y" "http://127.0.0.1:9/x.dtd"><a/>', 1),
        ("<!DOCTYPE html>\n<html></html>", 1),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_document_type_is_refused(tmp_path, text, line, encoding):
    expected = f"line {line}: has a document type (DOCTYPE), which is not read: remove it"
    assert problem(tmp_path / "a.xml", text.encode(encoding)) == expected


CUT_OFF = "is cut off: the file ends before its elements do; copy or export it again"
ENCODING = "is XML in an encoding that is not known, or not in the one that it says; save it as UTF-8"
NO_UTF8 = "is not UTF-8, which XML is unless it says otherwise; save it as UTF-8"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "empty file: found 0 bytes"),
        (" \n\t", "is not XML"),
        ("words", "is not XML"),
        ('{"schema": 1}', "is not XML"),
        (b"\x00" * 5000, "is not XML"),
        ("<a>\n<b>\n", f"line 3: {CUT_OFF}"),
        ("<a>\n<b attr='", f"line 2: {CUT_OFF}"),
        ("<a>\n<![CDATA[ ", f"line 2: {CUT_OFF}"),
        ("<a>\n<!-- ", f"line 2: {CUT_OFF}"),
        ("<a>\n</b>", "line 2: is not well-formed XML: mismatched tag"),
        ("<a>\n&lol;</a>", "line 2: is not well-formed XML: undefined entity"),
        ("<a>\n<x:b/></a>", "line 2: is not well-formed XML: unbound prefix"),
        ("<a b='1' b='2'/>", "line 1: is not well-formed XML: duplicate attribute"),
        ("<a/>\n<b/>", "line 2: is not well-formed XML: junk after document element"),
        ("<a>\n\x00</a>", "line 2: is not well-formed XML: not well-formed (invalid token)"),
        ("<a>\n<b c='ü'/></a>".encode("latin-1"), f"line 2: {NO_UTF8}"),
        ("<?xml version='1.0' encoding='UTF-8'?>\n<a b='ü'/>".encode("latin-1"), f"line 2: {NO_UTF8}"),
        ("<?xml version='1.0' encoding='klingon'?><a/>", ENCODING),
        ("<?xml version='1.0' encoding='utf-7'?>+ADw-!DOCTYPE a+AD4-<a/>", ENCODING),
        ("<?xml version='1.0' encoding='mac-roman'?><a b='ü'/>".encode("mac-roman"), ENCODING),
        ("<?xml version='1.0' encoding='cp037'?><!DOCTYPE a><a/>".encode("cp037"), "is not XML"),
        ("<a>" * 257 + "</a>" * 257, "line 1: elements are nested more than 256 deep"),
        ("<a>\n" * 100_000, "line 257: elements are nested more than 256 deep"),
        ("<!--" + " " * 2_000_000 + "--><a/>", "begins with more than a megabyte of other things than elements"),
        ("<a " + "b" * 2_000_000 + "='1'/>", "begins with more than a megabyte of other things than elements"),
    ],
)
def test_what_is_no_whole_xml_is_refused(tmp_path, content, expected):
    assert problem(tmp_path / "a.xml", content) == expected


GIANTS = {
    "text": "<a>" + " " * 11_000_000 + "</a>",
    "attribute": "<a><b c='" + " " * 30_000_000 + "'/></a>",
    "comment": "<a><!--" + "x" * 11_000_000 + "--></a>",
}


@pytest.mark.parametrize("content", GIANTS.values(), ids=GIANTS)
def test_a_giant_text_is_refused(tmp_path, content):
    expected = "line 1: is not well-formed XML, or has a text or tag of more than 10 MB"
    assert problem(tmp_path / "a.xml", content) == expected


def test_too_many_elements_are_refused_before_they_are_made(tmp_path):
    found = problem(tmp_path / "a.xml", "<a>" + "<b/>" * (xml.MOST_NODES + 1) + "</a>")
    assert found == "has about 20,000,003 elements and attributes; up to 20,000,000 are read: split the file"


def test_too_large_a_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "a.xml"
    with path.open("wb") as stream:
        stream.truncate(10**9)
    with pytest.raises(StrategyError, match="has 954 MB; files of gates of up to 512 MB are read"):
        parse_xml(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "iso-8859-1", "cp1252"])
def test_encodings_that_a_document_declares(tmp_path, encoding):
    path = tmp_path / "a.xml"
    declared = {"utf-8-sig": "utf-8", "cp1252": "windows-1252", "utf-16-le": "utf-16"}.get(encoding, encoding)
    text = f'<?xml version="1.0" encoding="{declared}"?><a name="Zellgröße"/>'
    path.write_bytes((b"\xff\xfe" if encoding == "utf-16-le" else b"") + text.encode(encoding))
    assert parse_xml(path).get("name") == "Zellgröße"


def test_lines_are_those_of_the_file(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<?xml version='1.0'?>\n<!-- a\ncomment -->\n<a>\n\n<b/></a>")
    root = parse_xml(path)
    assert (root.sourceline, root[0].sourceline) == (4, 6)


def test_comments_and_instructions_are_left_out(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<?one?><a>1<!-- two -->2<?three?>3<b/><!-- four --></a>")
    root = parse_xml(path)
    assert (root.text, [child.tag for child in root]) == ("123", ["b"])


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda path: None, "no such file: found nothing"),
        (lambda path: path.symlink_to("nowhere"), "no such file: found a link that leads nowhere"),
        (lambda path: path.mkdir(), "not a regular file: found a folder"),
        (os.mkfifo, "not a regular file: found a pipe"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file: found a device"),
    ],
)
def test_only_regular_files_are_opened(tmp_path, make, found):
    path = tmp_path / "a.xml"
    make(path)
    for read in (parse_xml, read_strategy):
        with pytest.raises(StrategyError) as refusal:
            read(path)
        assert refusal.value.problems == (found,)


@pytest.fixture
def server():
    """Listens on a port of this machine, for whoever would fetch something."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def test_nothing_is_fetched(tmp_path, server):
    (tmp_path / "secret.xml").write_text(f"<a>{SECRET}</a>")
    url = f"http://127.0.0.1:{server.getsockname()[1]}"
    plain = document(rectangle("A"))
    xinclude = "http://www.w3.org/2001/XInclude"
    xsi = "xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'"
    texts = [
        f'<!DOCTYPE a SYSTEM "{url}/a.dtd">' + plain.partition("?>")[2],
        f'<!DOCTYPE a [<!ENTITY e SYSTEM "{url}/e">]>' + plain.partition("?>")[2],
        plain.replace("<gating:Rect", f"<i:include xmlns:i='{xinclude}' href='{url}'/><gating:Rect"),
        plain.replace("?>", f"?><?xml-stylesheet type='text/xsl' href='{url}/a.xsl'?>", 1),
        plain.replace("<gating:Gating-ML ", f"<gating:Gating-ML xml:base='{url}/' ", 1),
        plain.replace("<gating:Gating-ML ", f"<gating:Gating-ML {xsi} xsi:schemaLocation='urn:a {url}/a.xsd' "),
        plain.replace("<gating:Gating-ML ", f"<gating:Gating-ML {xsi} xsi:noNamespaceSchemaLocation='{url}/a.xsd' "),
    ]
    path = tmp_path / "gates.xml"
    read = []
    for text in texts:
        path.write_text(text)
        try:
            read.append([p.id for p in read_strategy(path).populations])
        except StrategyError as refusal:
            read.append(SECRET in str(refusal))
    assert read == [False, False, False, ["A"], ["A"], ["A"], ["A"]]
    with pytest.raises(BlockingIOError):
        server.accept()


@pytest.mark.parametrize(
    "text",
    [
        f"<a>{SECRET}",
        f"<a>{SECRET}</b>",
        f"<a b={SECRET}/>",
        f"<a>&{SECRET};</a>",
        f"<?xml version='1.0' encoding='{SECRET}'?><a/>",
        f"{SECRET}",
        f"<a><b>{SECRET}</b></a>",
        f"<Workspace flowJoVersion='{SECRET}'/>",
        '{"schema": "' + SECRET + '"}',
        '{"schema": ' + SECRET,
        document(rectangle("A", axis("X", SECRET))),
        document(rectangle("A") + SECRET),
        document(rectangle("A"), boolean("B", "not", ("A", SECRET))),
        document(transform("L", "flin", T=SECRET, A=0), rectangle("A")),
        document(rectangle("A", f"<d:custom_info>{SECRET}</d:custom_info>", axis("X", 2, 1))),
        document(
            rectangle("A").replace("</g:dimension>", f"<!-- {SECRET} --><g:value>{SECRET}</g:value></g:dimension>")
        ),
    ],
)
def test_content_is_not_quoted(tmp_path, text):
    path = tmp_path / "gates.xml"
    path.write_text(text)
    with pytest.raises(StrategyError) as refusal:
        read_strategy(path)
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.999])
def test_a_copy_that_stopped_halfway_is_refused(tmp_path, kept):
    data = document(*[rectangle(f"g{i}") for i in range(50)]).encode()
    path = tmp_path / "gates.xml"
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(StrategyError, match="is cut off: the file ends before its elements do"):
        read_strategy(path)
