"""What stands beside the events: supplemental TEXT, ANALYSIS, and the checksum behind the last segment."""

from torture_builder import Tube, chain, checksum, crc16, left_out, said, text_bytes
from torture_truth import Book

FIRST, SECOND = Tube().rows, ((7.0, 8.0),)
NAMES = Tube().names

# --- supplemental TEXT ----------------------------------------------------------------------------

book = Book("supplemental text")
GOOD = text_bytes([("$P1S", "CD3"), ("$P2S", "CD4"), ("NOTE", "a/b")])
book.loads("supplement", Tube(supplement=GOOD), keywords={"$P1S": "CD3", "$P2S": "CD4", "NOTE": "a/b"})
book.loads(
    "supplement_before_data",
    Tube(supplement=GOOD, sequence=("text", "supplement", "data", "analysis")),
    keywords={"$P1S": "CD3"},
)
book.loads(
    "supplement_before_text",
    Tube(supplement=GOOD, sequence=("supplement", "text", "data", "analysis")),
    keywords={"$P1S": "CD3"},
)
book.loads(
    "supplement_with_spillover",
    Tube(supplement=text_bytes([("$SPILLOVER", "2,FSC-A,FITC-A,1,0.5,0,1")])),
    spillover=(("FSC-A", "FITC-A"), ((1.0, 0.5), (0.0, 1.0))),
)
book.loads("supplement_with_gain", Tube(supplement=text_bytes([("$P1G", "2.0")])), scale={"FSC-A": (0.5, 1.5, 2.5)})
book.loads(
    "supplement_other_delimiter",
    Tube(supplement=text_bytes([("$P1S", "CD3")], b"|")),
    keywords={"$P1S": "CD3"},
    conforms=None,
)
book.either(
    "supplement_holds_a_required_keyword", Tube(change={"$P2N": None}, supplement=text_bytes([("$P2N", "FITC-A")]))
)
book.either("supplement_contradicts_tot", Tube(supplement=text_bytes([("$TOT", "99")])), keywords={"$TOT": "3"})
book.either(
    "supplement_contradicts_a_name", Tube(supplement=text_bytes([("$P1N", "SSC-A")])), keywords={"$P1N": "FSC-A"}
)
book.either("supplement_contradicts_the_cytometer", Tube(more=[("$CYT", "A")], supplement=text_bytes([("$CYT", "B")])))
book.loads("supplement_repeats_tot", Tube(supplement=text_bytes([("$TOT", "3")])), conforms=None)
book.odd("supplement_of_zeros", Tube(supplement=bytes(40)))
book.odd("supplement_of_noise", Tube(supplement=bytes(range(30, 90))))
book.odd("supplement_out_of_step", Tube(supplement=b"/a/b/c/"), absent=("B",))
book.either("supplement_beyond_the_file", Tube(stated={"supplement": said(5000, 5040)}))
book.either(
    "supplement_ends_beyond_the_file",
    Tube(supplement=GOOD, stated={"supplement": lambda p: (p.supplement[0], p.supplement[1] + 900)}),
)
book.either(
    "supplement_end_exclusive",
    Tube(supplement=GOOD, stated={"supplement": lambda p: (p.supplement[0], p.supplement[1] + 1)}),
    absent=("0",),
    conforms=None,
)

# --- ANALYSIS -------------------------------------------------------------------------------------

book.topic = "analysis"
RESULT = text_bytes([("GATE1", "lymphocytes"), ("COUNT", "12"), ("$TOT", "99")])
WANTED = {"GATE1": "lymphocytes", "COUNT": "12"}
# Its $TOT is a result, not the number of events.
book.loads("analysis", Tube(analysis=RESULT), analysis=WANTED, keywords={"$TOT": "3"}, absent=("GATE1",))
book.loads("analysis_2.0", Tube(version="FCS2.0", analysis=RESULT), analysis=WANTED, keywords={"$TOT": "3"})
book.loads(
    "analysis_before_data", Tube(analysis=RESULT, sequence=("text", "analysis", "data", "supplement")), analysis=WANTED
)
book.loads(
    "analysis_in_text_only", Tube(analysis=RESULT, header={"analysis": said(0, 0)}), analysis=WANTED, conforms=None
)
book.loads("analysis_in_header_only", Tube(analysis=RESULT, stated={"analysis": said(0, 0)}), conforms=None)
book.loads("analysis_and_supplement", Tube(analysis=RESULT, supplement=GOOD), analysis=WANTED, keywords={"$P1S": "CD3"})
book.odd("analysis_of_noise", Tube(analysis=bytes(i * 89 % 256 for i in range(1, 80))))
book.odd("analysis_of_zeros", Tube(analysis=bytes(40)))
book.either(
    "analysis_beyond_the_file", Tube(header={"analysis": said(5000, 5040)}, stated={"analysis": said(5000, 5040)})
)
book.either(
    "analysis_ends_beyond_the_file",
    Tube(
        analysis=RESULT,
        header={"analysis": lambda p: (p.analysis[0], p.analysis[1] + 900)},
        stated={"analysis": lambda p: (p.analysis[0], p.analysis[1] + 900)},
    ),
)
book.either(
    "analysis_differs", Tube(analysis=RESULT, stated={"analysis": lambda p: (p.analysis[0], p.analysis[1] - 9)})
)
book.either(
    "analysis_end_exclusive",
    Tube(
        analysis=RESULT,
        header={"analysis": lambda p: (p.analysis[0], p.analysis[1] + 1)},
        stated={"analysis": lambda p: (p.analysis[0], p.analysis[1] + 1)},
    ),
    conforms=None,
)

# --- checksum -------------------------------------------------------------------------------------

book.topic = "checksum"
# FCS 3.0, 3.5: CCITT polynomial, every byte bit-reversed, starting from 0, "as ASCII in the 8 bytes immediately after".
for version in ("FCS3.0", "FCS3.1", "FCS3.2"):
    book.loads(f"checksum_right_{version[3:]}", Tube(version=version, tail=checksum))
book.loads("checksum_right_lower_case", Tube(tail=lambda raw: f"{crc16(raw):08x}".encode()))
book.loads("checksum_right_behind_analysis", Tube(analysis=RESULT, tail=checksum), analysis=WANTED)
book.loads("checksum_right_behind_text", Tube(sequence=("data", "text", "analysis", "supplement"), tail=checksum))
book.loads("checksum_right_then_blanks", Tube(tail=lambda raw: checksum(raw) + b" " * 30))
book.loads(
    "checksum_right_in_second",
    lambda: chain(Tube(rows=FIRST, tail=checksum), Tube(rows=SECOND, tail=checksum)),
    rows=SECOND,
    names=NAMES,
    data_set=1,
)
# What other programs take for the CCITT checksum; it proves the bytes as well.
book.loads(
    "checksum_from_ffff",
    Tube(tail=lambda raw: f"{crc16(raw, start=0xFFFF, reflected=False):08X}".encode()),
    conforms=None,
)
book.loads("checksum_xmodem", Tube(tail=lambda raw: f"{crc16(raw, reflected=False):08X}".encode()), conforms=None)
book.either("checksum_decimal", Tube(tail=lambda raw: f"{crc16(raw):08d}".encode()), conforms=None)
book.either("checksum_four_digits_and_blanks", Tube(tail=lambda raw: f"{crc16(raw):04X}    ".encode()), conforms=None)
for name, tail in (("zeros", b"00000000"), ("zeros_and_newline", b"00000000\r\n")):
    book.loads(f"checksum_{name}", Tube(tail=tail), conforms=True if name == "zeros" else None)
for name, tail in (("absent", b""), ("blank", b" " * 8), ("nuls", bytes(8)), ("four_zeros", b"0000")):
    book.loads(f"checksum_{name}", Tube(tail=tail), conforms=None)
book.loads("checksum_unknown_to_2.0", Tube(version="FCS2.0", tail=b"0000BEEF"), conforms=None)
book.either("checksum_of_other_bytes", Tube(tail=b"\x8f\x01\x99\xfe\x7f\x80\x03\xaa"), conforms=None)
book.either("checksum_of_words", Tube(tail=b"the end of the file, by hand"), conforms=None)
# One that is wrong for every way to compute it.
book.refused("checksum_wrong", Tube(tail=b"0000BEEF"))
book.refused("checksum_wrong_large", Tube(tail=b"DEADBEEF"))
book.refused("checksum_wrong_by_one", Tube(tail=lambda raw: f"{crc16(raw) ^ 1:08X}".encode()))
book.refused("checksum_wrong_behind_analysis", Tube(analysis=RESULT, tail=b"0000BEEF"))


def flipped(place) -> Tube:
    """A right checksum, and one bit changed afterwards."""
    tube = Tube(tail=checksum, more=[("$SRC", "blood")])

    def flip(raw: bytes) -> bytes:
        at = place(tube.places)
        return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]

    tube.edit = flip
    return tube


book.refused("checksum_data_changed", flipped(lambda p: p.data[0] + 2))
book.refused("checksum_last_byte_of_data_changed", flipped(lambda p: p.data[1]))
book.refused("checksum_text_changed", flipped(lambda p: p.text[1] - 2))
ZEROED = Tube(tail=checksum)
ZEROED.edit = lambda raw: raw[: ZEROED.places.data[0]] + bytes(24) + raw[-8:]
book.refused("checksum_data_zeroed", ZEROED)
book.refused(
    "checksum_of_second_wrong", lambda: chain(Tube(rows=FIRST), Tube(rows=SECOND, tail=b"0000BEEF")), data_set=1
)


def with_other(content: bytes, tail) -> Tube:
    """An OTHER segment of the implementor's behind DATA, its place in the HEADER behind ANALYSIS's."""
    tube = Tube(before={"text": b" " * 22})

    def insert(raw: bytes) -> bytes:
        end = tube.places.data[1] + 1
        out = raw[:58] + f"{end:>8}{end + len(content) - 1:>8}".encode() + raw[74:end] + content
        return out + (tail(out) if callable(tail) else tail)

    tube.edit = insert
    return tube


# Eight digits behind DATA that are no checksum: the standard puts it behind the last segment, OTHER ones included.
book.loads("other_segment_that_looks_like_a_checksum", with_other(b"1234ABCD and more", b"00000000"))
book.loads("other_segment_and_a_right_checksum", with_other(b"notes of the implementor", checksum))
book.refused("other_segment_and_a_wrong_checksum", with_other(b"notes of the implementor", b"0000BEEF"))
book.loads("data_that_ends_in_digits", Tube(rows=((48, 48), (66, 69)) * 8, kinds="I8", tail=b""), conforms=None)
LEFT_OUT = Tube(stated={"analysis": left_out, "supplement": left_out}, tail=checksum)
book.loads("checksum_right_and_few_keywords", LEFT_OUT, conforms=None)
assert crc16(b"123456789") == 0x2189  # the published check value of this CRC

CASES = book.cases
