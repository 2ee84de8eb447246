"""Text that means harm, in keywords, channels and names: exact in the API, harmless wherever people see it."""

import csv
import html.parser
import io
import logging
import re
import sys
import unicodedata
import warnings
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "study"))
from small_fcs import fcs
from study_tubes import DAY21, PLAIN

import nti7flow as nf
from nti7flow.cli.main import main
from nti7flow.cli.terminal import LogFormatter
from nti7flow.errors import AmbiguousMarker, ConfigError, UnknownMarker

#: Marker as TBNK gates need it, by hostile detector; the scatter and time channels keep their names.
DETECTORS = {
    "=cmd|'/C calc'!A0": "CD3",
    "<img src=x onerror=alert(1)>-A": "CD16+56",
    "\x1b]0;owned\x07\x1b[31mred": "CD45",
    "../../../../tmp/evil": "CD4",
    "\u202egnp.exe [red]bold[/red]": "CD19",
    "$x^$ $\\frac{\nsecond line\tend": "CD8",
}
EXTRA = {
    "@SUM(1+1)": "<script>alert('marker')</script>",
    "\x9b2J\x9d0;c1\x9c": '\r\x1b[2K=HYPERLINK("http://evil")',
    "-2+3;=1+1": "\u2066+1\u2069 {{7*7}} %s $(touch pwned) `id`",
    ":warning: [/] [link=http://evil]x[/link]": "\ud55c\u0000\u200b$$",
}
KEYWORDS = {
    "$CYT": "\x1b[2J<script>alert('cytometer')</script> [bold]",
    "$DATE": "=1+1\n-2",
    "$BTIM": "\u202e10:00",
    "$ETIM": "@10:01",
    "CREATOR": "+cmd|' /C calc'!A0",
    "$SRC": "../../etc/passwd",
    "\x1b[5mKEY<b>": "[red]value[/red]",
}
FILE = "=cmd [red]$x^$ <img src=x onerror=alert(1)> :bomb:;-1.fcs"


@pytest.fixture(scope="module")
def hostile():
    """Bytes of a TBNK tube in which all text means harm."""
    simulated = nf.read_fcs(DAY21)
    names = [channel.detector for channel in simulated.panel.channels]
    markers = [channel.marker or "" for channel in simulated.panel.channels]
    by_marker = {marker: detector for detector, marker in DETECTORS.items()}
    detectors = dict(zip(names, (by_marker.get(*of) for of in zip(markers, names, strict=True)), strict=True))
    assert {*DETECTORS} <= {*detectors.values()}
    stated = simulated.keywords["$SPILLOVER"].split(",")
    spillover = ",".join(detectors.get(word, word) for word in stated)
    events = np.column_stack([simulated.events, *[simulated.events[:, 5]] * len(EXTRA)])
    return fcs(
        events,
        [*detectors.values(), *EXTRA],
        [*markers, *EXTRA.values()],
        keywords={"$TIMESTEP": simulated.keywords["$TIMESTEP"], "$SPILLOVER": spillover, **KEYWORDS},
    )


@pytest.fixture
def tube(hostile, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / FILE).write_bytes(hostile)
    return tmp_path / "in" / FILE


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line here; returns exit code and what was printed, once it is known to be harmless."""

    def call(*arguments, code=0, allowed="\n"):
        monkeypatch.setattr(sys, "argv", ["nti7flow", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        assert (stop.value.code or 0) == code, err
        assert_harmless(out, allowed)
        assert_harmless(err)
        return out + err

    return call


def assert_harmless(text, allowed="\n"):
    """Nothing that a terminal obeys: no control or formatting character."""
    bad = {c for c in text if unicodedata.category(c)[0] == "C" and c not in allowed}
    assert not bad, ascii(text)


def assert_harmless_csv(text):
    """Nothing that a spreadsheet runs, whether commas or semicolons separate its cells; and nothing to obey."""
    assert_harmless(text)
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) == text.count("\n")
    cells = [part for row in rows for cell in row for part in cell.split(";")]
    for cell in cells:
        assert not re.match(r"\s*[=+\-@]", cell) or re.fullmatch(r"-?[\d.]+(e[+-]?\d+)?", cell), cell
    return rows


class Tags(html.parser.HTMLParser):
    """Every tag of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, tuple(name for name, _ in attrs)))


def assert_harmless_html(page):
    assert_harmless(page)
    tags = Tags(page).tags
    assert {tag for tag, _ in tags} <= {"p", "b", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
    assert {name for _, names in tags for name in names} <= {"border", "class", "style"}
    assert page.count("<") == len(re.findall(r"</?[a-z]+( [a-z]+=\"[^\"<>]*\")*>", page))


def everything(folder):
    return {path for path in folder.rglob("*")}


def test_the_api_has_the_text_as_it_is_in_the_file(tube):
    sample = nf.read_fcs(tube)
    assert [channel.detector for channel in sample.panel.channels][-4:] == list(EXTRA)
    assert {*DETECTORS} < {channel.detector for channel in sample.panel.channels}
    for keyword, value in KEYWORDS.items():
        assert sample.keywords[keyword.upper()] == value
    n = len(sample.panel.channels)
    for i, marker in enumerate(EXTRA.values()):
        assert sample.keywords[f"$P{n - 3 + i}S"] == marker
    assert sample.path.name == FILE
    assert sample.panel.channels[-4].marker == "<script>alert('marker')</script>"
    for detector, marker in DETECTORS.items():
        assert sample.panel.resolve(marker).detector == detector
        assert np.isfinite(sample.columns([detector])).all()
    delivery = nf.check_delivery(tube)
    assert delivery.table["file"][0] == str(tube)
    assert delivery.table["cytometer"][0] == KEYWORDS["$CYT"].strip()
    assert set(dict(delivery.panels[0].channels)) == {channel.detector for channel in sample.panel.channels}


def test_representations(tube, tmp_path):
    sample = nf.read_fcs(tube)
    delivery = nf.check_delivery(tube.parent)
    result = nf.gate(sample, write_template(tmp_path))
    for value in (sample, sample.panel, delivery, result, sample.panel.channels[4], *sample.notes, *delivery.panels):
        assert_harmless(repr(value))
    for value in (sample, sample.panel, delivery, result):
        page = value._repr_html_()
        assert_harmless_html(page)
    assert "&lt;script&gt;alert(&#x27;cytometer&#x27;)&lt;/script&gt;" in sample._repr_html_()
    assert "\\x1b]0;owned\\x07" in sample._repr_html_()
    assert "&lt;img src=x onerror=alert(1)&gt;" in result._repr_html_()
    assert_harmless_csv(delivery.to_csv())


def write_template(folder, **changes):
    text = PLAIN
    for before, after in changes.items():
        text = text.replace(before, after)
    (folder / "plain.yaml").write_text(text, encoding="utf-8")
    return folder / "plain.yaml"


def test_inspect(run, tube):
    out = run("inspect", tube)
    assert FILE in out  # as it is, markup and all
    assert "cytometer \\x1b[2J<script>alert('cytometer')</script> [bold]; date =1+1\\n-2; begin \\u202e10:00" in out
    assert "\\x1b]0;owned\\x07\\x1b[31mred" in out
    assert "\\u202egnp.exe [red]bold[/red]" in out
    assert ":warning: [/]" in out
    assert "Nothing blocks gating" in out


def test_check(run, tube, hostile, tmp_path):
    evil = tube.with_name("\x1b[31m\u202escf.\n.fcs")
    evil.write_bytes(hostile)
    tube.with_name("letter.fcs").write_bytes(b"\x1b[31mFCS")
    out = run("check", tube.parent, "--out", tmp_path / "check.csv", code=3)
    assert "\\x1b[31m\\u202escf.\\n.fcs" in out
    assert "control character" in out
    assert FILE in out
    assert len([line for line in out.splitlines() if re.match("ok|noted|refused", line)]) == 3
    rows = assert_harmless_csv((tmp_path / "check.csv").read_text(encoding="utf-8"))
    assert len(rows) == 4
    assert any(row[0].startswith("'=cmd") for row in rows)


def test_gate_replay_and_export(run, tube, tmp_path):
    before = everything(tmp_path)
    folder = tmp_path / "run"
    out = run("gate", tube, "--template", "tbnk", "--out", folder, "--figures", "all")
    stem = Path(FILE).stem
    assert everything(tmp_path) - before == {folder, *everything(folder)}
    opened = nf.open_run(folder)
    assert opened.samples == [stem]
    assert opened.counts.set_index("population").loc["t_cells", "n_events"] > 500
    assert not Path("/tmp/evil").exists()
    for path in folder.rglob("*.csv"):
        rows = assert_harmless_csv(path.read_text(encoding="utf-8"))
        assert all(row[0] == f"'{stem.replace(';-', ';' + chr(39) + '-')}" for row in rows[1:])
    (picture,) = (folder / "figures").iterdir()
    assert picture.name == f"{stem}.png"
    assert picture.stat().st_size > 50_000
    assert f"Pictures  {folder / 'figures'} (1)" in out
    assert "byte for byte" in run("replay", folder)
    assert opened.strategy(stem).sample == stem
    assert_harmless(repr(opened))
    run("export", folder, "--population", "t_cells", "--out", tmp_path / "exported")
    (exported,) = (tmp_path / "exported").iterdir()
    assert exported.name == f"{stem}_t_cells.fcs"
    sample = nf.read_fcs(exported)
    assert sample.keywords["$CYT"] == KEYWORDS["$CYT"]
    assert sample.n_events == opened.counts.set_index("population").loc["t_cells", "n_events"]
    assert everything(tmp_path) - before == {
        *(folder, exported.parent, exported),
        *everything(folder),
    }


def test_deidentify(run, tube, tmp_path):
    before = everything(tmp_path)
    run("deidentify", tube.parent, "--out", tmp_path / "shared")
    made = everything(tmp_path) - before
    assert {path.parent for path in made} == {tmp_path, tmp_path / "shared"}
    assert any(path.suffix == ".fcs" for path in made)
    for path in made:
        assert_harmless(path.name, allowed="")
    (report,) = (tmp_path / "shared").glob("*.csv")
    assert_harmless_csv(report.read_text(encoding="utf-8"))
    (key,) = (path for path in made if path.parent == tmp_path and path.suffix == ".csv")
    assert not any(cell[:1] in "=+@" for row in csv.reader(io.StringIO(key.read_text())) for cell in row if cell)


def test_markers_given_by_hand_may_be_anything(run, tube, tmp_path):
    chosen = "\u202egnp.exe [red]bold[/red]"
    run("gate", tube, "-t", write_template(tmp_path), "-o", tmp_path / "run", "--marker", f"CD8={chosen}", code=0)
    (_, _, row) = (tmp_path / "run" / "counts.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert ",cd8_t," in row


def test_refusals_and_errors_quote_names_on_one_line(run, tube, tmp_path):
    sample = nf.read_fcs(tube)
    with pytest.raises(UnknownMarker) as unknown:
        sample.columns(["CD99"])
    with pytest.raises(UnknownMarker) as detector:
        sample.panel.detector("\x1b[2J")
    twice = tube.with_name("twice.fcs")
    twice.write_bytes(fcs(np.ones((2, 2)), ["\x1b[2J-A", "two\nlines-A"], ["CD4", "CD4"]))
    with pytest.raises(AmbiguousMarker) as ambiguous:
        nf.read_fcs(twice).columns(["CD4"])
    for caught in (unknown, detector, ambiguous):
        assert_harmless(str(caught.value), allowed="")
    out = run("gate", tube, "-t", write_template(tmp_path, CD8="CD99"), "-o", tmp_path / "run", code=1)
    assert "no channel carries CD99" in out
    assert out.count("\n") == 1
    for name in ("\x1b]0;owned\x07.fcs", "\u202egpj.fcs", "two\nlines.fcs"):
        run("inspect", tmp_path / name, code=1)
        run("gate", tmp_path / name, "-t", "tbnk", "-o", tmp_path / "run", code=1)
        run("check", tmp_path / name, code=1)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["\u202egpj.fcs", "\u2066a\u2069.fcs", "\x1b[31m.fcs", "a\nb.fcs", "\x9b31m.fcs"])
def test_no_result_is_named_after_such_a_file(hostile, tmp_path, name):
    from nti7flow.study.plan import make_plan

    (tmp_path / name).write_bytes(hostile)
    with pytest.raises(ConfigError, match="rename the file") as caught:
        make_plan([tmp_path], template="tbnk")
    assert_harmless(str(caught.value), allowed="")


@pytest.mark.parametrize("name", ["../evil", "a/b", "..", ".hidden", "a\\b", "\u202eevil", "a\tb", "\x1b[31m"])
def test_no_sheet_names_a_result_outside_the_run(hostile, tmp_path, name):
    from nti7flow.study.plan import make_plan

    (tmp_path / "tube.fcs").write_bytes(hostile)
    sheet = io.StringIO()
    csv.writer(sheet).writerows([["file", "sample"], ["tube.fcs", name]])
    (tmp_path / "samples.csv").write_text(sheet.getvalue(), encoding="utf-8")
    (tmp_path / "study.yaml").write_text(
        "schema: nti7flow/study/1\nstudy: mine\ntemplates:\n  tbnk: tbnk\nsheets:\n  samples: samples.csv\n"
    )
    with pytest.raises(ConfigError, match="sample") as caught:
        make_plan([tmp_path / "study.yaml"])
    assert_harmless(str(caught.value))


def test_colours_of_our_own_are_all_that_a_terminal_gets(run, tube, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    for command in ("inspect", "check"):
        monkeypatch.setattr(sys, "argv", ["nti7flow", command, str(tube)])
        with pytest.raises(SystemExit):
            main()
        out, err = capsys.readouterr()
        assert "\x1b[" in out  # colours
        assert_harmless(re.sub(r"\x1b\[[\d;]*m", "", out))
        assert_harmless(err)
        assert "\x1b[31mred" not in out
        assert "\x1b[5m" not in out


def test_pictures_spell_out_what_fonts_cannot_draw(tube, tmp_path):
    sample = nf.read_fcs(tube)
    result = nf.gate(sample, write_template(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tree = nf.plot.gating_tree(result)
        pictures = [tree, nf.plot.gating_tree(result, title="\x1b[31m$\\frac{$", subtitle="\u202e$x^$\n_{")]
        for x, y in zip(list(DETECTORS), list(DETECTORS)[1:], strict=False):
            pictures.append(nf.plot.density(sample, x, y, title=KEYWORDS["$CYT"]))
        assert all(picture._repr_png_().startswith(b"\x89PNG") for picture in pictures)
    texts = [t.get_text() for p in pictures for t in p.findobj(lambda artist: hasattr(artist, "get_text"))]
    for text in texts:
        assert_harmless(text)
    joined = "\n".join(texts)
    assert "$x^$" in joined  # not taken for mathematics
    assert "\\u202egnp.exe" in joined
    assert not any(t.get_parse_math() for p in pictures for t in p.findobj(lambda a: hasattr(a, "get_parse_math"))
                   if "$" in t.get_text())  # fmt: skip


def test_log_records_stay_on_their_line():
    record = logging.LogRecord("nti7flow", logging.WARNING, "", 1, "%s: odd", ("\x1b[2J\nINFO forged\u202e",), None)
    text = LogFormatter("%(levelname)s %(name)s: %(message)s").format(record)
    assert text == "WARNING nti7flow: \\x1b[2J\\nINFO forged\\u202e: odd"
    try:
        raise ValueError("\x1b]0;owned\x07")
    except ValueError:
        record.exc_info = sys.exc_info()
    traced = LogFormatter("%(message)s").format(record)
    assert_harmless(traced)
    assert "\nTraceback (most recent call last):\n" in traced


def test_a_template_of_ones_own_is_shown_without_being_obeyed(run, tmp_path):
    (tmp_path / "evil.yaml").write_text("# \x1b[2J\tcomment\n" + PLAIN.replace("T cells", "T\u202ecells"))
    shown = run("templates", "show", tmp_path / "evil.yaml", allowed="\n\t")
    assert shown.startswith("# \\x1b[2J\tcomment\n")
    (tmp_path / "mine.yaml").write_text(PLAIN.replace("T cells", "T\u202ecells"), encoding="utf-8")
    assert "T\\u202ecells" in run("templates", "check", tmp_path / "mine.yaml")
