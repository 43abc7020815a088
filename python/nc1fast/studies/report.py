"""The report of a study: one self-contained HTML file, assembled from the tables and the figures."""

from __future__ import annotations

import base64
import gzip
import math
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nc1fast.studies import figures, table
from nc1fast.studies import series as _series
from nc1fast.studies.findings import Finding, claims, pooled, rules, sections
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
OVERVIEW = "overview"  # the figure of the first screen
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
    """Draw the figures and write the report of a finished study, from its tables alone.

    Parameters
    ----------
    folder : str or Path
        Holds table.parquet or table.csv, and series.parquet or series.csv unless nothing was
        illustrated; gets figures/ and report.html.

    Returns
    -------
    Path
        Of the report.

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
    with reading(str(folder)):  # a table of text may hold what no study measures
        drawings = figures.draw(rows, _series.read(folder))
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
    """Assemble the HTML: figures and the whole table are inside, nothing is fetched.

    Parameters
    ----------
    rows : sequence of Row
        The table.
    provenance : mapping
        As the table carries it; empty if it was read from the CSV.
    drawings : sequence of Drawing
        The one named "overview" goes on the first screen.
    images : mapping of str to bytes
        SVG of each drawing, by name.
    """
    jinja2 = require("jinja2", "study")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = number
    environment.filters["interval"] = show
    environment.filters["breakable"] = breakable
    source = resources.files("nc1fast") / "studies" / "report.html.j2"
    figures = [_figure(drawing, images[drawing.name]) for drawing in drawings]
    unusual = select(rows, lambda row: row["status"] != "ok")
    csv = gzip.compress(table.LAYOUT.to_csv(rows).encode(), mtime=0)
    html: str = environment.from_string(source.read_text(encoding="utf-8")).render(
        title=provenance.get("title") or "A study without recorded provenance",
        provisional=provenance.get("provisional", False),
        overview=next((f for f in figures if f["name"] == OVERVIEW), None),
        claims=claims(rows),
        provenance=[(name, provenance[name]) for name in _PROVENANCE if name in provenance],
        more=[(name, provenance[name]) for name in _MORE_PROVENANCE if name in provenance],
        confidence=f"{rules.CONFIDENCE:.0%}",
        sections=[(heading, [_told(f) for f in found]) for heading, found in sections(rows)],
        unusual_columns=[*_varying(unusual, (*CELL, "repeat")), "seed", "nc1", "status"],
        unusual=unusual,
        figures=[figure for figure in figures if figure["name"] != OVERVIEW],
        columns=_varying(rows, CELL),
        cells=_cells(rows),
        meanings=table.COLUMNS,
        n_rows=len(rows),
        csv=_uri(csv, "application/gzip"),
    )
    return html


def number(value: Any) -> str:
    """Print a number of the table to four digits; a value that does not exist as a dash."""
    if not isinstance(value, float):
        return str(value)
    return "–" if math.isnan(value) else f"{value:.4g}"  # noqa: RUF001


def breakable(ratio_name: str) -> str:
    """Let a line end after the slash of a ratio (a space of no width)."""
    return ratio_name.replace("/", "/\u200b")


def _figure(drawing: figures.Drawing, svg: bytes) -> dict[str, str]:
    """`alt` is the first sentence of the caption, which stands below the figure in full."""
    first, _, rest = drawing.caption.partition(". ")
    alt = f"Figure: {first}. Described in the caption." if rest else f"Figure: {first}"
    uri = _uri(svg, "image/svg+xml")
    return {"name": drawing.name, "caption": drawing.caption, "alt": alt, "uri": uri}


def _told(finding: Finding) -> dict[str, Any]:
    cells = [cell.cell for cell in finding.cells]
    present = [name for name in CELL if all(name in cell for cell in cells)]
    return {"finding": finding, "ratio": pooled(finding.cells), "columns": _varying(cells, present)}


def _varying(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    """Columns that are not everywhere the same: what tells the rows apart."""
    kept = [name for name in columns if len({str(row[name]) for row in rows}) > 1]
    return kept or list(columns[:1])


def _cells(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One line per cell and model: mean and deviation over its repeats."""
    rows = derived(rows)
    names = ("nc1", "log10_nc1", "log10_relative_nc1", "error_bound")
    columns = {name: summarise(rows, name) for name in names}
    return [
        {"cell": nc1.cell, "nc1": nc1, "log": log, "relative": relative, "bound": bound.mean}
        for nc1, log, relative, bound in zip(*columns.values(), strict=True)
    ]


def _uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
