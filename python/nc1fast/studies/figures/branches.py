"""The branches of the adaptive kernel: data on which different starts end in different minima of F."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nc1fast.studies.figures.collapse import FEATURES, setting, titled
from nc1fast.studies.figures.curves import Curve, Point
from nc1fast.studies.figures.drawing import Drawing
from nc1fast.studies.figures.looks import look_of
from nc1fast.studies.figures.panels import Panel, Sheet, drawn
from nc1fast.studies.summary import DATA, equal_classes, grouped, paired, select

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nc1fast.studies.tidy import Row

_SAME_DATA = (*(name for name in DATA if name != "arm"), "activation", "convention")
_APART = 1.01  # ratio of two NC1 from which branches are told apart in a figure
_ADAPTIVE = look_of("AdaptiveKernel", "")
_LOWEST = replace(_ADAPTIVE, label="lowest F", line="none")
_OTHERS = replace(_ADAPTIVE, label="other minima", marker="v", line="none", is_open=True, rank=99)


def of_solutions(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1(minimum)/NC1(NNGP) of every minimum of F against d0, where there are several with
    different NC1.
    """
    nngp = select(rows, model="NNGP", state="")
    solved = select(rows, _has_branches, model="AdaptiveKernel", state="")
    for group, members in grouped(solved, ("arm", "dataset")):
        some = select(members, convention=members[0]["convention"])
        by = "N" if all(map(equal_classes, some)) else "sizes"
        panels = [
            Panel(titled("", by, cell[by]), curves)
            for cell, of_size in sorted(grouped(some, (by,)), key=lambda item: item[1][0]["N"])
            if (curves := _minima(of_size, nngp))
        ]
        if not panels:
            continue
        caption = (
            f"{group['dataset']}, arm '{group['arm']}': the equations of the adaptive kernel have several solutions on some "
            "data. Each point is the NC1 of one minimum of F over that of the NNGP, on one repeat; filled: the lowest F, "
            f"which counts in all other figures and findings. Data with a single minimum are left out.{setting(some)}"
        )
        sheet = Sheet([panels], FEATURES, "NC1(minimum) / NC1(NNGP)", reference=1.0, height=3.0)
        yield Drawing(f"{group['arm']}-{group['dataset']}-branches", caption, drawn(sheet))


def _has_branches(row: Row) -> bool:
    found = branches(row)
    return len(found) > 1 and min(found) > 0 and max(found) > _APART * min(found)


def branches(row: Row) -> list[float]:
    """NC1 of each minimum of a row, lowest F first; none if there is only one."""
    return [float(text) for text in row["branch_nc1"].split()]


def _minima(rows: Sequence[Row], nngp: Sequence[Row]) -> list[Curve]:
    lowest, others = [], []
    for cell, pairs in paired(rows, nngp, _SAME_DATA):
        for row, beside in pairs:
            ratios = [nc1 / beside["nc1"] for nc1 in branches(row)]
            first, *rest = (Point(cell["d0"], ratio, ratio, ratio) for ratio in ratios)
            lowest.append(first)
            others += rest
    both = ((_LOWEST, lowest), (_OTHERS, others))
    return [Curve(look, sorted(found, key=lambda p: p.x)) for look, found in both if found]
