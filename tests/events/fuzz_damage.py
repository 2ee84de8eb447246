"""Damage to FCS files: to keywords, values, offsets and segments of a `Layout`, and then to single bytes."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from fuzz_bases import AUTO, HEADER, OFFSETS, Layout, assemble

EXTREMES = (
    b"0", b"-1", b"1", b"2", b"7", b"99999999", b"100000000", b"2147483647", b"2147483648", b"4294967296",
    b"9223372036854775807", b"9223372036854775808", b"18446744073709551616", b"1e18", b"1E3", b"NaN", b"inf", b"-0",
    b"+5", b"5.0", b"0x10", b"1_0", b"007", b" 3", b"3 ", b"", b" ", b"*", b"abc", b"\xb2", "\u0663".encode(),
    b"9" * 30, b"1,2,3,4", b"4,3,2,1", b"1,2", b"3,4,1,2", b"2,3,4,1", b"0,0", b"4,1", b"4,0", b"1e5,1", b"-4,1",
)  # fmt: skip
#: Keywords on which events depend, and the values that turn one kind of file into another.
TELLING = {
    b"$DATATYPE": (b"I", b"F", b"D", b"A", b"i", b"X", b"I "),
    b"$MODE": (b"L", b"C", b"U", b"l", b"H"),
    b"$BYTEORD": (b"1,2,3,4", b"4,3,2,1", b"1,2", b"2,1", b"3,4,1,2", b"2,1,4,3", b"1, 2, 3, 4", b"1,1,1,1", b"1"),
    b"$PAR": (b"1", b"2", b"3", b"4", b"5", b"100000"),
    b"$NEXTDATA": (b"0", b"1", b"58", b"100", b"-1", b"99999999999"),
}
NUMBERED = {
    b"B": (b"8", b"10", b"12", b"16", b"20", b"24", b"32", b"48", b"64", b"0", b"1", b"*", b"128", b"33"),
    b"R": (b"0", b"1", b"2", b"255", b"256", b"1000", b"1024", b"65536", b"262144", b"4294967296", b"262144.0", b"1e3"),
    b"E": (b"0,0", b"4,1", b"4,0", b"0,1", b"2.5,0.1", b"4", b"4,1,1", b"4;1", b"1000,1", b"0.0,0.0", b"nan,1"),
    b"G": (b"0", b"1", b"2.5", b"-1", b"nan", b"1e400", b"1,5", b"1E-300"),
    b"N": (b"FSC-A", b"Time", b"", b" ", b"TIME", b"fsc-a", b"A,B", b"=1+1", b"\x1b[2J", b"../x", b"<b>"),
    b"S": (b"CD3", b"", b"CD3/CD4", b"=cmd()", b"\xff\xfe"),
    b"DATATYPE": (b"I", b"F", b"D", b"A", b""),
}
BYTES = b"/|\\\x0c$0123456789 ,.;-+*eE\n\t\x00\x01\x7f\xff\x80PNBREFDILA"
Change = Callable[[random.Random, Layout], Layout]


def damaged(rng: random.Random, layout: Layout) -> bytes:
    """A file with one to three faults, most of them in what a keyword or an offset says."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
        if layout.more is not None and rng.random() < 0.4:
            layout = replace(layout, more=_changed(rng, layout.more))
        else:
            layout = _changed(rng, layout)
    raw = assemble(layout)
    for _ in range(rng.choice((0, 0, 0, 0, 0, 1, 1, 2))):
        raw = rng.choice(ON_BYTES)(rng, raw)
    return raw


def _changed(rng: random.Random, layout: Layout) -> Layout:
    return rng.choices([change for change, _ in ON_LAYOUT], [weight for _, weight in ON_LAYOUT])[0](rng, layout)


# --- keywords and values --------------------------------------------------------------------------


def _tokens(rng: random.Random, layout: Layout) -> tuple[str, list[bytes]]:
    """One of the keyword segments that are there, mostly TEXT, with a copy of its tokens."""
    names = ["text"] * 6 + [name for name in ("supplement", "analysis") if getattr(layout, name)] * 2
    name = rng.choice(names)
    return name, list(getattr(layout, name)) or [b"KEY", b"value"]


def _spot(rng: random.Random, tokens: Sequence[bytes]) -> int:
    """Position of a value, more often than not of a keyword that matters."""
    values = range(1, len(tokens), 2)
    if not values:
        return 0
    standard = [i for i in values if tokens[i - 1].upper().startswith(b"$")]
    return rng.choice(standard if standard and rng.random() < 0.8 else values)


def value_changed(rng: random.Random, layout: Layout) -> Layout:
    """One value becomes an extreme, or another value that this very keyword can have."""
    name, tokens = _tokens(rng, layout)
    i = _spot(rng, tokens)
    key = tokens[i - 1].upper()
    choice: Sequence[bytes] = EXTREMES
    if rng.random() < 0.6:
        choice = TELLING.get(key) or NUMBERED.get(key.lstrip(b"$P0123456789")) or EXTREMES
    tokens[i] = rng.choice(choice)
    return replace(layout, **{name: tuple(tokens)})


def digit_changed(rng: random.Random, layout: Layout) -> Layout:
    """One digit of a number becomes another, or is lost or doubled."""
    name, tokens = _tokens(rng, layout)
    i = _spot(rng, tokens)
    token = _filled(tokens[i], layout, tokens[i - 1])
    places = [k for k, byte in enumerate(token) if 48 <= byte <= 57]
    if places:
        k = rng.choice(places)
        tokens[i] = token[:k] + rng.choice((b"%d" % rng.randrange(10), b"", token[k : k + 1] * 2)) + token[k + 1 :]
    return replace(layout, **{name: tuple(tokens)})


def _filled(token: bytes, layout: Layout, key: bytes) -> bytes:
    """What will stand in the place of an offset that is still open."""
    if token != AUTO:
        return token
    raw = assemble(replace(layout, more=None))
    field = {b"$BEGINDATA": 2, b"$ENDDATA": 3, b"$BEGINANALYSIS": 4, b"$ENDANALYSIS": 5}.get(key.upper())
    return b"00000000" if field is None else raw[10 + 8 * field : 18 + 8 * field].replace(b" ", b"0")


def value_moved(rng: random.Random, layout: Layout) -> Layout:
    """Two values change places, or one is written over another."""
    name, tokens = _tokens(rng, layout)
    i, k = _spot(rng, tokens), _spot(rng, tokens)
    first, second = (_filled(tokens[place], layout, tokens[place - 1]) for place in (i, k))
    tokens[i] = second
    if rng.random() < 0.6:
        tokens[k] = first
    return replace(layout, **{name: tuple(tokens)})


def token_lost(rng: random.Random, layout: Layout) -> Layout:
    """A token, or a keyword with its value, is lost."""
    name, tokens = _tokens(rng, layout)
    i = rng.randrange(len(tokens))
    whole = rng.random() < 0.5
    del tokens[i - i % 2 if whole else i : i - i % 2 + 2 if whole else i + 1]
    return replace(layout, **{name: tuple(tokens)})


def token_added(rng: random.Random, layout: Layout) -> Layout:
    """A token too many, or a keyword that stands twice, with the same value or another."""
    name, tokens = _tokens(rng, layout)
    i = _spot(rng, tokens)
    pair = [tokens[i - 1], tokens[i]] if i else [b"KEY", b"value"]
    what = rng.randrange(5)
    if what == 0:
        new = [rng.choice((b"", b" ", b"$TOT", b"x", pair[0], pair[1]))]
    elif what == 1:
        new = pair
    elif what == 2:
        new = [pair[0].lower(), pair[1]]
    elif what == 3:
        new = [pair[0], rng.choice(EXTREMES)]
    else:
        new = [rng.choice((b"$P3DATATYPE", b"$TIMESTEP", b"$P1G", b"SPILL", b"$COMP", b"$NEXTDATA", b"$TOT", b"NEW")),
               rng.choice(EXTREMES)]  # fmt: skip
    place = rng.choice((0, len(tokens), 2 * rng.randrange(len(tokens) // 2 + 1)))
    tokens[place:place] = new
    return replace(layout, **{name: tuple(tokens)})


def keyword_renamed(rng: random.Random, layout: Layout) -> Layout:
    """A keyword in other letters, with blanks, or with another number."""
    name, tokens = _tokens(rng, layout)
    i = max(_spot(rng, tokens) - 1, 0)
    key = tokens[i]
    tokens[i] = rng.choice(
        (key.lower(), key.title(), b" " + key, key + b" ", key[1:], b"$" + key, b"#" + key, key[:-1], b"", key * 2,
         key.replace(b"1", b"2"), key.replace(b"2", b"1"), key.replace(b"P", b"P0"), b"\xc3\xa4" + key, key + b"\0")
    )  # fmt: skip
    return replace(layout, **{name: tuple(tokens)})


def value_rewritten(rng: random.Random, layout: Layout) -> Layout:
    """A value with delimiters, blanks, other encodings or hostile text in it."""
    name, tokens = _tokens(rng, layout)
    i = _spot(rng, tokens)
    d, token = layout.delimiter, _filled(tokens[i], layout, tokens[max(i - 1, 0)])
    half = len(token) // 2
    tokens[i] = rng.choice(
        (b"", d, d * 2, d * 3, token + d, token + d * 2, d * 2 + token, token[:half] + d + token[half:],
         token[:half] + d * 2 + token[half:], b" " + token, token + b" ", token + b"\n", token + b"\0", b"\xe4" + token,
         token.swapcase(), b"<script>", b"=HYPERLINK()", b"\x1b]0;x\x07", b"../../etc", token * 50, b"\xc3\xa4" + token)
    )  # fmt: skip
    return replace(layout, **{name: tuple(tokens)})


def spillover_damaged(rng: random.Random, layout: Layout) -> Layout:
    """A spillover keyword: numbers, names, their count or the separators."""
    tokens = list(layout.text)
    names = [tokens[i + 1] for i in range(0, len(tokens) - 1, 2) if tokens[i][:2] == b"$P" and tokens[i][-1:] == b"N"]
    d = min(len(names), rng.choice((1, 2, 2, 3)))
    if d == 0:
        return layout
    chosen = rng.sample(names, d)
    numbers = [b"1" if i % (d + 1) == 0 else rng.choice((b"0", b"0.1", b"0.25", b"-0.02")) for i in range(d * d)]
    parts = [b"%d" % d, *chosen, *numbers]
    for _ in range(rng.randrange(3)):
        i = rng.randrange(len(parts))
        what = rng.randrange(5)
        if what == 0:
            parts[i] = rng.choice((*EXTREMES, b"0,1", b"1,0", chosen[0], b"Unknown-A", chosen[0].lower()))
        elif what == 1:
            del parts[i : i + 1]
        elif what == 2:
            parts.insert(i, rng.choice(parts or [b"1"]))
        elif what == 3:
            k = rng.randrange(len(parts))
            parts[i], parts[k] = parts[k], parts[i]
        else:
            parts[i] = parts[i].replace(b".", b",")
        parts = parts or [b""]
    value = rng.choice((b",", b",", b",", b";", b"\t", b", ")).join(parts)
    value = value.replace(layout.delimiter, layout.delimiter * 2)
    for _ in range(rng.choice((1, 1, 1, 2))):
        tokens += [rng.choice((b"$SPILLOVER", b"SPILL", b"$SPILL", b"SPILLOVER", b"$COMP")), value]
    return replace(layout, text=tuple(tokens))


# --- offsets and segments -------------------------------------------------------------------------


def offset_changed(rng: random.Random, layout: Layout) -> Layout:
    """An offset in the HEADER: off by a little, swapped, blank, negative, absurd, or no number."""
    raw = assemble(replace(layout, more=None))
    fields = dict(layout.fields)
    place = rng.choice((0, 1, 2, 3, 2, 3, 4, 5))
    numbers = [raw[10 + 8 * i : 18 + 8 * i] for i in range(6)]
    try:
        near = int(numbers[place]) + rng.choice((-1, 1, -1, 1, -2, 2, 8, -8, 100_000_000))
    except ValueError:
        near = 58
    other = numbers[rng.randrange(6)]
    likely = [b"%d" % max(near, -1)] * 8 + [other.strip()] * 3 + [b"%08d" % max(near, 0)] * 2 + [b"0", b""] * 2
    absurd = [b"-1", b"99999999", b"%d" % len(raw), b"%d" % (len(raw) - 1), b"1", b"+58", b"1e3", b"58.0", b"\0" * 8]
    new = rng.choice(likely + absurd)
    fields[place] = new.rjust(8)[:8] if rng.random() < 0.8 else new.ljust(8)[:8]
    if rng.random() < 0.3:  # both ends of a segment at once
        pair = place - place % 2
        fields[pair], fields[pair + 1] = rng.choice(
            ((b" " * 8, b" " * 8), (b"       0", b"       0"), (numbers[pair + 1], numbers[pair]),
             tuple(b"%8d" % (int(n) + near % 7 - 3) if n.strip().isdigit() else n for n in numbers[pair : pair + 2]))
        )  # fmt: skip
    return replace(layout, fields=fields)


def text_offset_changed(rng: random.Random, layout: Layout) -> Layout:
    """An offset in TEXT, or both ends of a segment."""
    tokens = list(layout.text)
    places = [i for i in range(1, len(tokens), 2) if tokens[i - 1].upper() in OFFSETS]
    if not places:
        return offset_changed(rng, layout)
    i = rng.choice(places)
    token = _filled(tokens[i], layout, tokens[i - 1])
    number = int(token) if token.isdigit() else 0
    near = number + rng.choice((-1, 1, -1, 1, 2, -2, 8, 10**8, 10**12))
    tokens[i] = rng.choice((b"%d" % near, b"%d" % near, b"0", b"", b"-1", b"9" * 20, b"1e9", b" %d " % number, b"x"))
    if rng.random() < 0.3:
        for k in places:
            if rng.random() < 0.5:
                tokens[k] = b"0"
    return replace(layout, text=tuple(tokens))


def total_changed(rng: random.Random, layout: Layout) -> Layout:
    """Events that do not fit: $TOT, the number of channels, or the bytes of DATA."""
    what = rng.randrange(3)
    if what == 0:
        cut = rng.choice((1, 2, 3, 4, 8, 16, len(layout.data) // 2))
        return replace(layout, data=layout.data[: max(0, len(layout.data) - cut)])
    if what == 1:
        return replace(layout, data=layout.data + layout.data[: rng.choice((1, 2, 4, 8, 12, 24))])
    key = rng.choice((b"$TOT", b"$TOT", b"$PAR"))
    tokens = list(layout.text)
    for i in range(1, len(tokens), 2):
        if tokens[i - 1].upper() == key and tokens[i].isdigit():
            tokens[i] = b"%d" % max(0, int(tokens[i]) + rng.choice((-1, 1, 1, 2, 100, 10**9)))
    return replace(layout, text=tuple(tokens))


def delimiter_changed(rng: random.Random, layout: Layout) -> Layout:
    """Another delimiter throughout, also one that the values hold."""
    return replace(layout, delimiter=rng.choice((b"/", b"|", b"\\", b"\x0c", b"\n", b" ", b",", b"0", b"$", b"\x00",
                                                 b"\x1e", b"\xff", b"*", b"!", b"A")))  # fmt: skip


def surroundings_changed(rng: random.Random, layout: Layout) -> Layout:
    """What stands between and behind the segments: padding, stray keywords, checksums; or the version."""
    d = layout.delimiter
    what = rng.randrange(6)
    if what == 0:
        return replace(layout, gap=rng.choice((b"", b" ", b" " * 70, b"\0" * 3, b"KEY" + d + b"v" + d, d, d * 2)))
    if what == 1:
        tails = (b"", b"CRC", b"00000000", b"0000ABCD", b"   12345", b"12345678", b" " * 8, b"0" * 7, b"deadbeef")
        return replace(layout, tail=rng.choice(tails))
    if what == 2:
        return replace(layout, version=rng.choice((b"FCS2.0", b"FCS3.0", b"FCS3.1", b"FCS3.2", b"FCS4.0", b"FCS3.",
                                                   b"fcs3.0", b"FCS1.0")))  # fmt: skip
    if what == 3:
        return replace(layout, data_first=not layout.data_first)
    if what == 4:
        supplements = (layout.text[-8:], (b"$P1S", b"CD3"), (b"X", b""), (b"$TOT", b"1"))
        return replace(layout, supplement=rng.choice(supplements))
    return replace(layout, analysis=rng.choice((layout.text[:6], (b"A", b"1"), (b"A",), ())))


ON_LAYOUT: tuple[tuple[Change, int], ...] = (
    (value_changed, 6), (digit_changed, 4), (value_moved, 2), (token_lost, 2), (token_added, 3), (keyword_renamed, 2),
    (value_rewritten, 3), (spillover_damaged, 2), (offset_changed, 4), (text_offset_changed, 3), (total_changed, 2),
    (delimiter_changed, 1), (surroundings_changed, 2),
)  # fmt: skip


# --- bytes ----------------------------------------------------------------------------------------


def _place(rng: random.Random, raw: bytes) -> int:
    """A byte of the HEADER or of what follows it, seldom of the rest."""
    end = rng.choice((HEADER, HEADER + 400, HEADER + 1000, HEADER + 1000, HEADER + 4000, len(raw)))
    return rng.randrange(max(1, min(end, len(raw))))


def byte_flipped(rng: random.Random, raw: bytes) -> bytes:
    """One bit of one byte."""
    i = _place(rng, raw)
    return raw[:i] + bytes([raw[i] ^ 1 << rng.randrange(8)]) + raw[i + 1 :] if raw else raw


def byte_changed(rng: random.Random, raw: bytes) -> bytes:
    """One byte becomes another that means something."""
    i = _place(rng, raw)
    return raw[:i] + bytes([rng.choice(BYTES)]) + raw[i + 1 :]


def byte_inserted(rng: random.Random, raw: bytes) -> bytes:
    """A byte or a few too many: everything behind them moves."""
    i = _place(rng, raw)
    return raw[:i] + bytes(rng.choice(BYTES) for _ in range(rng.choice((1, 1, 2, 8)))) + raw[i:]


def bytes_deleted(rng: random.Random, raw: bytes) -> bytes:
    """A byte or a few are lost."""
    i = _place(rng, raw)
    return raw[:i] + raw[i + rng.choice((1, 1, 2, 8, 40)) :]


def bytes_repeated(rng: random.Random, raw: bytes) -> bytes:
    """A stretch stands twice."""
    i, n = _place(rng, raw), rng.choice((1, 2, 8, 58, 300))
    return raw[: i + n] + raw[i:]


def bytes_swapped(rng: random.Random, raw: bytes) -> bytes:
    """Two stretches change places."""
    n = rng.choice((1, 4, 8))
    i, k = sorted((_place(rng, raw), _place(rng, raw)))
    if k < i + n or k + n > len(raw):
        return raw
    return raw[:i] + raw[k : k + n] + raw[i + n : k] + raw[i : i + n] + raw[k + n :]


def truncated(rng: random.Random, raw: bytes) -> bytes:
    """The end is missing."""
    return raw[: rng.randrange(len(raw) + 1)] if rng.random() < 0.5 else raw[: -rng.choice((1, 2, 4, 8, 9, 16))]


def padded(rng: random.Random, raw: bytes) -> bytes:
    """Something behind the end."""
    return raw + rng.choice((b"\n", b"\0" * 8, b" " * 100, b"00000000", raw[:58], raw))


ON_BYTES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    byte_flipped, byte_changed, byte_changed, byte_inserted, bytes_deleted, bytes_repeated, bytes_swapped, truncated,
    padded,
)  # fmt: skip
