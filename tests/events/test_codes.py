"""The table of codes: each is used, documented and given once."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import nti7flow
from nti7flow.events import codes
from nti7flow.events.codes import CODES, KINDS, Code

SOURCE = Path(nti7flow.__file__).parent
NAMES = {name: value for name, value in vars(codes).items() if isinstance(value, Code)}


@cache
def names_used():
    """Names taken from the table anywhere in the package: ``codes.NAME``, or imported from it and then used."""
    used = set()
    for path in SOURCE.rglob("*.py"):
        if path == Path(codes.__file__):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "nti7flow.events.codes"
            for alias in node.names
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "codes":
                used.add(node.attr)
            elif isinstance(node, ast.Name) and node.id in imported:
                used.add(node.id)
    return used


@pytest.mark.parametrize("name", NAMES)
def test_every_code_is_used(name):
    assert name in names_used()


def test_every_code_is_in_the_table_once():
    assert sorted(code.code for code in NAMES.values()) == sorted(CODES)
    assert all(key == code.code for key, code in CODES.items())
    assert len({code.title for code in CODES.values()}) == len(CODES)
    assert list(CODES) == sorted(CODES)


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_every_code_says_what_it_means(code):
    assert re.fullmatch(r"FCS\d{3}", code.code)
    assert code.kind in KINDS
    assert code.severity in ("info", "review")
    assert code.title == code.title.strip() != ""
    assert not code.title.endswith(".")
    assert code.meaning.endswith(".")
    assert code.what_to_do == "" or code.what_to_do.endswith(".")
    assert all(text.isprintable() for text in (code.title, code.meaning, code.what_to_do))
    # A lab can only act on a refusal that says how, and salvaged counts are never taken for granted.
    assert code.kind != "refusal" or code.what_to_do
    assert code.kind != "salvage" or code.severity == "review"
