"""One file for every code of the table: found as it should be, and let pass or refused as its kind says."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from builder import BLANK, bit_stream, build, chain, data_at, data_segment, segments, text_segment

from nti7flow.errors import FcsError
from nti7flow.events.codes import CODES
from nti7flow.events.fcs import read_fcs
from nti7flow.events.fcs.opening import open_regular
from nti7flow.events.notes import Findings, Note

#: Refused unless ``repair="salvage"``, which then marks the sample for review.
SALVAGED = {"FCS031", "FCS046", "FCS047"}


@dataclass(frozen=True)
class Example:
    """Bytes of a file, or what makes one in a folder; codes that come with the one it is for; how it is read."""

    source: bytes | Callable[[Path], Path]
    beside: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def put(self, folder: Path) -> Path:
        if callable(self.source):
            return self.source(folder)
        path = folder / "tube.fcs"
        path.write_bytes(self.source)
        return path


def changed(**options: Any) -> Example:
    """A file with some keywords changed: ``P1B="10"`` is $P1B."""
    change = {f"${key}": value for key, value in options.items()}
    return Example(build(change=change))


def integers(**options: Any) -> Example:
    return Example(build([(1, 2), (3, 4)], datatype="I", **options))


def spillover(value: str, *more: tuple[str, str]) -> Example:
    return Example(build(names=("FITC-A", "PE-A"), more=[("$SPILLOVER", value), *more]))


def text_at(raw: bytes, begin: int, end: int) -> bytes:
    """The same file with these TEXT offsets in its HEADER."""
    return raw[:10] + b"%8d%8d" % (begin, end) + raw[26:]


def cut(raw: bytes, kept: int) -> bytes:
    """A file that ends so many bytes behind the begin of DATA."""
    return raw[: segments(raw)["DATA"][0] + kept]


def beyond_eight_digits(folder: Path) -> Path:
    """DATA behind 100,000,000 bytes, nearly all of them a hole, with the last digits alone in the HEADER."""
    begin = 100_005_000
    change = {"$TOT": "1", "$BEGINDATA": f"{begin:012d}", "$ENDDATA": f"{begin + 7:012d}"}
    path = folder / "large.fcs"
    with path.open("wb") as stream:
        stream.write(data_at(build([], change=change, tail=b""), 5000, 5007))
        stream.seek(begin)
        stream.write(struct.pack("<2f", 1, 2))
    return path


def grown_while_read(folder: Path) -> Path:
    """A file to which something is added while it is open."""
    path = folder / "tube.fcs"
    path.write_bytes(build())
    with open_regular(path), path.open("ab") as other:
        other.write(b"more")
    return path


def counted_from_the_file(last_rows: int) -> bytes:
    """Three data sets, the place of the last one counted from the file's start."""
    options = [{}, {}, {"rows": [(1.0, 2.0)] * last_rows}]
    size = len(build(change={"$NEXTDATA": BLANK}))
    steps = (size, 2 * size, 0)
    return b"".join(
        build(**more, change={"$NEXTDATA": f"{step:012d}"}) for more, step in zip(options, steps, strict=True)
    )


PLAIN = build()
TEXT_BEGIN, TEXT_END = segments(PLAIN)["TEXT"]
SIZE = len(build(change={"$NEXTDATA": BLANK}))
TEN_BITS = {"bits": [10, 10], "ranges": [1024, 1024]}

EXAMPLES: dict[str, Example] = {
    "FCS001": Example(lambda folder: folder / "absent.fcs"),
    "FCS002": Example(lambda folder: folder),
    "FCS003": Example(lambda folder: Example(PLAIN).put(folder) / "inside.fcs"),
    "FCS004": Example(b""),
    "FCS005": Example(b"\x1f\x8b\x08" + b"\0" * 200),
    "FCS006": Example(b"Some text, " + PLAIN),
    "FCS007": Example(b"FCS4.0" + PLAIN[6:]),
    "FCS008": Example(grown_while_read),
    "FCS010": Example(PLAIN[:26] + b"      ab" + PLAIN[34:]),
    "FCS011": Example(text_at(PLAIN, 90, 70)),
    "FCS012": Example(text_at(PLAIN, TEXT_BEGIN + 1, TEXT_END)),
    "FCS013": Example(PLAIN[:TEXT_END] + b" " + PLAIN[TEXT_END + 1 :]),
    "FCS014": changed(P1S="", SYS=""),
    "FCS015": Example(build(raw_text=b"LONELY/")),
    "FCS016": Example(build(raw_text=b"A/b/LOST/$P2S/CD3/$P2G/1.0/")),
    "FCS017": Example(build(more=[("$OP", "Zoë")], encoding="latin-1")),
    "FCS018": Example(build(delimiter="\x7f")),
    "FCS019": Example(build(more=[("$TOT", "3")])),
    "FCS020": Example(build(more=[("$TOT", "4")])),
    "FCS021": changed(P1B=None),
    "FCS022": changed(TOT="three"),
    "FCS023": Example(build(more=[(f"K{n}", "v") for n in range(100_001)])),
    "FCS024": Example(build(supplement=b"no keywords")),
    "FCS025": Example(build(raw_text=b"/")),
    "FCS026": changed(BEGINSTEXT="58", ENDSTEXT="200"),
    "FCS027": changed(DATATYPE="f"),
    "FCS028": Example(build(change={"$TOT": None}, supplement=text_segment([("$TOT", "3")]))),
    "FCS029": Example(build([(1, 2.0)], datatype="IF")),
    "FCS030": Example(chain({}, {})),
    "FCS031": changed(NEXTDATA="7"),
    "FCS032": Example(counted_from_the_file(5), ("FCS030",), {"data_set": 1}),
    "FCS033": Example(PLAIN, options={"data_set": 1}),
    "FCS034": changed(NEXTDATA=f"{SIZE:012d}"),
    "FCS035": Example(chain({}, {})[: SIZE - 8]),
    "FCS036": changed(NEXTDATA=None),
    "FCS040": Example(build(in_header=(0, 4))),
    "FCS041": Example(build(in_header=(0, 1), in_text=(0, 1))),
    "FCS042": changed(BEGINDATA="0", ENDDATA="0"),
    "FCS043": Example(beyond_eight_digits),
    "FCS044": Example(build(in_header=(4, 4), tail=b" " * 64)),
    "FCS045": Example(build(version="FCS2.0", in_header=(-4, -4))),
    "FCS046": Example(cut(PLAIN, 20)),
    "FCS047": changed(TOT="4"),
    "FCS048": changed(TOT=None),
    "FCS049": Example(cut(PLAIN, 16)),
    "FCS050": changed(TOT="4"),
    "FCS051": Example(build(tail=b"0000BEEF")),
    "FCS052": Example(build(analysis=b"no keywords at all")),
    "FCS053": Example(cut(PLAIN, 20), ("FCS049",)),
    "FCS060": changed(MODE="C"),
    "FCS061": changed(DATATYPE="X"),
    "FCS062": changed(BYTEORD="1,2,2,1"),
    "FCS063": changed(P1B="65"),
    "FCS064": changed(P1B="16", P2B="16"),
    "FCS065": integers(**TEN_BITS, data=data_segment([(1, 2), (3, 4)], "I", [16, 16], "<")),
    "FCS066": integers(**TEN_BITS, data=bit_stream([(1, 2), (3, 4)], [10, 10], "<")),
    "FCS067": integers(ranges=[2, 1024]),
    "FCS068": integers(change={"$P1R": None}),
    "FCS069": integers(change={"$P1E": "4,0"}),
    "FCS070": changed(P1E="4,1"),
    "FCS071": changed(P1E=None),
    "FCS072": integers(change={"$P1E": "4"}),
    "FCS073": changed(P1G="loud"),
    "FCS074": Example(build(names=("FITC-A", "Time"), more=[("$TIMESTEP", "soon")])),
    "FCS075": Example(build([(float("nan"), 1.0)])),
    "FCS076": Example(build([(2**53 + 1, 1)], datatype="I", bits=[64, 64], ranges=[2**64, 2**64])),
    "FCS077": Example(build(datatype="A", data=b"0001000200030004000five6", version="FCS3.0")),
    "FCS078": integers(change={"$P1E": "4,1", "$P1G": "2"}),
    "FCS080": changed(P2N="FSC-A"),
    "FCS081": changed(P1N=None),
    "FCS090": spillover("2,FITC-A,PE-A,1,much,0,1"),
    "FCS091": spillover("2;FITC-A;PE-A;1;0.1;0;1"),
    "FCS092": spillover("2,FITC-A,PE-A,1,0.1,0,1", ("SPILL", "2,FITC-A,PE-A,1,0.1,0,1")),
    "FCS093": spillover("3,FITC-A,PE-A,APC-A,1,0.1,0,0,1,0,0,0,1"),
    "FCS094": spillover("2,fitc-a,PE-A,1,0.1,0,1"),
    "FCS095": spillover("2,FITC-A,PE-A,100,10,0,100"),
    "FCS096": spillover("0"),
    "FCS097": Example(build(names=("FITC-A", "PE-A"), more=[("$DFC1TO2", "10")], version="FCS2.0")),
}
kinds = {
    kind: [code for code in EXAMPLES if CODES[code].kind == kind] for kind in ("note", "repair", "salvage", "refusal")
}


def outcome(code: str, folder: Path, repair: str):
    """The sample, or the error."""
    try:
        example = EXAMPLES[code]
        sample = read_fcs(example.put(folder), repair=repair, **example.options)
    except FcsError as error:
        assert str(error).endswith(f"[{error.code}]")
        assert error.what_to_do == CODES[error.code].what_to_do or error.code == "FCS005"
        return error
    for note in sample.notes:
        assert note.found
        assert note.assumed
        assert str(note).startswith(f"[{note.code}] {CODES[note.code].title}: found ")
        assert note.severity == CODES[note.code].severity
    return sample


def codes_of(sample) -> list[str]:
    assert not isinstance(sample, FcsError), str(sample)
    return sorted(note.code for note in sample.notes)


def test_every_code_has_its_file():
    assert EXAMPLES.keys() == CODES.keys()
    assert list(EXAMPLES) == sorted(EXAMPLES)


@pytest.mark.parametrize("code", kinds["note"])
def test_notes(tmp_path, code):
    """The file conforms: read whatever is let pass, with the note."""
    for repair in ("none", "safe", "salvage"):
        assert codes_of(outcome(code, tmp_path, repair)) == sorted({code, *EXAMPLES[code].beside})


@pytest.mark.parametrize("code", kinds["repair"])
def test_repairs(tmp_path, code):
    """Read with a note, and with no other; refused under the same code where nothing may be repaired."""
    for repair in ("safe", "salvage"):
        assert codes_of(outcome(code, tmp_path, repair)) == sorted({code, *EXAMPLES[code].beside})
    error = outcome(code, tmp_path, "none")
    assert isinstance(error, FcsError), codes_of(error)
    assert (error.code, error.expected) == (code, "a conforming file")


@pytest.mark.parametrize("code", kinds["salvage"])
def test_salvage(tmp_path, code):
    """Refused unless asked for; then read, for review, and only part of it."""
    for repair in ("none", "safe"):
        error = outcome(code, tmp_path, repair)
        assert isinstance(error, FcsError)
        assert CODES[error.code].kind == "refusal"
    sample = outcome(code, tmp_path, "salvage")
    assert codes_of(sample) == sorted({code, *EXAMPLES[code].beside})
    assert all(note.severity == "review" for note in sample.notes)


@pytest.mark.parametrize("code", kinds["refusal"])
def test_refusals(tmp_path, code):
    """Never read, whatever is let pass; but for truncation, which salvage takes for review."""
    for repair in ("none", "safe", "salvage"):
        found = outcome(code, tmp_path, repair)
        if repair == "salvage" and code in SALVAGED and not isinstance(found, FcsError):
            assert any(CODES[note.code].kind == "salvage" for note in found.notes)
            continue
        assert isinstance(found, FcsError), codes_of(found)
        assert found.code == code, str(found)


@pytest.mark.parametrize(
    "code", [code for code in CODES.values() if code.kind != "refusal"], ids=lambda code: code.code
)
def test_what_each_setting_lets_pass(code):
    """Notes always; repairs unless none may be made; salvage only where it was asked for."""
    passes = {"note": {"none", "safe", "salvage"}, "repair": {"safe", "salvage"}, "salvage": {"salvage"}}[code.kind]
    for repair in ("none", "safe", "salvage"):
        findings = Findings("t.fcs", repair)
        if repair in passes:
            findings.add(code, found="this", assumed="that")
            assert findings.notes == (Note(code.code, "this", "that"),)
            continue
        with pytest.raises(FcsError) as caught:
            findings.add(code, found="this", assumed="that", byte_offset=7)
        assert (caught.value.code, caught.value.byte_offset, findings.notes) == (code.code, 7, ())


def test_what_was_found_often_is_listed_shortly():
    """Each place once, five of them, and none longer than 600 letters; by what was assumed."""
    findings = Findings("t.fcs")
    for n in (1, 1, 2, 3, 4, 5, 6, 7):
        findings.add(CODES["FCS019"], found=f"${n}", assumed="used once")
    findings.add(CODES["FCS019"], found="x" * 700, assumed="otherwise")
    first, second = findings.notes
    assert first.found == "$1, $2, $3, $4, $5 and 2 more"
    assert second.found == "x" * 600 + "…"
    assert first.text == "repeated keyword: found $1, $2, $3, $4, $5 and 2 more; used once"


@pytest.mark.parametrize("repair", ["none", "safe", "salvage"])
def test_a_right_file_has_no_code(tmp_path, repair):
    path = Example(PLAIN).put(tmp_path)
    assert codes_of(read_fcs(path, repair=repair)) == []
