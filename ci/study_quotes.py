"""What README.md, docs/findings.md and docs/differences.md say of the committed study, written from
its rows.

    python ci/study_quotes.py [docs/paper]

The pages mark such places, <!-- study: NAME --> ... <!-- /study -->; this writes into each what the
table says and prints the pages that changed. The answer and the findings are quoted whole. Needs
the package with its extra `study`.
"""

from __future__ import annotations

import csv
import re
import statistics
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from nc1fast.studies import table
from nc1fast.studies.findings import pairings
from nc1fast.studies.findings.compare import compare
from nc1fast.studies.library import paper
from nc1fast.studies.summary import select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from nc1fast.studies.findings.compare import CellVerdict
    from nc1fast.studies.tidy import Row

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", *(ROOT / "docs" / name for name in ("findings.md", "differences.md")))
WIDTH = 150
_MARK = re.compile(r"(<!-- study: (.+?) -->)(.*?)(<!-- /study -->)", re.DOTALL)
_LIST_MARKER = re.compile(r" (?=(?:\d+[.)]|[-+*#>]) )")  # would begin a list at the start of a line


def committed(folder: Path) -> list[Row]:
    """Rows of table.csv; columns that the library has gained since it was written are those of no
    search.
    """
    parse = {column.name: column.parse for column in table.COLUMNS}
    with (folder / "table.csv").open(newline="", encoding="utf-8") as file:
        read = [{k: parse[k](text) for k, text in row.items()} for row in csv.DictReader(file)]
    return [table.NO_SEARCH | row for row in read]


def refreshed(page: str, rows: Sequence[Row]) -> str:
    """The text of a page with every marked place as the rows have it; KeyError for a name that is
    not in `QUOTES`.
    """
    return _MARK.sub(lambda found: f"{found[1]}{QUOTES[found[2]](rows)}{found[4]}", page)


def marked(page: str) -> list[str]:
    """Names of the places that a page marks."""
    return [name for _, name, _, _ in _MARK.findall(page)]


# Whole quotations


def answer(rows: Sequence[Row]) -> str:
    """The question and all sentences of the answer."""
    told = paper.answer(rows)
    if told is None:
        return "\n"
    return "\n".join(["", f"**{told.question}**", "", *map(_bullet, told.sentences), ""])


def findings(rows: Sequence[Row]) -> str:
    """What the numbers of the answer mean, then every finding: title, verdict, all sentences."""
    told = paper.answer(rows)
    lines = ["", _wrapped(told.uncertainty) if told else ""]
    for heading, found in paper.sections(rows):
        lines += ["", f"**{heading}**", ""]
        lines += [_bullet(f"**{f.title}** ({f.verdict}). {' '.join(f.sentences)}") for f in found]
    return "\n".join([*lines, ""])


def count(rows: Sequence[Row]) -> str:
    """Number of rows of the table."""
    return f"{len(rows):,} rows"


# Ranges over the cells of the published data; the ratio of a cell is the geometric mean over its
# repeats


def ntk_over_released(rows: Sequence[Row]) -> str:
    """NC1 of the erf NTK over that which the released code gives."""
    return _range(pairings.ntk_against_released(pairings.published(rows)))


def released_ntk_below(dataset: str) -> Callable[[Sequence[Row]], str]:
    """The d0 at which the released erf NTK is below the NNGP in all cells of a data set."""

    def quote(rows: Sequence[Row]) -> str:
        cells = _of(pairings.released_ntk_against_nngp(pairings.published(rows)), dataset)
        return _where(cells, lambda ratio: ratio < 1)

    return quote


def erf_below_relu(rows: Sequence[Row]) -> str:
    """The d0 of D2 at which erf has a lower NC1 than ReLU in all cells."""
    cells = _of(pairings.erf_against_relu(pairings.published(rows)), "D2")
    return _where(cells, lambda ratio: ratio < 1)


def released_over_probe(rows: Sequence[Row]) -> str:
    """NC1 of kernels under the released formula over that under the probe's, classes of unequal
    size.
    """
    kernels = select(rows, lambda row: len(set(row["sizes"].split(":"))) > 1)
    return _range(pairings.released_against_probe(kernels))


def released_over_adaptive(dataset: str) -> Callable[[Sequence[Row]], str]:
    """NC1 of the released adaptive kernel over that of the equations with the labels, as a change
    in percent.
    """

    def quote(rows: Sequence[Row]) -> str:
        some = select(_balanced(rows), state="", dataset=dataset)
        released, right = (
            select(some, model=model) for model in (table.RELEASED_ADAPTIVE, "AdaptiveKernel")
        )
        ratios = map(_ratio, compare(released, right, ("model",)))
        changes = [100 * (ratio - 1) for ratio in ratios]
        return f"{min(changes):+.0f} to {max(changes):+.0f} %"

    return quote


def released_shuffled(rows: Sequence[Row]) -> str:
    """Largest change of NC1 of the released adaptive kernel by shuffled labels, in percent, over
    all repeats.
    """
    cells = pairings.released_shuffled_against_true(_balanced(rows))
    ratios = [ratio for cell in cells for ratio in cell.ratios.values()]
    return f"{max(100 * abs(ratio - 1) for ratio in ratios):.1g} %"


def ntk_over_own(rows: Sequence[Row]) -> str:
    """NC1 of the erf NTK over that of the NTK of the network, d0 <= 8."""
    return _range(_few_features(pairings.ntk_against_own(_erf(rows))))


def own_over_nngp(rows: Sequence[Row]) -> str:
    """NC1 of the NTK of the network over that of the NNGP, erf, d0 <= 8."""
    own = select(_erf(rows), model="NTK", parametrization="standard", state="")
    nngp = select(_erf(rows), model="NNGP", state="")
    free = ("model", "parametrization", "weight_variance", "bias_variance", "width")
    return _range(_few_features(compare(own, nngp, free)))


QUOTES: dict[str, Callable[[Sequence[Row]], str]] = {
    "answer": answer,
    "findings": findings,
    "rows": count,
    "NTK over released NTK": ntk_over_released,
    "released NTK below the NNGP on D1": released_ntk_below("D1"),
    "released NTK below the NNGP on D2": released_ntk_below("D2"),
    "erf below ReLU on D2": erf_below_relu,
    "released over probe": released_over_probe,
    "released adaptive over adaptive on D1": released_over_adaptive("D1"),
    "released adaptive over adaptive on D2": released_over_adaptive("D2"),
    "released adaptive, shuffled": released_shuffled,
    "NTK over NTK of the network": ntk_over_own,
    "NTK of the network over NNGP": own_over_nngp,
}


def _balanced(rows: Sequence[Row]) -> list[Row]:
    return select(pairings.published(rows), arm="balanced")


def _erf(rows: Sequence[Row]) -> list[Row]:
    return select(_balanced(rows), activation="erf")


def _of(cells: Iterable[CellVerdict], dataset: str) -> list[CellVerdict]:
    return [cell for cell in cells if cell.cell["dataset"] == dataset]


def _few_features(cells: Iterable[CellVerdict]) -> list[CellVerdict]:
    return [cell for cell in cells if cell.cell["d0"] <= 8]


def _ratio(cell: CellVerdict) -> float:
    return statistics.geometric_mean(cell.ratios.values())


def _range(cells: Sequence[CellVerdict]) -> str:
    ratios = [*map(_ratio, cells)]
    return f"{min(ratios):.3g} to {max(ratios):.3g}"


def _where(cells: Sequence[CellVerdict], holds: Callable[[float], bool]) -> str:
    """The d0 at which something holds of the ratios of all cells: "d0 = 8, 32, 128"."""
    by_d0: dict[int, bool] = {}
    for cell in cells:
        d0 = cell.cell["d0"]
        by_d0[d0] = by_d0.get(d0, True) and holds(_ratio(cell))
    return f"d0 = {', '.join(str(d0) for d0, all_ in sorted(by_d0.items()) if all_)}"


def _bullet(text: str) -> str:
    return _wrapped(text, "- ", "  ")


def _wrapped(text: str, first: str = "", later: str = "") -> str:
    return textwrap.fill(
        _LIST_MARKER.sub("\N{NO-BREAK SPACE}", text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=later,
        break_long_words=False,
        break_on_hyphens=False,
    )


def main() -> int:
    """Write the pages; 0."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "paper"
    rows = committed(folder)
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if (new := refreshed(text, rows)) != text:
            page.write_text(new, encoding="utf-8")
            print(page.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
