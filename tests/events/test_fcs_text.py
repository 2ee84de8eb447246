"""TEXT: bytes to keywords, whatever delimits them; empty values, lost delimiters, odd letters, wrong ends."""

import random

import pytest
from builder import build, segments
from hypothesis import example, given
from hypothesis import strategies as st

from nti7flow.errors import FcsError
from nti7flow.events.fcs.text import NotKeywords, take_apart

EVENTS = [[1, 2], [3, 4], [5, 6]]


def escaped(pairs, delimiter: bytes) -> bytes:
    """What stands between the first and the last delimiter, by the standard."""
    return delimiter.join(token.replace(delimiter, delimiter * 2) for pair in pairs for token in pair)


def codes_of(tokens) -> set[str]:
    return {code.code for code in tokens.odd}


# --- taking apart ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "pairs", "codes"),
    [
        ("K/v", [("K", "v")], set()),
        ("K/v/L/w", [("K", "v"), ("L", "w")], set()),
        ("K/a//b", [("K", "a/b")], set()),
        ("K/a////b", [("K", "a//b")], set()),
        ("K/a///L/w", [("K", "a/"), ("L", "w")], set()),
        ("K/ v /L/w ", [("K", " v "), ("L", "w ")], set()),
        ("K//L/w", [("K", ""), ("L", "w")], {"FCS014"}),
        ("K/v/L/", [("K", "v"), ("L", "")], {"FCS014"}),
        ("K//L//M/a//b", [("K", ""), ("L", ""), ("M", "a/b")], {"FCS014"}),
        ("K/a//b/L//M/w", [("K", "a/b"), ("L", ""), ("M", "w")], {"FCS014"}),
        ("K/v/L", [("K", "v"), ("L", "")], {"FCS015"}),
        ("K/v/", [("K", "v")], {"FCS025"}),
        ("K/v///w", [("K", "v/"), ("w", "")], {"FCS015"}),
        ("K//L/v/", [("K", ""), ("L", "v")], {"FCS014", "FCS025"}),
    ],
)
def test_by_hand(body, pairs, codes):
    tokens = take_apart(body.encode(), b"/", ())
    assert [(key.decode(), value.decode()) for key, value in tokens.pairs] == pairs
    assert codes_of(tokens) == codes


@pytest.mark.parametrize("body", ["", "/", "//v", " /v", "K//"])
def test_what_is_no_keywords(body):
    with pytest.raises(NotKeywords):
        take_apart(body.encode(), b"/", ())


def test_three_delimiters_behind_a_keyword_are_ambiguous():
    """Forbidden either way: a keyword that ends with the delimiter, or a value that begins with it."""
    with pytest.raises(NotKeywords):
        take_apart(b"K///v", b"/", ())


TOKENS = st.binary(min_size=1, max_size=8)


@given(data=st.data(), delimiter=st.binary(min_size=1, max_size=1), n=st.integers(1, 6))
def test_any_keywords_with_any_delimiter_come_back(data, delimiter, n):
    """The standard's rules alone: no empty tokens, none begins with the delimiter, no keyword holds it."""
    keys = TOKENS.filter(lambda token: token.strip() and delimiter not in token)
    values = TOKENS.filter(lambda token: not token.startswith(delimiter))
    pairs = tuple((data.draw(keys), data.draw(values)) for _ in range(n))
    tokens = take_apart(escaped(pairs, delimiter), delimiter, ())
    assert tokens.pairs == pairs
    assert tokens.odd == ()


@given(data=st.data(), delimiter=st.binary(min_size=1, max_size=1), n=st.integers(1, 6))
def test_empty_values_anywhere_come_back_too(data, delimiter, n):
    """Beside values that hold the delimiter and values that end with it."""
    keys = TOKENS.filter(lambda token: token.strip() and delimiter not in token)
    values = st.just(b"") | TOKENS.filter(lambda token: not token.startswith(delimiter))
    pairs = tuple((data.draw(keys), data.draw(values)) for _ in range(n))
    tokens = take_apart(escaped(pairs, delimiter), delimiter, ())
    assert tokens.pairs == pairs
    assert codes_of(tokens) == ({"FCS014"} if any(value == b"" for _, value in pairs) else set())


def by_the_letter(body: bytes) -> list[bytes] | None:
    """The standard's tokens, read letter by letter; a delimiter is looked at with the one behind it."""
    tokens, i = [b""], 0
    while i < len(body):
        if body[i : i + 2] == b"//":
            tokens[-1] += b"/"
            i += 2
        elif body[i : i + 1] == b"/":
            tokens.append(b"")
            i += 1
        else:
            tokens[-1] += body[i : i + 1]
            i += 1
    keys, values = tokens[::2], tokens[1::2]
    if len(keys) != len(values) or not all(values) or any(b"/" in key or not key.strip() for key in keys):
        return None
    return tokens


@given(body=st.text("/KLa ", max_size=14).map(str.encode))
@example(b"K/a/////L/v")
def test_nothing_is_invented_and_nothing_lost(body):
    """Read as the standard says where that is possible; else what is read, written again, is what was there."""
    strict = by_the_letter(body)
    try:
        tokens = take_apart(body, b"/", ())
    except NotKeywords:
        assert strict is None
        return
    if strict is not None:
        assert tokens.pairs == tuple(zip(strict[::2], strict[1::2], strict=True))
        assert tokens.odd == ()
        return
    assert tokens.odd or any(b"/" in key for key, _ in tokens.pairs)
    again = escaped(tokens.pairs, b"/")
    if "FCS015" in codes_of(tokens):  # the last keyword has no delimiter and no value
        again = again[:-1]
    assert body == again + (b"/" if "FCS025" in codes_of(tokens) else b"")


@given(
    pairs=st.lists(
        st.tuples(st.text("KLM", min_size=1, max_size=3), st.text("vw/", max_size=3)), min_size=2, max_size=5
    )
)
def test_a_lost_delimiter_is_never_read_over(pairs):
    """With one delimiter gone from between required keywords, the rest must not pass for sound."""
    required = [(f"$P{n}N", f"V{n}") for n in range(3)]
    body = escaped([(k.encode(), b"v" + v.encode()) for k, v in [*pairs, *required]], b"/")
    for i, byte in enumerate(body):
        if byte != ord("/") or body[i - 1] == ord("/") or body[i + 1 : i + 2] == b"/":
            continue
        try:
            tokens = take_apart(body[:i] + body[i + 1 :], b"/", [key for key, _ in required])
        except NotKeywords:
            continue
        assert codes_of(tokens)


# --- from files -----------------------------------------------------------------------------------

DELIMITERS = [chr(code) for code in range(1, 127) if not chr(code).isalnum() and chr(code) != "$"]
WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


@given(data=st.data(), delimiter=st.sampled_from(DELIMITERS), n=st.integers(1, 4))
def test_keywords_with_any_delimiter(read, data, delimiter, n):
    """Values come back as written, blanks at their ends included; one that begins with the delimiter is ambiguous."""
    values = WORDS.filter(lambda word: not word.startswith(delimiter) and "$" not in word)
    pairs = [(f"KEY{i}", data.draw(values)) for i in range(n)]
    # A value that ends with the delimiter is escaped too: "a/" is written a//, then the delimiter.
    pairs.append(("LAST", f"a{delimiter}"))
    tube = read(build(more=pairs, delimiter=delimiter))
    assert {key: tube.keywords[key] for key, _ in pairs} == dict(pairs)
    assert tube.events.tolist() == EVENTS
    assert tube.notes == ()


def test_a_value_may_be_the_name_of_a_keyword(read):
    tube = read(build(more=[("SORTED BY", "$P1N")]))
    assert tube.keywords["SORTED BY"] == "$P1N"


@pytest.mark.parametrize(("delimiter", "codes"), [("Z", []), ("q", []), ("\x7f", ["FCS018"])])
def test_letters_and_delete_as_delimiter(read, delimiter, codes):
    tube = read(build(more=[("NOTE", f"a{delimiter}b")], delimiter=delimiter, encoding="latin-1"))
    assert tube.keywords["NOTE"] == f"a{delimiter}b"
    assert [note.code for note in tube.notes] == codes


@pytest.mark.parametrize("delimiter", ["\0", "\xa7", "\xff"])
def test_delimiters_that_are_not_ascii(read, refused, delimiter):
    raw = build(more=[("NOTE", f"a{delimiter}b")], delimiter=delimiter, encoding="latin-1")
    tube = read(raw)
    assert tube.keywords["$P2N"] == "FITC-A"
    assert tube.keywords["NOTE"] == f"a{delimiter}b"
    assert "FCS018" in [note.code for note in tube.notes]
    refused(raw, "FCS018", repair="none")


def test_utf8_and_latin1(read):
    plain = read(build(more=[("$SRC", "Müller · µL · αβ")]))
    assert plain.keywords["$SRC"] == "Müller · µL · αβ"
    assert plain.notes == ()
    old = read(build(more=[("$SRC", "Müller · µL")], encoding="latin-1"))
    assert old.keywords["$SRC"] == "Müller · µL"
    (note,) = old.notes
    assert (note.code, note.found) == ("FCS017", "$SRC")


def test_one_old_value_does_not_spoil_the_new_ones(read):
    """Each value on its own: UTF-8 beside Latin-1, as after an edit with another program."""
    raw = build(more=[("$SRC", "µµ µµ"), ("$OP", "αβ")])
    old = raw.replace("µµ µµ".encode(), "µ".encode("latin-1") + b"       .", 1)
    tube = read(old)
    assert (tube.keywords["$SRC"], tube.keywords["$OP"]) == ("µ       .", "αβ")
    assert [note.found for note in tube.notes] == ["$SRC"]


def test_keywords_are_case_insensitive_and_trimmed_and_values_are_not(read):
    tube = read(build(change={"$P1S": None}, more=[("$p2s", "CD3"), (" Note ", "  x \t")]))
    assert tube.panel.resolve("CD3").index == 1
    assert tube.keywords["NOTE"] == "  x \t"
    assert tube.notes == ()


@pytest.mark.parametrize("padding", [b"   ", b"\0\0", b"\r\n", b"\0" * 5000])
def test_padding_behind_text(read, padding):
    tube = read(build(raw_text=padding))
    assert tube.keywords["$P2N"] == "FITC-A"
    assert tube.events.tolist() == EVENTS
    assert tube.notes == ()


def test_hostile_text_is_kept_as_it_is(read):
    hostile = [
        "<script>alert(1)</script>",
        "=HYPERLINK(1)",
        "\x1b[31mred",
        "../../etc/passwd",
        "a\nb",
        "\u202eabc",
        "%s{0}",
    ]
    tube = read(
        build(more=[(f"K{i}", text) for i, text in enumerate(hostile)], delimiter="|", change={"$P1N": "\x1b]0;x"})
    )
    assert [tube.keywords[f"K{i}"] for i in range(len(hostile))] == hostile
    assert tube.panel.channels[0].detector == "\x1b]0;x"
    assert "\x1b" not in repr(tube) + repr(tube.panel) + tube._repr_html_()


# --- empty values: the standard forbids them, programs write them, and the escape rule swallows what follows


def test_empty_values_do_not_swallow_the_next_keyword(read, refused):
    """``/$P1S//$P1R/1024/`` is an empty $P1S, not a keyword called ``$P1S/$P1R``."""
    change = {"$P1S": "", "$P1R": "1024", "$P1E": "4,1", "$P2E": "0,0"}
    raw = build([(512, 1)], datatype="I", change=change, more=[("LAST", "")])
    tube = read(raw)
    assert tube.keywords["$P1S"] == ""
    assert tube.keywords["$P1R"] == "1024"
    assert tube.keywords["LAST"] == ""
    assert tube.columns(["FSC-A"]).tolist() == [[pytest.approx(100.0)]]
    (note,) = tube.notes
    assert note.code == "FCS014"
    assert "$P1S" in note.found
    assert "LAST" in note.found
    refused(raw, "FCS014", repair="none")


def test_empty_values_beside_escaped_delimiters(read):
    tube = read(build(change={"$SYS": "", "$P1S": ""}, more=[("PATH", "a/b"), ("EMPTY", ""), ("LAST", "c/")]))
    assert {key: tube.keywords[key] for key in ("$SYS", "$P1S", "PATH", "EMPTY", "LAST")} == {
        "$SYS": "",
        "$P1S": "",
        "PATH": "a/b",
        "EMPTY": "",
        "LAST": "c/",
    }
    assert [note.code for note in tube.notes] == ["FCS014"]


@pytest.mark.parametrize("key", ["$PAR", "$DATATYPE", "$BYTEORD", "$P1B"])
def test_an_empty_value_of_a_keyword_that_counts(refused, key):
    error = refused(build(change={key: ""}))
    assert key in error.found or error.code == "FCS062"


def test_a_last_keyword_without_value(read, refused):
    raw = build(raw_text=b"LONELY/")
    tube = read(raw)
    assert tube.keywords["LONELY"] == ""
    assert [note.code for note in tube.notes] == ["FCS015"]
    refused(raw, "FCS015", repair="none")


def test_two_delimiters_at_the_end(read, refused):
    raw = build(raw_text=b"/")
    assert [note.code for note in read(raw).notes] == ["FCS025"]
    refused(raw, "FCS025", repair="none")


@pytest.mark.parametrize("required", ["$PAR", "$DATATYPE", "$BYTEORD"])
def test_a_required_keyword_that_is_missing(refused, required):
    error = refused(build(change={required: None}))
    assert error.code in ("FCS016", "FCS021")
    assert required in error.found
    # A letter of its name lost is the same as a keyword lost.
    refused(build().replace(required.encode(), b"#" + required[1:].encode()), error.code)


def test_keywords_out_of_step(refused):
    """A value of a vendor's keyword is lost: $P1N would become its value, and FSC-A a keyword."""
    raw = build(change={"$MODE": "L"}, raw_text=b"A/b/LOST/$P2S/CD3/$P2G/1.0/")
    error = refused(raw, "FCS016")
    assert "$P2S" in error.found


# --- several times the same -----------------------------------------------------------------------


@pytest.mark.parametrize("more", [[("$TOT", "3")], [("$p1n", "FSC-A")], [("A", "1"), ("a", "1")]])
def test_a_repeated_keyword_that_agrees_is_no_harm(read, refused, more):
    raw = build(more=more)
    tube = read(raw)
    assert tube.events.tolist() == EVENTS
    (note,) = tube.notes
    assert note.code == "FCS019"
    assert more[0][0].upper() in note.found
    refused(raw, "FCS019", repair="none")


@pytest.mark.parametrize(
    "more", [[("$TOT", "4")], [("$p1n", "SSC-A")], [("A", "1"), ("a", "2")], [("A", "1"), ("A", "")]]
)
def test_keywords_that_contradict_each_other(refused, more):
    error = refused(build(more=more), "FCS020")
    assert repr(more[-1][1]) in error.found


# --- where TEXT begins and ends -------------------------------------------------------------------


def text_at(raw: bytes, begin: int, end: int) -> bytes:
    """The same file with these TEXT offsets, from the true ones, in its HEADER."""
    first, last = segments(raw)["TEXT"]
    return raw[:10] + b"%8d%8d" % (first + begin, last + end) + raw[26:]


@pytest.mark.parametrize(("begin", "end"), [(0, 1), (0, -1), (1, 0), (-1, 0), (-1, -1), (1, 1), (1, -1), (-1, 1)])
@pytest.mark.parametrize("first", [b"\0", b"/", b"A", b" "])
@pytest.mark.parametrize("version", ["FCS2.0", "FCS3.1"])
def test_text_off_by_one(read, refused, begin, end, first, version):
    """Whatever byte DATA begins with: never another keyword than the true ones."""
    rows = [(first[0], 7), (1, 2)]
    options = {"rows": rows, "datatype": "I", "bits": [8, 8], "version": version, "more": [("$SRC", "subject 12")]}
    truth = read(build(**options)).keywords
    raw = text_at(build(**options), begin, end)
    try:
        tube = read(raw)
    except FcsError as error:
        assert error.code in ("FCS011", "FCS016", "FCS021", "FCS044")
        assert (begin, end) not in ((0, 1), (0, -1), (1, 0), (-1, 0)), str(error)
        return
    assert tube.keywords == truth
    assert tube.events.tolist() == [list(row) for row in rows]
    assert "FCS012" in [note.code for note in tube.notes]
    refused(raw, "FCS012", repair="none")


@pytest.mark.parametrize("cut", range(1, 60))
@pytest.mark.parametrize("last", ["subject 12", "0.25", "x y"])
def test_text_that_ends_early_never_loses_part_of_a_value(read, cut, last):
    """subject 12 must not become subject 1: wrong ends inside TEXT are refused, or nothing is lost."""
    whole = build(more=[("$SRC", "subject 12"), ("$P1G", "0.25"), ("LAST", last)])
    truth = read(whole).keywords
    try:
        tube = read(text_at(whole, 0, -cut))
    except FcsError as error:
        assert error.code.startswith("FCS01")
        assert cut > 1
        return
    assert tube.keywords == truth
    assert [note.code for note in tube.notes] == ["FCS012"]


@pytest.mark.parametrize("cut", [3, 4])
def test_text_that_ends_inside_an_escaped_delimiter(read, cut):
    """``LAST/x//y/`` cut to ``LAST/x/`` or ``LAST/x``: x/y must not become x."""
    whole = build(more=[("LAST", "x/y")])
    try:
        tube = read(text_at(whole, 0, -cut))
    except FcsError:
        return
    assert tube.keywords["LAST"] == "x/y"


@pytest.mark.parametrize("last", [b" ", b"\0", b"x"])
def test_text_without_its_last_delimiter(read, refused, last):
    raw = build(more=[("$SRC", "blood")])
    end = segments(raw)["TEXT"][1]
    raw = raw[:end] + last + raw[end + 1 :]
    tube = read(raw)
    assert tube.keywords["$SRC"].rstrip(" \0") == "blood" + last.decode().rstrip(" \0")
    assert [note.code for note in tube.notes] == ["FCS013"]
    refused(raw, "FCS013", repair="none")


@pytest.mark.parametrize(
    ("begin", "end", "code"),
    [
        (0, 10, "FCS011"),
        (58, 58, "FCS011"),
        (90, 70, "FCS011"),
        (57, 200, None),
        (100, 200, None),
        (58, len(build()), "FCS046"),
        (58, 99_999_999, "FCS046"),
    ],
)
def test_text_that_cannot_be_there(refused, begin, end, code):
    raw = build()
    refused(raw[:10] + b"%8d%8d" % (begin, end) + raw[26:], code)


def test_text_beyond_all_measure(refused):
    refused(build(more=[("JUNK", "\0".join("/" * 2_100_000))], delimiter="/"), "FCS023")
    many = [(f"K{i}", "v") for i in range(100_001)]
    refused(build(more=many), "FCS023")
    refused(build(raw_text=b"JUNK/" + b"x" * (16 << 20) + b"/"), "FCS023")


def test_many_keywords_are_no_problem(read):
    many = [(f"K{i}", str(i)) for i in range(20_000)]
    tube = read(build(more=many))
    assert all(tube.keywords[key] == value for key, value in random.Random(1).sample(many, 50))
