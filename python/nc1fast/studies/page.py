"""The parts of the report, as its template is given them: the answer, findings, figures, cells and
terms.
"""

from __future__ import annotations

import base64
import math
import re
from decimal import ROUND_UP, Context
from typing import TYPE_CHECKING, Any

from nc1fast.studies import measures
from nc1fast.studies.figures import palette
from nc1fast.studies.findings import rules
from nc1fast.studies.findings.compare import counts, extremes
from nc1fast.studies.summary import CELL, derived, distinct, grouped, select
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nc1fast.studies.figures import Drawing
    from nc1fast.studies.findings.finding import Answer, AnswerCell, Finding
    from nc1fast.studies.tidy import Row

ARXIV = re.compile(r"\b\d{4}\.\d{5}\b")
_FAR = 1.0  # log-distance from which a cell of the answer has no shade
# Beginnings of the names of the answer's columns, with their colours; the first that fits counts.
_THINGS = {
    "network": palette.NETWORK,
    "NNGP": palette.NNGP,
    "NTK of": palette.OWN_NTK,
    "NTK": palette.NTK,
    "adaptive": palette.ADAPTIVE,
    "mean field": palette.MEAN_FIELD,
}
_ORIGIN = (
    "command",
    "study",
    "preset",
    "seed",
    "repeats",
    "conventions",
    "cells",
    "dtype",
    "version",
)
_MACHINE = ("processor", "cores", "system", "python", "numpy", "torch", "core", "date")


# --- text


def number(value: Any) -> str:
    """A value of the table as text: floats to four digits, NaN as a dash."""
    if not isinstance(value, float):
        return str(value)
    return "–" if math.isnan(value) else f"{value:.4g}"  # noqa: RUF001


def bound(value: float) -> str:
    """A bound on an error, rounded up to one digit, as "2e-15"; NaN as a dash."""
    if math.isnan(value):
        return "–"  # noqa: RUF001
    if value == 0 or math.isinf(value):
        return f"{value:g}"
    up = Context(prec=1, rounding=ROUND_UP).create_decimal_from_float(value)
    return re.sub(r"e([-+])0*(\d)", r"e\1\2", f"{up:.0e}").replace("e+", "e")


def cited(source: str) -> Any:
    """The source of a study as HTML, its numbers of the arXiv as links."""
    markup = require("markupsafe", "study")
    text = ARXIV.sub(r'<a href="https://arxiv.org/abs/\g<0>">\g<0></a>', str(markup.escape(source)))
    return markup.Markup(text)


def attitude(word: str) -> str:
    """Whether a verdict is "for" a statement, "against" it, or "" for neither."""
    if word in rules.IN_FAVOUR:
        return "for"
    return "against" if word in rules.AGAINST else ""


# --- the first screen


def answer(result: Answer | None) -> dict[str, Any] | None:
    """The answer, its tables without the columns that are empty in all rows."""
    if result is None:
        return None
    tables = []
    for one in result.tables:
        kept = [
            i
            for i in range(len(one.columns))
            if any(not math.isnan(row.cells[i].nc1) for row in one.rows)
        ]
        columns = [(one.columns[i], _thing(one.columns[i])) for i in kept]
        rows = [(row.label, [_cell(row.cells[i]) for i in kept]) for row in one.rows]
        tables.append({"title": one.title, "columns": columns, "rows": rows})
    first, *others = result.sentences
    return {
        "question": result.question,
        "first": first,
        "others": others,
        "tables": tables,
        "uncertainty": result.uncertainty,
    }


def _thing(column: str) -> str:
    """The name of the colour of a column of the answer; empty for one without."""
    return next((_named(start) for start in _THINGS if column.startswith(start)), "")


def _named(start: str) -> str:
    return "thing-" + start.replace(" ", "-").lower()


def things() -> list[tuple[str, str, str]]:
    """(name, light, dark) of the colour of each thing."""
    return [(_named(start), colour, palette.DARK[colour]) for start, colour in _THINGS.items()]


def _cell(cell: AnswerCell) -> dict[str, Any]:
    """A cell as text, with how close it is: 1 for the network itself, 0 from a log-distance of 1
    on.
    """
    fields = {"nc1": _aligned(cell.nc1), "distance": "", "ends": "", "close": 0.0}
    if not math.isnan(cell.distance):
        fields["distance"] = f"{cell.distance:.2f}"
        fields["close"] = round(max(0.0, 1 - cell.distance / _FAR) ** 2, 2)
    if not math.isnan(cell.distance_low):
        fields["ends"] = f"{cell.distance_low:.2f} to {cell.distance_high:.2f}"
    return {**fields, "nearest": cell.nearest}


def _aligned(value: float) -> str:
    """A value to three digits, zeros at its end included, so that a column of them is aligned; NaN
    as a dash.
    """
    return "–" if math.isnan(value) else f"{value:#.3g}".removesuffix(".")  # noqa: RUF001


# --- findings, figures, the table


def summary(finding: Finding) -> dict[str, Any]:
    """A finding with the counts of its words, the range of its ratios, and the columns in which
    these differ.
    """
    cells = [cell.cell for cell in finding.cells]
    present = [name for name in CELL if all(name in cell for cell in cells)]
    return {
        "finding": finding,
        "counts": counts(finding.cells),
        "ratio": extremes(finding.cells) if finding.cells else "",
        "columns": _varying(cells, present),
    }


def figure(drawing: Drawing, svg: bytes) -> dict[str, Any]:
    """A figure: the first sentence of its caption is its title."""
    title, _, rest = drawing.caption.partition(". ")
    width, height = drawing.figure.get_size_inches()
    return {
        "name": drawing.name,
        "title": title.rstrip("."),
        "caption": rest,
        "alt": f"{title.rstrip('.')}. {drawing.seen}".strip(),
        "width": round(96 * width),
        "height": round(96 * height),
        "uri": _svg_uri(svg.decode()),
    }


def unusual(rows: Sequence[Row]) -> dict[str, Any]:
    """Rows whose status is not ok, with the columns in which they differ."""
    kept = select(rows, lambda row: row["status"] != "ok")
    if kept and "part" in kept[0]:
        return {"rows": kept, "columns": ["part", "setting", "repeat", "seed", "status"]}
    return {"rows": kept, "columns": [*_varying(kept, (*CELL, "repeat")), "seed", "nc1", "status"]}


def cells(rows: Sequence[Row]) -> dict[str, Any]:
    """One line for each cell and model: geometric means over its repeats, with the interval of the
    first.
    """
    columns = _varying(rows, CELL)
    lines = []
    for _, members in grouped(derived(rows), CELL):
        nc1, relative = (_mean(members, name) for name in ("log10_nc1", "log10_relative_nc1"))
        values = [10**v for v in (nc1.middle, nc1.low, nc1.high, relative.middle)]
        bound = max(row["error_bound"] for row in members)
        lines.append([*(members[0][name] for name in columns), len(members), nc1.n, *values, bound])
    names = ("repeats", "with logarithm", "nc1", "low", "high", "relative nc1", "error bound")
    about = "Geometric means, with the 95 % interval of the mean; the largest error bound."
    return {"columns": [*columns, *names], "lines": lines, "about": about}


def measured_cells(rows: Sequence[Row]) -> dict[str, Any]:
    """One line for each setting and quantity: the mean over its repeats, with its interval, and the
    extremes.
    """
    lines = []
    for cell, members in grouped((r for r in rows if math.isfinite(r["value"])), measures.CELL):
        found = [row["value"] for row in members]
        mean = rules.mean_interval(found)
        ends = (mean.middle, mean.low, mean.high, min(found), max(found))
        lines.append([*cell.values(), len(found), *ends, max(row["error"] for row in members)])
    names = ("repeats", "mean", "low", "high", "smallest", "largest", "error bound")
    about = "Means, with the 95 % interval of the mean; the largest error bound."
    return {"columns": [*measures.CELL, *names], "lines": lines, "about": about}


def _mean(rows: Iterable[Row], column: str) -> rules.Interval:
    return rules.mean_interval(row[column] for row in rows if math.isfinite(row[column]))


def _varying(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    """The columns in which the rows differ; the first one if they differ in none."""
    kept = [name for name in columns if len({str(row[name]) for row in rows}) > 1]
    return kept or list(columns[:1])


# --- terms and origin


def terms(
    rows: Sequence[Row], provenance: Mapping[str, Any]
) -> list[tuple[str, list[tuple[str, str]]]]:
    """Under a heading each, what the words of the page mean: of every study, of its data and of its
    arms.
    """
    parts = {
        "Words": list(_WORDS.items()),
        "Data sets": list(_data_sets(rows, provenance)),
        "Arms, the parts of the study": [
            (str(arm["arm"]), _arm(members)) for arm, members in grouped(rows, ("arm",))
        ],
    }
    return list(parts.items())


_WORDS = {
    "NC1": "Tr Σ_W / Tr Σ_B: the variance within the classes over that between their means. The "
    "lower, the more collapsed.",
    "N, d₀": "Number of samples and of features of a data set.",
    "Cell": "One kind of data (data set, N, d₀, sizes of the classes) with one model on each side "
    "of a comparison.",
    "Repeat": "An independent draw of the data, and of the weights of a network. Comparisons are "
    "paired: on each repeat both sides see the same data.",
    "Arm": "A part of the study: some data with the models computed on them.",
    "Convention": "The weights of the classes in Σ_W and Σ_B; with equal classes all conventions "
    "agree.",
    "Relative NC1": "NC1 over that of the data themselves.",
    "holds, fails, equal": "Of numbers without chance, compared on each draw within the bounds of "
    "their errors.",
    "same, different, undecided": "Of numbers with chance in them: whether the "
    f"{rules.CONFIDENCE:.0%} interval of their mean ratio over the repeats lies inside 1 ± "
    f"{rules.TOLERANCE:.0%}, outside it, or reaches over an end.",
    rules.DEPENDS: "Of a claim: it holds in some cells and fails in others.",
    "too few": f"Fewer than {rules.FEWEST} repeats, with which no test at 5 % can decide.",
    "needs both priors": "Of adaptive kernels: no word before both the published prior and that of "
    "the networks are in the table.",
}


def measured_terms(
    rows: Sequence[Row], provenance: Mapping[str, Any]
) -> list[tuple[str, list[tuple[str, str]]]]:
    """Under a heading each: meanings of the words of the page, and quantities of its parts."""
    del provenance
    parts = [
        (str(part["part"]), f"{', '.join(filter(None, distinct(some, 'quantity')))}.")
        for part, some in grouped(rows, ("part",))
    ]
    return [("Words", list(_MEASURED_WORDS.items())), ("Parts of the study", parts)]


_MEASURED_WORDS = {
    "NC1": "Tr Σ_W / Tr Σ_B: the variance within the classes over that between their means. The "
    "lower, the more collapsed.",
    "holds, fails, undecided": "Of numbers without chance, by their error bound; of others, by the "
    f"{rules.CONFIDENCE:.0%} interval of their mean over the repeats: inside the range that is "
    "claimed, outside of it, or reaching over an end.",
    "too few": f"Fewer than {rules.FEWEST} repeats, with which no word is given to a number with "
    "chance in it.",
}


def _data_sets(rows: Sequence[Row], provenance: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and definition of each data set; the definition is that of the description, where there
    is one.
    """
    arms = provenance.get("description", {}).get("arms", [])
    described: dict[str, str] = {}
    for source in (source for arm in arms for source in arm.get("data", [])):
        parts = [
            f"{key.replace('_', ' ')} {_plain(value)}"
            for key, value in source.items()
            if key not in _GRID
        ]
        described.setdefault(str(source.get("name") or source.get("source")), "; ".join(parts))
    for name, members in (
        (name, [r for r in rows if r["dataset"] == name]) for name in distinct(rows, "dataset")
    ):
        classes = sorted({1 + row["sizes"].count(":") for row in members})
        n, d0 = (_plain(_values(members, name)) for name in ("N", "d0"))
        counted = f"{_plain(classes)} classes; N = {n}; d₀ = {d0}"
        yield str(name), "; ".join(filter(None, (described.get(str(name), ""), counted)))


_GRID = ("name", "n_samples", "n_features", "sizes")  # of a source: the rows say these


def _arm(rows: Sequence[Row]) -> str:
    models = ", ".join(distinct(rows, "model"))
    data = ", ".join(map(str, distinct(rows, "dataset")))
    repeats = len(distinct(rows, "repeat"))
    return f"{data}; {models}; {repeats} repeat{'s' * (repeats != 1)}."


def _values(rows: Iterable[Row], column: str) -> list[Any]:
    return sorted({row[column] for row in rows})


def _plain(value: Any) -> str:
    return ", ".join(map(_plain, value)) if isinstance(value, (list, tuple)) else str(value)


def origin(provenance: Mapping[str, Any]) -> list[list[tuple[str, Any]]]:
    """Names and values of where the numbers come from: the study, then the machine; empty for a
    table from a CSV.
    """
    parts = [
        [(name, provenance[name]) for name in names if name in provenance]
        for names in (_ORIGIN, _MACHINE)
    ]
    return [part for part in parts if part]


# --- data inside the page


def gzipped(data: bytes) -> str:
    """Compressed data as an address."""
    return f"data:application/gzip;base64,{base64.b64encode(data).decode()}"


def _svg_uri(svg: str) -> Any:
    """An SVG as an address that is safe between single quotes: as text, which is shorter than in
    base 64.
    """
    for character, code in (("%", "%25"), ("#", "%23"), ("&", "%26"), ("'", "%27"), ("\n", " ")):
        svg = svg.replace(character, code)
    return require("markupsafe", "study").Markup(f"data:image/svg+xml;charset=utf-8,{svg}")
