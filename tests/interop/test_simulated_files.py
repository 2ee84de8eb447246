"""Simulated studies as others read them: the same events, by the letter of the standard, in order on arrival."""

import re
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest

import nti7flow as nf
from nti7flow.events.spillover import spillover_for
from nti7flow.simulation import plan_study, simulate_study, write_study

TOP = 262_143
TIME_STEP_S = 0.001
needs_flowcytometrytools = pytest.mark.skipif(
    find_spec("FlowCytometryTools") is None, reason="FlowCytometryTools is not installed (extra flowcytometrytools)"
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """One patient and the controls, on both panels: the folder and the plans of its tubes."""
    folder = tmp_path_factory.mktemp("simulated") / "study"
    plan = plan_study(subjects=1, events=1000, panel="both")
    assert {tube.panel for tube in plan.tubes} == {"tbnk", "tcell"}
    write_study(folder, plan)
    return folder, plan.tubes


@pytest.fixture(scope="module")
def tubes(study):
    """Every tube: its plan, and the sample as we read it."""
    folder, plans = study
    return [(plan, nf.read_fcs(folder / plan.file)) for plan in plans]


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    """A study in which tubes were spoilt: its folder, and the samples spoilt by kind of trouble."""
    folder = tmp_path_factory.mktemp("spoilt") / "study"
    made = simulate_study(folder, subjects=2, events=1000, panel="tbnk", awkward=True)
    return folder, {case.case: case for case in made.cases}


def detectors(sample):
    return [channel.detector for channel in sample.panel.channels]


def markers(sample):
    return [channel.marker for channel in sample.panel.channels]


def scale_values(sample):
    return sample.columns(detectors(sample))


# --- the same events --------------------------------------------------------------------------------------------------


def test_files_hold_the_events_that_were_simulated(tubes):
    first = {plan.panel: (plan, sample) for plan, sample in reversed(tubes)}
    for plan, sample in first.values():
        made = plan.simulate()
        # Whole numbers below 2**24: single precision holds every one of them.
        assert np.array_equal(sample.events, made.events), plan.sample
        assert detectors(sample) == list(made.detectors)
        assert markers(sample) == list(made.markers)


def test_truth_has_a_row_for_every_event(study, tubes):
    folder, _ = study
    for plan, sample in tubes:
        labels = pq.read_metadata(folder / "truth" / "labels" / f"{plan.sample}.parquet")
        assert labels.num_rows == sample.n_events, plan.sample


def test_flowio_reads_the_same(tubes):
    from flowio import FlowData

    for plan, sample in tubes:
        peer = FlowData(str(sample.path))
        assert peer.pnn_labels == detectors(sample)
        assert peer.pns_labels == markers(sample)
        assert (peer.text["timestep"], peer.event_count) == (f"{TIME_STEP_S}", sample.n_events)
        assert peer.text["spillover"] == sample.keywords["$SPILLOVER"]
        assert np.array_equal(peer.as_array(preprocess=False), sample.events), plan.sample
        assert np.array_equal(peer.as_array(preprocess=True), scale_values(sample)), plan.sample


def test_flowkit_reads_and_compensates_the_same(tubes):
    flowkit = pytest.importorskip("flowkit")
    for plan, sample in tubes:
        peer = flowkit.Sample(sample.path)
        assert (list(peer.pnn_labels), list(peer.pns_labels)) == (detectors(sample), markers(sample))
        assert np.array_equal(peer.get_events(source="raw"), scale_values(sample)), plan.sample
        assert detectors(sample)[peer.time_index] == "Time"
        stains = [sample.panel.channels[i].detector for i in peer.fluoro_indices]
        assert stains == list(plan.cytometer.detectors)
        peer.apply_compensation(peer.get_metadata()["spillover"])
        ours = sample.columns(stains) @ spillover_for(sample, "keyword").compensation
        theirs = peer.get_events(source="comp")[:, peer.fluoro_indices]
        assert np.allclose(theirs, ours, rtol=1e-9, atol=1e-6), plan.sample


@needs_flowcytometrytools
def test_fcsparser_and_flowcytometrytools_read_the_same(tubes):
    import fcsparser

    from nti7flow.interop.flowcytometrytools.conversion import load

    package = load()
    for plan, sample in tubes:
        meta, frame = fcsparser.parse(str(sample.path), channel_naming="$PnN")
        assert list(frame.columns) == detectors(sample)
        assert [meta.get(f"$P{n}S", "") for n in range(1, len(frame.columns) + 1)] == markers(sample)
        assert (meta["$SPILLOVER"], meta["$TIMESTEP"]) == (sample.keywords["$SPILLOVER"], f"{TIME_STEP_S}")
        assert np.array_equal(frame.to_numpy(), sample.events), plan.sample
        own = package.FCMeasurement(plan.sample, datafile=str(sample.path), readdata_kwargs={"channel_naming": "$PnN"})
        assert list(own.data.columns) == detectors(sample)
        assert np.array_equal(own.data.to_numpy(), sample.events), plan.sample
        given = nf.to_flowcytometrytools(sample)
        assert list(given.data.columns) == detectors(sample)
        assert np.array_equal(given.data.to_numpy(), scale_values(sample)), plan.sample


def test_what_is_compared_holds_negative_and_saturated_values(tubes):
    """Readers that clip, take a sign for a bit, or round would not agree on these."""
    lowest, saturated = Counter(), Counter()
    for plan, sample in tubes:
        for channel in sample.panel.channels:
            values = sample.events[:, channel.index]
            assert (values == np.rint(values)).all()
            lowest[plan.panel, channel.detector] = min(lowest[plan.panel, channel.detector], values.min())
            saturated[plan.panel] += int((values == TOP).sum())
            assert channel.role == "time" or values.max() <= TOP
    stains = {(plan.panel, detector) for plan, _ in tubes for detector in plan.cytometer.detectors}
    assert all(lowest[stain] < 0 for stain in stains), lowest
    assert min(saturated["tbnk"], saturated["tcell"]) > 0


# --- by the letter of FCS 3.1 -----------------------------------------------------------------------------------------


def pairs_of(text):
    """Keywords and values of a TEXT segment, by the letter of the standard: doubled delimiters belong to a value."""
    delimiter = text[:1]
    assert text.endswith(delimiter)
    words = [word.replace("\0", delimiter) for word in text[1:-1].replace(delimiter * 2, "\0").split(delimiter)]
    assert len(words) % 2 == 0
    keywords = words[::2]
    assert len({keyword.upper() for keyword in keywords}) == len(keywords)
    return dict(zip(keywords, words[1::2], strict=True))


def test_files_keep_to_the_letter_of_the_standard(tubes):
    for plan, sample in tubes:
        content = sample.path.read_bytes()
        assert content[:10] == b"FCS3.1    "
        begin, end, data, data_end, *analysis = (int(content[at : at + 8]) for at in range(10, 58, 8))
        assert analysis == [0, 0]
        text = pairs_of(content[begin : end + 1].decode("utf-8"))
        n, k = int(text["$TOT"]), int(text["$PAR"])
        assert (int(text["$BEGINDATA"]), int(text["$ENDDATA"])) == (data, data_end)
        assert data_end - data + 1 == n * k * 4
        assert end < data and data_end < len(content) <= data_end + 1 + 8  # nothing behind it but the CRC
        zeros = {"$BEGINANALYSIS", "$ENDANALYSIS", "$BEGINSTEXT", "$ENDSTEXT", "$NEXTDATA"}
        assert {text[keyword] for keyword in zeros} == {"0"}
        assert (text["$DATATYPE"], text["$MODE"], text["$BYTEORD"]) == ("F", "L", "1,2,3,4")
        for i in range(1, k + 1):
            of_channel = text[f"$P{i}B"], text[f"$P{i}E"], text[f"$P{i}R"], text.get(f"$P{i}G", "1")
            assert of_channel == ("32", "0,0", "262144", "1")
        names = [text[f"$P{i}N"] for i in range(1, k + 1)]
        assert len(set(names)) == k and not any("," in name for name in names)
        assert not any(keyword.startswith("$") and f"${keyword[1:].upper()}" != keyword for keyword in text)
        assert np.array_equal(np.frombuffer(content[data : data_end + 1], "<f4").reshape(n, k), sample.events)
        assert not sample.notes, plan.sample


def test_times_of_a_tube_agree_with_each_other(tubes):
    for plan, sample in tubes:
        keywords = sample.keywords
        assert re.fullmatch(r"\d\d-[A-Z]{3}-\d{4}", keywords["$DATE"])
        begun = datetime.strptime(f"{keywords['$DATE']} {keywords['$BTIM']}", "%d-%b-%Y %H:%M:%S")
        ended = datetime.strptime(f"{keywords['$DATE']} {keywords['$ETIM']}", "%d-%b-%Y %H:%M:%S")
        assert begun.replace(second=0) == plan.acquired_at.replace(tzinfo=None)
        assert plan.collected_at < plan.stained_at < plan.acquired_at
        seconds = sample.columns(["Time"])[:, 0]
        assert np.array_equal(seconds, sample.events[:, -1].astype(np.float64) * TIME_STEP_S)
        assert (np.diff(seconds) >= 0).all() and seconds[0] > 0
        # Whole seconds in the keywords.
        assert timedelta(seconds=-1) <= ended - begun - timedelta(seconds=float(seconds[-1])) <= timedelta(seconds=1)


def test_spillover_keyword_is_the_matrix_the_operator_set(tubes):
    for plan, sample in tubes:
        count, *rest = sample.keywords["$SPILLOVER"].split(",")
        names, values = rest[: int(count)], np.array(rest[int(count) :], np.float64).reshape(int(count), int(count))
        assert tuple(names) == plan.cytometer.detectors
        assert np.array_equal(values, plan.cytometer.keyword), plan.sample
        read = spillover_for(sample, "keyword")
        assert read.detectors == plan.cytometer.detectors
        assert np.array_equal(read.matrix, plan.cytometer.keyword), plan.sample
        assert 1 < read.condition_number < 3


# --- on arrival -------------------------------------------------------------------------------------------------------


def test_a_study_arrives_in_order(study):
    folder, plans = study
    delivery = nf.check_delivery(folder)
    assert {tube.status for tube in delivery.tubes} == {"ok"}
    assert len(delivery.tubes) == len(plans)
    found = [sorted(panel.tubes) for panel in delivery.panels]
    expected = [sorted(plan.file for plan in plans if plan.panel == panel) for panel in ("tbnk", "tcell")]
    assert sorted(found) == sorted(expected)
    assert not delivery.duplicates, delivery.duplicates


def test_one_instrument_acquires_one_tube_at_a_time(tubes):
    for panel in ("tbnk", "tcell"):
        mine = sorted((pair for pair in tubes if pair[0].panel == panel), key=lambda pair: pair[0].acquired_at)
        for (plan, sample), (following, _) in pairwise(mine):
            ended = plan.acquired_at + timedelta(seconds=float(sample.columns(["Time"])[-1, 0]))
            assert ended <= following.acquired_at, (plan.sample, following.sample)


def test_a_check_finds_what_is_wrong_with_a_file(spoilt):
    folder, cases = spoilt
    delivery = nf.check_delivery(folder)
    files = {name: f"tubes/{case.sample}.fcs" for name, case in cases.items()}
    assert list(delivery.refused) == [files["truncated_file"]]
    assert "FCS046" in next(tube.codes for tube in delivery.tubes if tube.refused)
    copies = {files["duplicated_file"], f"tubes/{cases['duplicated_file'].other}.fcs"}
    assert [set(found.tubes) for found in delivery.duplicates if found.kind == "copy"] == [copies]
    odd = [panel for panel in delivery.panels if files["mislabelled_marker"] in panel.tubes]
    assert [panel.tubes for panel in odd] == [(files["mislabelled_marker"],)]
    assert "PE-Cy7-A is CD8, not CD4" in odd[0].difference


def test_a_truncated_tube_still_gives_what_it_holds(spoilt):
    folder, cases = spoilt
    path = folder / "tubes" / f"{cases['truncated_file'].sample}.fcs"
    with pytest.raises(nf.Nti7flowError, match="truncated"):
        nf.read_fcs(path)
    sample = nf.read_fcs(path, repair="salvage")
    labels = pq.read_metadata(folder / "truth" / "labels" / f"{cases['truncated_file'].sample}.parquet")
    assert 0 < sample.n_events < labels.num_rows


def test_inspect_prints_a_tcell_tube(study):
    folder, plans = study
    plan = next(plan for plan in plans if plan.panel == "tcell" and plan.role == "patient")
    command = [sys.executable, "-W", "error", "-m", "nti7flow", "inspect", str(folder / plan.file)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert (done.returncode, done.stderr) == (3, "")  # no template for this panel yet: the TBNK one does not fit
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{plan.sample}.fcs: FCS3.1, 1,000 events, SHA-256 ")
    assert lines[1].startswith("cytometer LSRFortessa; date ")
    rows = [[cell.strip() for cell in line.split("│")[2:6]] for line in lines if line.startswith("│")]
    assert [row[0] for row in rows if row[3] == "fluorescence"] == list(plan.cytometer.detectors)
    assert [row[1] for row in rows if row[3] == "fluorescence"] == list(plan.cytometer.labels)
    assert Counter(row[3] for row in rows) == {"scatter": 4, "fluorescence": 14, "time": 1}
    assert "(well conditioned)" in done.stdout
    assert "no channel carries CD45" in done.stdout and "review" not in done.stdout
