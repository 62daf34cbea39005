"""Changes of a YAML file that leave its comments, its order and its style as they are.

By ruamel.yaml's round trip, which keeps how numbers and words are spelt. It hangs what follows a
value, the comment beside it, blank lines and comments above the next key, on the last scalar inside
that value; so whoever replaces the value moves that along.
"""

import io
from collections.abc import Mapping
from functools import reduce
from operator import getitem
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.tokens import CommentToken

ANY_WIDTH = 2**16
"""No line is broken that was whole."""


class _Representer(RoundTripRepresenter):
    """Writes `null`, where ruamel.yaml would write nothing, and equal values as often as they are
    there."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Representer.add_representer(
    type(None), lambda self, _: self.represent_scalar("tag:yaml.org,2002:null", "null")
)


def _yaml() -> YAML:
    kept = YAML()
    kept.Representer = _Representer
    kept.width = ANY_WIDTH
    kept.preserve_quotes = True
    kept.indent(mapping=2, sequence=4, offset=2)
    return kept


def rewritten(text: str, changes: Mapping[tuple[str, ...], Any]) -> str:
    """The text with other values at places that are there.

    A mapping takes the form of the one that stands there, a line for each key or all in one; what
    stands in it is in one line. A comment beside the old value, or between its lines, goes too.
    """
    document = _yaml().load(text)
    for (*above, key), value in changes.items():
        mapping, new = reduce(getitem, above, document), _in_one_line(value)
        old, (_, below) = mapping[key], _take_comment(mapping, key)
        if _is_block(old) and isinstance(new, CommentedMap):
            old.ca.items.clear()
            old.clear()
            old.update(new)
        else:
            mapping[key] = new
        _put_comment(mapping, key, below)
    return _dumped(document)


def extended(text: str, keys: tuple[str, ...], name: str, value: Any) -> str:
    """The text with one more entry, in one line, at the end of a mapping.

    Raises:
        ValueError: the mapping has no line for each of its entries.
    """
    document = _yaml().load(text)
    mapping = reduce(getitem, keys, document)
    if not _is_block(mapping):
        raise ValueError(f"{'.'.join(keys)}: not one entry a line")
    last = next(reversed(mapping))
    beside, below = _take_comment(mapping, last)
    mapping[_in_one_line(name)] = _in_one_line(value)
    _put_comment(mapping, last, beside)
    _put_comment(mapping, name, below)
    return _dumped(document)


def _in_one_line(value: Any) -> Any:
    """Spelt by PyYAML, which reads our files: it quotes what it would take for something else."""
    said = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=ANY_WIDTH)
    return _yaml().load(said)


def _is_block(value: Any) -> bool:
    """Whether it has a line, or more, for each of its entries; an empty one has none."""
    entries = isinstance(value, CommentedMap | CommentedSeq) and len(value) > 0
    return entries and not value.fa.flow_style()


def _last(container: Any, key: Any) -> tuple[Any, Any, int]:
    """Where the comment after a value hangs: container, key in it, place among its comments."""
    value, is_mapping = container[key], isinstance(container, CommentedMap)
    if not _is_block(value):
        return container, key, 2 if is_mapping else 0
    return _last(value, next(reversed(value)) if isinstance(value, Mapping) else len(value) - 1)


def _take_comment(container: Any, key: Any) -> tuple[CommentToken, CommentToken]:
    """The comments beside a value and below it; an empty one where there is none."""
    holder, last, place = _last(container, key)
    found = (holder.ca.items.pop(last, None) or [None] * 4)[place]
    if found is None:
        return CommentToken("", CommentMark(0), None), CommentToken("", CommentMark(0), None)
    beside, newline, below = found.value.partition("\n")
    return (
        CommentToken(beside and beside + newline, found.start_mark, None),
        CommentToken(newline + below, CommentMark(0), None),
    )


def _put_comment(container: Any, key: Any, comment: CommentToken) -> None:
    holder, last, place = _last(container, key)
    if comment.value:
        holder.ca.items[last] = [None] * 4
        holder.ca.items[last][place] = comment


def _dumped(document: Any) -> str:
    page = io.StringIO()
    _yaml().dump(document, page)
    return page.getvalue()
