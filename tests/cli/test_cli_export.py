"""``nti7flow export``: what a person sees who wants the cells of a gate in another program."""

import shutil

import flowio
import numpy as np
import pytest
from study_tubes import DAY21, everything, files_of, read_table, write_tube

import nti7flow as nf


@pytest.fixture(scope="module")
def archive(tmp_path_factory, plain):
    """A folder with three tubes, the last of them damaged, and the run made of them."""
    from nti7flow.study.gate import gate_study
    from nti7flow.study.plan import make_plan

    folder = tmp_path_factory.mktemp("archive")
    write_tube(folder / "tubes" / "a.fcs")
    write_tube(folder / "tubes" / "b.FCS", source=DAY21)
    (folder / "tubes" / "c.fcs").write_bytes(b"FCS3.1")
    gate_study(make_plan([folder / "tubes"], template=plain), folder / "run", figures="none")
    return folder


def test_every_sample_with_the_population_comes_out_and_the_others_say_why(nti7flow, archive, tmp_path):
    before = files_of(archive)
    outcome = nti7flow("export", archive / "run", "--population", "t_cells", "--format", "fcs", "--out", tmp_path / "o")
    assert outcome.code == 3
    (line,) = outcome.err.splitlines()
    assert line.startswith("c: was refused when the run was made: ")
    counts = {(r["sample"], r["population"]): int(r["n_events"]) for r in read_table(archive / "run" / "counts.csv")}
    assert outcome.out.splitlines() == [
        f"{tmp_path / 'o' / 'a_t_cells.fcs'}: {counts['a', 't_cells']:,} events",
        f"{tmp_path / 'o' / 'b_t_cells.fcs'}: {counts['b', 't_cells']:,} events",
        "exported t_cells of 2 samples, 1 refused",
    ]
    assert everything(tmp_path) == {"o", "o/a_t_cells.fcs", "o/b_t_cells.fcs"}
    assert files_of(archive) == before


def test_some_samples_beside_their_run(nti7flow, archive, tmp_path, monkeypatch):
    shutil.copytree(archive, tmp_path / "archive")
    monkeypatch.chdir(tmp_path / "archive")
    options = ("run", "-p", "cd8_t", "--sample", "b", "--sample", "a", "--sample", "b")
    outcome = nti7flow("export", *options)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.endswith("exported cd8_t of 2 samples, 0 refused\n")
    assert everything(tmp_path / "archive" / "run" / "exports") == {"a_cd8_t.fcs", "b_cd8_t.fcs"}
    again = nti7flow("export", *options)
    assert again.code == 3
    assert again.err.count("exists already and is not replaced; remove it or choose another --out.") == 2
    assert again.out == "exported cd8_t of 0 samples, 2 refused\n"
    assert nti7flow("replay", "run").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{tubes}", "-p", "cd8_t"], "is not a run folder (no run.json)"),
        (["{run}", "-p", "cd8"], "no population 'cd8'; the run has lymphocytes, t_cells, cd8_t. Did you mean 'cd8_t'?"),
        (["{run}", "-p", "cd8_t", "--sample", "d"], "no sample 'd'."),
        (["{run}", "-p", "cd8_t", "--data", "nowhere"], "nowhere: no such folder; --data names the folder"),
        (["{run}", "-p", "cd8_t", "--out", "{run}/run.json"], "run.json: is not a folder; --out names the folder"),
    ],
)
def test_mistakes_are_one_line(nti7flow, archive, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    names = {"run": archive / "run", "tubes": archive / "tubes"}
    assert message in nti7flow("export", *(text.format(**names) for text in arguments)).error()
    assert everything(tmp_path) == set()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--format fcs writes the events of one population: name it with --population"),
        (["--format", "fcs"], "name it with --population, such as cd4_t"),
        (["--format", "csv", "-p", "cd8_t"], "--population is for --format fcs; --format csv writes the gates of all"),
        (["--format", "gatingml", "--data", "x"], "--data is for --format fcs; --format gatingml needs no FCS file"),
        (["--format", "xml"], "'xml' is not one of 'fcs', 'gatingml', 'csv'"),
    ],
)
def test_commands_that_are_not_understood(nti7flow, archive, tmp_path, monkeypatch, arguments, says):
    monkeypatch.setenv("COLUMNS", "200")
    outcome = nti7flow("export", archive / "run", "--out", tmp_path / "out", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert says in outcome.err
    assert not (tmp_path / "out").exists()


def test_gates_of_every_sample_come_out_and_the_others_say_why(nti7flow, archive, tmp_path):
    before = files_of(archive)
    outcome = nti7flow("export", archive / "run", "--format", "gatingml", "--out", tmp_path / "o")
    assert outcome.code == 3
    (line,) = outcome.err.splitlines()
    assert line.startswith("c: was refused when the run was made: ")
    assert outcome.out.splitlines() == [
        f"{tmp_path / 'o' / 'a.gating-ml.xml'}: 3 populations",
        f"{tmp_path / 'o' / 'b.gating-ml.xml'}: 3 populations",
        "exported the gates of 2 samples, 1 refused",
    ]
    assert everything(tmp_path) == {"o", "o/a.gating-ml.xml", "o/b.gating-ml.xml"}
    assert files_of(archive) == before
    assert nti7flow("export", archive / "run", "--format", "gatingml", "--sample", "a", "--out", tmp_path).code == 0


def test_gates_that_came_out_go_in_again(nti7flow, archive, tmp_path):
    """Gating the tube by the exported gates gives the counts of the run."""
    assert nti7flow("export", archive / "run", "--format", "gatingml", "--sample", "a", "-o", tmp_path).code == 0
    gates = ("--strategy", tmp_path / "a.gating-ml.xml", "--figures", "none", "-o", tmp_path / "run")
    outcome = nti7flow("gate", archive / "tubes" / "a.fcs", *gates)
    assert outcome.code == 0, outcome.err
    before, after = (
        {(r["sample"], r["population"]): r["n_events"] for r in read_table(run / "counts.csv") if r["sample"] == "a"}
        for run in (archive / "run", tmp_path / "run")
    )
    assert before == after
    assert len(after) == 3


def test_thresholds_of_all_samples_are_one_table(nti7flow, archive, tmp_path):
    outcome = nti7flow("export", archive / "run", "--format", "csv", "--out", tmp_path / "o")
    assert outcome.code == 3
    assert outcome.err.startswith("c: was refused when the run was made: ")
    assert outcome.out.splitlines() == [
        f"{tmp_path / 'o' / 'thresholds.csv'}: 8 rows",
        "exported the thresholds of 2 samples, 1 refused",
    ]
    rows = read_table(tmp_path / "o" / "thresholds.csv")
    assert [r["lower_scale"][:6] for r in rows if r["dimension"] == "CD8"] == ["1000.0", "1000.0"]
    again = nti7flow("export", archive / "run", "--format", "csv", "--out", tmp_path / "o")
    assert "thresholds.csv: exists already and is not replaced" in again.error()


def test_folder_that_cannot_be_made_is_a_reason(nti7flow, archive, tmp_path):
    (tmp_path / "file").write_text("")
    outcome = nti7flow("export", archive / "run", "-p", "cd8_t", "--sample", "a", "--out", tmp_path / "file" / "out")
    assert outcome.code == 3
    assert outcome.err == f"a: {tmp_path / 'file' / 'out'}: cannot be written: Not a directory.\n"


def test_help_says_how(nti7flow):
    outcome = nti7flow("export", "--help")
    assert outcome.code == 0
    for command in ("--population cd4_t --format fcs", "--format gatingml --out for_flowkit", "--format csv"):
        assert f"nti7flow export runs/march {command}" in outcome.out


def test_cd4_cells_of_a_real_tube(nti7flow, shared_data, tmp_path):
    """The exported events are those of the tube that the gate holds; FlowIO reads the same."""
    tube = shared_data / "tbnk_auto" / "1.fcs"
    assert nti7flow("gate", tube, "-t", "tbnk", "-o", tmp_path / "run", "--figures", "none").code == 0
    outcome = nti7flow("export", tmp_path / "run", "--population", "cd4_t", "--format", "fcs", "-o", tmp_path / "out")
    assert (outcome.code, outcome.err) == (0, "")
    (path,) = (tmp_path / "out").iterdir()
    run = nf.open_run(tmp_path / "run")
    (name,) = run.samples
    counts = run.counts.set_index("population").n_events
    source, back = nf.read_fcs(tube), nf.read_fcs(path)
    mask = run.membership(name, "cd4_t")
    assert back.n_events == counts["cd4_t"] == mask.sum() > 1000
    assert np.array_equal(back.events, source.events[mask])
    flow = flowio.FlowData(path)
    assert flow.event_count == counts["cd4_t"]
    assert np.array_equal(flow.as_array(preprocess=False), source.events[mask])
    assert flow.text["nti7flow population"] == "cd4_t"
    assert flow.text["nti7flow source sha256"] == source.sha256
    markers = [(channel.detector, channel.marker) for channel in source.panel.channels]
    assert [(channel.detector, channel.marker) for channel in back.panel.channels] == markers
