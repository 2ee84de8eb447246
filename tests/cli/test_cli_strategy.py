"""``nti7flow gate --strategy``: what is printed, what is refused, and exit codes."""

import pytest
from command_line import spawn
from gate_files import GATING_ML, POPULATIONS, counts_by_hand, write_gating_ml, write_workspace
from study_tubes import DAY00, DAY21, TUBES, files_of, read_table, write_tube


@pytest.fixture
def workspace(tmp_path):
    samples = {tube.name: counts_by_hand(tube) for tube in (DAY00, DAY21)}
    return write_workspace(tmp_path / "study.wsp", samples, group=(DAY00.name,))


def table_of(text):
    """Cells of the printed table, a list per line."""
    return [[cell.rstrip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if line.startswith("│")]


def test_a_line_for_every_population_as_a_tree(nti7flow, tmp_path):
    gates = write_gating_ml(tmp_path / "gates.xml")
    outcome = nti7flow("gate", DAY00, DAY21, "--strategy", gates, "--out", tmp_path / "run")
    assert (outcome.code, outcome.err) == (0, "")
    lines = table_of(outcome.out)
    counts = {(row["sample"], row["population"]): row for row in read_table(tmp_path / "run" / "counts.csv")}
    assert len(lines) == 2 * (len(POPULATIONS) + 1)
    assert [cell.strip() for cell in lines[0]] == [DAY00.stem, "all events", "11,500", "", ""]
    depths = [len(line[1]) - len(line[1].lstrip()) for line in lines[: len(POPULATIONS) + 1]]
    assert depths == [1, 3, 5, 7, 9, 9, 7, 7, 7]
    for line in lines[1 : len(POPULATIONS) + 1]:
        row = counts[DAY00.stem, line[1].strip()]
        assert [cell.strip() for cell in line] == [
            "",
            row["population"],
            f"{int(row['n_events']):,}",
            f"{float(row['percent_parent']):.1f} %",
            "",
        ]
    for path in ("counts.csv", "figures"):
        assert str(tmp_path / "run" / path) in outcome.out
    assert "FlowJo" not in outcome.out
    assert nti7flow("replay", tmp_path / "run").code == 0


def test_counts_of_flowjo_stand_beside_ours(nti7flow, tmp_path, workspace):
    outcome = nti7flow("gate", TUBES, "--strategy", workspace, "--out", tmp_path / "run", "--figures", "none")
    assert outcome.code == 0
    wanted = counts_by_hand(DAY00)
    lines = [[cell.strip() for cell in line] for line in table_of(outcome.out)]
    cells = f"{wanted['cells']:,}"
    assert lines[:3] == [
        [DAY00.stem, "all events", "11,500", "", "11,500", "0", ""],
        ["", "Lymphocytes", cells, f"{100 * wanted['cells'] / 11500:.1f} %", cells, "0", ""],
        [
            *("", "T cells", f"{wanted['t_cells']:,}", f"{100 * wanted['t_cells'] / wanted['cells']:.1f} %"),
            *(f"{wanted['t_cells']:,}", "0", ""),
        ],
    ]
    assert (tmp_path / "run" / "steps" / "01-gate" / "stored_counts.csv").is_file()


def test_count_beyond_the_limit_is_said_and_ends_with_3(nti7flow, tmp_path):
    samples = {DAY00.name: counts_by_hand(DAY00) | {"t_cells": 500, "total": 12000}, "elsewhere.fcs": {}}
    workspace = write_workspace(tmp_path / "study.wsp", samples)
    outcome = nti7flow("gate", DAY00, "--strategy", workspace, "--out", tmp_path / "run")
    assert outcome.code == 3
    lines = [[cell.strip() for cell in line] for line in table_of(outcome.out)]
    difference = counts_by_hand(DAY00)["t_cells"] - 500
    assert lines[0][4:] == ["12,000", "-500", "stored_total_differs -500"]
    assert lines[1] == ["", "", "", "", "", "", "stored_count_differs 1"]
    assert lines[3][4:] == ["500", f"+{difference}", "stored_count_differs"]
    assert "In study.wsp, but none of the files: elsewhere.fcs." in outcome.out


def test_samples_of_the_workspace_without_a_file_are_told_and_no_error(nti7flow, tmp_path):
    names = {f"tube_{i:02d}.fcs": {} for i in range(14)}
    workspace = write_workspace(tmp_path / "study.wsp", {DAY00.name: counts_by_hand(DAY00), **names})
    outcome = nti7flow("gate", DAY00, "--strategy", workspace, "--out", tmp_path / "run", "--figures", "none")
    assert outcome.code == 0
    assert "none of the files: tube_00.fcs, tube_01.fcs, " in outcome.out
    assert "tube_09.fcs and 4 more." in outcome.out


def test_of_many_populations_those_that_want_a_look_are_shown(nti7flow, tmp_path):
    samples = {}
    for i in range(60):
        write_tube(tmp_path / "tubes" / f"{i:02d}.fcs", rows=slice(i, 1000))
        samples[f"{i:02d}.fcs"] = counts_by_hand(tmp_path / "tubes" / f"{i:02d}.fcs")
    samples["07.fcs"]["cells"] += 40
    workspace = write_workspace(tmp_path / "study.wsp", samples)
    outcome = nti7flow(
        "gate", tmp_path / "tubes", "--strategy", workspace, "--out", tmp_path / "r", "--figures", "none"
    )
    assert outcome.code == 3
    lines = [[cell.strip() for cell in line] for line in table_of(outcome.out)]
    assert len(lines) == 61
    assert lines[8][1] == "Lymphocytes"
    assert lines[8][5:] == ["-40", "stored_count_differs"]
    assert "Of 120 populations those that want a look are shown; counts.csv has all of them." in outcome.out
    assert len(read_table(tmp_path / "r" / "counts.csv")) == 120


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--strategy", "gates.xml", "--template", "tbnk"), "both say how to gate; give one of them."),
        (("--strategy", "gates.xml", "--group", "Panel 1"), "gates.xml is no FlowJo workspace"),
        (("--strategy", "study.wsp", "--group", "panel 1"), "Did you mean 'Panel 1'?"),
        (("--strategy", "study.wsp", "--spillover", "none"), "--spillover none: would not be used"),
        (("--strategy", "gates.xml", "--marker", "CD8=APC-A"), "a strategy names channels, not markers"),
        (("--template", "tbnk", "--group", "Panel 1"), "groups are of a FlowJo workspace"),
        (("--strategy", "nowhere.xml"), "nowhere.xml: "),
        (("--strategy", "notes.txt"), "notes.txt: "),
    ],
)
def test_user_errors_are_one_line_and_leave_nothing(nti7flow, tmp_path, workspace, monkeypatch, options, message):
    write_gating_ml(tmp_path / "gates.xml")
    (tmp_path / "notes.txt").write_text("Dear lab, please find attached the gates.\n")
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    assert message in nti7flow("gate", DAY00, *options, "--out", "run").error()
    assert set(tmp_path.iterdir()) == before


def test_all_problems_of_a_file_of_gates_are_in_one_listing(nti7flow, tmp_path):
    text = GATING_ML.replace('gating:min="0.55"', 'gating:min="NaN"').replace('"height"/>', '"depth"/>')
    outcome = nti7flow(
        "gate", DAY00, "--strategy", write_gating_ml(tmp_path / "g.xml", text), "--out", tmp_path / "run"
    )
    assert (outcome.code, outcome.out) == (1, "")
    lines = outcome.err.splitlines()
    assert len(lines) == 2
    assert all("g.xml: line " in line for line in lines)
    assert not (tmp_path / "run").exists()


def test_tube_that_is_no_sample_is_refused_and_the_others_are_gated(nti7flow, tmp_path, workspace):
    write_tube(tmp_path / "renamed.fcs", source=DAY21)
    outcome = nti7flow("gate", DAY00, tmp_path / "renamed.fcs", "--strategy", workspace, "--out", tmp_path / "run")
    assert outcome.code == 3
    assert "refused renamed: study.wsp: no sample is renamed.fcs; it has " in outcome.out
    outcome = nti7flow("gate", tmp_path / "renamed.fcs", "--strategy", workspace, "--out", tmp_path / "none")
    assert "no sample is renamed.fcs" in outcome.error()


def test_processes_folders_and_locales_change_no_byte(tmp_path, workspace):
    one = spawn("gate", TUBES, "--strategy", workspace, "--out", tmp_path / "one", cwd="/", LC_ALL="C", TZ="UTC")
    two = spawn(
        *("gate", TUBES, "--strategy", "study.wsp", "--out", "two", "--jobs", "2"),
        **dict(cwd=tmp_path, LC_ALL="C.UTF-8", TZ="Pacific/Auckland", PYTHONHASHSEED="2"),
    )
    assert one.code == two.code == 0
    assert one.err == two.err == ""
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    text = "".join(path.read_text() for path in (tmp_path / "one").rglob("*.json"))
    assert str(workspace) not in text


def test_help_says_what_a_strategy_is(nti7flow):
    outcome = nti7flow("gate", "--help")
    assert outcome.code == 0
    for words in ("--strategy", "--group", "Gating-ML", "--strategy gates.xml", 'workspace.wsp --group "Panel 1"'):
        assert words in outcome.out
