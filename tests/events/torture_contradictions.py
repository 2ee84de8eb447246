"""What TEXT must not say, what it lacks, values that are no numbers, and text that means harm."""

from torture_builder import Bits, Tube, said, text_bytes
from torture_truth import Book

# --- contradictions -------------------------------------------------------------------------------

book = Book("contradictions")
for name, pair, words in (
    ("tot", ("$TOT", "4"), "$TOT"),
    ("par", ("$PAR", "1"), "$PAR"),
    ("name", ("$P1N", "SSC-A"), "$P1N"),
    ("name_lower_case", ("$p1n", "SSC-A"), "$P1N"),
    ("type", ("$DATATYPE", "I"), "$DATATYPE"),
    ("range", ("$P1R", "1024"), "$P1R"),
    ("amplifier", ("$P1E", "4,1"), "$P1E"),
    ("order", ("$BYTEORD", "4,3,2,1"), "$BYTEORD"),
    ("data", ("$BEGINDATA", "100"), "$BEGINDATA"),
):
    book.refused(f"conflict_{name}", Tube(more=[pair]), says=((words,),))
book.refused("conflict_optional", Tube(more=[("$CYT", "A"), ("B", "1"), ("$cyt", "C")]), says=(("$CYT",),))
book.refused("conflict_vendor", Tube(more=[("TUBE NAME", "A"), ("B", "1"), ("Tube Name", "C")]), says=(("TUBE NAME",),))
book.either("conflict_empty_and_not", Tube(more=[("$CYT", "A"), ("B", "1"), ("$CYT", ""), ("C", "1")]), conforms=None)
book.odd("repeated_tot", Tube(more=[("$TOT", "3")]))
book.odd("repeated_name_in_lower_case", Tube(more=[("$p1n", "FSC-A")]))
book.odd("repeated_optional", Tube(more=[("$CYT", "A"), ("$CYT", "A")]), keywords={"$CYT": "A"})
book.either("repeated_but_for_blanks", Tube(more=[("$CYT", "A"), ("$CYT", "A ")]))
book.refused("name_twice", Tube(names=("FSC-A", "FSC-A")), says=(("FSC-A",),))
book.refused("name_missing", Tube(change={"$P2N": None}), says=(("$P2N",),))
book.refused("name_empty", Tube(change={"$P2N": ""}))
book.refused("name_blank", Tube(change={"$P2N": "   "}))
book.either("name_twice_but_for_blanks", Tube(names=("FSC-A", "FSC-A ")), conforms=None)
book.either("name_twice_but_for_case", Tube(names=("FITC-A", "Fitc-A")), conforms=None)
for mode in ("C", "U"):
    book.refused(f"mode_{mode}", Tube(change={"$MODE": mode}), says=(("support", "list mode"),))
book.refused("mode_unknown", Tube(change={"$MODE": "Q"}))
book.either("mode_lower_case", Tube(change={"$MODE": "l"}))
for name, kind in (("X", "X"), ("B", "B"), ("word", "float"), ("digit", "1")):
    book.refused(f"type_unknown_{name}", Tube(change={"$DATATYPE": kind}), says=(("support", "type"),))
for name, width in (
    ("zero", "0"),
    ("negative", "-32"),
    ("word", "thirty"),
    ("huge", "99999999999"),
    ("fraction", "16.5"),
    ("128", "128"),
    ("underscore", "1_6"),
    ("plus_minus", "+-16"),
):
    book.refused(f"width_bad_{name}", Tube(rows=((1, 2),), kinds="I16", change={"$P1B": width}))

# --- missing required keywords --------------------------------------------------------------------

book.topic = "missing keywords"
for key in ("$PAR", "$DATATYPE", "$BYTEORD", "$P1B", "$P2B"):
    book.refused(f"missing_{key[1:].lower()}", Tube(change={key: None}), says=((key,),))
book.either("missing_mode", Tube(change={"$MODE": None}))
book.either("missing_tot", Tube(change={"$TOT": None}))
book.refused(
    "missing_tot_and_no_whole_rows",
    Tube(change={"$TOT": None}, data=bytes(27)),
    rows=((0.0, 0.0),) * 3,
    numbers=lambda p: ((27,), (8,)),
)
book.either("missing_nextdata", Tube(change={"$NEXTDATA": None}))
book.either("missing_nextdata_2.0", Tube(version="FCS2.0", change={"$NEXTDATA": None}), conforms=None)
book.odd("missing_data_offsets_in_text", Tube(stated={"data": lambda p: None}))
book.odd("missing_range_of_floats", Tube(change={"$P1R": None}))
book.odd("missing_amplifier_of_floats", Tube(change={"$P1E": None}))
book.loads(
    "missing_analysis_offsets", Tube(stated={"analysis": lambda p: None, "supplement": lambda p: None}), conforms=None
)
book.refused("missing_par_too_large", Tube(change={"$PAR": "3"}))
book.refused("missing_par_too_small", Tube(change={"$PAR": "1"}), numbers=lambda p: ((24, 6), (12, 3)))
for name, par in (
    ("zero", "0"),
    ("negative", "-2"),
    ("word", "two"),
    ("fraction", "2.5"),
    ("superscript", "²"),
    ("digits", "9" * 5000),
    ("underscore", "0_2"),
):
    book.refused(f"par_bad_{name}", Tube(change={"$PAR": par}))

# --- NaN and infinity -----------------------------------------------------------------------------

book.topic = "not finite"
QUIET, PAYLOAD, SIGNAL, NEGATIVE = (Bits(p, 4) for p in (0x7FC00000, 0x7FC12345, 0x7F812345, 0xFFC00001))
for order, name in (("1,2,3,4", "little"), ("4,3,2,1", "big")):
    book.loads(
        f"nan_bits_{name}",
        Tube(rows=((QUIET, 1.0), (PAYLOAD, SIGNAL), (2.0, NEGATIVE)), order=order),
        notes=("FCS075",),
        note_says=("4",),
    )
book.loads(
    "infinities",
    Tube(rows=((Bits(0x7F800000, 4), 1.0), (2.0, Bits(0xFF800000, 4)))),
    notes=("FCS075",),
    note_says=("2",),
)
book.loads(
    "nan_of_doubles",
    Tube(
        kinds="D64",
        rows=((Bits(0x7FF8000000000001, 8), 1.0), (Bits(0x7FF0000000000001, 8), Bits(0xFFF0000000000000, 8))),
    ),
    notes=("FCS075",),
    note_says=("3",),
)
book.loads("nan_everywhere", Tube(rows=((QUIET, QUIET),) * 50), notes=("FCS075",), note_says=("100",))
book.loads(
    "nan_in_time", Tube(rows=((QUIET, 1.0), (5.0, 2.0)), names=("Time", "FITC-A")), notes=("FCS075",), note_says=("1",)
)

# --- hostile text ---------------------------------------------------------------------------------

book.topic = "hostile text"
HOSTILE = {
    "html": "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "formula": "=cmd|' /C calc'!A0",
    "formula_at": "@SUM(1+1)*cmd",
    "formula_plus": "+1+1",
    "formula_minus": "-2+3",
    "escape": "\x1b]0;owned\x07\x1b[2J\x1b[31mred",
    "path": "../../../etc/passwd",
    "windows_path": "..\\..\\CON:",
    "nul": "a\0b\0",
    "right_to_left": "abc\u202egpj.exe",
    "separators": "a\u2028b\u2029c\x85d",
    "format": "%s%n{0.__class__}${HOME}`id`",
    "quotes": "a\"b'c,d;e\tf",
    "carriage": "good\rbad",
    "bidi_isolate": "\u2066x\u2069",
}
for name, value in HOSTILE.items():
    book.loads(
        f"hostile_keyword_{name}",
        Tube(delimiter=b"\x0c", more=[("$SRC", value), ("B", "1")]),
        keywords={"$SRC": value, "B": "1"},
    )
    book.loads(
        f"hostile_channel_{name}",
        Tube(delimiter=b"\x0c", names=("FSC-A", value), more=[("B", "1")]),
        keywords={"$P2N": value},
        conforms=None if "," in value else True,
    )  # a channel name has no commas
book.loads(
    "hostile_name_of_a_keyword",
    Tube(delimiter=b"\x0c", more=[("<b>=\x1b[31m../X", "1")]),
    keywords={"<B>=\x1b[31M../X": "1"},
)
book.refused("hostile_twice", Tube(delimiter=b"\x0c", names=("\x1b[31m=<b>", "\x1b[31m=<b>")))
book.refused(
    "hostile_conflict", Tube(delimiter=b"\x0c", more=[("\x1b]0;x\x07", "\x1b[2J"), ("\x1b]0;x\x07", "\n\r\u202e")])
)
book.refused("hostile_type", Tube(change={"$DATATYPE": "\x1b[31mF\n"}))
book.refused("hostile_tot", Tube(change={"$TOT": "\x1b[31m3\n"}))
book.loads("hostile_long_value", Tube(more=[("NOTE", "x" * 2_000_000)]), keywords={"NOTE": "x" * 2_000_000})
book.loads("hostile_long_name", Tube(names=("FSC-A", "N" * 100_000)))
book.loads("hostile_many_keywords", Tube(more=[(f"K{i}", str(i)) for i in range(20_000)]), keywords={"K19999": "19999"})
for n, add in ((10_001, book.loads), (200_001, book.either)):  # so many delimiters no cytometer writes
    add(
        f"hostile_escapes_{n}",
        Tube(more=[("NOTE", "x" + "/" * n + "y")]),
        keywords={"NOTE": "x" + "/" * n + "y"},
        conforms=None,
    )
book.either(
    "hostile_many_empty_values",
    Tube(more=[pair for i in range(3000) for pair in ((f"K{i}", ""),)] + [("B", "1")]),
    keywords={"K2999": "", "B": "1"},
)
book.loads(
    "hostile_json_words",
    Tube(more=[("A", "NaN"), ("B", "null"), ("C", "__proto__")]),
    keywords={"A": "NaN", "C": "__proto__"},
)
# Outside the segments only blanks may stand; keywords right behind TEXT look like a TEXT that ends too early.
book.either(
    "hostile_unused_segments",
    Tube(stated={"supplement": said("0", "0")}, before={"data": text_bytes([("$TOT", "99")])}),
    conforms=None,
)

CASES = book.cases
