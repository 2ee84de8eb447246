"""The reader on damaged files, and the judge of it on wrong answers: both must be seen to fail."""

import time
from dataclasses import replace

import pytest
from fuzz_bases import AUTO, Layout, assemble, bases, tokens
from fuzz_case import TooSlow, case, examine, limits, read
from fuzz_judge import conforming, judge
from fuzz_run import run
from fuzz_values import Tube, judge_spillover

DAMAGED = 2_000
SEED = 20_261_122


def test_damaged_files_are_refused_or_read_as_their_bytes_say():
    report = run(DAMAGED, SEED)
    assert not report.failures, report.text()
    # The damage is such that a careless reader would be caught: it reaches every stage.
    assert sum(report.outcomes.values()) == DAMAGED
    assert report.outcomes["silent"] > DAMAGED // 40
    assert report.outcomes["notes"] > DAMAGED // 20
    assert len(report.outcomes) > 20, report.text()
    assert len(report.notes) > 20, report.text()


def test_damaged_heads_of_real_files(shared_data):
    report = run(400, SEED, folder=str(shared_data))
    assert not report.failures, report.text()
    assert report.loaded > 40


def test_a_case_follows_from_seed_and_number():
    assert case(7, 12) == case(7, 12)
    assert len({case(7, number)[1] for number in range(50)}) > 40
    assert case(7, 12) != case(8, 12)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tube.fcs"


@pytest.mark.parametrize("name", bases())
def test_undamaged_files_are_read_and_judged_right(path, name):
    layout, data_set = bases()[name], 0
    raw = assemble(layout)
    while layout is not None:
        result = examine(path, raw, data_set, modes=True)
        assert result["outcome"] in ("silent", "notes")
        assert result["problems"] == []
        layout, data_set = layout.more, data_set + 1


# --- the judge ------------------------------------------------------------------------------------


def tube_of(path, layout: Layout) -> tuple[bytes, Tube]:
    raw = assemble(layout)
    path.write_bytes(raw)
    found, problems = read(path, 0, "safe")
    assert isinstance(found, Tube)
    assert judge(raw, found) == problems == []
    return raw, found


def changed_row(rows: list[list[float]]) -> list[list[float]]:
    return [[rows[0][0] + 1, *rows[0][1:]], *rows[1:]]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: {"rows": changed_row(t.rows)}, "events differ"),
        (lambda t: {"rows": t.rows[:-1]}, "events differ"),
        (lambda t: {"rows": [row[::-1] for row in t.rows]}, "events differ"),
        (lambda t: {"keywords": {**t.keywords, "$OP": "Zoe"}}, "keywords differ"),
        (lambda t: {"keywords": {k: v for k, v in t.keywords.items() if k != "$OP"}}, "keywords differ"),
        (lambda t: {"version": "FCS3.0"}, "is not that of the HEADER"),
        (lambda t: {"scaled": changed_row(t.scaled)}, "has scale value"),
        (lambda t: {"data_set": 1}, "no data set 1"),
    ],
)
def test_the_judge_sees_a_wrong_answer_to_a_right_file(path, change, says):
    raw, found = tube_of(path, bases()["FCS3.1 F spillover"])
    (problem,) = judge(raw, replace(found, **change(found)))
    assert says in problem


def with_values(layout: Layout, **values: bytes) -> Layout:
    """The layout with other values; ``P1R=b"7"`` is keyword $P1R."""
    text = list(layout.text)
    for i in range(0, len(text), 2):
        text[i + 1] = values.get(text[i].decode().lstrip("$"), text[i + 1])
    return replace(layout, text=tuple(text))


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"TOT": b"5"}, {}),
        ({"BEGINDATA": b"58"}, {}),
        ({}, {2: b"      58"}),
        ({}, {3: b"        "}),
        ({"P3B": b"16"}, {}),
        ({"P2R": b"many", "DATATYPE": b"I"}, {}),
        ({"P2E": b"4,0", "DATATYPE": b"I"}, {}),
        ({"P4N": b"FITC-A"}, {}),
        ({"CYT": b""}, {}),
        ({"NEXTDATA": b"70"}, {}),
        ({"BYTEORD": b"1,2,3,3"}, {}),
        ({"OP": b"Zo\xeb"}, {}),
    ],
)
def test_the_judge_wants_a_note_for_what_does_not_conform(path, values, fields):
    """A reader that answers as if nothing were wrong."""
    layout = bases()["FCS3.1 F spillover"]
    layout = replace(layout, text=(*layout.text, b"$CYT", b"simulated"))
    _, found = tube_of(path, layout)
    raw = assemble(replace(with_values(layout, **values), fields=fields))
    (problem,) = judge(raw, found)
    assert problem.startswith("read without a note")
    assert not conforming(raw, 0)


def test_the_judge_wants_events_from_where_a_claim_is(path):
    """Noted, but the events are those of no place that HEADER or TEXT name; or of one of two that both fit."""
    layout = bases()["FCS3.1 D"]
    wrong = replace(with_values(layout, BEGINDATA=b"99"), tail=b"\0" * 200)
    path.write_bytes(assemble(wrong))
    found, problems = read(path, 0, "safe")
    assert isinstance(found, Tube)
    assert judge(assemble(wrong), found) == problems == []
    (problem,) = judge(assemble(wrong), replace(found, rows=changed_row(found.rows)))
    assert problem.startswith("events are not what the bytes")
    begin, size = assemble(layout).index(layout.data), len(layout.data)
    two = with_values(layout, BEGINDATA=b"%08d" % (begin + 8), ENDDATA=b"%08d" % (begin + 7 + size))
    raw = assemble(replace(two, tail=layout.data[:8]))
    (problem,) = judge(raw, replace(found, keywords={**found.keywords, **offsets(begin + 8, size)}))
    assert "one of them was taken" in problem


def offsets(begin: int, size: int) -> dict[str, str]:
    return {"$BEGINDATA": f"{begin:08d}", "$ENDDATA": f"{begin + size - 1:08d}"}


def test_the_judge_knows_checksums_and_further_data_sets(path):
    layout = bases()["checksum"]
    raw, found = tube_of(path, layout)
    damaged = raw.replace(b"$P1N/FSC-A", b"$P1N/FSC-B")
    assert conforming(raw, 0)
    assert not conforming(damaged, 0)
    assert "the checksum is wrong" in judge(raw[:-8] + b"00001234", found)
    raw, found = tube_of(path, bases()["two data sets"])
    (problem,) = judge(raw, replace(found, codes=frozenset()))
    assert "other data sets" in problem


@pytest.mark.parametrize(
    ("detectors", "numbers"),
    [
        (("FITC-A", "APC-A", "PE-A"), [1, 0.1, 0.02, 0.03, 1, 0.2, 0, 0.05, 1]),
        (("FITC-A", "PE-A", "APC-A"), [1, 0.03, 0, 0.1, 1, 0.05, 0.02, 0.2, 1]),
        (("FITC-A", "PE-A"), [1, 0.1, 0.03, 1]),
        ((), []),
        (("FITC-A", "PE-A", "BV421-A"), [1, 0.1, 0.02, 0.03, 1, 0.2, 0, 0.05, 1]),
    ],
)
def test_the_judge_sees_a_wrong_spillover(path, detectors, numbers):
    _, found = tube_of(path, bases()["FCS3.1 F spillover"])
    right = ("FITC-A", "PE-A", "APC-A"), [1, 0.1, 0.02, 0.03, 1, 0.2, 0, 0.05, 1]
    assert judge_spillover(found, right) == []
    assert judge_spillover(found, (detectors, numbers)) != []


def test_limits_of_time_and_memory(path):
    with pytest.raises(MemoryError), limits(0):
        bytearray(300 << 20)
    start = time.process_time()
    with pytest.raises(TooSlow), limits(0):
        while True:
            pass
    assert time.process_time() - start < 10
    with limits(0):  # and nothing of it is left
        bytearray(100 << 20)


def test_offsets_are_filled_in():
    layout = Layout(b"FCS3.1", tokens([("$BEGINDATA", AUTO), ("$ENDDATA", AUTO), ("A", "b/c")]), b"12345", tail=b"")
    raw = assemble(layout)
    assert raw == (
        b"FCS3.1          58     103     104     108       0       0/$BEGINDATA/00000104/$ENDDATA/00000108/A/b//c/12345"
    )
