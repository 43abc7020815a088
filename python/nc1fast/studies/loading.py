"""From YAML to a checked `Study`: built-in ones by name, others by path; one line says what is
wrong, and where.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from nc1fast.inputs.files import split_name
from nc1fast.studies import library
from nc1fast.studies.description import Study
from nc1fast.studies.experiment import Experiment, described_by
from nc1fast.studies.fields import did_you_mean
from nc1fast.studies.mistakes import explained, line_of, repeated_key, written_out
from nc1fast.studies.sources import Digits, File
from nc1fast.support.extras import require
from nc1fast.support.reading import check_regular, one_line, reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.plan import AnyStudy

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
            f"unknown study {name!r}{did_you_mean(name, known)}; built in: {', '.join(known)}; or give a .yml file"
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
    if (key := repeated_key(root)) is not None:
        raise ValueError(f"{where}, line {line_of(key)}: {key.value} is there twice")
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
            f"{where}: parts belong to one of the experiments {', '.join(known)}, but the name is {name!r}"
            f"{did_you_mean(name, known)}"
        )
    return described_by(library.all_studies()[name].parts)


def _content(loader: Any, root: Any, where: str) -> Any:
    """The objects of a tree; numbers and dates that Python does not take are named as what they
    are.
    """
    try:
        return loader.construct_document(root)
    except (ValueError, OverflowError, TypeError) as error:
        told = "a number of too many digits" if "digits" in str(error) else one_line(error)
        raise ValueError(f"{where}: not valid YAML: {told}") from None


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
        if root is not None and written_out(root) > _NODES:
            raise ValueError(f"{where}: aliases make more than {_NODES} entries of it")
        content = None if root is None else _content(loader, root, where)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f", line {mark.line + 1}"
        problem = " ".join((getattr(error, "problem", None) or str(error)).split())
        raise ValueError(f"{where}{line}: not valid YAML: {problem}") from None
    except RecursionError:
        raise ValueError(f"{where}: not valid YAML: too many levels inside each other") from None
    return root, content
