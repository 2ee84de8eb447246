"""Odd and broken files, each with its truth beside it (torture_*.py): right, or refused, and never silently wrong."""

import hashlib
import json
import os
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from torture_cases import CASES
from torture_check import as_float, differences, wrong_message, wrong_rows
from torture_truth import TOPICS, Case, Unavailable
from torture_write import write_corpus

from nti7flow.errors import FcsError, InputError
from nti7flow.events.codes import CODES
from nti7flow.events.fcs import count_data_sets, read_fcs
from nti7flow.events.spillover import spillover_for

SECONDS, MEBIBYTES = 2.0, 200
every_case = pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])


@pytest.fixture(scope="module")
def file_of(tmp_path_factory):
    """Write a case into a folder of its own, once for the whole module."""
    made: dict[str, Path | str] = {}

    def write(case: Case) -> Path | str:
        if case.name not in made:
            try:
                made[case.name] = case.write(tmp_path_factory.mktemp("case"))
            except Unavailable as reason:
                pytest.skip(str(reason))
        return made[case.name]

    return write


def outcome(path, case: Case, repair: str):
    """A sample, or the one thing that may be raised."""
    start = time.process_time()
    try:
        sample = read_fcs(path, data_set=case.data_set, repair=repair)
        assert sample.events.shape[1] == len(sample.panel.channels)
    except FcsError as error:
        check_refusal(error, path)
        return error
    finally:
        assert time.process_time() - start < SECONDS
    assert not sample.events.flags.writeable
    assert sample.data_set == case.data_set
    assert {note.code for note in sample.notes} <= set(CODES)
    for note in sample.notes:
        assert CODES[note.code].kind in (
            {"note", "repair"} if repair == "safe" else {"note"} if repair == "none" else set(kinds())
        )
    return sample


def kinds() -> tuple[str, ...]:
    return ("note", "repair", "salvage")


def check_refusal(error: FcsError, path) -> None:
    """Every refusal is one printable line with a code of the table, and says what was found."""
    text = str(error)
    assert text.isprintable()
    assert error.code in CODES
    assert text.endswith(f"[{error.code}]")
    assert error.found
    assert error.__cause__ is None or error.__suppress_context__
    assert error.byte_offset is None or error.byte_offset >= 0
    assert len(text) < 3000 + 5 * len(str(path))


def coded(sample, *wanted: str) -> bool:
    return any(CODES[note.code].kind in wanted for note in sample.notes)


def check_right(sample, case: Case) -> None:
    """Nothing but the truth."""
    assert differences(sample, case.truth) == []
    if case.truth.spillover is not None:
        check_spillover(sample, case)


def check_spillover(sample, case: Case) -> None:
    truth = case.truth
    try:
        found = spillover_for(sample, "keyword")
    except InputError as error:
        assert truth.spillover == "refused" or truth.spillover_may_fail, str(error)
        assert str(error).isprintable()
        return
    assert truth.spillover != "refused", f"{found.detectors} {found.matrix.tolist()}"
    names, matrix = truth.spillover
    assert set(found.detectors) == set(names)
    order = [found.detectors.index(name) for name in names]
    assert found.matrix[np.ix_(order, order)] == pytest.approx(np.array(matrix), rel=1e-12, abs=1e-15)
    if truth.spillover_noted:
        assert coded(sample, "repair"), "used after a repair that no note names"


@every_case
def test_safe(case, file_of):
    path, truth = file_of(case), case.truth
    found = outcome(path, case, "safe")
    if isinstance(found, FcsError):
        assert truth.outcome != "loads", str(found)
        assert wrong_message(str(found), str(path), truth, case.numbers()) == [], str(found)
        assert not truth.codes or found.code in truth.codes, str(found)
        return
    assert truth.outcome != "refused", [str(note) for note in found.notes]
    check_right(found, case)
    notes = [str(note) for note in found.notes]
    if truth.conforms is True:
        assert not coded(found, "repair"), notes
    if truth.conforms is False:
        assert coded(found, "repair"), notes
    assert not truth.notes or {note.code for note in found.notes} & set(truth.notes), notes
    assert not truth.review or any(note.severity == "review" for note in found.notes), notes
    for word in truth.note_says:
        assert any(word in note.found.replace(",", "").split() for note in found.notes), notes


@every_case
def test_none(case, file_of):
    """Without repair: conforming files alone."""
    truth = case.truth
    found = outcome(file_of(case), case, "none")
    if isinstance(found, FcsError):
        assert truth.outcome != "loads" or truth.conforms is not True, str(found)
    else:
        assert truth.outcome != "refused"
        assert truth.conforms is not False, [str(note) for note in found.notes]
        check_right(found, case)


@every_case
def test_salvage(case, file_of):
    """What can be had from a truncated file, always for review; everything else as in safe mode."""
    truth = case.truth
    found = outcome(file_of(case), case, "salvage")
    if isinstance(found, FcsError):
        assert truth.outcome != "loads" and truth.salvage is None and truth.salvage_n is None, str(found)
        return
    if truth.outcome == "refused":
        rows = truth.salvage if truth.salvage is not None else truth.rows
        assert any(note.severity == "review" for note in found.notes), [str(note) for note in found.notes]
        assert truth.salvage is None or found.n_events == len(truth.salvage)
        assert rows is None or wrong_rows(found.events, rows[: found.n_events]) == ""
        assert truth.salvage_n is None or found.n_events == truth.salvage_n
        assert wrong_rows(found.events, truth.first) == ""
    elif not coded(found, "salvage"):
        check_right(found, case)


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name) for c in CASES if c.name.startswith("large_")])
def test_columns_of_large_tubes(case, file_of):
    """Some channels of a tube whose events were never asked for, and again when they were."""
    sample = outcome(file_of(case), case, "salvage")
    assert not isinstance(sample, FcsError), str(sample)
    names = [channel.detector for channel in sample.panel.channels][::-1]
    fresh = sample.columns(names)
    assert fresh.shape == (sample.n_events, len(names))
    wanted = [[as_float(value) for value in row[::-1]] for row in case.truth.first]
    assert np.array_equal(fresh[: len(wanted)], np.array(wanted), equal_nan=True)
    assert np.array_equal(fresh, sample.events[:, ::-1].astype(np.float64), equal_nan=True)
    assert np.array_equal(sample.columns(names), fresh, equal_nan=True)


@pytest.mark.parametrize("case", [pytest.param(c, id=c.name) for c in CASES if c.n_data_sets is not None])
def test_data_sets_are_counted(case, file_of):
    try:
        assert count_data_sets(file_of(case)) == case.n_data_sets
    except FcsError:
        assert case.truth.outcome == "either"


def test_memory(file_of):
    """No case, however much it claims, takes more than its own size and a little."""
    for case in CASES:
        try:
            path = file_of(case)
        except pytest.skip.Exception:
            continue
        size = Path(path).stat().st_size if case.truth.outcome != "refused" else 0
        tracemalloc.start()
        try:
            for repair in ("safe", "salvage"):
                outcome(path, case, repair)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak <= size + MEBIBYTES * 2**20, (case.name, peak)


def test_there_are_cases_of_every_row():
    assert len(CASES) >= 220
    assert {case.topic for case in CASES} == set(TOPICS)
    assert {case.truth.outcome for case in CASES} == {"loads", "refused", "either"}
    strict = [case for case in CASES if case.truth.outcome != "either"]
    assert len(strict) >= 220
    assert {case.topic for case in strict} == set(TOPICS)


def test_identity_is_the_hash_and_the_data_set(file_of):
    for name in ("three_0", "three_1", "version_3.1", "integers_16_big"):
        (case,) = [case for case in CASES if case.name == name]
        path = Path(file_of(case))
        sample = read_fcs(path, data_set=case.data_set)
        assert (sample.sha256, sample.data_set) == (hashlib.sha256(path.read_bytes()).hexdigest(), case.data_set)


# --- changed or truncated while being read ---------------------------------------------------------


@pytest.fixture
def large_tube(tmp_path):
    """A tube that is large enough to stay in its file until its events are asked for, read and not yet looked at."""
    (case,) = [case for case in CASES if case.name == "large_floats_big"]
    path = Path(case.write(tmp_path))
    return path, read_fcs(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: os.truncate(path, path.stat().st_size // 2),
        lambda path: os.truncate(path, 0),
        lambda path: path.write_bytes(path.read_bytes() + b"more"),
        lambda path: (path.unlink(), path.write_bytes(b"FCS3.1" + bytes(1000))),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: path.unlink(),
    ],
    ids=["cut", "emptied", "grown", "replaced", "a-folder", "gone"],
)
def test_changed_before_its_events_are_read(large_tube, change):
    """Events, scale values and hash of another file than the one that was opened are never given out."""
    path, sample = large_tube
    assert sample.n_events == 1_500_000
    change(path)
    for look in (lambda: sample.events, lambda: sample.columns(["FITC-A"]), lambda: sample.sha256):
        with pytest.raises(FcsError) as caught:
            look()
        check_refusal(caught.value, path)


def test_changed_behind_a_small_tube(file_of, tmp_path):
    """Events that were read stay what they were; a hash of other bytes is refused."""
    path = tmp_path / "tube.fcs"
    (case,) = [case for case in CASES if case.name == "version_3.1"]
    path.write_bytes(case.make())
    sample = read_fcs(path)
    path.write_bytes(case.make().replace(b"FITC", b"APCX") + b" ")
    assert differences(sample, case.truth) == []
    with pytest.raises(FcsError):
        _ = sample.sha256


def test_growing_copy_is_refused_or_right(tmp_path):
    """A tube read at every length while it is copied: refused until nothing of its events is missing."""
    (case,) = [case for case in CASES if case.name == "integers_mixed_widths_big"]
    raw, path = case.make(), tmp_path / "tube.fcs"
    loaded = 0
    for size in range(len(raw) + 1):
        path.write_bytes(raw[:size])
        try:
            sample = read_fcs(path)
        except FcsError as error:
            check_refusal(error, path)
            assert size < len(raw)
        else:
            assert differences(sample, case.truth) == []
            loaded += 1
    assert 1 <= loaded <= 9  # the checksum's eight bytes may be missing


def test_written_corpus_can_be_read_without_this_package(tmp_path):
    """`torture_write.py` stores bytes and truth beside each other."""
    n, skipped = write_corpus(tmp_path / "corpus")
    assert n + len(skipped) == len(CASES)
    truth = json.loads((tmp_path / "corpus" / "nan_bits_big.json").read_text())
    assert truth["rows"][0] == ["0x7fc00000", 1.0]
    assert (tmp_path / "corpus" / truth["path"]).read_bytes().startswith(b"FCS3.1")
    refused = json.loads((tmp_path / "corpus" / "tot_4_of_3.json").read_text())
    assert (refused["outcome"], refused["numbers"]) == ("refused", [[4, 32], [24, 3]])
