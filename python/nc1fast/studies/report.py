"""The report of a study: one self-contained HTML page of findings, figures and the table; report.html.j2 lays it out."""

from __future__ import annotations

import base64
import gzip
import math
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nc1fast.studies import figures, library, table
from nc1fast.studies import series as _series
from nc1fast.studies.findings import Finding, pooled, rules
from nc1fast.studies.findings.words import show
from nc1fast.studies.summary import CELL, derived, select, summarise
from nc1fast.support.arithmetic import ieee
from nc1fast.support.extras import require
from nc1fast.support.reading import reading
from nc1fast.support.writing import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nc1fast.studies.tidy import Row

REPORT = "report.html"
FIGURES = "figures"
OVERVIEW = "overview"  # name of the figure on the first screen
_PROVENANCE = (
    "preset",
    "seed",
    "repeats",
    "conventions",
    "version",
    "processor",
    "cores",
    "command",
)
_MORE_PROVENANCE = ("study", "cells", "dtype", "system", "python", "numpy", "torch", "core", "date")


@ieee
def build(folder: str | Path) -> Path:
    """Draw the figures and write the report of a finished study from its tables alone.

    Parameters
    ----------
    folder : str or Path
        Has table.parquet or table.csv, and series.parquet or series.csv unless nothing was
        illustrated; gets figures/ and report.html.

    Returns
    -------
    Path
        The report.

    Raises
    ------
    FileNotFoundError, ValueError
        As `nc1fast.studies.read`; a table without rows is a ValueError.
    ImportError
        If matplotlib, jinja2 or scipy is missing (extra `study`).
    """
    folder = Path(folder)
    rows, provenance = table.read(folder)
    if not rows:
        raise ValueError(f"the table in {folder} has no rows")
    with reading(str(folder)):  # errors of rows that no study would write name the folder
        study = library.told_as(provenance.get("study", ""))
        drawings = study.draw(rows, _series.read(folder))
        images = figures.save(drawings, folder / FIGURES)
        html = render(rows, provenance, drawings, images)
    path = folder / REPORT
    write_atomically(path, html.encode())
    return path


def render(
    rows: Sequence[Row],
    provenance: Mapping[str, Any],
    drawings: Sequence[figures.Drawing],
    images: Mapping[str, bytes],
) -> str:
    """The HTML of a report; figures and the whole table are inside it, nothing is fetched.

    Parameters
    ----------
    rows : sequence of Row
        The table.
    provenance : mapping
        Metadata of the table; empty if it was read from the CSV. Its `study` decides which findings are told.
    drawings : sequence of Drawing
        The one named "overview" is shown on the first screen.
    images : mapping of str to bytes
        The SVG of each drawing, by name.
    """
    study = library.told_as(provenance.get("study", ""))
    jinja2 = require("jinja2", "study")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = number
    environment.filters["interval"] = show
    environment.filters["breakable"] = breakable
    source = resources.files(__package__) / "report.html.j2"
    shown = [_figure(drawing, images[drawing.name]) for drawing in drawings]
    unusual = select(rows, lambda row: row["status"] != "ok")
    csv = gzip.compress(table.LAYOUT.to_csv(rows).encode(), mtime=0)
    html: str = environment.from_string(source.read_text(encoding="utf-8")).render(
        title=provenance.get("title") or "A study without recorded provenance",
        provisional=provenance.get("provisional", False),
        overview=next((f for f in shown if f["name"] == OVERVIEW), None),
        claims=study.claims(rows),
        provenance=[(name, provenance[name]) for name in _PROVENANCE if name in provenance],
        more=[(name, provenance[name]) for name in _MORE_PROVENANCE if name in provenance],
        confidence=f"{rules.CONFIDENCE:.0%}",
        sections=[(heading, [_told(f) for f in found]) for heading, found in study.sections(rows)],
        unusual_columns=[*_varying(unusual, (*CELL, "repeat")), "seed", "nc1", "status"],
        unusual=unusual,
        figures=[figure for figure in shown if figure["name"] != OVERVIEW],
        columns=_varying(rows, CELL),
        cells=_cells(rows),
        meanings=table.COLUMNS,
        n_rows=len(rows),
        csv=_uri(csv, "application/gzip"),
    )
    return html


def number(value: Any) -> str:
    """A value of the table as text: floats to four digits, NaN as a dash."""
    if not isinstance(value, float):
        return str(value)
    return "–" if math.isnan(value) else f"{value:.4g}"  # noqa: RUF001


def breakable(ratio_name: str) -> str:
    """The name of a ratio with a space of no width after the slash, where a line may end."""
    return ratio_name.replace("/", "/\u200b")


def _figure(drawing: figures.Drawing, svg: bytes) -> dict[str, str]:
    """A figure for the template; `alt` is the first sentence of the caption, which follows in full."""
    first, _, rest = drawing.caption.partition(". ")
    alt = f"Figure: {first}. Described in the caption." if rest else f"Figure: {first}"
    uri = _uri(svg, "image/svg+xml")
    return {"name": drawing.name, "caption": drawing.caption, "alt": alt, "uri": uri}


def _told(finding: Finding) -> dict[str, Any]:
    cells = [cell.cell for cell in finding.cells]
    present = [name for name in CELL if all(name in cell for cell in cells)]
    return {"finding": finding, "ratio": pooled(finding.cells), "columns": _varying(cells, present)}


def _varying(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    """The columns in which the rows differ; the first one if they differ in none."""
    kept = [name for name in columns if len({str(row[name]) for row in rows}) > 1]
    return kept or list(columns[:1])


def _cells(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One line for each cell and model, with means and deviations over its repeats."""
    rows = derived(rows)
    names = ("nc1", "log10_nc1", "log10_relative_nc1", "error_bound")
    columns = {name: summarise(rows, name) for name in names}
    return [
        {"cell": nc1.cell, "nc1": nc1, "log": log, "relative": relative, "bound": bound.mean}
        for nc1, log, relative, bound in zip(*columns.values(), strict=True)
    ]


def _uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
