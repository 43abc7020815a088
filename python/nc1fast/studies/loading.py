"""From YAML to a checked `Study`: built-in ones by name, others by path; one line says what is wrong, and where."""

from __future__ import annotations

import re
import reprlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from nc1fast.studies import library
from nc1fast.studies.description import Study
from nc1fast.studies.fields import did_you_mean
from nc1fast.support.extras import require
from nc1fast.support.storage import check_regular, reading

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_ERRORS = 3  # shown of one description
# Words for the kinds of errors that pydantic words for programmers.
_WORDS = {
    "missing": "this key is missing",
    "model_type": "must be a mapping of keys",
    "tuple_type": "must be a list",
    "too_short": "must have at least {min_length} entry",
    "literal_error": "must be {expected}",
    "union_tag_invalid": "{discriminator} must be one of {expected_tags}",
}


def built_in() -> dict[str, list[str]]:
    """Names of the built-in studies, each with its presets."""
    return {name: study.presets() for name, study in library.STUDIES.items()}


def load(name_or_path: str | Path, preset: str | None = None) -> Study:
    """Read and check the description of a study.

    Parameters
    ----------
    name_or_path : str or Path
        Name of a built-in study, or a YAML file (anything with a suffix or a slash).
    preset : str, optional
        Of a built-in study; default `"quick"`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the name or preset is unknown, the YAML cannot be read, or the study is not valid: one
        line that says where and what.
    """
    text = str(name_or_path)
    if not text.endswith((".yml", ".yaml")) and "/" not in text:
        return _load_built_in(text, preset or "quick")
    if preset is not None:
        raise ValueError("preset belongs to a built-in study, not to a file")
    path = Path(text)
    check_regular(path)
    with reading(text):
        try:
            content = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{text}: not a text file: {error}") from None
        return parse(content, text).relative_to(path.parent)


def _load_built_in(name: str, preset: str) -> Study:
    known = built_in()
    if name not in known:
        raise ValueError(
            f"unknown study {name!r}{did_you_mean(name, known)}; built in: {', '.join(known)}; or give a .yml file"
        )
    if preset not in known[name]:
        raise ValueError(
            f"study {name!r} has no preset {preset!r}; choose from {', '.join(known[name])}"
        )
    return parse(library.STUDIES[name].description(preset), f"{name}/{preset}.yml")


def parse(text: str, where: str = "study") -> Study:
    """Read a study from YAML text; `where` begins the error messages.

    Raises
    ------
    ValueError
        If the text is not YAML or does not describe a study: one line with the line and the key.
    """
    yaml = require("yaml", "study")
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        twice = _repeated_key(root)
        content = None if root is None else loader.construct_document(root)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f", line {mark.line + 1}"
        problem = " ".join((getattr(error, "problem", None) or str(error)).split())
        raise ValueError(f"{where}{line}: not valid YAML: {problem}") from None
    finally:
        loader.dispose()
    if twice is not None:
        raise ValueError(f"{where}, line {_line(twice)}: {twice.value} is there twice")
    try:
        return Study.model_validate(content, from_attributes=False)
    except ValidationError as error:
        problems = _innermost(error.errors(include_url=False), root)
    more = f" (and {len(problems) - _MOST_ERRORS} more)" if len(problems) > _MOST_ERRORS else ""
    raise ValueError(f"{where}, {'; '.join(problems[:_MOST_ERRORS])}{more}")


def _repeated_key(root: Any) -> Any:
    """The node of a key that its mapping has a second time, which YAML would pass over; None if there is none."""
    waiting, known = [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in known or not isinstance(getattr(node, "value", None), list):
            continue
        known.add(id(node))  # anchors make the tree a graph
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


def _innermost(errors: Sequence[Any], root: Any) -> list[str]:
    """Each error as "line, key: message", but for one that only says that something inside is wrong.

    A value that may be a number or a list fails as both, a list of wrong entries is too short besides: the first error of
    the innermost keys says what is meant.
    """
    told: dict[tuple[int | str, ...], str] = {}
    for error in errors:
        keys, line = _place(root, error["loc"], missing=error["type"] == "missing")
        name = ".".join(map(str, keys)) or "study"
        told.setdefault(keys, f"line {line}: {name}: {_message(error)}")
    return [
        text
        for keys, text in told.items()
        if not any(len(other) > len(keys) and other[: len(keys)] == keys for other in told)
    ]


def _place(
    root: Any, loc: Sequence[int | str], *, missing: bool
) -> tuple[tuple[int | str, ...], int]:
    """Keys and line of an error; parts of `loc` that are no keys, as the kind of a source, are left out."""
    node, line = root, 1
    keys: list[int | str] = []
    for part in loc:
        found = _child(node, part)
        if found is not None:
            line, node = found
            keys.append(part)
    if missing:
        keys.append(loc[-1])
    return tuple(keys), line


def _child(node: Any, part: int | str) -> tuple[int, Any] | None:
    """Line and node of an item of a list or of a value of a mapping, if there is one."""
    kind = getattr(node, "id", "")
    if kind == "sequence" and isinstance(part, int) and part < len(node.value):
        return _line(node.value[part]), node.value[part]
    if kind == "mapping":
        for key, value in node.value:
            if key.value == part:
                return _line(key), value
    return None


def _line(node: Any) -> int:
    """Number, from 1, of the line on which a node begins."""
    return int(node.start_mark.line) + 1


def _message(error: Any) -> str:
    """Say what is wrong; where it is a value, say also which one was found, and the allowed one closest to it."""
    context = error.get("ctx", {})
    told = str(error["msg"]).removeprefix("Value error, ")
    text = _WORDS.get(error["type"], told[:1].lower() + told[1:])
    if error["type"] in _WORDS:
        text = text.format_map(context)
    if error["type"] in ("missing", "unknown_key", "value_error"):
        return text
    found = context.get("tag", error["input"])
    allowed = re.findall(r"'([^']*)'", context.get("expected", context.get("expected_tags", "")))
    got = f", got {reprlib.repr(found)}" if isinstance(found, str | int | float | None) else ""
    return f"{text}{got}{did_you_mean(found, allowed)}"
