"""The report of a study: one self-contained HTML file, assembled from the table and the figures."""

from __future__ import annotations

import base64
import math
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nc1fast import plotting
from nc1fast._extras import require
from nc1fast.studies import table
from nc1fast.studies.findings import Finding, findings
from nc1fast.studies.summary import select, summarise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.table import Row

REPORT = "report.html"
FIGURES = "figures"
_CELL_COLUMNS = (
    "arm",
    "dataset",
    "N",
    "d0",
    "sizes",
    "kernel",
    "activation",
    "depth",
    "convention",
)
_UNUSUAL_COLUMNS = (*_CELL_COLUMNS, "repeat", "seed", "nc1", "relative_nc1", "status")
_PROVENANCE = (
    *("study", "preset", "cells", "repeats", "seed", "conventions", "dtype", "version"),
    *("processor", "cores", "system", "python", "numpy", "core", "command", "date"),
)


def build(folder: str | Path) -> Path:
    """Draw the figures and write the report of a finished study, from its table alone.

    Parameters
    ----------
    folder : str or Path
        Holds table.parquet or table.csv; gets figures/ and report.html.

    Returns
    -------
    Path
        Of the report.

    Raises
    ------
    FileNotFoundError, ValueError
        As `nc1fast.studies.read`; a table without rows is a ValueError.
    ImportError
        If matplotlib or jinja2 is missing (extra `study`).
    """
    folder = Path(folder)
    rows, provenance = table.read(folder)
    if not rows:
        raise ValueError(f"the table in {folder} has no rows")
    drawings = plotting.draw(rows)
    images = plotting.save(drawings, folder / FIGURES)
    path = folder / REPORT
    table.write_atomically(path, render(rows, provenance, drawings, images).encode())
    return path


def render(
    rows: Sequence[Row],
    provenance: dict[str, Any],
    drawings: Sequence[plotting.Drawing],
    images: dict[str, bytes],
) -> str:
    """Assemble the HTML: figures and the whole table are inside, nothing is fetched."""
    jinja2 = require("jinja2", "study")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = number
    source = resources.files("nc1fast") / "templates" / "report.html.j2"
    csv = table.to_csv(list(rows)).encode()
    html: str = environment.from_string(source.read_text(encoding="utf-8")).render(
        title=provenance.get("title") or "A study without recorded provenance",
        provisional=provenance.get("provisional", False),
        provenance=[(name, provenance[name]) for name in _PROVENANCE if name in provenance],
        findings=[_told(finding) for finding in findings(rows)],
        figures=[
            {"name": d.name, "caption": d.caption, "uri": _uri(images[d.name], "image/svg+xml")}
            for d in drawings
        ],
        columns=_CELL_COLUMNS,
        cells=_cells(rows),
        unusual_columns=_UNUSUAL_COLUMNS,
        unusual=select(rows, lambda row: row["status"] != "ok"),
        meanings=table.COLUMNS,
        n_rows=len(rows),
        csv=_uri(csv, "text/csv"),
    )
    return html


def number(value: Any) -> str:
    """Print a number of the table to four digits; a value that does not exist as a dash."""
    if not isinstance(value, float):
        return str(value)
    return "–" if math.isnan(value) else f"{value:.4g}"  # noqa: RUF001


def _told(finding: Finding) -> dict[str, Any]:
    names = [
        name
        for name in _CELL_COLUMNS
        if any(cell.cell.get(name, "") != "" for cell in finding.cells)
    ]
    return {"finding": finding, "columns": names}


def _cells(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One line per cell and kernel: mean and deviation over its repeats."""
    columns = {
        name: summarise(rows, name)
        for name in ("nc1", "log10_nc1", "log10_relative_nc1", "error_bound")
    }
    return [
        {"cell": nc1.cell, "nc1": nc1, "log": log, "relative": relative, "bound": bound.mean}
        for nc1, log, relative, bound in zip(*columns.values(), strict=True)
    ]


def _uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
