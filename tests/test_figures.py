"""Every figure that is published is defined on one page, and the page defines no other."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = Path("docs/judging.md")
NAMES = {
    "EXTRACTOR": "(judge|judge_b|imagenet|witness)",
    "DIRECTION": "(A2B|B2A)",
    "ATTRIBUTE": r"\w+",
    "OTHER": r"\w+",
    "REQUEST": r"[\w ]+",
    "FIGURE": r".+",
}
OF_OTHER_DATA = {"left_out/FIGURE"}
"""Nothing is left out where images are many and labelled."""


def figures(words: dict[str, Any], before: str = "") -> Iterator[str]:
    for key, value in words.items():
        if isinstance(value, dict):
            yield from figures(value, f"{before}{key}/")
        else:
            yield before + key


def published() -> set[str]:
    files = [*Path("artifacts/laptop").glob("*/*metrics.json")]
    assert files
    return {key for file in files for key in figures(json.loads(file.read_text()))}


def defined() -> dict[str, re.Pattern[str]]:
    """Each key of the last section, as what it stands for."""
    section = PAGE.read_text().partition("## Every key")[2]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    keys = [key for row in rows for key in re.findall(r"`([^`]+)`", row)]
    assert len(keys) == len(set(keys)), "defined twice"
    names = "|".join(NAMES)

    def pattern(key: str) -> re.Pattern[str]:
        return re.compile(re.sub(rf"\b({names})\b", lambda name: NAMES[name[0]], key))

    return {key: pattern(key) for key in keys}


def test_every_published_figure_is_defined() -> None:
    patterns = defined().values()
    unknown = [key for key in published() if not any(one.fullmatch(key) for one in patterns)]
    assert not unknown


def test_no_other_is_defined() -> None:
    found = published()
    idle = {key for key, one in defined().items() if not any(map(one.fullmatch, found))}
    assert idle <= OF_OTHER_DATA
