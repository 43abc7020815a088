"""NC1 of networks against their width, beside the kernels of infinite width."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nc1fast.studies.figures.collapse import repeats
from nc1fast.studies.figures.curves import Curve, Point, is_width_sweep, levels, written
from nc1fast.studies.figures.drawing import Drawing
from nc1fast.studies.figures.looks import look_of, model_of
from nc1fast.studies.figures.panels import Panel, Sheet, drawn
from nc1fast.studies.summary import distinct, grouped, select

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nc1fast.studies.tidy import Row

_OF_WIDTH = ("network", "empirical NTK")


def against_width(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1 against width for each arm whose networks differ in it; limiting kernels run through all
    widths.
    """
    for group, members in grouped(rows, ("arm", "activation", "convention")):
        trained = select(members, lambda row: row["model"] in _OF_WIDTH)
        if not is_width_sweep(members):
            continue
        widths = sorted(distinct(trained, "width"))
        panels: list[list[Panel | None]] = []
        for _, of_data in grouped(members, ("dataset", "N")):
            by_d0 = grouped(sorted(of_data, key=lambda row: row["d0"]), ("dataset", "N", "d0"))
            panels.append(
                [
                    Panel(
                        f"{cell['dataset']}, N = {cell['N']}, d₀ = {cell['d0']}",
                        _over_widths(some, widths),
                    )
                    for cell, some in by_d0
                ]
            )
        caption = (
            f"NC1 of {written(group['activation'])} networks against their width, at their start and at their end (arm "
            f"'{group['arm']}'). The limiting kernels, which have no width, run through.{repeats(members)}"
        )
        sheet = Sheet(panels, "width", "NC1", place=math.log2, by_row=True, height=3.0)
        yield Drawing(f"{group['arm']}-{group['activation']}-widths", caption, drawn(sheet))


def _over_widths(rows: Sequence[Row], widths: Sequence[int]) -> list[Curve]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["state"] != "theory":
            groups.setdefault((model_of(row), row["state"]), []).append(row)
    curves = []
    for kind, some in sorted(groups.items(), key=lambda item: look_of(*item[0]).rank):
        if len(distinct(some, "width")) > 1:
            points = sorted(levels(some, "width"), key=lambda p: p.x)
        elif some[0]["width"] == 0:
            points = [Point(w, p.value, p.low, p.high) for p in levels(some, "d0") for w in widths]
        else:
            continue
        curves.append(Curve(look_of(*kind), points))
    return curves
