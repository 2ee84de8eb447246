"""Every registered method has a picture on toy data, and a section on the page about writing a template."""

import importlib.util
import re
from pathlib import Path

import pytest
from matplotlib.image import imread

from nti7flow.gating.methods import known_methods

DOCS = Path(__file__).resolve().parents[2] / "docs"
METHODS = sorted({method.name for method in known_methods()})


@pytest.fixture(scope="module")
def pictures():
    spec = importlib.util.spec_from_file_location("method_pictures", DOCS / "pictures" / "methods.py")
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up where it was made.
    import sys

    sys.modules["method_pictures"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["method_pictures"]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_has_a_section_with_its_picture(name):
    page = (DOCS / "how-to" / "write_a_template.md").read_text(encoding="utf-8")
    section = re.search(rf"^### {name}\n\n!\[[^\]]+\]\(\.\./images/method_{name}\.png\)\n\n\w", page, re.MULTILINE)
    assert section, f"write a section on {name} in docs/how-to/write_a_template.md"
    assert imread(DOCS / "images" / f"method_{name}.png").std() > 0.05


def test_examples_are_of_registered_methods(pictures):
    assert sorted(pictures.EXAMPLES) == METHODS


@pytest.mark.parametrize("name", METHODS)
def test_an_example_shows_a_gate_and_a_refusal(pictures, name):
    titles = [axes.get_title() for axes in pictures.draw_method(name).axes]
    assert titles[0].endswith(": placed")
    assert re.search(": (not placed|absent)\n.", titles[1])
