"""What cannot be: totals that lie, truncation, segments that overlap, claims that no file can hold."""

from torture_builder import Tube, packed_rows, said, shifted, text_bytes
from torture_truth import Book

ROWS = Tube().rows
ANALYSIS = text_bytes([("GATE1", "lymphocytes"), ("COUNT", "12")])

# --- $TOT x row size ------------------------------------------------------------------------------

book = Book("total")
for total in (0, 1, 2, 4, 1000, 3_000_000_000):
    book.refused(f"tot_{total}_of_3", Tube(change={"$TOT": total}), numbers=lambda p, n=total: ((n, 8 * n), (24, 3)))
book.refused(
    "tot_4_of_3_integers",
    Tube(rows=((1, 2), (3, 4), (5, 6)), kinds="I16", change={"$TOT": "4"}),
    numbers=lambda p: ((4, 16), (12, 3)),
)
book.refused("tot_4_of_3_2.0", Tube(version="FCS2.0", change={"$TOT": "4"}), numbers=lambda p: ((4, 32), (24, 3)))
# Half a row too much, half a row too few: no whole events.
book.refused(
    "data_half_a_row_long",
    Tube(data=packed_rows(ROWS, ["F32"] * 2, "1,2,3,4") + bytes(4)),
    numbers=lambda p: ((3, 24), (28,)),
)
book.refused(
    "data_half_a_row_short",
    Tube(data=packed_rows(ROWS, ["F32"] * 2, "1,2,3,4")[:-4]),
    numbers=lambda p: ((3, 24), (20,)),
)
# A byte is gone, and eight zeros stand behind DATA as they should: the end is not one early, or seven would be left.
SHORT = packed_rows(ROWS, ["F32"] * 2, "1,2,3,4")
book.refused("data_one_byte_short", Tube(data=SHORT[:-1]), numbers=lambda p: ((3, 24), (23,)))
book.refused("data_one_byte_lost_inside", Tube(data=SHORT[:5] + SHORT[6:]), numbers=lambda p: ((3, 24), (23,)))
book.refused("data_two_bytes_short", Tube(data=SHORT[:-2]), numbers=lambda p: ((3, 24), (22,)))
book.refused("data_two_bytes_long", Tube(data=SHORT + b"\0\0"), numbers=lambda p: ((3, 24), (26,)))
for name, total in (
    ("word", "three"),
    ("negative", "-3"),
    ("half", "2.5"),
    ("superscript", "³"),
    ("digits", "3" * 5000),
    ("hex", "0x3"),
    ("underscore", "0_3"),
    ("full_width", "３"),
    ("exponent", "3e0"),
):
    book.either(f"tot_bad_{name}", Tube(change={"$TOT": total}))
book.either("tot_with_a_point", Tube(change={"$TOT": "3.0"}))
book.either("tot_with_a_plus", Tube(change={"$TOT": "+3"}))
book.either("tot_with_separators", Tube(rows=ROWS * 500, change={"$TOT": "1,500"}))
book.loads("tot_with_zeros_in_front", Tube(change={"$TOT": "000003"}))
# Only one place is as long as $TOT says; by the rule of the table it is used, and that is said.
book.odd("tot_2_text_2_header_3", Tube(change={"$TOT": "2"}, stated={"data": shifted(0, -8)}), rows=ROWS[:2])
book.odd("tot_3_text_2_header_3", Tube(stated={"data": shifted(0, -8)}))
book.refused(
    "tot_1_text_2_header_3",
    Tube(change={"$TOT": "1"}, stated={"data": shifted(0, -8)}),
    numbers=lambda p: ((1, 8), (16, 2), (24, 3)),
)

# --- truncation -----------------------------------------------------------------------------------

book.topic = "truncation"


def cut(n: int, tube: Tube | None = None) -> Tube:
    """Cut a file at a byte; from the end where negative."""
    tube = tube or Tube()
    tube.edit = lambda raw: raw[:n]
    return tube


def cut_in_data(n: int, **more) -> Tube:
    """Keep so many bytes of DATA."""
    tube = Tube(**more)
    tube.edit = lambda raw: raw[: tube.places.data[0] + n]
    return tube


for n in (1, 3, 6, 10, 20, 57):
    book.refused(f"cut_header_at_{n}", cut(n))
for n in (58, 59, 100):
    book.refused(f"cut_text_at_{n}", cut(n))
TEXT_END = Tube()
TEXT_END.edit = lambda raw: raw[: TEXT_END.places.text[1]]
book.refused("cut_text_at_its_last_delimiter", TEXT_END)
for version in ("FCS2.0", "FCS3.1"):
    for n, whole in ((0, 0), (3, 0), (8, 1), (12, 1), (16, 2), (23, 2)):
        book.refused(
            f"cut_data_after_{n}_of_24_{version[3:]}",
            cut_in_data(n, version=version),
            salvage=ROWS[:whole] if whole else None,
            numbers=lambda p, n=n: ((3, 24, p.data[1]), (p.data[0] + n, n, n // 8)),
        )
book.refused(
    "cut_data_of_mixed_widths",
    cut_in_data(13, rows=((1, 2), (3, 4), (5, 6)), kinds=("I8", "I32")),
    salvage=((1, 2), (3, 4)),
)
book.refused("cut_data_of_big_endian_doubles", cut_in_data(33, kinds="D64", order="4,3,2,1"), salvage=ROWS[:2])
for version in ("FCS2.0", "FCS3.1"):
    book.refused(
        f"cut_data_without_tot_{version[3:]}", cut_in_data(20, version=version, change={"$TOT": None}), salvage=ROWS[:2]
    )
book.loads("zeros_behind_the_file", Tube(tail=b"00000000" + bytes(10_000)), conforms=None)
book.loads("blanks_behind_the_file", Tube(tail=b"00000000" + b" " * 10_000))
book.loads("cut_checksum", cut(-4), conforms=None)
book.loads("cut_checksum_whole", cut(-8), conforms=None)
ANALYSIS_CUT = Tube(analysis=ANALYSIS, tail=b"", edit=lambda raw: raw[:-5])
book.odd(
    "end_one_early_before_analysis",
    Tube(analysis=ANALYSIS, header={"data": shifted(0, -1)}, stated={"data": shifted(0, -1)}),
)
book.either("cut_analysis", ANALYSIS_CUT)
SUPPLEMENT_CUT = Tube(supplement=text_bytes([("$P1S", "CD3"), ("$P2S", "CD4")]), tail=b"", edit=lambda raw: raw[:-9])
book.either("cut_supplement", SUPPLEMENT_CUT)
book.refused(
    "cut_text_behind_data",
    Tube(sequence=("data", "text", "analysis", "supplement"), tail=b"", edit=lambda raw: raw[:-40]),
)
# What is behind the cut has no bytes: a copy that was never finished often ends in zeros instead.
ZEROS = Tube()
ZEROS.edit = lambda raw: raw[:200] + bytes(len(raw) - 200)
book.refused("text_ends_in_zeros", ZEROS)

# --- overlaps: nothing of the file is to be believed then ------------------------------------------

book.topic = "overlap"
OVER_TEXT = {"data": lambda p: (p.text[1] - 19, p.text[1] + 4)}
book.refused("data_over_text", Tube(header=OVER_TEXT, stated=OVER_TEXT))
book.refused("data_over_text_2.0", Tube(version="FCS2.0", header=OVER_TEXT))
INSIDE = {"data": lambda p: (p.text[0] + 10, p.text[0] + 33)}
book.refused("data_inside_text", Tube(header=INSIDE, stated=INSIDE))
book.refused("data_over_header", Tube(header={"data": said(20, 43)}, stated={"data": said(20, 43)}))
book.refused("data_at_0", Tube(version="FCS2.0", header={"data": said(0, 23)}))
book.refused("text_over_header", Tube(header={"text": lambda p: (20, p.text[1])}))
book.refused("text_at_0", Tube(header={"text": lambda p: (0, p.text[1])}))
for name, claim in (
    ("data", lambda p: p.data),
    ("text", lambda p: p.text),
    ("data_partly", lambda p: (p.data[0] + 8, p.data[1] + 8)),
    ("text_partly", lambda p: (p.text[1] - 20, p.text[1] + 3)),
    ("header", said(10, 50)),
):
    both_say = {"analysis": claim}
    book.refused(f"analysis_over_{name}", Tube(header=both_say, stated=both_say))
for name, claim in (
    ("data", lambda p: p.data),
    ("data_partly", lambda p: (p.data[1] - 7, p.data[1] + 8)),
    ("text_partly", lambda p: (p.text[1] - 20, p.text[1] + 3)),
    ("header", said(10, 50)),
):
    book.refused(f"supplement_over_{name}", Tube(stated={"supplement": claim}))
book.refused(
    "supplement_over_analysis",
    Tube(analysis=ANALYSIS, stated={"supplement": lambda p: (p.analysis[0] + 3, p.analysis[1] + 3)}),
)
# Some programs name TEXT itself as its own supplement.
book.loads(
    "supplement_is_text", Tube(stated={"supplement": lambda p: p.text}), conforms=None, topic="supplemental text"
)

# --- claims that no file can hold ------------------------------------------------------------------

book.topic = "absurd offsets"
TERA = 5_000_000_000_000
for name, begin, end in (
    ("terabytes", 1000, TERA),
    ("far_away", TERA, TERA + 23),
    ("negative", -24, -1),
    ("backwards", 900, 300),
    ("19_digits", 1000, 2**63),
    ("30_digits", 1000, 10**30),
):
    claim = said(begin, end)
    book.refused(f"data_{name}", Tube(header={"data": said(0, 0)}, stated={"data": claim}))
    # HEADER is right: that one reading, or nothing.
    book.either(f"text_says_{name}_header_is_right", Tube(stated={"data": claim}))
book.refused(
    "data_terabytes_and_tot_agrees",
    Tube(
        change={"$TOT": TERA // 8},
        header={"data": said(0, 0)},
        stated={"data": lambda p: (p.data[0], p.data[0] + TERA - 1)},
    ),
)
book.refused("data_5000_digits", Tube(header={"data": said(0, 0)}, stated={"data": said("1000", "9" * 5000)}))
for name, begin, end in (
    ("99999999", 99_999_975, 99_999_998),
    ("negative", -24, -1),
    ("backwards", 900, 300),
    ("letters", "abc", "def"),
    ("hex", "0x100", "0x117"),
    ("fraction", "700.5", "723.5"),
):
    book.refused(f"header_data_{name}_2.0", Tube(version="FCS2.0", header={"data": said(begin, end)}))
book.either("header_data_negative_text_is_right", Tube(header={"data": said(-24, -1)}))
book.either("header_data_letters_text_is_right", Tube(header={"data": said("abc", "def")}))
for name, begin, end in (
    ("to_99999999", 58, 99_999_999),
    ("zero", 0, 0),
    ("blank", "", ""),
    ("backwards", 300, 58),
    ("letters", "abc", "def"),
    ("negative", -58, 300),
    ("beyond", 90_000_000, 90_000_400),
    ("nul", bytes(8), bytes(8)),
):
    book.refused(f"header_text_{name}", Tube(header={"text": said(begin, end)}))
book.refused("par_a_billion", Tube(change={"$PAR": 10**9}))
book.refused("par_99999", Tube(change={"$PAR": 99_999}))
book.refused("tot_10_to_18", Tube(change={"$TOT": 10**18}))
book.refused("width_a_billion", Tube(rows=((1, 2),), kinds="I16", change={"$P1B": 10**9}))
book.either("analysis_terabytes", Tube(stated={"analysis": said(1000, TERA)}))
book.either("analysis_negative", Tube(header={"analysis": said(-1, -1)}, stated={"analysis": said(-1, -1)}))
book.either("analysis_backwards", Tube(header={"analysis": said(500, 300)}, stated={"analysis": said(500, 300)}))
book.either("supplement_terabytes", Tube(stated={"supplement": said(1000, TERA)}))
book.either("supplement_negative", Tube(stated={"supplement": said(-5, -1)}))
book.either("supplement_backwards", Tube(stated={"supplement": said(500, 300)}))
book.either("supplement_begin_only", Tube(stated={"supplement": lambda p: (p.data[1] + 1, 0)}))

CASES = book.cases
