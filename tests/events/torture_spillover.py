"""Spillover keywords: every file loads; the matrix is right or refused, never skipped or misordered."""

from torture_builder import Tube, text_bytes
from torture_truth import Book

NAMES = ("FSC-A", "FITC-A", "PE-A", "APC-A")
ROWS = ((1.0, 2.0, 3.0, 4.0),)
DYES = NAMES[1:]
MATRIX = ((1.0, 0.2, 0.01), (0.05, 1.0, 0.1), (0.0, 0.02, 1.0))
TEXT = "3,FITC-A,PE-A,APC-A,1,0.2,0.01,0.05,1,0.1,0,0.02,1"

book = Book("spillover")


def spill(
    name: str, text: str, wanted=(DYES, MATRIX), *, key: str = "$SPILLOVER", names=NAMES, more=(), **truth
) -> None:
    """A tube with a spillover keyword and what must become of it; whether the file conforms is not the question."""
    tube = Tube(rows=ROWS, names=names, more=[(key, text), *more] if key else list(more))
    book.loads(f"spillover_{name}", tube, spillover=wanted, **{"conforms": None} | truth)


REPAIRED = {"spillover_may_fail": True, "spillover_noted": True}

# --- right ----------------------------------------------------------------------------------------
for key in ("$SPILLOVER", "SPILL", "SPILLOVER", "$SPILL", "spill"):
    spill(
        f"key_{key.strip('$').lower()}_{'dollar' if key[0] == '$' else 'plain'}{'' if key.isupper() else '_lower'}",
        TEXT,
        key=key,
        conforms=True,
    )
spill("other_order", "3,APC-A,FITC-A,PE-A,1,0,0.02,0.01,1,0.2,0.1,0.05,1", conforms=True)
spill("reversed_order", "3,APC-A,PE-A,FITC-A,1,0.02,0,0.1,1,0.05,0.01,0.2,1", conforms=True)
spill(
    "part_of_the_channels",
    "2,APC-A,FITC-A,1,0.25,0.5,1",
    (("APC-A", "FITC-A"), ((1.0, 0.25), (0.5, 1.0))),
    conforms=True,
)
spill("identity", "3,FITC-A,PE-A,APC-A,1,0,0,0,1,0,0,0,1", (DYES, ((1, 0, 0), (0, 1, 0), (0, 0, 1))), conforms=True)
spill("one_channel", "1,PE-A,1", (("PE-A",), ((1.0,),)), conforms=True)
spill("exponents", TEXT.replace("0.2", "2e-1").replace("0.05", "5E-02"), conforms=True)
spill("negative_number", "2,FITC-A,PE-A,1,-0.02,0.1,1", (("FITC-A", "PE-A"), ((1.0, -0.02), (0.1, 1.0))))
spill("blanks", TEXT.replace(",", " , "))
spill("newlines", TEXT.replace(",", ",\r\n"), spillover_may_fail=True)
spill("two_keywords_that_agree", TEXT, more=[("SPILL", TEXT)])
spill("two_keywords_that_agree_in_other_words", TEXT, more=[("SPILL", TEXT.replace("0.2", "0.20"))])
spill(
    "two_keywords_that_agree_in_another_order",
    TEXT,
    more=[("SPILL", "3,APC-A,FITC-A,PE-A,1,0,0.02,0.01,1,0.2,0.1,0.05,1")],
    spillover_may_fail=True,
)
spill("two_keywords_one_empty", TEXT, more=[("B", "1"), ("SPILL", " ")], spillover_may_fail=True)

spill(
    "with_scatter",
    "4,FSC-A,FITC-A,PE-A,APC-A,1,0,0,0,0,1,0.2,0.01,0,0.05,1,0.1,0,0,0.02,1",
    (NAMES, ((1, 0, 0, 0), (0, *MATRIX[0]), (0, *MATRIX[1]), (0, *MATRIX[2]))),
    conforms=True,
)
# $PnN counts, whatever a channel is labelled, and a name is a name although it looks like a number.
spill("labels_that_are_other_channels", TEXT, more=[("$P2S", "PE-A"), ("$P3S", "FITC-A")], conforms=True)
spill("names_that_are_numbers", "2,2,3,1,0.1,0.2,1", (("2", "3"), ((1.0, 0.1), (0.2, 1.0))), names=("2", "3", "4", "1"))

# --- to be repaired with a code, or refused -------------------------------------------------------
spill("percent", "3,FITC-A,PE-A,APC-A,100,20,1,5,100,10,0,2,100", **REPAIRED)
spill("semicolons", TEXT.replace(",", ";"), **REPAIRED)
spill("tabs", TEXT.replace(",", "\t"), **REPAIRED)
spill("decimal_commas_semicolons", TEXT.replace(",", ";").replace(".", ","), **REPAIRED)
spill("decimal_commas_tabs", TEXT.replace(",", "\t").replace(".", ","), **REPAIRED)
spill("names_lower_case", TEXT.lower(), **REPAIRED)
spill("names_with_comp", "3,Comp-FITC-A,Comp-PE-A,Comp-APC-A" + TEXT[len("3,FITC-A,PE-A,APC-A") :], **REPAIRED)
spill("names_padded", TEXT.replace("FITC-A", "FITC-A "), spillover_may_fail=True)
spill("by_number", "3,2,3,4" + TEXT[len("3,FITC-A,PE-A,APC-A") :], **REPAIRED)
spill("by_number_other_order", "3,4,2,3,1,0,0.02,0.01,1,0.2,0.1,0.05,1", **REPAIRED)
spill(
    "names_by_label",
    "3,CD3,CD4,CD8" + TEXT[len("3,FITC-A,PE-A,APC-A") :],
    more=[("$P2S", "CD3"), ("$P3S", "CD4"), ("$P4S", "CD8")],
    **REPAIRED,
)
spill("quoted", ",".join(f'"{word}"' for word in TEXT.split(",")), **REPAIRED)
spill("count_with_point", "3.0" + TEXT[1:], spillover_may_fail=True)
spill("comma_at_the_end", TEXT + ",", spillover_may_fail=True)
# Dyes of a channel that was not recorded, which neither gives nor takes: the rest of the matrix stands without it.
spill(
    "unknown_channel_without_spill",
    "4,FITC-A,BV421-A,PE-A,APC-A,1,0,0.2,0.01,0,1,0,0,0.05,0,1,0.1,0,0,0.02,1",
    **REPAIRED,
)

# Commas are forbidden in $PnN because of this; only one way to cut the names gives channels of the tube.
COMMA = ("FSC-A", "FITC-A", "PE,Cy7-A", "APC-A")
spill("names_hold_a_comma", TEXT.replace("PE-A", "PE,Cy7-A"), (COMMA[1:], MATRIX), names=COMMA, spillover_may_fail=True)

# --- to be refused ---------------------------------------------------------------------------------
for name, text in (
    ("not_square_short", TEXT.rpartition(",")[0]),
    ("not_square_long", TEXT + ",0"),
    ("rows_missing", "3,FITC-A,PE-A,APC-A,1,0.2,0.01"),
    ("count_too_small", "2" + TEXT[1:]),
    ("count_too_large", "4" + TEXT[1:]),
    ("count_zero", "0," + TEXT[2:]),
    ("count_negative", "-3" + TEXT[1:]),
    ("count_missing", TEXT[2:]),
    ("count_huge", "999999999" + TEXT[1:]),
    ("count_of_5000_digits", "9" * 5000 + TEXT[1:]),
    ("unknown_channel", TEXT.replace("PE-A", "BV421-A")),
    ("unknown_channel_all", "2,A1,B1,1,0.1,0.2,1"),
    ("channel_twice", TEXT.replace("APC-A", "PE-A")),
    ("not_a_number", TEXT.replace("0.2", "abc")),
    ("empty_cell", TEXT.replace("0.2", "")),
    ("nan", TEXT.replace("0.2", "nan")),
    ("infinite", TEXT.replace("0.2", "inf")),
    ("overflow", TEXT.replace("0.2", "1e999")),
    ("hexadecimal", TEXT.replace("0.2", "0x1")),
    ("underscore", TEXT.replace("0.2", "0_2")),
    ("decimal_commas_commas", TEXT.replace(".", ",")),
    ("zero_diagonal", "2,FITC-A,PE-A,0,0.1,0.2,1"),
    ("negative_diagonal", "2,FITC-A,PE-A,-1,0.1,0.2,1"),
    ("singular", "2,FITC-A,PE-A,1,0.5,2,1"),
    ("singular_equal_rows", "2,FITC-A,PE-A,1,1,1,1"),
    ("nearly_singular", "2,FITC-A,PE-A,1,1,1,1.0000000001"),
    ("zeros", "2,FITC-A,PE-A,0,0,0,0"),
    ("names_only", "3,FITC-A,PE-A,APC-A"),
    ("a_word", "see attached"),
    ("html", "<table><tr><td>1</td></tr></table>"),
    ("number_out_of_range", "3,5,6,7" + TEXT[len("3,FITC-A,PE-A,APC-A") :]),
):
    spill(name, text, "refused")
spill("two_keywords_that_conflict", TEXT, "refused", more=[("SPILL", TEXT.replace("0.2", "0.3"))])
spill(
    "two_keywords_that_conflict_in_names", TEXT, "refused", more=[("SPILL", TEXT.replace("PE-A,APC-A", "APC-A,PE-A"))]
)
spill("two_keywords_one_broken", TEXT, "refused", more=[("SPILL", "3,FITC-A")])
# $COMP of FCS 3.0 has no names and holds what was subtracted from what, in percent, over all parameters.
spill("comp_of_3.0", "4,0,0,0,0,0,0,-20,-1,0,-5,0,-10,0,0,-2,0", "refused", key="$COMP")
spill("absent", "", "refused", key="")
spill("blank", "  ", "refused")
book.loads(
    "spillover_in_supplement_conflicts",
    Tube(
        rows=ROWS,
        names=NAMES,
        more=[("SPILL", TEXT)],
        supplement=text_bytes([("$SPILLOVER", TEXT.replace("0.2", "0.3"))]),
    ),
    spillover="refused",
    conforms=None,
)
# Two detectors that differ in case alone: a matrix in lower case could mean either.
spill("names_lower_case_of_two", "2,fitc-a,PE-A,1,0.1,0.2,1", "refused", names=("FITC-A", "Fitc-A", "PE-A", "APC-A"))

CASES = book.cases
