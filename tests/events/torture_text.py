"""What TEXT may look like: delimiters, encodings, empty values, lost tokens."""

from torture_builder import Tube
from torture_truth import Book

# --- delimiters -----------------------------------------------------------------------------------

book = Book("delimiters")
for byte, name in (
    (0x0C, "form_feed"),
    (0x1E, "record_separator"),
    (0x7C, "bar"),
    (0x5C, "backslash"),
    (0x09, "tab"),
    (0x0A, "newline"),
    (0x0D, "return"),
    (0x20, "blank"),
    (0x21, "exclamation"),
    (0x2A, "star"),
    (0x7E, "tilde"),
    (0x01, "control_a"),
    (0x5A, "letter_upper"),
    (0x71, "letter_lower"),
    (0x22, "quote"),
    (0x3B, "semicolon"),
):
    d = bytes([byte])
    book.loads(
        f"delimiter_{name}", Tube(delimiter=d, more=[("NOTE", b"a" + d + b"b")]), keywords={"NOTE": f"a{chr(byte)}b"}
    )
# Characters that the required keywords themselves hold, so that every one of them is escaped.
book.loads("delimiter_letter_of_keywords", Tube(delimiter=b"A", names=("FSC-H", "FITC-H")), keywords={"$PAR": "2"})
book.loads(
    "delimiter_letter_T", Tube(delimiter=b"T", names=("FSC-A", "PE-A")), keywords={"$TOT": "3", "$DATATYPE": "F"}
)
book.loads(
    "delimiter_comma", Tube(delimiter=b",", more=[("NOTE", "a,b")]), keywords={"$BYTEORD": "1,2,3,4", "$P1E": "0,0"}
)
book.loads("delimiter_hyphen", Tube(delimiter=b"-"), keywords={"$P1N": "FSC-A"})
# FCS 3.1 allows 1 to 126; what lies outside is used as it is, and said.
for byte, name in ((0x00, "nul"), (0x7F, "delete"), (0xA7, "section"), (0xFF, "ff"), (0x80, "80")):
    d = bytes([byte])
    book.odd(
        f"delimiter_{name}", Tube(delimiter=d, more=[("NOTE", b"a" + d + b"b"), ("REST", "x")]), keywords={"REST": "x"}
    )
book.loads("escaped_in_the_middle", Tube(more=[("PATH", "c:/data/tube")]), keywords={"PATH": "c:/data/tube"})
book.loads("escaped_at_the_end", Tube(more=[("PATH", "a/"), ("B", "1")]), keywords={"PATH": "a/", "B": "1"})
book.loads("escaped_at_the_end_of_text", Tube(more=[("PATH", "a/")]), keywords={"PATH": "a/"})
book.loads(
    "escaped_twice_in_a_row", Tube(more=[("URL", "http://x"), ("B", "1")]), keywords={"URL": "http://x", "B": "1"}
)
# "/A//B/1/": the standard reads a keyword "A/B", what programs mean is an empty A; no event depends on it.
book.loads("escaped_in_a_keyword", Tube(more=[("A/B", "1"), ("C", "2")]), keywords={"C": "2"}, conforms=None)
book.loads("escaped_in_a_channel_name", Tube(names=("FSC/A", "FITC-A")), keywords={"$P1N": "FSC/A"})
book.loads(
    "delimiter_with_utf8_values", Tube(delimiter=b"\x0c", more=[("$SRC", "Žižka µL")]), keywords={"$SRC": "Žižka µL"}
)

# --- encoding, and values exactly as they are -----------------------------------------------------

book.topic = "encoding"
book.loads("utf8", Tube(more=[("$SRC", "Müller · µL · 患者")]), keywords={"$SRC": "Müller · µL · 患者"})
book.loads("utf8_in_a_channel_name", Tube(names=("FSC-A", "TCRγδ-A")))
book.loads("utf8_four_bytes", Tube(more=[("NOTE", "🧬")]), keywords={"NOTE": "🧬"})
book.odd("latin1_in_3.1", Tube(encoding="latin-1", more=[("$SRC", "Müller µL")]), keywords={"$SRC": "Müller µL"})
for version in ("FCS2.0", "FCS3.0"):
    book.loads(
        f"latin1_in_{version[3:]}",
        Tube(version=version, encoding="latin-1", more=[("$SRC", "Müller µL")]),
        keywords={"$SRC": "Müller µL"},
        conforms=None,
    )
book.odd("latin1_in_a_channel_name", Tube(encoding="latin-1", names=("FSC-A", "CD3 µ-A")))
# "Ã¼" is what UTF-8 looks like as Latin-1: bytes that are good UTF-8 are UTF-8.
book.odd(
    "utf8_and_latin1_in_one_file",
    Tube(more=[("$OP", "Jörg".encode("latin-1")), ("$CYT", "plain")]),
    keywords={"$OP": "Jörg", "$CYT": "plain"},
)
book.odd("utf8_cut_short", Tube(more=[("NOTE", b"ab\xe6\x82"), ("B", "1")]), keywords={"NOTE": "abæ\x82", "B": "1"})
for name, value in (
    ("blanks_around", "  FACS  Canto  "),
    ("a_blank", " "),
    ("newlines", "a\r\nb\n"),
    ("tabs", "\tx\t"),
    ("nul", "a\0b"),
    ("nuls_at_the_end", "ab\0\0"),
    ("byte_order_mark", "\ufeffx"),
    ("surrogate_pair", "\U0001f600"),
):
    book.loads(f"value_exact_{name}", Tube(more=[("NOTE", value), ("B", "1")]), keywords={"NOTE": value, "B": "1"})
    book.loads(f"value_exact_{name}_last", Tube(more=[("NOTE", value)]), keywords={"NOTE": value})
book.loads(
    "keywords_in_any_case",
    Tube(change={"$P2N": None, "$TOT": None}, more=[("$p2n", "FITC-A"), ("$Tot", "3"), ("Tube Name", "x")]),
    keywords={"$P2N": "FITC-A", "$TOT": "3", "TUBE NAME": "x"},
)
book.loads(
    "numbers_with_blanks",
    Tube(change={"$TOT": " 3 ", "$PAR": "2 ", "$P1B": " 32"}),
    keywords={"$TOT": " 3 "},
    conforms=None,
)

# --- damage that leaves the required keywords ------------------------------------------------------

book.topic = "text damage"
book.odd("empty_value", Tube(change={"$P1S": ""}, more=[("B", "1")]), keywords={"$P1S": "", "B": "1"})
# By the escape rule "/$P1S//$P1R/1024/" is one keyword "$P1S/$P1R": a mask would be lost with it.
book.odd(
    "empty_value_before_a_range",
    Tube(
        rows=((0xFC07, 5),),
        kinds="I16",
        change={"$P1R": None, "$P2R": None},
        more=[("$P1S", ""), ("$P1R", "1024"), ("$P2S", ""), ("$P2R", "1024")],
    ),
    rows=((7, 5),),
    keywords={"$P1S": "", "$P1R": "1024", "$P2S": "", "$P2R": "1024"},
)
book.odd(
    "empty_values_in_a_row",
    Tube(more=[("$P1S", ""), ("$P2S", ""), ("$OP", ""), ("$SRC", "x")]),
    keywords={"$P1S": "", "$P2S": "", "$OP": "", "$SRC": "x"},
)
book.odd("empty_value_last", Tube(more=[("A", "1"), ("LAST", "")]), keywords={"A": "1", "LAST": ""})
book.odd(
    "empty_value_before_mode",
    Tube(change={"$MODE": None}, more=[("$SYS", ""), ("$MODE", "L")]),
    keywords={"$SYS": "", "$MODE": "L"},
)
book.odd(
    "empty_value_before_names",
    Tube(change={"$P1N": None, "$P2N": None}, more=[("$P1S", ""), ("$P1N", "FSC-A"), ("$P2S", ""), ("$P2N", "FITC-A")]),
    keywords={"$P1S": "", "$P2S": ""},
)
book.odd(
    "empty_value_before_gain", Tube(more=[("$P1S", ""), ("$P1G", "2.0"), ("B", "1")]), scale={"FSC-A": (0.5, 1.5, 2.5)}
)
book.odd(
    "empty_value_before_amplifier",
    Tube(
        rows=((512, 5),),
        kinds="I16",
        tops=(1024, 1024),
        change={"$P1E": None},
        more=[("$P1S", ""), ("$P1E", "4,1"), ("B", "1")],
    ),
    scale={"FSC-A": (100.0,)},
    keywords={"$P1E": "4,1"},
)
book.odd(
    "empty_value_before_spillover",
    Tube(more=[("$SYS", ""), ("$SPILLOVER", "2,FSC-A,FITC-A,1,0.5,0,1")]),
    spillover=(("FSC-A", "FITC-A"), ((1.0, 0.5), (0.0, 1.0))),
)
# A value that is escaped and another that is empty: right as both, or refused, but never "a" with a keyword "b".
book.either(
    "empty_value_and_an_escaped_one",
    Tube(more=[("$P1S", ""), ("B", "1"), ("PATH", "a/b"), ("C", "2")]),
    keywords={"$P1S": "", "B": "1", "PATH": "a/b", "C": "2"},
)
book.either(
    "empty_value_and_an_escaped_end",
    Tube(more=[("PATH", "a/"), ("$P1S", ""), ("C", "2")]),
    keywords={"PATH": "a/", "$P1S": "", "C": "2"},
)
book.odd("odd_tokens_at_the_end", Tube(edit_text=lambda text: text + b"LONELY/"), keywords={"$P2N": "FITC-A"})
book.odd(
    "odd_tokens_at_the_end_no_delimiter", Tube(edit_text=lambda text: text + b"LONELY"), keywords={"$P2N": "FITC-A"}
)
# One value lost in the middle, so that every later value stands as a keyword: $P2N would be gone, or wrong.
book.refused("odd_tokens_in_the_middle", Tube(edit_text=lambda text: text.replace(b"$TOT/3/", b"$TOT/")))
book.refused("odd_tokens_lost_keyword", Tube(edit_text=lambda text: text.replace(b"/$P1N/FSC-A/", b"/FSC-A/")))
book.refused(
    "two_tokens_lost_apart",
    Tube(edit_text=lambda text: text.replace(b"$TOT/3/", b"$TOT/").replace(b"$P2N/FITC-A", b"$P2N")),
)
# As many tokens as there should be, or one less, and yet "$OP" has become "$P1G": the gain would be gone.
GAIN = [("$OP", "Jane"), ("$P1G", "2.0"), ("B", "1"), ("C", "2")]
HALVED = {"FSC-A": (0.5, 1.5, 2.5)}
book.either(
    "value_lost_before_a_gain",
    Tube(more=GAIN, edit_text=lambda text: text.replace(b"$OP/Jane/", b"$OP/")),
    scale=HALVED,
)
book.either(
    "values_lost_around_a_gain",
    Tube(more=GAIN, edit_text=lambda text: text.replace(b"$OP/Jane/", b"$OP/").replace(b"B/1/", b"B/")),
    scale=HALVED,
)
book.either(
    "value_lost_before_a_vendor_keyword_and_a_gain",
    Tube(more=[("NOTE", "x"), *GAIN[1:]], edit_text=lambda text: text.replace(b"NOTE/x/", b"NOTE/")),
    scale=HALVED,
)
book.either(
    "value_lost_before_a_time_step",
    Tube(
        rows=((100.0, 1.0),),
        names=("Time", "FITC-A"),
        more=[("$OP", "Jane"), ("$TIMESTEP", "0.5")],
        edit_text=lambda text: text.replace(b"$OP/Jane/", b"$OP/"),
    ),
    scale={"Time": (50.0,)},
)
book.either(
    "value_that_is_a_keyword",
    Tube(more=[("TRIGGER", "$P1N"), ("B", "1")]),
    keywords={"TRIGGER": "$P1N", "B": "1"},
    conforms=None,
)
# What programs write that do not read the standard: right, or refused.
book.either("keywords_with_blanks_in_front", Tube(edit_text=lambda text: text.replace(b"/$", b"/ $")), conforms=None)
book.either("keywords_on_lines_of_their_own", Tube(edit_text=lambda text: text.replace(b"/$", b"/\n$")), conforms=None)
book.either("values_ended_by_nul", Tube(change={"$PAR": "2\0", "$TOT": "3\0\0"}), conforms=None)
book.either("numbers_with_a_point", Tube(change={"$PAR": "2.0", "$P1B": "32.0"}))
book.loads("keywords_of_a_channel_that_is_not", Tube(more=[("$P3N", "PE-A"), ("$P3B", "32")]), conforms=None)
book.odd(
    "no_final_delimiter", Tube(more=[("$SRC", "blood")], edit_text=lambda text: text[:-1]), keywords={"$SRC": "blood"}
)
book.odd(
    "no_final_delimiter_but_a_blank",
    Tube(more=[("$SRC", "blood")], edit_text=lambda text: text[:-1] + b" ", before={"data": b"  "}),
    keywords={},
)
book.odd(
    "no_final_delimiter_and_a_gap",
    Tube(more=[("$SRC", "blood")], edit_text=lambda text: text[:-1], before={"data": b"    "}),
    keywords={"$SRC": "blood"},
)
book.odd("doubled_final_delimiter", Tube(more=[("$SRC", "blood")], edit_text=lambda text: text + b"/"))
book.loads("blanks_behind_text", Tube(edit_text=lambda text: text + b"    "), conforms=None)
book.loads("nuls_behind_text", Tube(edit_text=lambda text: text + b"\0\0\0"), conforms=None)
book.loads("newline_behind_text", Tube(edit_text=lambda text: text + b"\r\n"), conforms=None)
book.refused("empty_required_value_par", Tube(change={"$PAR": ""}))
book.refused("empty_required_value_width", Tube(change={"$P1B": ""}))
book.refused("empty_required_value_type", Tube(change={"$DATATYPE": ""}))
book.refused("empty_required_value_order", Tube(change={"$BYTEORD": ""}))
book.either("empty_required_value_tot", Tube(change={"$TOT": ""}))
book.either("empty_required_value_nextdata", Tube(change={"$NEXTDATA": ""}))
book.either("empty_keyword", Tube(edit_text=lambda text: text + b"/value/"))
book.refused("text_of_one_delimiter", Tube(edit_text=lambda text: b"/"))
book.refused("text_of_delimiters", Tube(edit_text=lambda text: b"/" * 400))
book.refused("text_of_zeros", Tube(edit_text=lambda text: bytes(len(text))))
book.refused("text_of_noise", Tube(edit_text=lambda text: bytes(i * 37 % 256 for i in range(600))))

CASES = book.cases
