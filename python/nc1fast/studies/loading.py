"""From YAML to a checked `Study`: built-in ones by name, others by path; one line says what is wrong, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nc1fast.studies import library
from nc1fast.studies.description import Study
from nc1fast.studies.fields import did_you_mean
from nc1fast.studies.mistakes import explained, line_of, repeated_key
from nc1fast.support.extras import require
from nc1fast.support.reading import check_regular, reading


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
    root, content = _read(text, where)
    if (key := repeated_key(root)) is not None:
        raise ValueError(f"{where}, line {line_of(key)}: {key.value} is there twice")
    try:
        return Study.model_validate(content, from_attributes=False)
    except ValidationError as error:
        raise ValueError(f"{where}, {explained(error, root)}") from None


def _read(text: str, where: str) -> tuple[Any, Any]:
    """The YAML text as a tree of nodes, which know their lines, and as Python objects; both None if it is empty."""
    yaml = require("yaml", "study")
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        content = None if root is None else loader.construct_document(root)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f", line {mark.line + 1}"
        problem = " ".join((getattr(error, "problem", None) or str(error)).split())
        raise ValueError(f"{where}{line}: not valid YAML: {problem}") from None
    except RecursionError:
        raise ValueError(f"{where}: not valid YAML: too many levels inside each other") from None
    return root, content
