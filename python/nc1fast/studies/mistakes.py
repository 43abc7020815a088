"""Mistakes in the description of a study, in words: the line of its file, the key, what was found
and what is allowed.
"""

from __future__ import annotations

import math
import re
import reprlib
from typing import TYPE_CHECKING, Any

from nc1fast.studies.fields import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import ValidationError

_MOST_ERRORS = 3  # of one description that are shown
# Plain words for some kinds of errors of pydantic.
_WORDS = {
    "missing": "this key is missing",
    "model_type": "must be a mapping of keys",
    "tuple_type": "must be a list",
    "too_short": "must have {min_length} or more entries, has {actual_length}",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    "string_type": "must be text",
    "string_pattern_mismatch": "must be at most 41 letters, digits, spaces and . _ + -, and begin with one of the first two",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be {ge:g} or more",
    "literal_error": "must be {expected}",
    "union_tag_invalid": "{discriminator} must be one of {expected_tags}",
}

_QUOTED = re.compile(
    r"'([^']+)'; choose from (.+)"
)  # a word that is unknown, and those that are known


def repeated_key(root: Any) -> Any:
    """The node of a key that a mapping has twice, of which YAML would silently take the last; None
    if there is none.
    """
    waiting, known = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in known or not isinstance(getattr(node, "value", None), list):
            continue
        known.add(id(node))  # aliases make the tree a graph
        if node.id == "sequence":
            waiting += node.value
            continue
        keys: set[Any] = set()
        for key, value in node.value:
            if key.id == "scalar" and key.value in keys:
                return key
            keys.add(key.value if key.id == "scalar" else None)
            waiting.append(value)
    return None


def written_out(root: Any) -> float:
    """Number of nodes of a tree in which every alias is a copy; infinite if one is of what it is
    in.
    """
    known: dict[int, float] = {}

    def size(node: Any) -> float:
        if id(node) in known:
            return known[id(node)]
        known[id(node)] = math.inf  # while its parts are counted
        parts = node.value if node.id != "scalar" else ()
        parts = parts if node.id == "sequence" else (one for pair in parts for one in pair)
        known[id(node)] = 1 + sum(map(size, parts))
        return known[id(node)]

    return size(root)


def explained(error: ValidationError, root: Any) -> str:
    """The errors of a description as "line N: key: message", joined by semicolons; at most three
    are shown.

    Parameters
    ----------
    error : pydantic.ValidationError
    root : yaml.Node
        The tree of the description.

    Notes
    -----
    Some errors only follow from others: a value that may be a number or a list fails as both, and a
    list whose entries are wrong is also too short. The first error of the innermost keys is shown.
    """
    told = _innermost(error.errors(include_url=False), root)
    more = f" (and {len(told) - _MOST_ERRORS} more)" if len(told) > _MOST_ERRORS else ""
    return f"{'; '.join(told[:_MOST_ERRORS])}{more}"


def _innermost(errors: Sequence[Any], root: Any) -> list[str]:
    """Lines for the errors whose keys are not the beginning of the keys of another one."""
    told: dict[tuple[int | str, ...], str] = {}
    for error in errors:
        keys, line = _place(root, error)
        name = ".".join(map(str, keys)) or "study"
        told.setdefault(keys, f"line {line}: {name}: {_message(error)}")
    return [
        text
        for keys, text in told.items()
        if not any(len(other) > len(keys) and other[: len(keys)] == keys for other in told)
    ]


def _place(root: Any, error: Any) -> tuple[tuple[int | str, ...], int]:
    """Keys and line of an error; parts of its place that are no keys, such as the kind of a source,
    are left out.
    """
    node, line = root, 1
    keys: list[int | str] = []
    for part in error["loc"]:
        found = _child(node, part)
        if found is not None:
            line, node = found
            keys.append(part)
    if error["type"] == "missing":
        keys.append(error["loc"][-1])
    if error["type"] == "value_error" and (quoted := _QUOTED.search(error["msg"])):
        for key, value in node.value if node.id == "mapping" else ():
            scalars = value.value if value.id == "sequence" else [value]
            if any(one.id == "scalar" and one.value == quoted[1] for one in scalars):
                return (*keys, key.value), line_of(key)
    return tuple(keys), line


def _child(node: Any, part: int | str) -> tuple[int, Any] | None:
    """Line and node of an item of a list or of a value of a mapping, if there is one."""
    kind = getattr(node, "id", "")
    if kind == "sequence" and isinstance(part, int) and part < len(node.value):
        return line_of(node.value[part]), node.value[part]
    if kind == "mapping":
        for key, value in node.value:
            if key.value == part:
                return line_of(key), value
    return None


def line_of(node: Any) -> int:
    """Number, from 1, of the line on which a node begins."""
    return int(node.start_mark.line) + 1


def _message(error: Any) -> str:
    """The words of one error, with the value found and the allowed value closest to it."""
    context = error.get("ctx", {})
    told = str(error["msg"]).removeprefix("Value error, ")
    text = _WORDS.get(error["type"], told[:1].lower() + told[1:])
    if error["type"] in _WORDS:
        text = text.format_map(context)
    if error["type"] == "value_error" and (quoted := _QUOTED.search(text)):
        return (
            text[: quoted.end(1) + 1]
            + did_you_mean(quoted[1], quoted[2].split(", "))
            + text[quoted.end(1) + 1 :]
        )
    if error["type"] in ("missing", "unknown_key", "value_error", "too_short"):
        return text
    found = context.get("tag", error["input"])
    allowed = re.findall(r"'([^']*)'", context.get("expected", context.get("expected_tags", "")))
    return f"{text}, got {_shown(found)}{did_you_mean(found, allowed)}"


def _shown(found: Any) -> str:
    """A value of a description, or what kind of value it is."""
    if found is None:
        return "nothing"
    if isinstance(found, list | tuple | dict):
        return "a mapping" if isinstance(found, dict) else "a list"
    return reprlib.repr(found)
