"""Row 3 of the table: where HEADER and TEXT say that segments lie, and where they do."""

from pathlib import Path

from torture_builder import Places, Tube, checksum, left_out, packed_rows, said, shifted, text_bytes
from torture_truth import Book, Unavailable

ANALYSIS = text_bytes([("GATE1", "lymphocytes"), ("COUNT", "12")])


def both(p: Places) -> list[tuple[int, ...]]:
    """HEADER and TEXT place DATA four bytes apart: both beginnings must be named."""
    return [(p.data[0],), (p.data[0] + 4,)]


# --- HEADER and TEXT ------------------------------------------------------------------------------

book = Book("offsets")
SPACE = {"tail": b" " * 64}
for name, shift in (
    ("end_4_late", (0, 4)),
    ("end_4_early", (0, -4)),
    ("begin_4_early", (-4, 0)),
    ("begin_4_late", (4, 0)),
    ("both_wild", (8, 100)),
    ("off_the_file", (4000, 4000)),
):
    book.odd(f"header_{name}", Tube(header={"data": shifted(*shift)}))
    book.odd(f"text_{name}", Tube(stated={"data": shifted(*shift)}))
# Each reading has the right size and lies inside the file.
book.refused("header_shifted_and_both_fit", Tube(header={"data": shifted(4, 4)}, **SPACE), numbers=both)
book.refused("text_shifted_and_both_fit", Tube(stated={"data": shifted(4, 4)}, **SPACE), numbers=both)
book.refused(
    "header_one_late_and_both_fit",
    Tube(header={"data": shifted(1, 1)}, **SPACE),
    numbers=lambda p: [(p.data[0],), (p.data[0] + 1,)],
)
book.refused(
    "both_wrong_in_size",
    Tube(header={"data": shifted(0, 4)}, stated={"data": shifted(0, -4)}),
    numbers=lambda p: [(p.data[1] + 4, 28), (p.data[1] - 4, 20)],
)
# Shifted together with the file ending there: only the true place is left.
book.odd("header_one_late_at_the_end_of_the_file", Tube(header={"data": shifted(1, 1)}, tail=b""))
# One byte early runs into the last byte of TEXT, which a strict reader may call an overlap.
book.either("header_one_early", Tube(header={"data": shifted(-1, -1)}))
for version in ("FCS2.0", "FCS3.1"):
    v = version[3:]
    claims = {"header": {"data": shifted(0, 1)}, "stated": {"data": shifted(0, 1)}}
    book.odd(f"end_exclusive_{v}", Tube(version=version, **claims))
    book.odd(f"end_exclusive_without_tail_{v}", Tube(version=version, **claims, tail=b""))
    # One byte too few: it could have been lost in front or behind, but in front of it is TEXT.
    claims = {"header": {"data": shifted(0, -1)}, "stated": {"data": shifted(0, -1)}}
    book.odd(f"end_one_early_{v}", Tube(version=version, **claims))
    claims = {"header": {"data": shifted(1, 0)}, "stated": {"data": shifted(1, 0)}}
    book.odd(f"begin_one_late_at_the_end_of_the_file_{v}", Tube(version=version, **claims, tail=b""))
    claims = {"header": {"data": shifted(-1, 0)}, "stated": {"data": shifted(-1, 0)}}
    book.odd(f"begin_one_early_{v}", Tube(version=version, **claims))
book.odd("end_exclusive_in_header_only", Tube(header={"data": shifted(0, 1)}))
book.odd("end_exclusive_in_text_only", Tube(stated={"data": shifted(0, 1)}))
book.odd("begin_one_late_in_header_only", Tube(header={"data": shifted(1, 0)}))
book.odd("begin_one_early_in_text_only", Tube(stated={"data": shifted(-1, 0)}))
claims = {"header": {"data": shifted(0, 1)}, "stated": {"data": shifted(0, 1)}}
book.odd("end_exclusive_and_a_right_checksum", Tube(**claims, tail=checksum))
book.refused("end_exclusive_and_a_wrong_checksum", Tube(**claims, tail=b"0000BEEF"))
# The byte behind the exclusive end is the first of ANALYSIS.
book.odd(
    "end_exclusive_before_analysis",
    Tube(analysis=ANALYSIS, header={"data": shifted(0, 1)}, stated={"data": shifted(0, 1)}),
)
# With rows of one byte, a byte more is an event more.
book.refused(
    "end_exclusive_of_single_bytes",
    Tube(rows=((1,), (2,), (3,)), names=("FSC-A",), kinds="I8", change={"$TOT": "2"}),
    numbers=lambda p: ((2,), (3,)),
)
for name, blank in (("zero", 0), ("blank", ""), ("nul", bytes(8))):
    book.odd(f"header_data_{name}", Tube(header={"data": said(blank, blank)}))
    book.refused(f"header_data_{name}_2.0", Tube(version="FCS2.0", header={"data": said(blank, blank)}))
book.odd("header_end_zero_only", Tube(header={"data": lambda p: (p.data[0], 0)}))
book.odd("text_data_zero", Tube(stated={"data": said(0, 0)}))
book.odd("text_data_blank", Tube(stated={"data": said(" ", " ")}))
book.odd("text_data_garbage", Tube(stated={"data": said("here", "there")}))
book.refused("both_zero", Tube(stated={"data": said(0, 0)}, header={"data": said(0, 0)}))
book.refused("both_missing", Tube(stated={"data": left_out}, header={"data": said("", "")}))
book.loads(
    "header_zero_padded",
    Tube(header={s: lambda p, s=s: tuple(f"{o:08d}" for o in getattr(p, s)) for s in ("text", "data")}),
    conforms=None,
)
book.loads(
    "header_left_justified",
    Tube(header={s: lambda p, s=s: tuple(f"{o:<8}" for o in getattr(p, s)) for s in ("text", "data")}),
    conforms=None,
)
book.loads("header_analysis_blank", Tube(header={"analysis": said("", "")}))  # FCS 3.0: "set to zero or left blank"
book.loads("text_offsets_zero_padded", Tube(stated={"data": lambda p: (f"{p.data[0]:020d}", f"{p.data[1]:020d}")}))
book.loads("text_behind_data", Tube(sequence=("data", "text", "analysis", "supplement")))
book.loads(
    "text_last",
    Tube(sequence=("data", "analysis", "text", "supplement"), analysis=ANALYSIS),
    analysis={"GATE1": "lymphocytes"},
)
book.loads("text_at_256", Tube(before={"text": b" " * 198}))
book.loads(
    "gaps_everywhere", Tube(before={"text": b" " * 6, "data": b" " * 9, "analysis": b" " * 3}, analysis=ANALYSIS)
)
book.loads("gap_of_zeros_before_data", Tube(before={"data": bytes(512)}), conforms=None)
# TEXT itself. With an exclusive end its last byte is the first of DATA, whatever that is.
book.odd("text_end_exclusive", Tube(header={"text": shifted(0, 1, "text")}))
book.odd(
    "text_end_exclusive_and_data_begins_with_the_delimiter",
    Tube(rows=((47, 5), (1, 2)), kinds="I8", header={"text": shifted(0, 1, "text")}),
)
book.odd(
    "text_end_exclusive_and_data_begins_with_a_letter",
    Tube(rows=((65, 5), (1, 2)), kinds="I8", header={"text": shifted(0, 1, "text")}),
)
book.odd(
    "text_end_exclusive_and_data_begins_with_a_blank",
    Tube(rows=((32, 5), (1, 2)), kinds="I8", header={"text": shifted(0, 1, "text")}),
)
book.odd(
    "text_end_exclusive_before_a_gap",
    Tube(header={"text": shifted(0, 1, "text")}, before={"data": b"   "}),
    conforms=None,
)
book.odd("text_end_one_early", Tube(header={"text": shifted(0, -1, "text")}))
book.odd("text_begin_one_late", Tube(header={"text": shifted(1, 0, "text")}))
book.odd("text_begin_one_early", Tube(header={"text": shifted(-1, 0, "text")}))
book.odd(
    "text_begin_one_early_behind_a_gap", Tube(before={"text": b" " * 198}, header={"text": shifted(-1, 0, "text")})
)
book.odd("text_begin_one_late_behind_a_gap", Tube(before={"text": b" " * 198}, header={"text": shifted(1, 0, "text")}))
# The last value loses letters and nothing else betrays it: subject 12 must never become subject 1.
book.either(
    "text_end_2_early",
    Tube(more=[("$SRC", "subject 12")], header={"text": shifted(0, -2, "text")}),
    keywords={"$SRC": "subject 12"},
)
book.either(
    "text_end_2_early_in_a_gain",
    Tube(more=[("$P1G", "0.25")], header={"text": shifted(0, -2, "text")}),
    scale={"FSC-A": (4.0, 12.0, 20.0)},
)
book.either(
    "text_end_3_early_at_a_blank",
    Tube(more=[("$SRC", "subject 12")], header={"text": shifted(0, -3, "text")}),
    keywords={"$SRC": "subject 12"},
)
book.either(
    "text_end_before_the_last_value",
    Tube(more=[("$P1G", "0.25")], header={"text": shifted(0, -6, "text")}),
    scale={"FSC-A": (4.0, 12.0, 20.0)},
)
book.either(
    "text_end_behind_the_last_keyword",
    Tube(more=[("$P1G", "0.25")], header={"text": shifted(0, -5, "text")}),
    scale={"FSC-A": (4.0, 12.0, 20.0)},
)
# A program that counts from 1 throughout: all or nothing.
book.either(
    "everything_one_late",
    Tube(header={"text": shifted(1, 1, "text"), "data": shifted(1, 1)}, stated={"data": shifted(1, 1)}, **SPACE),
)
book.refused("text_begin_in_the_middle", Tube(header={"text": shifted(100, 0, "text")}))
book.either("text_end_in_data", Tube(header={"text": shifted(0, 6, "text")}))

# --- beyond 99,999,999: sparse files, cheap to make ------------------------------------------------

LIMIT = 100_000_000


def sparse(name: str, *, version: str, at: int, header: tuple[object, object] | None, wrapped: bool):
    """DATA of three events far behind TEXT; what lies between is a hole."""

    def put(folder: Path) -> Path:
        begin, end = at, at + 23
        field = {"data": said(*(header or (begin % LIMIT, end % LIMIT)) if wrapped or header else said(begin, end))}
        tube = Tube(version=version, data=b"", header=field, stated={"data": said(begin, end)}, tail=b"")
        tube.change = {"$TOT": "3"}
        path = folder / f"{name}.fcs"
        with path.open("wb") as stream:
            stream.write(tube.build())
            stream.seek(begin)
            stream.write(packed_rows(Tube().rows, ["F32", "F32"], "1,2,3,4") + b"00000000")
        return path

    return put


ROWS = Tube().rows
NAMES = ("FSC-A", "FITC-A")
book.loads(
    "beyond_100_mb_header_zero",
    None,
    rows=ROWS,
    names=NAMES,
    put=sparse("beyond_100_mb_header_zero", version="FCS3.1", at=LIMIT + 5000, header=(0, 0), wrapped=False),
)
book.odd(
    "beyond_100_mb_wrapped",
    None,
    rows=ROWS,
    names=NAMES,
    put=sparse("beyond_100_mb_wrapped", version="FCS3.0", at=LIMIT + 5000, header=None, wrapped=True),
)
# The last digits lead into TEXT, and there the size fits as well.
book.odd(
    "beyond_100_mb_wrapped_into_text",
    None,
    rows=ROWS,
    names=NAMES,
    put=sparse("beyond_100_mb_wrapped_into_text", version="FCS3.1", at=LIMIT + 100, header=None, wrapped=True),
)


def sparse_5_gb(folder: Path) -> Path:
    try:
        return sparse("beyond_4_gb", version="FCS3.1", at=5_000_000_000, header=(0, 0), wrapped=False)(folder)
    except OSError as error:
        raise Unavailable(f"no such large files here: {error}") from None


book.loads("beyond_4_gb", None, rows=ROWS, names=NAMES, put=sparse_5_gb)


def large_2_0(folder: Path) -> Path:
    """FCS 2.0 has no other place for offsets: the end of 100 MB of events is wrapped, and $TOT tells how often."""
    n_events = 12_500_000
    tube = Tube(version="FCS2.0", data=b"", change={"$TOT": str(n_events)}, tail=b"")
    tube.header = {"data": lambda p: (p.text[1] + 1, (p.text[1] + 8 * n_events) % LIMIT)}
    begin = tube.places.text[1] + 1
    path = folder / "beyond_100_mb_2.0.fcs"
    with path.open("wb") as stream:
        stream.write(tube.build() + packed_rows(((1.5, -2.0),), ["F32"] * 2, "1,2,3,4"))
        stream.seek(begin + 8 * (n_events - 1))
        stream.write(packed_rows(((3.25, 4.0),), ["F32"] * 2, "1,2,3,4"))
    return path


book.odd(
    "beyond_100_mb_2.0",
    None,
    names=NAMES,
    n_events=12_500_000,
    first=((1.5, -2.0),),
    last=((0.0, 0.0), (3.25, 4.0)),
    put=large_2_0,
)

CASES = book.cases
