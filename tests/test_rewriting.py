"""YAML that is changed: what was not meant stays, byte for byte."""

import pytest
import yaml

from atelier.rewriting import extended, rewritten
from tests.project import ROOT

OURS = [
    "params.yaml",
    *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("experiments/**/*.yaml")),
]
ODD = """\
# What stands above.
name: 'a name'  # beside

numbers:  # of all kinds
  plain: 0.0002
  paper: 2.0e-4  # Adam
  old: 1E+5
  large: 1_000
  hexadecimal: 0x1F
  short: .5
  none: null
  words: ["on", off, 'no', "2e-4", ~]
  steps:
    # The first.
    - {at: 1.50, of: 10}
    - 2

# Why
rows:
  first: {a: 1, b: [0.0, 0.99]}  # best
  # second: {a: 2}

  third: >-
    folded
    text
"""


@pytest.mark.parametrize("name", OURS)
def test_each_of_our_files_comes_back_as_it_was(name):
    text = (ROOT / name).read_text()
    assert rewritten(text, {}) == text
    first = text.split(":")[0].split("\n")[-1]
    assert rewritten(text, {(first,): yaml.safe_load(text)[first]}) == text


def test_nothing_but_what_is_meant_changes():
    assert rewritten(ODD, {}) == ODD.replace("~", "null")
    made = rewritten(ODD, {("numbers", "old"): 3.0e-4, ("rows", "first"): {"c": [1, None]}})
    expected = ODD.replace("~", "null").replace("1E+5", "0.0003")
    assert made == expected.replace("{a: 1, b: [0.0, 0.99]}  # best", "{c: [1, null]}")


def test_what_is_new_is_read_as_it_was_meant():
    new = {"yes": "no", "small": 1e-05, "text": "1e-05", "none": "null", "x": ["on", "0x1", -0.0]}
    assert yaml.safe_load(rewritten("a:\n  b: 1\n", {("a",): new})) == {"a": new}
    assert yaml.safe_load(rewritten("a: 1\n", {("a",): "on"})) == {"a": "on"}
    assert yaml.safe_load(extended("a:\n  b: 1\n", ("a",), "no", new))["a"]["no"] == new


def test_a_comment_beside_goes_with_its_value_and_what_stands_below_stays():
    assert rewritten("a: 1  # one\n\n# of b\nb: 2\n", {("a",): 3}) == "a: 3\n\n# of b\nb: 2\n"
    block = "a:\n  x: 1\n  y:\n    - 1\n    - z: 2  # last\n\n  # still below\nb: 2\n"
    made = rewritten(block, {("a",): {"name": "new", "of": {"p": 0.5}}})
    assert made == "a:\n  name: new\n  of: {p: 0.5}\n\n  # still below\nb: 2\n"
    inside = "a:  # of a\n  # of x\n  x: 1  # one\n  # of y\n  y: 2\nb: 2\n"
    made = rewritten(inside, {("a",): {"y": 1, "x": 2}})
    assert made == "a:  # of a\n  # of x\n  y: 1\n  x: 2\nb: 2\n"
    assert rewritten(block, {("a",): None}) == "a: null\n\n  # still below\nb: 2\n"
    assert rewritten("a: null  # not yet\nb: 2\n", {("a",): {"x": 1}}) == "a: {x: 1}\nb: 2\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  a: {x: 1}\n", "  a: {x: 1}\n  b: {x: 2}\n"),
        ("  a: {x: 1}", "  a: {x: 1}\n  b: {x: 2}\n"),
        ("  a: 1  # best\n", "  a: 1  # best\n  b: {x: 2}\n"),
        ("  a: 1  # best\n\n# of c\nc: 1\n", "  a: 1  # best\n  b: {x: 2}\n\n# of c\nc: 1\n"),
        ("  a: 1\n\n\nc: 1\n", "  a: 1\n  b: {x: 2}\n\n\nc: 1\n"),
        ("  a:\n    x: 1\n\nc: 1\n", "  a:\n    x: 1\n  b: {x: 2}\n\nc: 1\n"),
        ("  a: 1\n# the end\n", "  a: 1\n  b: {x: 2}\n# the end\n"),
    ],
)
def test_an_entry_more_stands_below_the_last(before, after):
    assert extended(f"rows:\n{before}", ("rows",), "b", {"x": 2}) == f"rows:\n{after}"


@pytest.mark.parametrize("rows", ["{a: 1}", "{}", "null", "1"])
def test_a_mapping_in_one_line_takes_no_line_more(rows):
    with pytest.raises(ValueError, match="rows: not one entry a line"):
        extended(f"rows: {rows}\n", ("rows",), "b", 1)
