"""`read_strategy` tells files of gates apart by what they hold."""

import json
from pathlib import Path

import numpy as np
import pytest
from gml_documents import rectangle, write

import nti7flow as nf
from nti7flow.errors import StoreError, StrategyError
from nti7flow.events.fcs import read_fcs
from nti7flow.events.spillover import Spillover
from nti7flow.events.transforms import Linear
from nti7flow.gating.dimensions import Dimension
from nti7flow.gating.gates import RectangleGate
from nti7flow.gating.strategy import GatingStrategy, Population
from nti7flow.interop.flowjo.workspace import Workspace
from nti7flow.interop.strategies import read_strategy

ROOT = Path(__file__).parents[2]
STORED = ROOT / "tests" / "archives" / "run-1" / "steps" / "01-gate" / "strategies" / "SIM-001_day21_tbnk.json"


def problem(path):
    with pytest.raises(StrategyError) as refusal:
        read_strategy(path)
    (found,) = refusal.value.problems
    return found


def saved(folder, content, name="gates.xml"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("name", ["gates.xml", "gates.wsp", "gates.json", "gates", "gates.yaml"])
def test_the_suffix_does_not_matter(tmp_path, name):
    strategy = read_strategy(str(write(tmp_path, rectangle("A"), name=name)))
    assert isinstance(strategy, GatingStrategy)
    assert strategy.template == name


def test_a_workspace(shared_data):
    workspace = read_strategy(shared_data / "flowkit" / "data" / "simple_line_example" / "simple_poly_and_rect.wsp")
    assert isinstance(workspace, Workspace)
    assert workspace.samples


ISAC = "http://www.isac-net.org/std/Gating-ML/"
NAMELESS = f"is Gating-ML without the namespace of version 2.0 ({ISAC}v2.0/gating)"
ONLY = "only nti7flow/strategy/1 is read as a strategy"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            f'<g:Gating-ML xmlns:g="{ISAC}v1.5/gating"/>',
            "is Gating-ML 1.5; convert it to Gating-ML 2.0, or export it again from where it was made",
        ),
        (
            f'<Gating-ML xmlns="{ISAC}v2.0/gates"/>',
            f"is Gating-ML without the namespace of version 2.0 ({ISAC}v2.0/gating)",
        ),
        ("<Gating-ML/>", f"is Gating-ML without the namespace of version 2.0 ({ISAC}v2.0/gating)"),
        (
            '<Workspace version="1.8" flowJoVersion="9.9.6"/>',
            "is a workspace of FlowJo 9; open it in FlowJo 10 or later and save it again",
        ),
        (
            '<Workspace version="1.61"/>',
            "is a workspace that does not say which FlowJo wrote it; open it in FlowJo 10 or later and save it again",
        ),
        (
            '<Workspace flowJoVersion="unknown"/>',
            "is a workspace that does not say which FlowJo wrote it; open it in FlowJo 10 or later and save it again",
        ),
        (
            '<bdfacs version="Version 8.0.1"/>',
            "is an experiment of BD FACSDiva; open it in FlowJo 10 and save a workspace, or export Gating-ML 2.0",
        ),
        (
            "<html/>",
            "is XML, but with <html> no file of gates; give Gating-ML 2.0 (<Gating-ML>) or a FlowJo 10 workspace "
            "(<Workspace>)",
        ),
        (b"PK\x03\x04rest", "is a zip archive, such as FlowJo's .acs; unpack it and give the .wsp in it"),
        (b"\x1f\x8brest", "is a gzip file; unpack it first"),
        (
            b"FCS3.1    ",
            "is a tube (FCS) and holds no gates; give the tubes as FILES and the gates as --strategy",
        ),
        ("schema: nti7flow/template/1\n", "is a template, or other YAML; give a template as --template"),
        ("words", "is not XML"),
    ],
)
def test_what_it_is_instead(tmp_path, content, expected):
    assert problem(saved(tmp_path, content)) == expected


def test_other_yaml_and_released_templates(tmp_path):
    expected = "is a template, or other YAML; give a template as --template"
    assert problem(saved(tmp_path, "a: 1\n", "gates.yml")) == expected
    templates = sorted((ROOT / "gating").rglob("*.yaml"))
    assert templates
    assert [problem(path) for path in templates] == [expected] * len(templates)


def test_a_diva_experiment(shared_data):
    path = shared_data / "flowworkspacedata" / "inst" / "extdata" / "diva" / "PE_2.xml"
    assert problem(path).startswith("is an experiment of BD FACSDiva;")


def test_what_flowjo_exports_as_gating_ml_says_no_compensation(shared_data):
    path = shared_data / "flowsom_wsp" / "inst" / "extdata" / "manualGating.xml"
    with pytest.raises(StrategyError) as refusal:
        read_strategy(path)
    assert refusal.value.problems[0] == "line 3: gate ID1152036930: dimension has no compensation-ref"


class TestStrategyOfARun:
    def test_is_read_as_it_was_written(self):
        strategy = read_strategy(STORED)
        assert strategy.to_dict() == json.loads(STORED.read_text())
        assert strategy.sample == "SIM-001_day21_tbnk"

    def test_is_for_its_own_tube(self, tmp_path):
        tube = sorted((ROOT / "tests" / "tubes").rglob("*.fcs"))[0]
        with pytest.raises(StoreError, match="is not the file this strategy was made for"):
            read_strategy(STORED).apply(read_fcs(tube))

    def test_infinite_bounds(self, tmp_path):
        plain = json.loads(STORED.read_text())
        gate = next(p["gate"] for p in plain["populations"] if p["gate"]["kind"] == "rectangle")
        gate["lower"][0], gate["upper"][0] = float("-inf"), None
        strategy = read_strategy(saved(tmp_path, json.dumps(plain)))
        assert strategy.to_dict() == plain

    @pytest.mark.parametrize(
        "change",
        [
            lambda plain: plain.pop("populations"),
            lambda plain: plain["populations"].reverse(),
            lambda plain: plain["populations"].append(plain["populations"][0]),
            lambda plain: plain["populations"][0].update(parent="nobody"),
            lambda plain: plain["populations"][0].update(colour="red"),
            lambda plain: plain["populations"][0]["gate"].update(kind="circle"),
            lambda plain: plain["populations"][0]["gate"].update(vertices=[[0, 0], ["1", 1], [2, 2]]),
            lambda plain: plain["populations"][0]["gate"]["dimensions"][0]["transform"].update(kind="cube"),
            lambda plain: plain["populations"][0]["gate"]["dimensions"][0]["transform"].update(t=-1.0),
            lambda plain: plain["populations"][0].update(gate=7),
            lambda plain: plain["spillover"].update(matrix=[[1.0]]),
            lambda plain: plain.update(populations={"a": 1}),
        ],
    )
    def test_that_was_changed_is_refused(self, tmp_path, change):
        plain = json.loads(STORED.read_text())
        change(plain)
        expected = "is no whole strategy of a run: something was changed or is missing"
        assert problem(saved(tmp_path, json.dumps(plain))) == expected

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ('{"schema": "nti7flow/run/1"}', "is nti7flow/run/1; only nti7flow/strategy/1 is read as a strategy"),
            (
                '{"schema": "nti7flow/strategy/9"}',
                "is nti7flow/strategy/9; only nti7flow/strategy/1 is read as a strategy",
            ),
            ('{"schema": 1}', "is JSON, but no strategy of a run (nti7flow/strategy/1)"),
            ("{}", "is JSON, but no strategy of a run (nti7flow/strategy/1)"),
            ('{"schema": NaN}', "is neither XML nor JSON"),
            ('{"schema": "nti7flow', "is neither XML nor JSON"),
            ('{"a":' * 100_000, "is neither XML nor JSON"),
            (b'{"a": "\xff"}', "is neither XML nor JSON"),
        ],
    )
    def test_other_json_is_refused(self, tmp_path, content, expected):
        assert problem(saved(tmp_path, content, "a.json")) == expected


ARCHIVES = Path(__file__).parents[1] / "archives"
CHANGES = [
    ('"operator": "and"', '"operator": "AND"'),
    ('"negated": true', '"negated": "false"'),
    ('"compensated": true', '"compensated": "no"'),
    ('"status": "ok"', '"status": "weird"'),
    ('"flags": []', '"flags": [3]'),
]


@pytest.mark.parametrize(("old", "new"), CHANGES, ids=[new for _, new in CHANGES])
def test_a_changed_strategy_of_a_run_is_refused(tmp_path, old, new):
    stored = sorted((ARCHIVES / "run-1").glob("steps/*/strategies/*.json"))[0].read_text(encoding="utf-8")
    text = json.dumps(json.loads(stored))
    assert old in text
    (tmp_path / "changed.json").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(StrategyError, match="is no whole strategy of a run"):
        read_strategy(tmp_path / "changed.json")


def test_gates_of_a_tube_with_one_marker_on_two_channels_can_be_used_again(tmp_path):
    """A marker is a note of the gate, not a name by which its channel would be looked up."""
    events = np.random.default_rng(1).normal(50, 20, (200, 3))
    tube = tmp_path / "tube.fcs"
    matrix = "2,B-A,B-H,1,0.1,0,1"
    nf.write_events(tube, events, ["FSC-A", "B-A", "B-H"], markers=["", "CD3", "CD3"], keywords={"$SPILLOVER": matrix})
    gate = RectangleGate((Dimension("B-A", "", True, Linear(1.0)),), (40.0,), (None,))
    strategy = GatingStrategy("toy", "", "", 0, Spillover.none(), (Population("A", "A", None, gate, "ok"),))
    bound = strategy.for_sample(nf.read_fcs(tube))
    (tmp_path / "gates.json").write_text(json.dumps(bound.to_dict()), encoding="utf-8")
    counted = nf.gate(tube, tmp_path / "gates.json").counts[0].n_events
    assert counted == len(bound.apply(nf.read_fcs(tube))["A"]) > 0


def test_a_strategy_keeps_its_matrices_whatever_is_done_with_those_given():
    given = {"M": Spillover(("B-A",), np.eye(1), "M")}
    gate = RectangleGate((Dimension("B-A", "", True, Linear(1.0), "M"),), (40.0,), (None,))
    strategy = GatingStrategy("toy", "", "", 0, Spillover.none(), (Population("A", "A", None, gate, "ok"),), given)
    given.clear()
    assert list(strategy.matrices) == ["M"]
    assert hash(strategy) == hash(GatingStrategy.from_dict(strategy.to_dict()))
