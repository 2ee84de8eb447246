"""The public face: what ``import nti7flow as nf`` offers, and what it costs."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nti7flow as nf

SOURCE = Path(nf.__file__).parent


def python(program):
    """Run a program in a fresh interpreter and return what it printed as JSON."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_importing_the_package_loads_nothing_heavy():
    loaded = python("import nti7flow as nf, sys, json; dir(nf); nf.__version__; print(json.dumps(sorted(sys.modules)))")
    heavy = {"numpy", "scipy", "pandas", "pyarrow", "matplotlib", "sklearn", "pydantic", "ruamel", "rich", "typer"}
    assert heavy.isdisjoint(name.partition(".")[0] for name in loaded)
    assert [name for name in loaded if name.startswith("nti7flow")] == ["nti7flow", "nti7flow._version"]


def test_reading_a_tube_loads_no_table_and_no_plotting_library():
    program = (
        "import nti7flow as nf, sys, json; nf.read_fcs; nf.Panel; nf.Spillover; print(json.dumps(sorted(sys.modules)))"
    )
    loaded = {name.partition(".")[0] for name in python(program)}
    assert loaded.isdisjoint({"pandas", "pyarrow", "matplotlib", "sklearn"})


@pytest.mark.parametrize("name", nf.__all__)
def test_every_public_name_can_be_used_and_is_documented(name):
    value = getattr(nf, name)
    assert name in dir(nf)
    if name != "__version__":
        assert value.__doc__
        assert not value.__doc__.startswith(f"{name}(")  # a dataclass without a docstring of its own


def test_public_names_are_sorted_and_what_they_say():
    assert nf.__all__ == ["__version__", *sorted(nf.__all__[1:])]
    assert dir(nf) == sorted(nf.__all__)
    assert nf.gate.__module__ == "nti7flow.study.notebook"
    assert nf.plot.__name__ == "nti7flow.plot"
    for name in ("density", "gating_tree"):
        assert callable(getattr(nf.plot, name))


def test_type_checkers_see_the_same_names():
    """The names imported for type checkers are those loaded lazily, from the same places."""
    tree = ast.parse((SOURCE / "__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {}
    for node in block.body:
        for alias in node.names:
            seen[alias.asname] = f"{node.module}.{alias.name}" if alias.name == "plot" else node.module
    assert seen == nf._PUBLIC


def test_star_import_gives_the_public_names():
    names = python("from nti7flow import *; import json; print(json.dumps([n for n in globals() if n != 'json']))")
    assert set(nf.__all__) <= set(names)


def test_names_that_do_not_exist():
    with pytest.raises(AttributeError, match="module 'nti7flow' has no attribute 'read_fsc'"):
        _ = nf.read_fsc
    with pytest.raises(ImportError, match="read_fsc"):
        exec("from nti7flow import read_fsc")


def test_every_error_of_the_package_is_one_of_its_tree():
    import nti7flow.errors as errors

    raised = {
        name: value for name, value in vars(errors).items() if getattr(value, "__module__", "") == errors.__name__
    }
    raised = {name: value for name, value in raised.items() if isinstance(value, type)}
    assert all(issubclass(value, nf.Nti7flowError) for value in raised.values())
    assert {"ConfigError", "InputError", "FcsError", "StoreError", "UnknownMarker", "MissingSpillover"} <= set(raised)
    assert issubclass(errors.FcsError, errors.InputError)
    for value in raised.values():
        if value is not errors.FcsError:  # which is made of parts
            assert str(value("what, where, found, do")) == "what, where, found, do"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda path: nf.read_fcs(path / "nowhere.fcs"), "InputError"),
        (lambda path: nf.load_template(path / "nowhere.yaml"), "ConfigError"),
        (lambda path: nf.load_template("tbn"), "ConfigError"),
        (lambda path: nf.open_run(path), "StoreError"),
        (lambda path: nf.Spillover.from_csv(path / "nowhere.csv"), "InputError"),
        (lambda path: nf.gate(path / "nowhere.fcs", "tbnk"), "InputError"),
    ],
)
def test_mistakes_are_errors_of_the_package_with_a_message(tmp_path, call, error):
    with pytest.raises(nf.Nti7flowError) as caught:
        call(tmp_path)
    assert error in [kind.__name__ for kind in type(caught.value).__mro__]
    assert re.search(r"[.?]( \[FCS\d{3}\])?$", str(caught.value))
    assert "\n" not in str(caught.value)


def test_version_is_one():
    from importlib.metadata import version

    assert nf.__version__ == version("nti7flow")
