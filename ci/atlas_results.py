"""The committed results of a study of the atlas, docs/atlas/NAME/: its table, one figure, and where
they come from.

`take` writes them from a finished run, as `nc1fast study NAME --out DIR/NAME` leaves it;
`committed` reads them back for the pages.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import atlas_tables

from nc1fast.studies import library, measures
from nc1fast.studies.figures import to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nc1fast.studies.figures import Drawing
    from nc1fast.studies.findings.finding import Claim
    from nc1fast.studies.library.entry import BuiltIn
    from nc1fast.studies.tidy import Row

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "atlas"
TABLE, ORIGIN = "table.csv", "origin.json"
LARGEST_FIGURE = 120_000  # bytes
VERSIONS = ("version", "python", "numpy", "scipy", "torch", "core")  # of the provenance of a run
_KEPT = ("title", "preset", "provisional", "seed", "repeats", "cells", "date", *VERSIONS)
_DPI = (150, 120, 100, 80)


@dataclass(frozen=True)
class Committed:
    """A study whose table is in the documentation.

    Attributes
    ----------
    name : str
    folder : Path
        Has its table, its figure, and where they come from.
    """

    name: str
    folder: Path

    @property
    def study(self) -> BuiltIn:
        """Of the library."""
        return library.STUDIES[self.name]

    @cached_property
    def rows(self) -> list[Row]:
        """Of the table."""
        told: list[Row] = atlas_tables.read((self.folder / TABLE).read_text(encoding="utf-8"))
        return told

    @cached_property
    def claims(self) -> list[Claim]:
        """Judged on these rows."""
        return self.study.claims(self.rows)

    @cached_property
    def origin(self) -> dict[str, Any]:
        """The provenance, the form of the table, and the words of the figure."""
        told: dict[str, Any] = json.loads((self.folder / ORIGIN).read_text(encoding="utf-8"))
        return told


def committed(docs: Path = DOCS) -> list[Committed]:
    """The studies that have a table, in the order of the library."""
    found = (Committed(name, docs / name) for name in library.STUDIES)
    return [one for one in found if (one.folder / TABLE).exists()]


def finished(results: Path) -> list[str]:
    """Names of the experiments that have a table in a folder of results."""
    return [
        name
        for name, study in library.STUDIES.items()
        if study.parts and measures.LAYOUT.exists(results / name)
    ]


def take(name: str, results: Path, docs: Path = DOCS, limit: int = atlas_tables.LIMIT) -> None:
    """Write the table, the figure and their origin of a finished study into the documentation.

    Raises
    ------
    ValueError
        For a study without measures, a run that is not whole, and a table that does not become
        small enough.
    FileNotFoundError
        If there are no results.
    """
    study = library.STUDIES.get(name)
    if study is None or not study.parts:
        raise ValueError(f"{name!r} is no experiment of the library")
    rows, provenance = measures.LAYOUT.read(results / name)
    if provenance.get("study") != name:
        raise ValueError(f"{results / name} has no measures of {name} with their provenance")
    done, _, planned = provenance["cells"].partition(" of ")
    if done != planned:
        raise ValueError(f"{results / name} is not whole: {provenance['cells']} cells")
    text, form = atlas_tables.fitted(rows, study.claims, limit)
    kept = atlas_tables.read(text)
    drawing = next(each for each in study.draw(kept, []) if not each.aside)
    folder = docs / name
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    (folder / TABLE).write_text(text, encoding="utf-8")
    (folder / f"{drawing.name}.png").write_bytes(_png(drawing))
    origin = {
        **{key: provenance[key] for key in _KEPT if key in provenance},
        "rows": len(rows),
        "most_repeats": 1 + max(row["repeat"] for row in rows),
        "minutes": round(_seconds(rows) / 60, 1),
        "form": atlas_tables.as_json(form),
        "figure": {"name": drawing.name, "caption": drawing.caption, "seen": drawing.seen},
    }
    told = json.dumps(origin, indent=1, ensure_ascii=False)
    (folder / ORIGIN).write_text(f"{told}\n", encoding="utf-8")


def _seconds(rows: Iterable[Row]) -> float:
    """Wall time of all cells; the rows of one cell share it, and nothing else tells them apart."""
    cells = {(r["part"], r["seed"], r["repeat"], float(r["seconds"])) for r in rows}
    return sum((seconds for *_, seconds in cells), 0.0)


def _png(drawing: Drawing) -> bytes:
    """The figure, with as many dots per inch as keep it small."""
    for dpi in _DPI:
        image = to_bytes(drawing, "png", dpi)
        if len(image) < LARGEST_FIGURE:
            return image
    raise ValueError(f"figure {drawing.name} has {len(image)} bytes at {_DPI[-1]} dpi")
