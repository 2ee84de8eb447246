"""Row 1 of the table, continued: byte orders, few events, amplifiers, gain and time."""

from torture_builder import Bits, Tube, said
from torture_truth import Book

# --- byte order -----------------------------------------------------------------------------------
# FCS 3.0: the order "in which four binary data bytes are written to compose a 32-bit word", 1 the least significant;
# "in PDP-11 computers the byte order is 3,4,1,2": high word first, and in each word the low byte.

book = Book("byte order")
WORDS = ((0x0A0B0C0D, 1), (0xFFFE0001, 0x01020304))
SHORTS = ((0x0A0B, 1), (0xFF01, 0x0304))
for order in ("1,2,3,4", "4,3,2,1", "3,4,1,2", "2,1,4,3"):
    book.loads(f"order_{order.replace(',', '')}_of_32", Tube(rows=WORDS, kinds="I32", order=order, version="FCS3.0"))
    book.loads(f"order_{order.replace(',', '')}_of_16", Tube(rows=SHORTS, kinds="I16", order=order, version="FCS3.0"))
    book.loads(
        f"order_{order.replace(',', '')}_of_floats",
        Tube(rows=((1.5, -2.25), (0.25, 65536.0), (Bits(0x3F8CCCCD, 4), 0.0)), order=order, version="FCS3.0"),
    )
for order in ("1,2", "2,1"):
    name = order.replace(",", "")
    book.loads(f"order_{name}_of_16", Tube(rows=SHORTS, kinds="I16", order=order, version="FCS2.0"), conforms=None)
    book.loads(f"order_{name}_of_32", Tube(rows=WORDS, kinds="I32", order=order, version="FCS2.0"), conforms=None)
    book.loads(f"order_{name}_of_floats", Tube(order=order, version="FCS2.0"), conforms=None)
book.loads("order_1234_of_64", Tube(rows=((2**60 + 1, 5),), kinds="I64"))
book.loads("order_21_of_64", Tube(rows=((2**60 + 1, 5),), kinds="I64", order="2,1", version="FCS2.0"), conforms=None)
book.loads("order_87654321_of_doubles", Tube(kinds="D64", order="8,7,6,5,4,3,2,1"), conforms=None)
book.loads("order_12345678_of_doubles", Tube(kinds="D64", order="1,2,3,4,5,6,7,8"), conforms=None)
book.loads("order_4321_of_24", Tube(rows=((0x0A0B0C, 1), (2, 0xFFFEFD)), kinds="I24", order="4,3,2,1"))
book.loads("order_with_blanks", Tube(change={"$BYTEORD": "1, 2, 3, 4"}), conforms=None)
book.loads("order_of_single_bytes_does_not_matter", Tube(rows=((1, 2),), kinds="I8", order="3,4,1,2", version="FCS3.0"))
# Eight bytes in a word order of four: the halves could stand either way.
book.refused(
    "order_3412_of_64", Tube(rows=((5, 6),), kinds="I64", change={"$BYTEORD": "3,4,1,2"}), says=(("support", "order"),)
)
book.refused("order_3412_of_doubles", Tube(kinds="D64", change={"$BYTEORD": "3,4,1,2"}), says=(("support", "order"),))
book.refused(
    "order_3412_of_24", Tube(rows=((5, 6),), kinds="I24", change={"$BYTEORD": "3,4,1,2"}), says=(("support", "order"),)
)
for name, order in (
    ("twice_1", "1,1,2,2"),
    ("holes", "1,2,4,8"),
    ("zero", "0,1,2,3"),
    ("word", "little"),
    ("three", "4,3,2"),
    ("dots", "1.2.3.4"),
    ("negative", "-4,-3,-2,-1"),
):
    book.refused(
        f"order_unknown_{name}", Tube(change={"$BYTEORD": order}), topic="contradictions", says=(("support", "order"),)
    )

# --- 0 or 1 event ---------------------------------------------------------------------------------

book.topic = "few events"
BEHIND = {"data": lambda p: (p.data[0], p.data[0] - 1)}
FIRST = {"data": lambda p: (p.data[0], p.data[0])}
NOWHERE = {"data": said(0, 0)}
book.loads("no_events_offsets_zero", Tube(rows=(), header=NOWHERE, stated=NOWHERE), conforms=None)
book.loads("no_events_end_before_begin", Tube(rows=(), header=BEHIND, stated=BEHIND), conforms=None)
book.loads("no_events_one_byte_claimed", Tube(rows=(), header=FIRST, stated=FIRST), conforms=None)
book.loads("no_events_2.0_blank", Tube(rows=(), version="FCS2.0", header={"data": said("", "")}), conforms=None)
book.loads("no_events_header_zero", Tube(rows=(), header=NOWHERE, stated=BEHIND), conforms=None)
book.loads("no_events_integers", Tube(rows=(), kinds="I16", header=NOWHERE, stated=NOWHERE), conforms=None)
book.loads("no_events_no_checksum", Tube(rows=(), header=BEHIND, stated=BEHIND, tail=b""), conforms=None)
for kind, row in (
    ("F32", (1.5, -2.0)),
    ("D64", (0.1, 1e300)),
    ("I16", (65535, 1)),
    ("I8", (255, 0)),
    ("I64", (2**63, 1)),
):
    book.loads(f"one_event_{kind}", Tube(rows=(row,), kinds=kind))
book.loads("one_event_one_channel_one_byte", Tube(rows=((200,),), names=("FSC-A",), kinds="I8"))
book.loads("one_event_no_tail", Tube(rows=((1.0, 2.0),), tail=b""), conforms=None)

# --- amplifiers, gain, time -----------------------------------------------------------------------

book.topic = "amplifier, gain, time"


def amplified(name: str, amplifier: str, scale: tuple[float, ...], *, top: int = 1024, add=book.loads, **more) -> None:
    """Stored values 0, 256 and 512 of one channel, and what they mean."""
    rows = ((0, 1), (256, 1), (512, 1))
    tube = Tube(rows=rows, kinds="I16", tops=(top, top), amplifiers=(amplifier, "0,0"), **more.pop("tube", {}))
    add(name, tube, scale={"FSC-A": scale, "FITC-A": (1.0, 1.0, 1.0)}, **more)


amplified("amplifier_4_1", "4,1", (1.0, 10.0, 100.0))
amplified("amplifier_4_1_in_words", "4.0,1.0", (1.0, 10.0, 100.0))
amplified("amplifier_4_0", "4,0", (1.0, 10.0, 100.0), add=book.odd)  # FCS 3.1: "handle it as f1,1"
amplified("amplifier_4.0_0.0", "4.0,0.0", (1.0, 10.0, 100.0), add=book.odd)
amplified("amplifier_0_0", "0,0", (0.0, 256.0, 512.0))
amplified("amplifier_with_offset", "4.0,0.01", (0.01, 0.1, 1.0))
amplified("amplifier_5_decades", "5,0.1", (0.1, 0.1 * 10**1.25, 0.1 * 10**2.5))
amplified("amplifier_with_blanks", "4.0, 1.0", (1.0, 10.0, 100.0), conforms=None)
amplified("amplifier_range_2048", "4,1", (1.0, 10**0.5, 10.0), top=2048)
amplified("amplifier_range_1000", "3,1", (1.0, 10 ** (0.256 * 3), 10 ** (0.512 * 3)), top=1000)
amplified("amplifier_0_1", "0,1", (0.0, 256.0, 512.0), add=book.either, conforms=None)
# A logarithmic amplifier has no gain to divide out.
amplified("amplifier_with_gain", "4,1", (1.0, 10.0, 100.0), conforms=None, tube={"change": {"$P1G": "2.0"}})
amplified("amplifier_missing", "0,0", (0.0, 256.0, 512.0), add=book.either, tube={"change": {"$P1E": None}})
for name, amplifier in (
    ("one_number", "4"),
    ("semicolon", "4;1"),
    ("nan", "nan,1"),
    ("negative", "-4,1"),
    ("400", "400,1"),
    ("word", "log"),
    ("infinite", "inf,1"),
    ("three", "4,1,0"),
    ("underscore", "0_4,1"),
):
    book.refused(
        f"amplifier_bad_{name}", Tube(rows=((5, 6),), kinds="I16", tops=(1024, 1024), amplifiers=(amplifier, "0,0"))
    )
book.refused(
    "amplifier_without_range",
    Tube(rows=((5, 6),), kinds="I16", tops=(1024, 1024), amplifiers=("4,1", "0,0"), change={"$P1R": None}),
)
# FCS 3.1: $PnE of floating-point data must be 0,0; the values are linear whatever stands there.
STORED = {"FSC-A": (1.0, 3.0, 5.0), "FITC-A": (2.0, 4.0, 6.0)}
book.odd("amplifier_4_1_on_floats", Tube(amplifiers=("4,1", "0,0")), scale=STORED)
book.odd("amplifier_4_1_on_doubles", Tube(kinds="D64", amplifiers=("0,0", "4,1")), scale=STORED)
book.odd("amplifier_garbage_on_floats", Tube(amplifiers=("log", "0,0")), scale=STORED)
book.loads(
    "gain", Tube(change={"$P1G": "4.0", "$P2G": "0.5"}), scale={"FSC-A": (0.25, 0.75, 1.25), "FITC-A": (4.0, 8.0, 12.0)}
)
book.loads(
    "gain_of_integers",
    Tube(rows=((16, 3), (1000, 4)), kinds="I16", tops=(1024, 1024), change={"$P1G": "8"}),
    scale={"FSC-A": (2.0, 125.0), "FITC-A": (3.0, 4.0)},
)
for name, gain in (
    ("zero", "0"),
    ("negative", "-2"),
    ("word", "auto"),
    ("nan", "nan"),
    ("infinite", "inf"),
    ("comma", "1,5"),
    ("underscore", "0_2"),
):
    # A gain that is none: as stored, and said so; divided by, it would make values infinite or turn their sign.
    book.odd(f"gain_bad_{name}", Tube(change={"$P1G": gain}), scale=STORED)
TIME = {"rows": ((0.0, 1.0), (100.0, 2.0), (250.0, 3.0)), "names": ("Time", "FITC-A")}
book.loads("time_step", Tube(**TIME, more=[("$TIMESTEP", "0.01")]), scale={"Time": (0.0, 1.0, 2.5)}, time_step=0.01)
book.loads(
    "time_step_exponent", Tube(**TIME, more=[("$TIMESTEP", "1E-2")]), scale={"Time": (0.0, 1.0, 2.5)}, time_step=0.01
)
book.loads(
    "time_step_upper_case_name",
    Tube(rows=((100, 1),), names=("TIME", "FL1"), kinds="I16", more=[("$TIMESTEP", "0.5")]),
    scale={"TIME": (50.0,)},
    time_step=0.5,
)
book.loads("time_step_missing", Tube(**TIME), scale={"Time": (0.0, 100.0, 250.0)}, time_step="none")
for name, step in (
    ("word", "fast"),
    ("zero", "0"),
    ("negative", "-1"),
    ("nan", "nan"),
    ("infinite", "inf"),
    ("comma", "0,01"),
    ("unit", "0.01 s"),
    ("underscore", "0_1"),
):
    book.odd(
        f"time_step_bad_{name}",
        Tube(**TIME, more=[("$TIMESTEP", step)]),
        scale={"Time": (0.0, 100.0, 250.0)},
        time_step="none",
    )

CASES = book.cases
