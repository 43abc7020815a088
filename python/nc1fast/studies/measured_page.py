"""The parts of the report of an experiment that its table decides: its cells, its unusual rows and
its terms.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nc1fast.studies.findings import rules
from nc1fast.studies.measures import CELL
from nc1fast.studies.summary import distinct, grouped, select

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nc1fast.studies.tidy import Row


def cells(rows: Sequence[Row]) -> dict[str, Any]:
    """One line for each setting and quantity: the mean over its repeats, with its interval, and the
    extremes.
    """
    lines = []
    for cell, members in grouped((r for r in rows if math.isfinite(r["value"])), CELL):
        found = [row["value"] for row in members]
        mean = rules.mean_interval(found)
        ends = (mean.middle, mean.low, mean.high, min(found), max(found))
        lines.append([*cell.values(), len(found), *ends, max(row["error"] for row in members)])
    names = ("repeats", "mean", "low", "high", "smallest", "largest", "error bound")
    about = "Means, with the 95 % interval of the mean; the largest error bound."
    return {"columns": [*CELL, *names], "lines": lines, "about": about}


def unusual(rows: Sequence[Row]) -> dict[str, Any]:
    """Rows without a value, with the columns that find them."""
    kept = select(rows, lambda row: row["status"] != "ok")
    return {"rows": kept, "columns": ["part", "setting", "repeat", "seed", "status"]}


def terms(
    rows: Sequence[Row], provenance: Mapping[str, Any]
) -> list[tuple[str, list[tuple[str, str]]]]:
    """Under a heading each: meanings of the words of the page, and quantities of its parts."""
    del provenance
    parts = [
        (str(part["part"]), f"{', '.join(filter(None, distinct(some, 'quantity')))}.")
        for part, some in grouped(rows, ("part",))
    ]
    return [("Words", list(_WORDS.items())), ("Parts of the study", parts)]


_WORDS = {
    "NC1": "Tr Σ_W / Tr Σ_B: the variance within the classes over that between their means. The "
    "lower, the more collapsed.",
    "holds, fails, undecided": "Of numbers without chance, by their error bound; of others, by the "
    f"{rules.CONFIDENCE:.0%} interval of their mean over the repeats: inside the range that is "
    "claimed, outside of it, or reaching over an end.",
    "too few": f"Fewer than {rules.FEWEST} repeats, with which no word is given to a number with "
    "chance in it.",
}
