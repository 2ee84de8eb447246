"""``nf.export_population``: the cells of a gate leave as they were acquired, and nothing leaves that is not known."""

import hashlib
import shutil
import struct

import flowio
import numpy as np
import pytest
from study_tubes import DAY21, everything, write_tube

import nti7flow as nf
from nti7flow.study.gate import gate_study
from nti7flow.study.plan import make_plan

#: CD25 is in no sample tube: the population is left out, and that is no fault.
OPTIONAL = """\
schema: nti7flow/template/1
name: optional
version: 1.0.0
title: One population that the panel may lack
populations:
  - id: lymphocytes
    label: Lymphocytes
    gate: {rectangle: {CD45: [5000, null], SSC: [null, 60000]}}
  - id: activated
    label: Activated
    parent: lymphocytes
    optional: true
    gate: {range: {CD25: [1000, null]}}
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory, plain):
    """A folder with two tubes and the run made of them."""
    folder = tmp_path_factory.mktemp("archive")
    write_tube(folder / "tubes" / "a.fcs", keywords={"$FIL": "a|b.fcs", "PATIENT NAME": " Doe "})
    write_tube(folder / "tubes" / "b.FCS", source=DAY21)
    gate_study(make_plan([folder / "tubes"], template=plain), folder / "run", figures="none")
    return folder


def test_exported_events_are_those_of_the_gate(archive, tmp_path):
    run = nf.open_run(archive / "run")
    seen = []
    report = nf.export_population(run, "cd8_t", tmp_path / "new" / "out", done=seen.append)
    assert report.refused == {}
    assert seen == [exported.sample for exported in report.exported] == ["a", "b"]
    counts = run.counts[run.counts.population == "cd8_t"].set_index("sample")
    for exported, name in zip(report.exported, ("a.fcs", "b.FCS"), strict=True):
        sample = exported.sample
        assert exported.path == tmp_path / "new" / "out" / f"{sample}_cd8_t.fcs"
        source, back = nf.read_fcs(archive / "tubes" / name), nf.read_fcs(exported.path, repair="none")
        mask = run.membership(sample, "cd8_t")
        assert 50 < mask.sum() == exported.n_events == back.n_events == counts.n_events[sample]
        assert back.events.tobytes() == source.events[mask].tobytes()
        flow = flowio.FlowData(exported.path)
        assert np.array_equal(flow.as_array(preprocess=False), source.events[mask])
        ours = {key: value for key, value in back.keywords.items() if key.startswith("NTI7FLOW ")}
        assert ours == {
            "NTI7FLOW POPULATION": "cd8_t",
            "NTI7FLOW PATH": "/lymphocytes/t_cells/cd8_t",
            "NTI7FLOW TEMPLATE": "plain@1.0.0",
            "NTI7FLOW STATUS": "ok",
            "NTI7FLOW SAMPLE": sample,
            "NTI7FLOW SOURCE SHA256": hashlib.sha256((archive / "tubes" / name).read_bytes()).hexdigest(),
            "NTI7FLOW SOURCE DATA SET": "0",
            "NTI7FLOW SOURCE EVENTS": str(source.n_events),
        }
        data = {"$TOT", "$BEGINDATA", "$ENDDATA"}
        assert {k: v for k, v in back.keywords.items() if k not in data | ours.keys()} == {
            k: v for k, v in source.keywords.items() if k not in data
        }


def test_what_is_to_be_known_about_the_count_travels_with_the_events(plain, tmp_path):
    """Two tubes of the same bytes: that is flagged, and wants a look."""
    for name in ("a", "b"):
        write_tube(tmp_path / "tubes" / f"{name}.fcs")
    gate_study(make_plan([tmp_path / "tubes"], template=plain), tmp_path / "run", figures="none")
    run = nf.open_run(tmp_path / "run")
    report = nf.export_population(run, "t_cells", tmp_path / "out")
    counts = run.counts[run.counts.population == "t_cells"].set_index("sample")
    for exported in report.exported:
        keywords = nf.read_fcs(exported.path).keywords
        assert keywords["NTI7FLOW FLAGS"] == counts["flags"][exported.sample] != ""
        assert keywords["NTI7FLOW SEVERITY"] == counts["severity"][exported.sample] == "review"


def test_exported_tube_can_be_gated_again(archive, plain, tmp_path):
    run = nf.open_run(archive / "run")
    (exported,) = nf.export_population(run, "t_cells", tmp_path, samples=["a"]).exported
    again = nf.gate(exported.path, plain)
    assert {count.n_events for count in again.counts if count.population != "cd8_t"} == {exported.n_events}
    counts = run.counts.set_index(["sample", "population"]).n_events
    assert next(c.n_events for c in again.counts if c.population == "cd8_t") == counts["a", "cd8_t"]


def test_no_cells_is_a_file_and_no_gate_is_none(tmp_path):
    (tmp_path / "optional.yaml").write_text(OPTIONAL)
    write_tube(tmp_path / "tubes" / "without.fcs")
    write_tube(tmp_path / "tubes" / "with.fcs", extra={"BV421-A": "CD25"})
    write_tube(tmp_path / "tubes" / "debris.fcs", extra={"BV421-A": "CD25"}, rows=slice(0))
    (tmp_path / "tubes" / "broken.fcs").write_bytes(b"FCS3.1 and no more")
    gate_study(make_plan([tmp_path / "tubes"], template=tmp_path / "optional.yaml"), tmp_path / "run", figures="none")
    run = nf.open_run(tmp_path / "run")
    report = nf.export_population(run, "activated", tmp_path / "out")
    exported = {one.sample: one.n_events for one in report.exported}
    counts = run.counts[run.counts.population == "activated"].set_index("sample").n_events
    assert exported == {name: counts[name] for name in exported}
    assert exported["with"] > 0
    assert "without" not in exported
    assert "activated has no gate here, so its events are not known: status not_in_panel" in report.refused["without"]
    assert "was refused when the run was made: " in report.refused["broken"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"{name}_activated.fcs" for name in exported}


def test_existing_files_are_kept_and_the_others_come_out(archive, tmp_path):
    run = nf.open_run(archive / "run")
    (tmp_path / "a_t_cells.fcs").write_text("mine")
    report = nf.export_population(run, "t_cells", tmp_path)
    assert [one.sample for one in report.exported] == ["b"]
    assert report.refused == {
        "a": f"{tmp_path / 'a_t_cells.fcs'}: exists already and is not replaced; remove it or choose another --out."
    }
    assert (tmp_path / "a_t_cells.fcs").read_text() == "mine"
    assert list(nf.export_population(run, "t_cells", tmp_path).refused) == ["a", "b"]
    (tmp_path / "b_cd8_t.fcs").symlink_to(tmp_path / "nowhere")
    assert list(nf.export_population(run, "cd8_t", tmp_path).refused) == ["b"]


def test_source_is_known_by_its_content(archive, tmp_path):
    shutil.copytree(archive, tmp_path / "moved")
    run = nf.open_run(tmp_path / "moved" / "run")
    (tmp_path / "vault").mkdir()
    (tmp_path / "moved" / "tubes" / "a.fcs").rename(tmp_path / "vault" / "x.fcs")
    with (tmp_path / "moved" / "tubes" / "b.FCS").open("r+b") as stream:
        stream.seek(-40, 2)
        stream.write(b"!")
    lost = nf.export_population(run, "cd8_t", tmp_path / "out")
    assert lost.exported == ()
    assert all("no file with SHA-256" in why for why in lost.refused.values())
    assert not (tmp_path / "out").exists()
    found = nf.export_population(run, "cd8_t", tmp_path / "out", data=tmp_path / "vault")
    assert [one.sample for one in found.exported] == ["a"]
    assert list(found.refused) == ["b"]


def test_run_that_was_altered_exports_nothing(archive, tmp_path):
    shutil.copytree(archive, tmp_path / "moved")
    memberships = tmp_path / "moved" / "run" / "steps" / "01-gate" / "memberships.parquet"
    memberships.write_bytes(memberships.read_bytes() + b" ")
    run = nf.open_run(tmp_path / "moved" / "run")
    report = nf.export_population(run, "cd8_t", tmp_path / "out")
    assert report.exported == ()
    assert all("was altered after the run" in why for why in report.refused.values())


@pytest.mark.parametrize(
    ("population", "options", "says"),
    [
        ("cd8_T", {}, r"no population 'cd8_T'; the run has lymphocytes, t_cells, cd8_t. Did you mean 'cd8_t'\?"),
        ("zebra", {}, r"no population 'zebra'; the run has lymphocytes, t_cells, cd8_t\.$"),
        ("cd8_t", {"samples": ["A"]}, r"no sample 'A'\. Did you mean 'a'\?"),
        ("cd8_t", {"data": "nowhere"}, "nowhere: no such folder"),
        ("cd8_t", {"out": "file"}, "file: is not a folder"),
    ],
)
def test_mistakes_are_said_before_anything_is_written(archive, tmp_path, monkeypatch, population, options, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(nf.Nti7flowError, match=says):
        nf.export_population(nf.open_run(archive / "run"), population, **{"out": tmp_path / "out"} | options)
    assert everything(tmp_path) == {"file"}


def large_integers(path):
    """A tube of two events with one channel of 64-bit integers, one of them odd and above 2^53."""
    data = struct.pack("<QQ", 7, 2**60 + 1)
    pairs = "$PAR|1|$TOT|2|$MODE|L|$DATATYPE|I|$BYTEORD|1,2,3,4,5,6,7,8|$NEXTDATA|0|$P1N|FSC-A|$P1B|64|$P1E|0,0|"
    text = f"|{pairs}$P1R|{2**62}|$BEGINDATA|512|$ENDDATA|527|$BEGINSTEXT|0|$ENDSTEXT|0|".encode()
    offsets = "".join(f"{offset:>8}" for offset in (58, 57 + len(text), 512, 527, 0, 0))
    path.write_bytes((b"FCS3.1    " + offsets.encode() + text).ljust(512) + data)


def test_integers_too_large_are_a_reason_and_no_crash(tmp_path):
    (tmp_path / "scatter.yaml").write_text(
        "schema: nti7flow/template/1\nname: scatter\nversion: 1.0.0\ntitle: Scatter alone\npopulations:\n"
        "  - {id: large, label: Large, gate: {range: {FSC: [300, null]}}}\n"
    )
    write_tube(tmp_path / "tubes" / "a.fcs")
    large_integers(tmp_path / "tubes" / "b.fcs")
    plan = make_plan([tmp_path / "tubes"], template=tmp_path / "scatter.yaml", spillover="none")
    gate_study(plan, tmp_path / "run", figures="none")
    report = nf.export_population(nf.open_run(tmp_path / "run"), "large", tmp_path / "out")
    assert [one.sample for one in report.exported] == ["a"]
    assert "channel FSC-A holds 1,152,921,504,606,846,977" in report.refused["b"]
    assert everything(tmp_path / "out") == {"a_large.fcs"}
