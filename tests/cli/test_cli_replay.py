"""``nti7flow replay``: what an auditor does with a run."""

import hashlib
import json
import shutil

import pytest
from study_tubes import DAY00, DAY21, everything, files_of, write_tube


@pytest.fixture(scope="module")
def archive(tmp_path_factory, plain):
    """A folder with tubes and the run made of them."""
    from nti7flow.study.gate import gate_study
    from nti7flow.study.plan import make_plan

    folder = tmp_path_factory.mktemp("archive")
    write_tube(folder / "tubes" / "a.fcs")
    write_tube(folder / "tubes" / "b.FCS", source=DAY21)
    gate_study(make_plan([folder / "tubes"], template=plain), folder / "run", figures="none")
    return folder


@pytest.fixture
def moved(archive, tmp_path):
    """A copy of it: tubes and run, side by side as before."""
    shutil.copytree(archive, tmp_path / "moved")
    return tmp_path / "moved"


def test_sample_study_is_reproduced_byte_for_byte(nti7flow, sample_runs, tmp_path):
    for folder, _ in sample_runs.values():
        outcome = nti7flow("replay", folder, "--out", tmp_path / "replayed.csv")
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.out == "reproduced: 32 counts of 2 samples, byte for byte\n"
        assert (tmp_path / "replayed.csv").read_bytes() == (folder / "counts.csv").read_bytes()


def test_replay_writes_nothing_into_the_run(nti7flow, moved):
    before = files_of(moved)
    assert nti7flow("replay", moved / "run").code == 0
    assert files_of(moved) == before


def test_a_study_moves_together_with_its_run(nti7flow, moved, monkeypatch):
    monkeypatch.chdir(moved / "run")
    assert nti7flow("replay", ".").out == "reproduced: 6 counts of 2 samples, byte for byte\n"


def test_files_that_moved_and_were_renamed_are_found_by_their_content(nti7flow, moved, tmp_path):
    vault = tmp_path / "vault" / "2026"
    vault.mkdir(parents=True)
    (moved / "tubes" / "a.fcs").rename(vault / "SUBJ-001.FCS")
    (moved / "tubes" / "b.FCS").rename(vault / "b.FCS")
    write_tube(vault / "a.fcs", rows=slice(100))  # the name of one, the content of neither
    (vault / "0.fcs").write_text("not a tube at all")
    (vault / "unreadable.fcs").mkdir()
    gone = nti7flow("replay", moved / "run")
    assert gone.code == 3
    assert gone.out == "NOT reproduced: 0 counts differ, 2 samples could not be checked\n"
    assert [line.split(":")[0] for line in gone.err.splitlines()] == ["a", "b"]
    assert "say where it is with --data FOLDER" in gone.err
    found = nti7flow("replay", moved / "run", "--data", tmp_path / "vault")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith("reproduced: 6 counts of 2 samples")


def test_broken_file_at_the_old_place_does_not_hide_the_good_one(nti7flow, moved, archive):
    (moved / "tubes" / "a.fcs").write_text("overwritten")
    assert nti7flow("replay", moved / "run", "--data", archive / "tubes").code == 0


def test_of_files_with_one_name_the_one_with_the_recorded_bytes_is_taken(nti7flow, moved, tmp_path):
    vault = tmp_path / "vault"
    for year in ("2024", "2025", "2026"):
        write_tube(vault / year / "a.fcs", rows=slice(100))
    (moved / "tubes" / "b.FCS").rename(vault / "b.FCS")
    right = (moved / "tubes" / "a.fcs").rename(tmp_path / "right.fcs")
    refused = nti7flow("replay", moved / "run", "--data", vault)
    assert refused.code == 3
    assert refused.out == "NOT reproduced: 0 counts differ, 1 samples could not be checked\n"
    assert refused.err.startswith("a: no file with SHA-256 ")
    assert f"a.fcs or below {vault}; " in refused.err
    for year in ("2024", "2025", "2026"):  # first, between and last
        wrong = (vault / year / "a.fcs").read_bytes()
        shutil.copy(right, vault / year / "a.fcs")
        found = nti7flow("replay", moved / "run", "--data", vault)
        assert (found.code, found.err) == (0, ""), year
        (vault / year / "a.fcs").write_bytes(wrong)


@pytest.mark.parametrize("offset", [10, 3000, -40])
def test_file_changed_by_one_byte_is_not_reproduced(nti7flow, moved, tmp_path, offset):
    content = bytearray((moved / "tubes" / "a.fcs").read_bytes())
    content[offset] ^= 1
    (moved / "tubes" / "a.fcs").write_bytes(content)
    outcome = nti7flow("replay", moved / "run", "--out", tmp_path / "replayed.csv")
    assert outcome.code == 3
    digest = hashlib.sha256(write_tube(tmp_path / "again.fcs").read_bytes()).hexdigest()
    assert outcome.err.startswith(f"a: no file with SHA-256 {digest[:12]}…")
    assert len(outcome.err.splitlines()) == 1
    assert outcome.out == "NOT reproduced: 0 counts differ, 1 samples could not be checked\n"
    # What was not reproduced is not in the table of what was.
    stored = (moved / "run" / "counts.csv").read_text().splitlines()
    assert (tmp_path / "replayed.csv").read_text().splitlines() == [stored[0], *stored[4:]]


STEP = "steps/01-gate"


@pytest.mark.parametrize(
    "name",
    [
        f"{STEP}/strategies/a.json",
        f"{STEP}/step.json",
        f"{STEP}/counts.csv",
        f"{STEP}/counts.parquet",
        f"{STEP}/memberships.parquet",
        f"{STEP}/histograms.parquet",
        f"{STEP}/gate_fits.csv",
        f"{STEP}/quality.parquet",
        "counts.csv",
    ],
)
def test_file_of_the_run_that_was_altered_or_lost_is_named(nti7flow, moved, name):
    path = moved / "run" / name
    content = path.read_bytes()
    path.write_bytes(content.replace(b"0", b"9", 1) if b"0" in content else content + b" ")
    assert f"{path}: " in nti7flow("replay", moved / "run").error()
    assert "was altered after the run" in nti7flow("replay", moved / "run").error()
    path.unlink()
    if name == "counts.csv":  # a copy for people; the table itself is in the step
        assert nti7flow("replay", moved / "run").code == 0
    else:
        assert f"{path}: is missing or was altered after the run" in nti7flow("replay", moved / "run").error()


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (b"", "run.json: cannot be read"),
        (b"\xff\xfe", "run.json: cannot be read"),
        (b"[]", "run.json: schema None"),
        (b'{"schema": "nti7flow/run/9", "steps": []}', "run.json: schema 'nti7flow/run/9'; this version reads"),
        (b'{"schema": "nti7flow/run/1"}', "run.json: was altered after the run"),
        (b'{"schema": "nti7flow/run/1", "steps": {}}', "run.json: was altered after the run"),
        (b'{"schema": "nti7flow/run/1", "steps": [{"name": "01-gate"}]}', "run.json: was altered after the run"),
        (
            b'{"schema": "nti7flow/run/1", "steps": [{"name": "../../01-gate", "sha256": ""}]}',
            "run.json: was altered after the run",
        ),
        (b'{"schema": "nti7flow/run/1", "steps": []}', "holds no 'gate' step"),
    ],
)
def test_damaged_index(nti7flow, moved, plain, index, message):
    (moved / "run" / "run.json").write_bytes(index)
    assert message in nti7flow("replay", moved / "run").error()
    before = everything(moved)
    outcome = nti7flow("gate", moved / "tubes", "-t", plain, "-o", moved / "run", "--figures", "none")
    if "holds no" in message:  # an index that lost its entries: the step without one is put aside, not overwritten
        assert outcome.code == 0
        assert len(list((moved / "run" / "steps").glob(".01-gate.*.tmp/step.json"))) == 1
    else:
        assert message in outcome.error()
        assert everything(moved) == before


def test_a_step_taken_out_of_the_history_is_noticed(nti7flow, moved, plain):
    run = moved / "run"
    assert nti7flow("gate", moved / "tubes" / "a.fcs", "-t", plain, "-o", run, "--figures", "none").code == 0
    assert nti7flow("replay", run).out.startswith("reproduced: 3 counts of 1 samples")
    index = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(index | {"steps": index["steps"][1:]}))
    assert "the step before 02-gate is not the one it was made after" in nti7flow("replay", run).error()


def test_gates_altered_along_with_every_hash_give_other_counts(nti7flow, moved):
    """The hashes are no signature: who rewrites them all is caught by the counts."""
    run, step = moved / "run", moved / "run" / STEP
    strategy = json.loads((step / "strategies" / "a.json").read_text())
    gate = strategy["populations"][1]["gate"]
    gate["lower"] = [value + 0.1 for value in gate["lower"]]
    (step / "strategies" / "a.json").write_text(json.dumps(strategy))
    record = json.loads((step / "step.json").read_text())
    record["files"]["strategies/a.json"] = hashlib.sha256((step / "strategies" / "a.json").read_bytes()).hexdigest()
    (step / "step.json").write_text(json.dumps(record))
    index = json.loads((run / "run.json").read_text())
    index["steps"][0]["sha256"] = hashlib.sha256((step / "step.json").read_bytes()).hexdigest()
    (run / "run.json").write_text(json.dumps(index))
    outcome = nti7flow("replay", run)
    assert outcome.code == 3
    assert outcome.out == "NOT reproduced: 2 counts differ, 0 samples could not be checked\n"
    assert [line.split(":")[0] for line in outcome.err.splitlines()] == ["a, t_cells", "a, cd8_t"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{tubes}"], "is not a run folder (no run.json)"),
        (["nowhere"], "nowhere: is not a run folder (no run.json). nti7flow gate writes one with --out"),
        (["{run}", "--data", "nowhere"], "nowhere: no such folder; --data names the folder"),
        (["{run}", "--data", "{run}/run.json"], "no such folder"),
        (["{run}", "--out", "nowhere/replayed.csv"], "nowhere/replayed.csv: cannot be written: No such file"),
        (["{run}", "--out", "{tubes}"], "cannot be written: Is a directory"),
    ],
)
def test_replay_of_what_is_not_there(nti7flow, archive, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    names = {"run": archive / "run", "tubes": archive / "tubes"}
    assert message in nti7flow("replay", *(text.format(**names) for text in arguments)).error()
    assert everything(tmp_path) == set()


def test_data_set_and_spelling_of_the_sample_tube_are_kept(archive):
    steps = json.loads((archive / "run" / STEP / "step.json").read_text())
    assert steps["inputs"] == [
        {"sample": "a", "path": "../tubes/a.fcs", "data_set": 0},
        {"sample": "b", "path": "../tubes/b.FCS", "data_set": 0},
    ]
    strategy = json.loads((archive / "run" / STEP / "strategies" / "a.json").read_text())
    tube = (archive / "tubes" / "a.fcs").read_bytes()
    assert strategy["sha256"] == hashlib.sha256(tube).hexdigest() != hashlib.sha256(DAY00.read_bytes()).hexdigest()
