"""Adaptive kernels with several solutions: in how many cells they occur, and how far their NC1 are
apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies.summary import CELL, grouped, select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.tidy import Row


def branches(rows: Sequence[Row]) -> list[str]:
    """A sentence on the solutions found from several starts; none where the table tells of no
    starts.
    """
    solved = select(rows, lambda row: row["starts"] > 0, model="AdaptiveKernel", state="")
    if not solved:
        return []
    cells = grouped(solved, CELL)
    several = [members for _, members in cells if any(row["branches"] > 1 for row in members)]
    starts = [row["starts"] for row in solved]
    told = (
        f"From {_range(starts)} starts each, {len(several)} of {len(cells)} cells of the adaptive kernel have more than one "
        "solution in some repeat; the one of lowest free energy counts"
    )
    apart = [_apart(row["branch_nc1"]) for row in solved if row["branches"] > 1]
    if not apart:
        return [f"{told}."]
    where = "; ".join(
        f"{group['arm']}, {group['dataset']} at d₀ = {', '.join(sorted({str(r['d0']) for r in members}, key=int))}"
        for group, members in grouped((m[0] for m in several), ("arm", "dataset"))
    )
    return [
        (
            f"{told}. These are {where}. In the {len(apart)} rows of which this is true the largest NC1 of a solution is "
            f"{_range(apart)} times the smallest."
        )
    ]


def _apart(branch_nc1: str) -> float:
    """Largest over smallest NC1 of the solutions of one row."""
    values = [float(value) for value in branch_nc1.split()]
    return max(values) / min(values)


def _range(values: Sequence[float]) -> str:
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low} to {high}"
