"""Row 1 of the table, what DATA may hold: versions, integers of any width, packed bits, floats, ASCII, mixed types."""

from torture_builder import Bits, Tube, bit_stream, packed_rows, said
from torture_truth import Book

WHOLE = ((7, 300), (1023, 0), (512, 1023))

# --- versions -------------------------------------------------------------------------------------

book = Book("versions")
for version in ("FCS2.0", "FCS3.0", "FCS3.1", "FCS3.2"):
    book.loads(f"version_{version[3:]}", Tube(version=version), keywords={"$P2N": "FITC-A", "$TOT": "3"})
book.loads("version_3.2_without_mode", Tube(version="FCS3.2", change={"$MODE": None}))  # deprecated there
book.loads(
    "version_3.2_minimal",
    Tube(version="FCS3.2", change={"$MODE": None}, stated={"analysis": lambda p: None, "supplement": lambda p: None}),
)
book.loads("version_2.0_integers", Tube(version="FCS2.0", rows=WHOLE, kinds="I16", tops=(1024, 1024)))
# $TOT became required with FCS 3.0.
book.loads("version_2.0_without_tot", Tube(version="FCS2.0", change={"$TOT": None}), conforms=None)
for version in ("FCS1.0", "FCS3.3", "FCS4.0", "FCS9.9", "FCS3,1", "FCSX.Y"):
    book.refused(f"version_{version[3:]}", Tube(version=version))
book.either("version_lower_case", Tube(version="fcs3.1"), version=None)
book.refused("version_blank", Tube(version="FCS"))

# --- integers -------------------------------------------------------------------------------------

for bits in (8, 16, 24, 32, 40, 48, 56, 64):
    for order, name in (("1,2,3,4", "little"), ("4,3,2,1", "big")):
        top = 2**bits
        rows = ((1, top - 1), (top // 2, 0), (top // 3, 200))
        book.loads(f"integers_{bits}_{name}", Tube(rows=rows, kinds=f"I{bits}", order=order), topic="integers")

book.topic = "integers"
MIXED = (
    (200, 40000, 10_000_000, 4_000_000_000, 2**60 + 1),
    (0, 1, 2, 3, 4),
    (255, 65535, 2**24 - 1, 2**32 - 1, 2**64 - 1),
)
for order, name in (("1,2,3,4", "little"), ("4,3,2,1", "big")):
    book.loads(
        f"integers_mixed_widths_{name}",
        Tube(rows=MIXED, names=("A1", "B1", "C1", "D1", "E1"), kinds=("I8", "I16", "I24", "I32", "I64"), order=order),
    )
book.loads("integers_8_and_32_unaligned", Tube(rows=((1, 2**31), (255, 7)), kinds=("I8", "I32"), order="4,3,2,1"))
book.loads("integers_beyond_2_to_53", Tube(rows=((2**53 + 1, 2**64 - 1),), kinds="I64"))


# 24 bits are three bytes, $TOT or not (FCS 2.0 need not have it); twelve bytes would also be three words of four.
book.loads(
    "integers_24_without_tot_2.0",
    Tube(
        rows=((1,), (2,), (70000,), (4,)),
        names=("FSC-A",),
        kinds="I24",
        version="FCS2.0",
        change={"$TOT": None},
        tail=b"",
    ),
    conforms=None,
)


def masked(name: str, top: object, stored: int, truth: int, kind: str = "I16", order: str = "1,2,3,4", **more) -> None:
    """One stored value and what is left of it."""
    tube = Tube(rows=((stored, 5),), kinds=kind, tops=(top, top), order=order)
    add = more.pop("add", book.loads)
    add(name, tube, rows=((truth, 5),), **more)


masked("mask_1024", 1024, 0xFC07, 7)
masked("mask_1024_big", 1024, 0x83FF, 0x3FF, order="4,3,2,1")
masked("mask_4096", 4096, 0xF123, 0x123)
masked("mask_1000_is_1023", 1000, 0xFFFF, 1023)  # bits are dropped, values are not clipped
masked("mask_1025_is_2047", 1025, 0xFFFF, 2047)
masked("mask_value_above_range_within_bits", 1000, 1010, 1010)
masked("mask_2_to_18_of_32", 262144, 0xFFFC0001, 1, "I32")
masked("mask_2_to_20_of_24", 1048576, 0xFABCDE, 0xABCDE, "I24")
masked("mask_2_to_40_of_64", 2**40, 0xFFFFFF0000000009, 9, "I64")
masked("mask_of_8_bits", 128, 0x85, 5, "I8")
masked("mask_full_range_keeps_all", 65536, 0xFFFF, 0xFFFF)
masked("mask_2_to_32_keeps_all", 4294967296, 0xFFFFFFFF, 0xFFFFFFFF, "I32")
masked("mask_2_to_64_keeps_all", 2**64, 2**64 - 1, 2**64 - 1, "I64")
masked("mask_2_to_53_plus_1_is_exact", 2**53 + 1, 2**54 + 2**53 + 1, 2**53 + 1, "I64")  # not through a double
masked("mask_range_beyond_width", 262144, 0xFFFF, 0xFFFF, conforms=None)
masked("mask_range_with_fraction", "1024.0", 0xFC07, 7, conforms=None)
masked("mask_range_with_exponent", "1.6777216E7", 0xFF000005, 5, "I32", conforms=None)
masked("mask_range_zero", 0, 900, 900, add=book.either)
book.either("mask_range_garbage", Tube(rows=((900, 5),), kinds="I16", tops=("many", 1024)))
book.either("mask_range_left_out", Tube(rows=((900, 5),), kinds="I16", change={"$P1R": None}))

# --- packed bits ----------------------------------------------------------------------------------

book.topic = "packed bits"
FOUR = ((7, 300, 1), (1023, 0, 2), (512, 1023, 3), (0, 5, 1000))
NAMES3 = ("FSC-A", "FITC-A", "PE-A")


def bits_10(**more) -> Tube:
    """Ten bits a value, three channels."""
    change = {f"$P{n}B": "10" for n in (1, 2, 3)}
    return Tube(
        **{"rows": FOUR, "names": NAMES3, "kinds": "I16", "tops": (1024,) * 3, "order": "4,3,2,1", "change": change}
        | more
    )


# FCS 3.0, $PnB: "enable tight bit packing of events"; DATA is a continuous bit stream. 4 x 30 bits are 15 bytes, in
# 16-bit containers 24: the size of DATA says which it is.
# FCS 3.1 wants whole bytes: read, and said so.
book.odd("bits_10_packed_big", bits_10(data=bit_stream(FOUR, (10, 10, 10))))
book.odd(
    "bits_12_packed_big",
    Tube(
        rows=((4095, 1), (2048, 77)),
        kinds="I16",
        tops=(4096, 4096),
        order="4,3,2,1",
        change={"$P1B": "12", "$P2B": "12"},
        data=bit_stream(((4095, 1), (2048, 77)), (12, 12)),
    ),
)
book.odd(
    "bits_10_and_6_packed_big",
    Tube(
        rows=((1000, 63), (3, 0), (512, 32)),
        kinds="I16",
        tops=(1024, 64),
        order="4,3,2,1",
        change={"$P1B": "10", "$P2B": "6"},
        data=bit_stream(((1000, 63), (3, 0), (512, 32)), (10, 6)),
    ),
)
book.odd(
    "bits_20_packed_big",
    Tube(
        rows=((1048575, 1), (524288, 77)),
        kinds="I32",
        tops=(1048576,) * 2,
        order="4,3,2,1",
        change={"$P1B": "20", "$P2B": "20"},
        data=bit_stream(((1048575, 1), (524288, 77)), (20, 20)),
    ),
)
FLAGS = ((1, 0, 1, 1, 0, 0, 0, 1), (0,) * 8, (0, 1, 0, 0, 0, 0, 0, 0))
book.odd(
    "bits_1_packed_big",
    Tube(
        rows=FLAGS,
        names=tuple(f"F{i}" for i in range(8)),
        kinds="I8",
        tops=(2,) * 8,
        order="4,3,2,1",
        change={f"$P{n}B": "1" for n in range(1, 9)},
        data=bytes([0b10110001, 0, 0b01000000]),
    ),
)
book.odd(
    "bits_10_packed_masks",
    bits_10(tops=(512, 1024, 16), data=bit_stream(FOUR, (10, 10, 10))),
    rows=((7, 300, 1), (511, 0, 2), (0, 1023, 3), (0, 5, 8)),
)
# So many that they are unpacked in blocks.
MANY = [(i % 1024, i // 1024 % 1024, 7) for i in range(80_000)]
book.odd(
    "bits_10_packed_80000_events",
    lambda: bits_10(rows=MANY, data=bit_stream(MANY, (10, 10, 10))).build(),
    n_events=80_000,
    names=NAMES3,
    first=MANY[:3],
    last=MANY[-200:],
)
# No standard says in which order a little-endian machine packs bits.
book.either(
    "bits_10_packed_little", bits_10(order="1,2,3,4", data=bit_stream(FOUR, (10, 10, 10), first="least")), conforms=None
)
for order, name in (("1,2,3,4", "little"), ("4,3,2,1", "big")):
    book.odd(f"bits_10_in_16_{name}", bits_10(order=order))
    book.odd(
        f"bits_12_in_16_{name}",
        Tube(
            rows=((4095, 1), (2048, 77)),
            kinds="I16",
            tops=(4096, 4096),
            order=order,
            change={"$P1B": "12", "$P2B": "12"},
        ),
    )
JUNK = tuple(tuple(value | 0xFC00 for value in row) for row in FOUR)
book.odd("bits_10_in_16_with_junk_above", bits_10(data=packed_rows(JUNK, ["I16"] * 3, "4,3,2,1")))
book.odd(
    "bits_20_in_24",
    Tube(rows=((1048575, 1), (524288, 77)), kinds="I24", tops=(1048576,) * 2, change={"$P1B": "20", "$P2B": "20"}),
)
# Whole machine words are another way to pad; the size fits only them.
book.either(
    "bits_20_in_32",
    Tube(rows=((1048575, 1), (524288, 77)), kinds="I32", tops=(1048576,) * 2, change={"$P1B": "20", "$P2B": "20"}),
)
book.refused("bits_10_neither_size", bits_10(data=bytes(20)), numbers=lambda p: ((20,), (4, 15, 24, 120)))
# One event of one channel: two bytes either way, 10 bits at the top or at the bottom.
book.refused(
    "bits_10_both_sizes_alike",
    Tube(rows=((5,),), names=("FSC-A",), kinds="I16", tops=(1024,), order="4,3,2,1", change={"$P1B": "10"}),
)
book.loads("bits_10_no_events", bits_10(rows=(), data=b"", stated={"data": said(0, 0)}, header={"data": said(0, 0)}))

# --- floats ---------------------------------------------------------------------------------------

book.topic = "floats"
EDGES = (Bits(0x80000000, 4), Bits(0x00000001, 4)), (Bits(0x7F7FFFFF, 4), Bits(0xFF7FFFFF, 4)), (1.5, -2.25)
for order, name in (("1,2,3,4", "little"), ("4,3,2,1", "big")):
    book.loads(f"float_{name}", Tube(order=order))
    book.loads(f"double_{name}", Tube(kinds="D64", order=order, rows=((0.1, -0.2), (1e300, 5e-324))))
    book.loads(f"float_edges_{name}", Tube(order=order, rows=EDGES))
book.loads("float_above_its_range", Tube(rows=((1e9, -5e6),), tops=(1024, 1024)))  # $PnR is no limit for floats
book.loads("float_range_with_exponent", Tube(tops=("2.62144e5", "262143.99")), conforms=None)
book.either("float_width_16", Tube(change={"$P1B": "16", "$P2B": "16"}))
# Type and width contradict each other, and DATA agrees with the width: what has eight bytes can only be a double.
book.either("float_width_64_and_data_too", Tube(kinds="D64", change={"$DATATYPE": "F"}))
book.either("double_width_32_and_data_too", Tube(change={"$DATATYPE": "D"}))
book.refused(
    "float_width_64_and_data_of_32",
    Tube(data=packed_rows(Tube().rows, ["F32"] * 2, "1,2,3,4")[:20], change={"$P1B": "64"}),
)
book.loads(
    "two_thousand_channels",
    Tube(rows=(tuple(float(i) for i in range(2000)),) * 2, names=tuple(f"C{i}-A" for i in range(2000))),
)
# FCS 3.0, 3.2.10: "Keyword values are case sensitive."
book.either("float_lower_case", Tube(change={"$DATATYPE": "f"}))

# --- ASCII ----------------------------------------------------------------------------------------

book.topic = "ascii"
DIGITS = ((12, 3456), (0, 9999), (777, 5))


def ascii_tube(data: bytes, *, widths: tuple[str, str] = ("*", "*"), rows=DIGITS, **more) -> Tube:
    """A tube whose values are written as digits."""
    change = {"$P1B": widths[0], "$P2B": widths[1], **more.pop("change", {})}
    return Tube(rows=rows, kinds="A4", tops=(10000, 10000), data=data, change=change, **{"version": "FCS3.0"} | more)


book.loads("ascii_fixed_zeros", ascii_tube(b"001234560000999907770005", widths=("4", "4")))
book.loads("ascii_fixed_blanks", ascii_tube(b"  123456   09999 777   5", widths=("4", "4")), conforms=None)
book.loads("ascii_fixed_uneven", ascii_tube(b"012345600099997770005", widths=("3", "4")))
book.loads("ascii_fixed_2.0", ascii_tube(b"001234560000999907770005", widths=("4", "4"), version="FCS2.0"))
for name, data in (
    ("space", b"12 3456 0 9999 777 5"),
    ("comma", b"12,3456,0,9999,777,5"),
    ("tab", b"12\t3456\t0\t9999\t777\t5"),
    ("lines", b"12,3456\r\n0,9999\r\n777,5\r\n"),
    ("newline", b"12 3456\n0 9999\n777 5\n"),
    # "Multiple, consecutive delimiters are treated as a single delimiter."
    ("runs", b" 12,, ,3456\r\n\r\n 0\t 9999 ,777 5  \n"),
):
    book.loads(f"ascii_free_{name}", ascii_tube(data))
book.refused("ascii_free_one_too_few", ascii_tube(b"12 3456 0 9999 777"), numbers=lambda p: ((5,), (6, 3)))
book.refused("ascii_free_one_too_many", ascii_tube(b"12 3456 0 9999 777 5 6"), numbers=lambda p: ((7,), (6, 3)))
book.refused("ascii_free_and_fixed", ascii_tube(b"0012 3456", rows=DIGITS[:1], widths=("4", "*")))
for name, shift in (("end_exclusive", 1), ("end_one_early", -1)):
    # The neighbouring zeros of the checksum are digits too: the last number must not become 570 or 5.
    claim = {"data": lambda p, shift=shift: (p.data[0], p.data[1] + shift)}
    book.either(
        f"ascii_free_{name}",
        ascii_tube(b"12 3456 0 9999 777 57", rows=(*DIGITS[:2], (777, 57)), header=claim, stated=claim),
    )
LISTED = [(i, 7 * i % 10_000) for i in range(10_000, 70_000)]
book.loads(
    "ascii_free_60000_events",
    lambda: ascii_tube(
        b" ".join(b"%d,%d" % row for row in LISTED), rows=LISTED, change={"$P1R": "131072", "$P2R": "16384"}
    ).build(),
    n_events=60_000,
    names=("FSC-A", "FITC-A"),
    first=LISTED[:2],
    last=LISTED[-9:],
)
book.loads(
    "ascii_with_a_log_amplifier",
    ascii_tube(b"256 1 512 2", rows=((256, 1), (512, 2)), change={"$P1R": "1024", "$P1E": "4,1"}),
    scale={"FSC-A": (10.0, 100.0), "FITC-A": (1.0, 2.0)},
)
book.refused("ascii_free_letters", ascii_tube(b"12 3456 0 99x9 777 5"))
book.refused("ascii_free_negative", ascii_tube(b"12 3456 0 -999 777 5"))
book.refused("ascii_fixed_letters", ascii_tube(b"0012345600009x9907770005", widths=("4", "4")))
book.refused("ascii_fixed_one_byte_short", ascii_tube(b"00123456000099990777000", widths=("4", "4")))
book.loads("ascii_free_no_events", ascii_tube(b"", rows=()), conforms=None)

# --- mixed types (FCS 3.2) ------------------------------------------------------------------------

book.topic = "mixed types"


def mixed(*kinds: str, rows, **more) -> Tube:
    """$PnDATATYPE for every channel that is not of the type of the first."""
    names = ("Time", "FITC-A", "PE-A", "APC-A")[: len(kinds)]
    return Tube(**{"version": "FCS3.2", "kinds": kinds, "names": names, "rows": rows} | more)


book.loads("mixed_integer_float", mixed("I32", "F32", rows=((4_000_000_001, 0.5), (3, -1.25))))
book.loads("mixed_float_integer", mixed("F32", "I16", rows=((0.5, 65535), (-1.25, 7))))
book.loads("mixed_float_double", mixed("F32", "D64", rows=((0.5, 0.1), (-1.25, 1e300))))
book.loads("mixed_integer_double", mixed("I32", "D64", rows=((7, 0.1), (2**32 - 1, -1e300))))
book.loads(
    "mixed_all_three_big",
    mixed("I16", "F32", "D64", "I8", rows=((65535, 0.5, 0.1, 255), (1, 2.0, 3.0, 4)), order="4,3,2,1"),
)
# No one type holds 2^64 - 1 and 0.5: refused, or widened to double and said so: it changes the count of a clock.
book.either(
    "mixed_integer_64_beyond_doubles",
    mixed("I64", "F32", rows=((2**53 + 1, 0.5), (2**64 - 1, 1.5))),
    rows=((2.0**53, 0.5), (2.0**64, 1.5)),
    notes=("FCS076",),
    conforms=None,
)
book.loads(
    "mixed_integer_64_of_a_small_range", mixed("I64", "F32", rows=((2**40 - 1, 0.5), (7, 1.5)), tops=(2**40, 1024))
)
book.loads(
    "mixed_masks_its_integers", mixed("F32", "I16", rows=((0.5, 0xFC07),), tops=(262144, 1024)), rows=((0.5, 7),)
)
book.loads("mixed_says_what_is_the_same", Tube(version="FCS3.2", more=[("$P1DATATYPE", "F"), ("$P2DATATYPE", "F")]))
book.loads(
    "mixed_keeps_nan_bits", mixed("I16", "F32", rows=((1, Bits(0x7FC12345, 4)),)), notes=("FCS075",), conforms=None
)
# 3.1 does not know the keyword: nobody writes it who does not mean it, and a reader that obeys says so.
book.either("mixed_types_in_3.1", mixed("F32", "I32", rows=((0.5, 7), (1.5, 9)), version="FCS3.1"))
book.refused(
    "mixed_unknown_type", Tube(version="FCS3.2", more=[("$P2DATATYPE", "X")]), says=(("support", "unknown", "type"),)
)
book.either("mixed_width_of_the_other_type", Tube(version="FCS3.2", more=[("$P2DATATYPE", "D")]))
book.refused("mixed_for_no_such_size", mixed("I32", "F32", rows=((1, 0.5),), change={"$P2DATATYPE": "D", "$P2B": "64"}))

# --- large tubes, which a reader may leave in the file until they are asked for --------------------

book.topic = "floats"


def small_row(tube: Tube) -> int:
    """Bytes of one event."""
    return sum(int(kind[1:]) for kind in tube.each_kind()) // 8


def large(name: str, n: int, rows, *, notes=(), note_says=(), **more) -> None:
    """A tube whose events are these rows over and over, and the same one cut in the middle of an event."""
    row = small_row(Tube(rows=rows, **more))
    whole = n // 2

    def tube() -> Tube:
        small = Tube(rows=rows, **more)
        data = packed_rows(rows, small.each_kind(), small.order) * (n // len(rows))
        return Tube(**{"rows": rows, "data": data, "change": {"$TOT": n}, **more})

    def cut() -> bytes:
        made = tube()
        return made.build()[: made.places.data[0] + whole * row + 1]

    names = more.get("names", Tube().names)
    book.loads(
        name, lambda: tube().build(), n_events=n, names=names, first=rows, last=rows, notes=notes, note_says=note_says
    )
    book.refused(f"{name}_cut", cut, topic="truncation", first=rows, salvage_n=whole)


large("large_floats_little", 1_500_000, ((1.5, 2.5), (3.5, -4.5), (Bits(0x3F8CCCCD, 4), 1e6)))
NAN = Bits(0x7FC00000, 4)
large(
    "large_floats_with_nan",
    1_500_000,
    ((1.5, 2.5), (3.5, NAN), (0.25, 1e6)),
    notes=("FCS075",),
    note_says=("500000",),
)
large("large_floats_big", 1_500_000, ((1.5, 2.5), (3.5, -4.5), (Bits(0x3F8CCCCD, 4), 1e6)), order="4,3,2,1")
large("large_doubles_big", 600_000, ((0.1, 2.5), (3.5, -4.5)), order="4,3,2,1", kinds="D64")
large("large_integers_24", 1_600_000, ((70_000, 2), (3, 2**24 - 1)), kinds="I24")
large(
    "large_integers_mixed",
    1_200_000,
    ((200, 2**32 - 1, 65535), (3, 2, 1)),
    kinds=("I8", "I32", "I16"),
    names=NAMES3,
    order="4,3,2,1",
)
large("large_floats_3412", 1_500_000, ((1.5, 2.5), (3.5, -4.5)), order="3,4,1,2", version="FCS3.0")
large(
    "large_mixed_types",
    1_200_000,
    ((70_000, 0.5), (3, -1.5)),
    kinds=("I32", "F32"),
    names=("Time", "FITC-A"),
    version="FCS3.2",
)

CASES = book.cases
