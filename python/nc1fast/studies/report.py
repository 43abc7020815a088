"""The report of a study: one self-contained HTML page of answer, findings, figures and the table;
report.html.j2 lays it out.

`page` says what the template is given; report.css is its look, for light and dark screens, narrow
ones and paper; report.js sorts its tables, which can be read without it.
"""

from __future__ import annotations

import dataclasses
import gzip
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nc1fast.studies import figures, library, measures, page, table
from nc1fast.studies.figures import measured
from nc1fast.support.arithmetic import ieee
from nc1fast.support.extras import require
from nc1fast.support.files import write_atomically
from nc1fast.support.reading import reading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nc1fast.studies.tidy import Layout, Row

REPORT = "report.html"
FIGURES = "figures"


@ieee
def build(folder: str | Path) -> Path:
    """Draw the figures and write the report of a finished study or experiment from its tables
    alone.

    Parameters
    ----------
    folder : str or Path
        Has table.parquet or table.csv, and series.parquet or series.csv unless nothing was
        illustrated; gets figures/ and report.html. The measures.parquet or measures.csv of an
        experiment of an earlier version are read, too.

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
    layout = layout_of(folder)
    rows, provenance = layout.read(folder)
    if not rows:
        raise ValueError(f"the table in {folder} has no rows")
    with reading(str(folder)):  # errors of rows that no study would write name the folder
        study = library.told_as(provenance.get("study", ""))
        drawings = study.draw(rows, table.read_series(folder))
        images = figures.save(drawings, folder / FIGURES)
        html = render(rows, provenance, drawings, images, layout)
    path = folder / REPORT
    write_atomically(path, html.encode())
    return path


def render(
    rows: Sequence[Row],
    provenance: Mapping[str, Any],
    drawings: Sequence[figures.Drawing],
    images: Mapping[str, bytes],
    layout: Layout = table.LAYOUT,
) -> str:
    """The HTML of a report; figures and the whole table are inside it, nothing is fetched.

    Parameters
    ----------
    rows : sequence of Row
        The table.
    provenance : mapping
        Metadata of the table; empty if it was read from the CSV. Its `study` decides which findings
        are reported.
    drawings : sequence of Drawing
        The first one stands before the findings; those set aside are not on the page.
    images : mapping of str to bytes
        The SVG of each drawing, by name.
    layout : Layout
        Of the rows.
    """
    compared = layout is table.LAYOUT
    cells = page.cells if compared else page.measured_cells
    terms = page.terms if compared else page.measured_terms
    drawn: Any = figures if compared else measured
    study = library.told_as(provenance.get("study", ""))
    markup = require("markupsafe", "study").Markup
    shown = [page.figure(each, images[each.name]) for each in drawings if not each.aside]
    html: str = template("report.html.j2").render(
        css=markup(text_of("report.css")),
        js=markup(text_of("report.js")),
        things=page.things(),
        title=provenance.get("title") or "A study without recorded provenance",
        provisional=provenance.get("provisional", False),
        answer=page.answer(study.answer(rows)),
        claims=study.claims(rows),
        lead=shown[0] if shown else None,
        figures=shown[1:],
        n_aside=len(drawings) - len(shown),
        uncertainty=drawn.UNCERTAINTY,
        sections=[
            (heading, [page.summary(f) for f in found]) for heading, found in study.sections(rows)
        ],
        unusual=page.unusual(rows),
        cells=cells(rows),
        meanings=layout.columns,
        terms=terms(rows, provenance),
        provenance=page.origin(provenance),
        n_rows=len(rows),
        csv=page.gzipped(gzip.compress(layout.to_csv(rows).encode(), mtime=0)),
    )
    return html


def layout_of(folder: Path) -> Layout:
    """That of the table of a finished study, which is one of measures where it is an experiment."""
    known = (measures.LAYOUT, dataclasses.replace(measures.LAYOUT, name="measures"))
    return next((one for one in known if one.fits(folder)), table.LAYOUT)


def template(name: str) -> Any:
    """A template of this package, with the filters of its pages."""
    environment = require("jinja2", "study").Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    filters: dict[str, Any] = {
        "number": page.number,
        "bound": page.bound,
        "cited": page.cited,
        "attitude": page.attitude,
    }
    environment.filters |= filters
    return environment.from_string(text_of(name))


def text_of(name: str) -> str:
    """A template or style sheet of this package."""
    return (resources.files(__package__) / name).read_text(encoding="utf-8")
