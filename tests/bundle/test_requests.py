"""A request that cannot be honoured is refused before anything is made."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.toys import TOYS

from atelier.bundle.bundle_model import (
    Refused,
    answer,
    check_request,
    columns,
    open_bundle,
    parse_amounts,
)

BAD_REQUESTS: list[tuple[Any, str]] = [
    ([{"count": 1.5}], "count: a whole number"),
    ([{"count": 2.0}], "count: a whole number"),
    ([{"count": True}], "count: a whole number"),
    ([{"count": "3"}], "count: a whole number"),
    ([{"count": None}], "count: a whole number"),
    ([{"count": float("nan")}], "count: a whole number"),
    ([{"count": 0}], "count: a whole number"),
    ([{"count": -1}], "count: a whole number"),
    ([{"count": 10**9}], "count: a whole number"),
    ([{"count": 6000}, {"count": 6000}], "count: at most 10000 in all"),
    ([{"count": 1, "seed": -1}], "seed: a whole number"),
    ([{"count": 1, "seed": 2**63}], "seed: a whole number"),
    ([{"count": 1, "seed": 0.5}], "seed: a whole number"),
    ([{"count": 1, "truncation": 0.0}], "truncation: above 0"),
    ([{"count": 1, "truncation": 2.01}], "truncation: above 0"),
    ([{"count": 1, "truncation": float("nan")}], "truncation: above 0"),
    ([{"count": 1, "truncation": "1"}], "truncation: above 0"),
    ([{"count": 1, "truncation": True}], "truncation: above 0"),
    ([{"count": 1, "colour": "red"}], "colour: no such column"),
    ([{"count": 1, "attributes": "Male=1"}], "attributes: no such column; there are count, seed"),
    ([{"count": 1, "edits": 2.0}], "edits: a text"),
    ([{"count": 1, "edits": "Smiling"}], r"edits: NAME=NUMBER, separated by commas"),
    ([{"count": 1, "edits": "Smiling=much"}], r"edits: NAME=NUMBER"),
    ([{"count": 1, "edits": "Smiling=nan"}], r"edits: NAME=NUMBER"),
    ([{"count": 1, "edits": "Smiling=1,Smiling=2"}], "edits: Smiling is there twice"),
    ([{"count": 1, "edits": "Smiling=3.01"}], "edits: Smiling: from -3 to 3 standard deviations"),
    ([{"count": 1, "edits": "Smilin=1"}], "edits: 'Smilin' is not known; .* is Smiling"),
    ([{"count": 1}, {"count": 1, "edits": "Age=1"}], "edits: 'Age' is not known"),
    ([{}], "count: a whole number"),
    ([], "input: one or more rows"),
    ([[1, 2]], "input: one or more rows"),
    ("ten", "input: one or more rows"),
    (None, "input: one or more rows"),
    ([{"count": [1]}], "count: a whole number"),
    ([{"count": 1, "seed": {"a": 1}}], "seed: a whole number"),
    ([{"count": 1, "truncation": np.ones(3)}], "truncation: above 0"),
    ([{"count": 1, "edits": np.ones(3)}], "edits: a text"),
    ([{"count": 1, "edits": ["Smiling=1"]}], "edits: a text"),
]


@pytest.mark.parametrize(("request_", "message"), BAD_REQUESTS)
def test_what_cannot_be_honoured_is_refused(
    image_bundle: Path, monkeypatch: pytest.MonkeyPatch, request_: Any, message: str
) -> None:
    opened = open_bundle(image_bundle)
    monkeypatch.setattr(opened, "sample", lambda *_: pytest.fail("made before it was checked"))
    with pytest.raises(Refused, match=message):
        answer(opened, request_, None)


@pytest.mark.parametrize(
    "params",
    [{"format": "gif"}, {"quality": 3}, {"format": 1}, {"format": np.ones(2)}, ["png"], "png"],
)
def test_unknown_parameters_are_refused(image_bundle: Path, params: Any) -> None:
    with pytest.raises(Refused, match="params: "):
        answer(open_bundle(image_bundle), [{"count": 1}], params)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=40)
    | st.binary(max_size=40)
    | st.builds(np.ones, st.integers(0, 3))
    | st.sampled_from(["Smiling=1", "Male=0.5", "A2B", "mixture", pandas.NA, pandas.NaT]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@pytest.mark.parametrize("toy", TOYS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_request_of_any_values_is_honoured_or_refused(packed: Any, toy: str, data: Any) -> None:
    opened = open_bundle(packed(toy))
    opened.sample = lambda *_: np.zeros((1, 8, 8, 3), np.uint8)  # type: ignore[method-assign]
    known = st.sampled_from(sorted(columns(opened.manifest)))
    row = data.draw(st.dictionaries(known, VALUES) | VALUES)
    params = data.draw(st.none() | st.dictionaries(st.just("format"), VALUES) | VALUES)
    with contextlib.suppress(Refused):
        answer(opened, [row], params)


def test_numpy_numbers_are_numbers() -> None:
    check_request(np.int64(3), np.int32(0), np.float32(1))


def test_amounts_by_name() -> None:
    assert parse_amounts("edits", "") == {}
    assert parse_amounts("edits", " A = 1 ,B=-0.5,") == {"A": 1.0, "B": -0.5}
