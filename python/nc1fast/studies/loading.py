"""From YAML to a checked `Study`: built-in ones by name, others by path; one line says what is
wrong, and where.
"""

from __future__ import annotations

import math
import re
import reprlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from nc1fast.inputs.files import split_name
from nc1fast.studies import library
from nc1fast.studies.description import Study
from nc1fast.studies.experiment import Experiment, described_by
from nc1fast.studies.fields import did_you_mean
from nc1fast.studies.sources import Digits, File
from nc1fast.support.extras import require
from nc1fast.support.reading import check_regular, one_line, reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.runner import AnyStudy


_LONGEST = 40  # letters of a name
_LETTERS, _NODES = (
    1 << 18,
    100_000,
)  # of a description, aliases written out: more are read for minutes


def built_in() -> dict[str, list[str]]:
    """Names of the built-in studies, each with its presets."""
    return {name: study.presets() for name, study in library.all_studies().items()}


def load(name_or_path: str | Path, preset: str | None = None) -> AnyStudy:
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
            with path.open(encoding="utf-8") as file:
                content = file.read(_LETTERS + 1)
        except UnicodeDecodeError as error:
            raise ValueError(f"{text}: not a text file: {error}") from None
        return parse(content, text).relative_to(path.parent)


def load_data(
    path: str | Path,
    *,
    keys: Sequence[str] | None = None,
    labels: str | int | None = None,
    scale: str = "none",
    preset: str | None = None,
    networks: bool = True,
) -> Study:
    """The study of a data set of the user's own: preset `"quick"` or `"full"` of the built-in study
    "data", fitted to it.

    Parameters
    ----------
    path : str or Path
        A file or folder that `nc1fast.datasets.load` reads, or the word digits.
    keys, labels, scale
        As of `nc1fast.datasets.load`.
    preset : str, optional
        Default `"quick"`.
    networks : bool, default True
        Whether networks are trained.

    Raises
    ------
    FileNotFoundError, ValueError
        As `nc1fast.datasets.load`; for an unknown preset, and labels that are no classes.
    """
    design, fit = _load_built_in("data", preset or "quick"), library.STUDIES["data"].fit
    assert isinstance(design, Study)
    assert fit is not None
    described: dict[str, Any] = {"scale": scale, "name": name_of(Path(path))}
    if str(path) == "digits":
        return fit(
            design, Digits.model_validate({"source": "digits", **described}), networks=networks
        )
    described |= {"source": "file", "path": str(path), "keys": keys, "labels": labels}
    return fit(design, File.model_validate(described), networks=networks)


def name_of(path: str | Path) -> str:
    """The name of a data set from that of its file or folder, without endings, in the letters that
    a name may have.
    """
    stem = re.sub(r"(\.[A-Za-z0-9]{1,8})+$", "", Path(split_name(str(path))[0]).absolute().name)
    return re.sub(r"[^A-Za-z0-9 ._+-]", "-", stem).lstrip(" ._+-")[:_LONGEST] or "data"


def _load_built_in(name: str, preset: str) -> AnyStudy:
    known = built_in()
    if name not in known:
        raise ValueError(
            f"unknown study {name!r}{did_you_mean(name, known)}; built in: {', '.join(known)}; or "
            "give a .yml file"
        )
    if preset not in known[name]:
        raise ValueError(
            f"study {name!r} has no preset {preset!r}; choose from {', '.join(known[name])}"
        )
    return parse(library.all_studies()[name].description(preset), f"{name}/{preset}.yml")


def parse(text: str, where: str = "study") -> AnyStudy:
    """Read a Study, or an Experiment, from YAML text; `where` begins the error messages.

    A description with the key `parts` is an experiment, of the built-in study that it names.

    Raises
    ------
    ValueError
        If the text is not YAML or does not describe a study: one line with the line and the key.
    """
    root, content = _read(text, where)
    try:
        return _kind_of(content, where).model_validate(content, from_attributes=False)
    except ValidationError as error:
        raise ValueError(f"{where}, {explained(error, root)}") from None


def _kind_of(content: Any, where: str) -> type[Study | Experiment]:
    """The class of a description."""
    if not (isinstance(content, dict) and "parts" in content):
        return Study
    known = [name for name, study in library.all_studies().items() if study.parts]
    if (name := content.get("name")) not in known:
        raise ValueError(
            f"{where}: parts belong to one of the experiments {', '.join(known)}, but the name is "
            f"{name!r}{did_you_mean(name, known)}"
        )
    return described_by(library.all_studies()[name].parts)


def _read(text: str, where: str) -> tuple[Any, Any]:
    """The YAML text as a tree of nodes, which know their lines, and as Python objects; both None if
    it is empty.
    """
    yaml = require("yaml", "study")
    if len(text) > _LETTERS:
        raise ValueError(f"{where}: has more than the {_LETTERS} letters of a description")
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is None:
            return None, None
        if _size(root, where, {}) > _NODES:
            raise ValueError(f"{where}: aliases make more than {_NODES} entries of it")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f", line {mark.line + 1}"
        problem = " ".join((getattr(error, "problem", None) or str(error)).split())
        raise ValueError(f"{where}{line}: not valid YAML: {problem}") from None
    except RecursionError:
        raise ValueError(f"{where}: not valid YAML: too many levels inside each other") from None
    try:
        return root, loader.construct_document(root)
    except (yaml.YAMLError, ValueError, OverflowError, TypeError) as error:
        # numbers and dates that Python does not take
        reason = "a number of too many digits" if "digits" in str(error) else one_line(error)
        raise ValueError(f"{where}: not valid YAML: {reason}") from None


def _size(node: Any, where: str, known: dict[int, float]) -> float:
    """Number of nodes below one in which every alias is a copy; infinite if one is of what it is
    in. A key that is there twice, of which YAML would silently take the last, is a ValueError.
    """
    if id(node) not in known:
        known[id(node)] = math.inf  # while its parts are counted
        parts = node.value if node.id == "sequence" else ()
        if node.id == "mapping":
            keys = [key for key, _ in node.value if key.id == "scalar"]
            first = {key.value: key for key in reversed(keys)}
            for key in keys:
                if first[key.value] is not key:
                    raise ValueError(f"{where}, line {line_of(key)}: {key.value} is there twice")
            parts = [one for pair in node.value for one in pair]
        known[id(node)] = 1 + sum(_size(part, where, known) for part in parts)
    return known[id(node)]


# --- mistakes in words: the line of the file, the key, what was found and what is allowed

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
    "string_pattern_mismatch": (
        "must be at most 41 letters, digits, spaces and . _ + -, and begin with one of the first "
        "two"
    ),
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be {ge:g} or more",
    "literal_error": "must be {expected}",
    "union_tag_invalid": "{discriminator} must be one of {expected_tags}",
}

_QUOTED = re.compile(
    r"'([^']+)'; choose from (.+)"
)  # a word that is unknown, and those that are known


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
    lines = _innermost(error.errors(include_url=False), root)
    more = f" (and {len(lines) - _MOST_ERRORS} more)" if len(lines) > _MOST_ERRORS else ""
    return f"{'; '.join(lines[:_MOST_ERRORS])}{more}"


def _innermost(errors: Sequence[Any], root: Any) -> list[str]:
    """Lines for the errors whose keys are not the beginning of the keys of another one."""
    lines: dict[tuple[int | str, ...], str] = {}
    for error in errors:
        keys, line = _place(root, error)
        name = ".".join(map(str, keys)) or "study"
        lines.setdefault(keys, f"line {line}: {name}: {_message(error)}")
    return [
        text
        for keys, text in lines.items()
        if not any(len(other) > len(keys) and other[: len(keys)] == keys for other in lines)
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
    message = str(error["msg"]).removeprefix("Value error, ")
    text = _WORDS.get(error["type"], message[:1].lower() + message[1:])
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
