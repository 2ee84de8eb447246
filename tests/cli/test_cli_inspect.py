"""``nti7flow inspect``, ``templates``, help and version."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import spawn
from small_fcs import fcs
from study_tubes import DAY00, ROOT, TUBES, everything, spillover_keyword, write_refused, write_tube

import nti7flow as nf
from nti7flow.cli.main import app

SCRIPT = Path(sys.executable).with_name("nti7flow")


def cells(out):
    """The table of channels: detector to the cells beside it."""
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if line.startswith("│")]
    return {row[1]: dict(zip(("marker", "fluorochrome", "role", "range", "gain", "compensated"), row[2:], strict=True))
            for row in rows}  # fmt: skip


def test_tube_in_order(nti7flow, tmp_path):
    before = everything(TUBES)
    outcome = nti7flow("inspect", DAY00)
    assert (outcome.code, outcome.err) == (0, "")
    sample = nf.read_fcs(DAY00)
    first, second = outcome.out.splitlines()[:2]
    assert first == f"SIM-001_day00_tbnk.fcs: FCS3.1, 11,500 events, SHA-256 {sample.sha256}"
    assert second == "cytometer FACSCantoII; date 16-FEB-2026; begin 10:15:00; end 10:15:17"
    channels = cells(outcome.out)
    assert list(channels) == [channel.detector for channel in sample.panel.channels]
    assert {name: row["role"] for name, row in channels.items()} == {
        **dict.fromkeys(("FSC-A", "FSC-H", "SSC-A"), "scatter"),
        **dict.fromkeys(("FITC-A", "PE-A", "PerCP-Cy5-5-A", "PE-Cy7-A", "APC-A", "APC-Cy7-A"), "fluorescence"),
        "Time": "time",
    }
    assert channels["PE-A"] == {
        **{"marker": "CD16+56", "fluorochrome": "PE", "role": "fluorescence"},
        **{"range": "262144", "gain": "", "compensated": ""},
    }
    assert "Spillover keyword: 6 detectors (FITC-A, PE-A, PerCP-Cy5-5-A, PE-Cy7-A, APC-A, APC-Cy7-A)" in outcome.out
    assert "condition number 1.29 (well conditioned)" in outcome.out
    assert outcome.out.endswith("Nothing blocks gating with tbnk and --spillover keyword.\n")
    assert everything(TUBES) == before


@pytest.mark.parametrize("kind", ["missing", "ambiguous", "uncompensated", "singular", "empty"])
def test_what_gating_would_refuse_inspect_says_before(nti7flow, tmp_path, kind):
    message = write_refused(tmp_path / "tube.fcs", kind)
    outcome = nti7flow("inspect", tmp_path / "tube.fcs")
    assert (outcome.code, outcome.err) == (3, "")
    shown, _, blockers = outcome.out.partition("Would block gating with tbnk and --spillover keyword:\n")
    (line,) = blockers.splitlines()
    assert message in line
    assert "FITC-A" in cells(shown)
    assert not (tmp_path / "run").exists()
    said = nti7flow("gate", tmp_path / "tube.fcs", "-t", "tbnk", "-o", tmp_path / "run").error()
    assert line.strip().removeprefix(f"{tmp_path / 'tube.fcs'}: ") in said


def test_all_blockers_at_once_and_none_for_what_is_optional(nti7flow, tmp_path):
    bare = {"APC-Cy7-A": "", "APC-A": "", "PE-A": ""}
    tube = write_tube(tmp_path / "tube.fcs", markers=bare, keywords={"$SPILLOVER": None})
    outcome = nti7flow("inspect", tube)
    blockers = outcome.out.partition("Would block gating")[2]
    assert outcome.code == 3
    assert [word for word in ("no spillover keyword", "carries CD8", "carries CD19") if word in blockers] == [
        *("no spillover keyword", "carries CD8", "carries CD19"),
    ]
    assert "NK" not in blockers  # an optional population
    alone = nti7flow("inspect", tube, "--spillover", "none")
    assert len(alone.out.partition("Would block gating")[2].splitlines()) == 3


def test_alternative_markers_block_only_where_all_are_missing(nti7flow, tmp_path):
    template = tmp_path / "either.yaml"
    template.write_text(
        "schema: nti7flow/template/1\nname: either\nversion: 1.0.0\ntitle: One or the other\npopulations:\n"
        "  - {id: treg, label: Treg, gate: {method: density_valley@1, dims: [CD127], or_dims: [[CD25], [CD3]]}}\n"
    )
    tube = write_tube(tmp_path / "tube.fcs")
    assert nti7flow("inspect", tube, "-t", template).code == 0
    without = write_tube(tmp_path / "without.fcs", markers={"FITC-A": ""})
    outcome = nti7flow("inspect", without, "-t", template)
    assert outcome.code == 3
    assert "no channel carries CD3" in outcome.out
    assert "no channel carries CD3" in nti7flow("gate", without, "-t", template, "-o", tmp_path / "run").error()


def test_ill_conditioned_matrix_is_shown_and_unreadable_one_explained(nti7flow, tmp_path):
    tube = write_tube(tmp_path / "high.fcs", keywords={"$SPILLOVER": spillover_keyword((1, 0.98), (0.98, 1))})
    outcome = nti7flow("inspect", tube)
    assert "condition number 99.00 (high: dim populations will be noisy)" in outcome.out
    assert outcome.code == 0
    broken = write_tube(tmp_path / "broken.fcs", keywords={"$SPILLOVER": "2,FITC-A,PE-A,1,0,0"})
    outcome = nti7flow("inspect", broken)
    assert outcome.code == 3
    (line,) = (line for line in outcome.out.splitlines() if line.startswith("Spillover keyword: "))
    assert "announces 2 detectors, so 4 numbers were expected; found 3" in line
    (note,) = (line for line in outcome.out.splitlines() if line.startswith("note "))
    assert note.startswith("note [FCS090] spillover keyword cannot be used: found ")


def test_compensated_channels_and_names_like_markup_are_shown_as_they_are(nti7flow, tmp_path):
    tube = write_tube(tmp_path / "[b]tube.fcs", extra={"Comp-BV421-A": "CD20 [2H7]", "[/red] 450": "[bold]CD5"})
    outcome = nti7flow("inspect", tube)
    channels = cells(outcome.out)
    assert channels["Comp-BV421-A"]["compensated"] == "already"
    assert "[2H7]" in channels["Comp-BV421-A"]["marker"]
    assert channels["[/red] 450"]["marker"] == "[bold]CD5"
    assert outcome.out.startswith("[b]tube.fcs: ")


def test_notes_say_code_what_was_found_and_what_was_assumed(nti7flow, tmp_path):
    events = np.array([[1.0, np.nan], [3.0, 4.0]])
    tube = tmp_path / "odd.fcs"
    tube.write_bytes(fcs(events, ["FSC-A", "FL1-A"], keywords={"$TIMESTEP": "often", "$P2E": "4,1"}))
    outcome = nti7flow("inspect", tube, "-s", "none")
    assert outcome.code == 3  # no TBNK tube
    notes = [line for line in outcome.out.splitlines() if line.startswith("note ")]
    assert "note [FCS070] log amplifier on floating-point data: found $P2E='4,1'" in notes[0]
    assert "; assumed: not applied" in notes[0]
    assert any("[FCS075]" in note and "found 1 values are NaN or infinite" in note for note in notes)
    assert len(notes) == len(nf.read_fcs(tube).notes)
    assert "ANALYSIS" not in outcome.out
    refused = nti7flow("inspect", tube, "--repair", "none").error()
    assert refused.endswith("[FCS070]")


def test_several_data_sets_and_analysis_are_told(nti7flow, tmp_path):
    names = ["FSC-A", "FL1-A"]
    first = fcs(np.ones((3, 2)), names, analysis={"GATE1": "lymphocytes", "GATE2": "T"}, more=True)
    (tmp_path / "two.lmd").write_bytes(first + fcs(np.ones((5, 2)), names))
    outcome = nti7flow("inspect", tmp_path / "two.lmd", "-s", "none")
    assert outcome.out.startswith("two.lmd: FCS3.1, data set 0 of 2 (from 0), 3 events, SHA-256 ")
    assert "ANALYSIS segment: 2 keywords\n" in outcome.out
    assert "\nreview [FCS030] more data sets: " in outcome.out
    second = nti7flow("inspect", tmp_path / "two.lmd", "-s", "none", "--data-set", "1")
    assert second.out.startswith("two.lmd: FCS3.1, data set 1 of 2 (from 0), 5 events, SHA-256 ")
    assert "ANALYSIS" not in second.out


def test_what_is_left_of_a_truncated_tube_is_shown_on_request(nti7flow, tmp_path):
    (tmp_path / "cut.fcs").write_bytes(DAY00.read_bytes()[:-20_000])
    assert "[FCS04" in nti7flow("inspect", tmp_path / "cut.fcs").error()
    outcome = nti7flow("inspect", tmp_path / "cut.fcs", "--repair", "salvage")
    assert outcome.code == 0
    assert "\nreview [FCS049] truncated file: found " in outcome.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.fcs"], "nowhere.fcs: no such file"),
        (["."], "not a regular file: found a folder; expected an FCS file"),
        (["text.fcs"], "text.fcs: not an FCS file"),
        (["tube.fcs", "--data-set", "1"], "no such data set: found 1 data set(s); expected data set 1, from 0"),
    ],
)
def test_what_cannot_be_inspected(nti7flow, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    write_tube(tmp_path / "tube.fcs")
    (tmp_path / "text.fcs").write_text("not a tube")
    assert message in nti7flow("inspect", *arguments).error()


def test_inspect_with_a_typo_in_template_or_matrix(nti7flow):
    outcome = nti7flow("inspect", DAY00, "-t", "tbnkk")
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert "Did you mean 'tbnk'?" in outcome.err
    outcome = nti7flow("inspect", DAY00, "-s", "nowhere.csv")
    assert outcome.code == 3
    assert "nowhere.csv: no such spillover file" in outcome.out


def test_templates_list_show_check(nti7flow, tmp_path):
    listed = nti7flow("templates", "list")
    assert listed.out == nti7flow("templates").out
    names, titles = zip(*(line.split(maxsplit=1) for line in listed.out.splitlines()), strict=True)
    versions = sorted(path.relative_to(ROOT / "gating").with_suffix("") for path in ROOT.glob("gating/*/*.yaml"))
    assert names == tuple(f"{version.parent}@{version.name}" for version in versions)
    assert titles[names.index("tbnk@2.0.0")] == "6-colour TBNK, lysed whole blood"
    assert len({line.index(title) for line, title in zip(listed.out.splitlines(), titles, strict=True)}) == 1
    released = (ROOT / "gating" / "tbnk" / "2.0.0.yaml").read_text(encoding="utf-8")
    shown = nti7flow("templates", "show", "tbnk")
    assert (shown.code, shown.out) == (0, released)
    (tmp_path / "copy.yaml").write_text(shown.out, encoding="utf-8")
    for reference in ("tbnk", "tbnk@2.0.0", tmp_path / "copy.yaml"):
        checked = nti7flow("templates", "check", reference)
        assert checked.code == 0
        head, *lines = checked.out.splitlines()
        assert head == f"tbnk@2.0.0 is in order: {len(lines)} populations."
        assert any(line.split() == ["t_cells", ">", "cd4_t", "CD4", "T", "(CD4+CD8−)"] for line in lines)
    for command in ("show", "check"):
        assert "no released template 'tbnkk'" in nti7flow("templates", command, "tbnkk").error()


def test_check_of_a_template_lists_every_mistake_and_counts_waves(nti7flow, tmp_path, pooled):
    assert "pooled@1.0.0 is in order: 5 populations, fitted in 3 waves." in nti7flow("templates", "check", pooled).out
    wrong = (
        pooled.read_text().replace("parent: lymphocytes", "parent: lymphocites").replace("version: 1.0.0", "version: 1")
    )
    (tmp_path / "wrong.yaml").write_text(wrong.replace("density_valley@1, dims: [CD4]", "density_valley@1, dim: [CD4]"))
    outcome = nti7flow("templates", "check", tmp_path / "wrong.yaml")
    assert outcome.code == 1
    assert {int(line.removeprefix("nti7flow: ").split(":")[1]) for line in outcome.err.splitlines()} == {3, 11, 16}
    (tmp_path / "wrong.yaml").write_text(wrong.replace("version: 1\n", "version: 1.0.0\n"))
    assert "wrong.yaml:11: population t_cells: no population 'lymphocites'. Did you mean 'lymphocytes'?" in (
        nti7flow("templates", "check", tmp_path / "wrong.yaml").error()
    )


@pytest.mark.parametrize("command", [[], ["check"], ["gate"], ["replay"], ["inspect"], ["templates"]])
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_has_an_example_that_is_a_command(nti7flow, command, flag):
    outcome = nti7flow(*command, flag)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"Usage: {' '.join(['nti7flow', *command])} ")
    examples = outcome.out.partition("Example")[2]
    assert f"nti7flow {' '.join(command)}" in " ".join(examples.split())


def test_help_names_every_option_with_its_meaning(nti7flow):
    text = nti7flow("gate", "--help").out
    for option in ("--out", "--template", "--spillover", "--marker", "--jobs", "--figures <all|flagged|none>"):
        assert option in text
    assert "Exit code" in " ".join(text.split())


def test_no_command_shows_the_help(nti7flow):
    outcome = nti7flow()
    assert "Usage: nti7flow" in outcome.out + outcome.err
    names = {command.name for command in app.registered_commands}
    assert names >= {"check", "gate", "replay", "inspect"}
    for name in (*names, "templates"):
        assert f"\n  {name}" in outcome.out + outcome.err


def test_version(nti7flow):
    assert nti7flow("--version").out == f"nti7flow {nf.__version__}\n"


def test_script_and_module_are_the_same_program(tmp_path):
    module = spawn("--version", cwd=tmp_path)
    script = subprocess.run([SCRIPT, "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert (module.code, module.out) == (script.returncode, script.stdout) == (0, f"nti7flow {nf.__version__}\n")
    usage = spawn("gat", cwd=tmp_path)
    assert usage.code == 2
    assert usage.err.startswith("Usage: nti7flow ")


def cpu_seconds(command):
    """CPU of a process and its children, the best of three."""
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True, env=os.environ | {"COVERAGE_PROCESS_START": ""})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(spent)


def test_help_takes_less_than_three_tenths_of_a_second_of_cpu():
    assert cpu_seconds([SCRIPT, "--help"]) < 0.3


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["gate", "--help"], ["templates", "--help"]])
def test_what_needs_no_events_loads_no_numpy(arguments):
    program = (
        "import sys, json\nfrom nti7flow.cli.main import main\n"
        f"sys.argv = {['nti7flow', *arguments]!r}\n"
        "try:\n    main()\nexcept SystemExit:\n    print(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(done.stderr)}
    assert loaded.isdisjoint({"numpy", "scipy", "pandas", "pyarrow", "matplotlib", "sklearn"})
