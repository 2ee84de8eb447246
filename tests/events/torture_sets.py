"""Row 2 of the table: several data sets in a file."""

from torture_builder import Tube, chain, said, text_bytes
from torture_truth import Book

ROWS = Tube().rows
FIRST, SECOND, THIRD = ROWS, ((7.0, 8.0),), ((9.0, 10.0), (11.0, 12.0))
NAMES = ("FSC-A", "FITC-A")

# --- several data sets ----------------------------------------------------------------------------

book = Book("data sets")


def three(**more) -> bytes:
    """Three data sets, $NEXTDATA counted from each one's HEADER as the standard says."""
    return chain(Tube(rows=FIRST), Tube(rows=SECOND), Tube(rows=THIRD), **more)


def sets(name: str, make, rows, *, n: int | None, add=book.loads, **more) -> None:
    """One case for every data set; ``rows`` None where it must be refused."""
    for i, wanted in enumerate(rows):
        options = {"data_set": i, "n_data_sets": n, **more}
        if wanted is None:
            book.refused(f"{name}_{i}", make, rows=None, data_set=i, n_data_sets=n)
        else:
            add(f"{name}_{i}", make, rows=wanted, names=options.pop("names", NAMES), **options)


sets("three", three, (FIRST, SECOND, THIRD, None), n=3)
sets("three_with_gaps", lambda: three(gap=b" " * 100), (FIRST, SECOND, THIRD), n=3)
sets(
    "three_without_checksums",
    lambda: chain(*(Tube(rows=r, tail=b"") for r in (FIRST, SECOND, THIRD))),
    (FIRST, SECOND, THIRD),
    n=3,
    conforms=None,
)
book.refused("one_asked_for_the_second", Tube(), data_set=1, n_data_sets=1)
book.refused("three_asked_for_a_thousand", three, data_set=1000, n_data_sets=3)
book.loads("three_says_there_are_more", three, rows=FIRST, names=NAMES, notes=("FCS030",))
# Beckman Coulter's LMD: the same cells twice, 10 bits as FCS 2.0 and 20 bits as FCS 3.0.
LMD = {"names": ("FS", "FL1"), "change": {"$CYT": "Cytomics"}}
LOW = Tube(rows=((513, 7), (1023, 0)), kinds="I16", tops=(1024, 1024), version="FCS2.0", order="1,2,3,4", **LMD)
HIGH = Tube(rows=((525_312, 7169), (1_048_575, 3)), kinds="I32", tops=(1_048_576,) * 2, version="FCS3.0", **LMD)
book.loads(
    "coulter_lmd_0", lambda: chain(LOW, HIGH), rows=LOW.rows, names=LMD["names"], version="FCS2.0", n_data_sets=2
)
book.loads(
    "coulter_lmd_1",
    lambda: chain(LOW, HIGH),
    rows=HIGH.rows,
    names=LMD["names"],
    version="FCS3.0",
    data_set=1,
    n_data_sets=2,
)
PLATE = [
    Tube(
        rows=tuple((w, i) for i in range(w % 5)),
        kinds="I16",
        names=("FSC-HLin", "GRN-HLin"),
        version="FCS3.0",
        change={"$SMNO": f"W{w:02d}"},
        header={} if w % 5 else {"data": said(0, 0)},
        stated={} if w % 5 else {"data": said(0, 0)},
    )
    for w in range(96)
]
for well in (0, 1, 50, 94, 95):
    book.loads(
        f"guava_plate_{well:02d}",
        lambda: chain(*PLATE),
        rows=PLATE[well].rows,
        names=PLATE[well].names,
        data_set=well,
        n_data_sets=96,
        keywords={"$SMNO": f"W{well:02d}"},
        conforms=None,
    )
book.refused("guava_plate_96", lambda: chain(*PLATE), data_set=96, n_data_sets=96)

# Counted from the start of the file: in the second data set the two ways part.
sets(
    "absolute",
    lambda: three(step=lambda base, size: base + size),
    (FIRST, SECOND, THIRD),
    n=3,
    add=book.either,
    conforms=None,
)


def equal_sets() -> bytes:
    """Five of equal size, absolute: read as the standard says, the third and the fourth would be jumped over."""
    tubes = [Tube(rows=((float(i), -float(i)),)) for i in range(5)]
    return chain(*tubes, step=lambda base, size: f"{base + size:08d}", last="00000000")


for i in range(5):
    book.either(
        f"absolute_of_equal_size_{i}",
        equal_sets,
        rows=((float(i), -float(i)),),
        names=NAMES,
        data_set=i,
        n_data_sets=5,
        conforms=None,
    )


def damaged(change, *, last=0) -> bytes:
    """Two data sets of which the second is changed; its first byte is where the first one's $NEXTDATA leads."""
    raw = chain(Tube(rows=FIRST), Tube(rows=SECOND), last=last)
    at = len(chain(Tube(rows=FIRST), Tube(rows=SECOND), last=last)) - len(
        Tube(rows=SECOND, change={"$NEXTDATA": last}).build()
    )
    return raw[:at] + change(raw[at:])


# The first tube is whole, and its sibling's damage changes none of its cells.
for name, change in (
    ("text_noise", lambda raw: raw[:60] + bytes(200) + raw[260:]),
    ("cut_in_text", lambda raw: raw[:200]),
    ("cut_in_data", lambda raw: raw[:-12]),
    ("wrong_tot", lambda raw: raw.replace(b"$TOT/1", b"$TOT/9")),
    ("histogram", lambda raw: raw.replace(b"$MODE/L", b"$MODE/C")),
    ("wrong_checksum", lambda raw: raw[:-8] + b"0000BEEF"),
):
    book.loads(f"second_damaged_{name}_0", lambda c=change: damaged(c), rows=FIRST, names=NAMES, conforms=None)
    book.refused(f"second_damaged_{name}_1", lambda c=change: damaged(c), data_set=1)
book.refused("first_damaged_0", lambda: chain(Tube(rows=FIRST, change={"$TOT": "4"}), Tube(rows=SECOND)))
book.either(
    "first_damaged_1",
    lambda: chain(Tube(rows=FIRST, change={"$TOT": "4"}), Tube(rows=SECOND)),
    rows=SECOND,
    names=NAMES,
    data_set=1,
    conforms=None,
)


def next_is(value: object, behind: bytes = b"") -> Tube:
    """One data set whose $NEXTDATA says something."""
    return Tube(change={"$NEXTDATA": value}, tail=b"00000000" + behind)


for name, value in (
    ("beyond_the_file", 1_000_000),
    ("terabytes", 5 * 10**12),
    ("into_its_text", 100),
    ("into_its_header", 1),
    ("backwards", -300),
    ("30_digits", 10**30),
):
    book.refused(f"next_{name}", next_is(value))
for name, value in (("word", "yes"), ("fraction", "12.5"), ("superscript", "²")):
    book.either(f"next_bad_{name}", next_is(value))
book.refused("next_to_junk", next_is("0700", b" " * 2000 + b"junk" * 100))
book.refused(
    "next_to_another_format",
    Tube(change={"$NEXTDATA": "1000"}, edit=lambda raw: raw.ljust(1000) + b"PK\x03\x04" + bytes(300)),
)
book.loads("next_zeros", next_is("00000000"))
book.loads("next_blanks_around_zero", next_is("  0  "), conforms=None)


def to_the_end() -> bytes:
    size = len(next_is("0000").build())
    return next_is(f"{size:04d}").build()


book.either("next_to_the_end_of_the_file", to_the_end, rows=FIRST, names=NAMES)


def into_own_data() -> bytes:
    """The events of the first spell a HEADER."""
    fake = b"FCS3.1    " + b" " * 54
    tube = Tube(
        rows=((0,) * 8,) * 16, names=tuple(f"C{i}" for i in range(8)), kinds="I8", data=bytes(32) + fake + bytes(32)
    )
    for _ in range(3):
        tube.change = {"$NEXTDATA": f"{tube.places.data[0] + 32:06d}"}
    return tube.build()


book.refused("next_into_its_own_data_that_spells_a_header", into_own_data)


def loop(value: object) -> bytes:
    """The second data set leads back."""
    return chain(Tube(rows=FIRST), Tube(rows=SECOND), last=value)


for name, value in (
    ("to_the_first", -len(Tube(rows=FIRST).build())),
    ("to_itself_absolute", len(chain(Tube(rows=FIRST), Tube(rows=SECOND))) - len(Tube(rows=SECOND).build())),
    ("by_one", 1),
    ("below_zero", -1),
):
    book.refused(f"loop_{name}_1", lambda v=value: loop(v), data_set=1)
    book.either(f"loop_{name}_0", lambda v=value: loop(v), rows=FIRST, names=NAMES, conforms=None)
    book.refused(f"loop_{name}_5000", lambda v=value: loop(v), data_set=5000)


RUNS = {"data": lambda p: (p.data[0], p.data[1] + 80)}
book.refused(
    "data_runs_into_the_next_set",
    lambda: chain(Tube(rows=FIRST, change={"$TOT": 13}, header=RUNS, stated=RUNS), Tube(rows=SECOND)),
)
MANY = 1500
book.loads(
    f"data_sets_{MANY}",
    lambda: chain(*(Tube(rows=((float(i), 1.0),)) for i in range(MANY))),
    rows=((MANY - 1.0, 1.0),),
    names=NAMES,
    data_set=MANY - 1,
    n_data_sets=MANY,
)


def later_in_file(**more) -> bytes:
    """A second data set that claims its places from the start of the file."""
    first = Tube(rows=FIRST)
    base = len(chain(first, Tube(rows=SECOND))) - len(Tube(rows=SECOND).build())
    shift = {"data": lambda p: (p.data[0] + base, p.data[1] + base)}
    return chain(first, Tube(rows=SECOND, header=shift, stated=shift, **more))


book.either("second_places_data_from_the_start_of_the_file", later_in_file, rows=SECOND, names=NAMES, data_set=1)
BASE = len(chain(Tube(rows=FIRST), Tube(rows=SECOND))) - len(Tube(rows=SECOND).build())
book.odd(
    "second_header_counts_from_the_start_of_the_file",
    lambda: chain(Tube(rows=FIRST), Tube(rows=SECOND, header={"data": lambda p: (p.data[0] + BASE, p.data[1] + BASE)})),
    rows=SECOND,
    names=NAMES,
    data_set=1,
)
book.loads(
    "second_with_its_own_segments",
    lambda: chain(
        Tube(rows=FIRST),
        Tube(rows=SECOND, analysis=text_bytes([("GATE", "x")]), supplement=text_bytes([("$P1S", "CD3")])),
    ),
    rows=SECOND,
    names=NAMES,
    data_set=1,
    keywords={"$P1S": "CD3"},
    analysis={"GATE": "x"},
    n_data_sets=2,
)
book.loads(
    "sets_with_other_panels",
    lambda: chain(Tube(rows=FIRST), Tube(rows=((1, 2, 3),), names=("A1", "B1", "C1"), kinds="I8", order="4,3,2,1")),
    rows=((1, 2, 3),),
    names=("A1", "B1", "C1"),
    data_set=1,
)

CASES = book.cases
