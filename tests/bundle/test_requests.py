"""A request that cannot be honoured is refused before anything is made."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atelier.bundle.bundle_model import Refused, answer, check_request, open_bundle, parse_amounts

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
]


@pytest.mark.parametrize(("request_", "message"), BAD_REQUESTS)
def test_what_cannot_be_honoured_is_refused(
    image_bundle: Path, monkeypatch: pytest.MonkeyPatch, request_: Any, message: str
) -> None:
    opened = open_bundle(image_bundle)
    monkeypatch.setattr(opened, "sample", lambda *_: pytest.fail("made before it was checked"))
    with pytest.raises(Refused, match=message):
        answer(opened, request_, None)


@pytest.mark.parametrize("params", [{"format": "gif"}, {"quality": 3}, {"format": 1}])
def test_unknown_parameters_are_refused(image_bundle: Path, params: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="params: "):
        answer(open_bundle(image_bundle), [{"count": 1}], params)


def test_numpy_numbers_are_numbers() -> None:
    check_request(np.int64(3), np.int32(0), np.float32(1))


def test_amounts_by_name() -> None:
    assert parse_amounts("edits", "") == {}
    assert parse_amounts("edits", " A = 1 ,B=-0.5,") == {"A": 1.0, "B": -0.5}
