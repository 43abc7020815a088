"""Networks of more than one hidden layer, and of several widths, at their start and after training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies.findings.compare import same_data
from nc1fast.studies.findings.finding import Finding, estimated
from nc1fast.studies.findings.words import average, by, count, extremes, ratio_words
from nc1fast.studies.library.paper.findings import pairings
from nc1fast.studies.summary import distinct, select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.findings.compare import CellVerdict
    from nc1fast.studies.tidy import Row


def deeper(rows: Sequence[Row]) -> Finding | None:
    """Networks of more than one hidden layer against the kernels of their depth; None without them."""
    some = pairings.deeper(rows)
    start = pairings.start_against_nngp(some)
    if not start:
        return None
    depths = ", ".join(str(depth) for depth in sorted({cell.cell["depth"] for cell in start}))
    moved = pairings.network_end_against_start(some)
    sentences = [
        f"Over all cells NC1(network at start)/NC1(NNGP) is {average(start)}; NC1 {count(start)}.",
        *_told("NC1(network at start)/NC1(NNGP)", start),
        *_told("NC1(T)/NC1(0)", moved),
        *_told("NC1(T)/NC1(0) on the same data", _shallow(rows, moved)),
        *_told("NC1(NTK)/NC1(NNGP)", pairings.ntk_against_nngp(some)),
        *_told("NC1(NTK of the network)/NC1(NNGP)", pairings.own_ntk_against_nngp(some)),
    ]
    return estimated(
        "deeper",
        f"Training networks of depth {depths} changes their NC1 by a factor {extremes(moved)}"
        if moved
        else f"Networks of depth {depths} at their start",
        "The features of networks of more than one hidden layer have, at their start, the NC1 of the NNGP of their depth, "
        "within 5 % in the mean over all cells.",
        "NC1(network at start)/NC1(NNGP)",
        sentences,
        start,
    )


def _shallow(rows: Sequence[Row], moved: Sequence[CellVerdict]) -> list[CellVerdict]:
    """The change by training of networks of one hidden layer, Langevin ones left out, on the data
    of deeper ones.
    """
    noisy = pairings.langevin_arms(rows)
    some = select(pairings.published(rows), lambda row: row["arm"] not in noisy)
    return same_data(pairings.network_end_against_start(some), moved, "activation")


def widths(rows: Sequence[Row]) -> Finding | None:
    """Networks of several widths against the NNGP at their start, and what training changes; None
    without them.
    """
    some = pairings.widths(rows)
    start = pairings.start_against_nngp(some)
    if not start:
        return None
    moved = pairings.network_end_against_start(some)
    sentences = []
    for width in sorted(distinct(select(some, model="network"), "width")):
        own, after = _of_width(start, width), _of_width(moved, width)
        sentences.append(
            f"Width {width}: NC1(network at start)/NC1(NNGP) {count(own)}, {ratio_words(own)}; NC1(T)/NC1(0), "
            f"{ratio_words(after)}."
        )
    return estimated(
        "widths",
        _ends(moved) if moved else "Networks of several widths at their start",
        "The features of networks at their start have the NC1 of the NNGP, whatever the width, within 5 % in the mean over "
        "all cells.",
        "NC1(network at start)/NC1(NNGP)",
        sentences,
        start,
    )


def _told(name: str, cells: Sequence[CellVerdict]) -> list[str]:
    """Sentences on one ratio, for each kind of data, activation and depth."""
    return [
        f"{group}: {name}, {ratio_words(members)}."
        for group, members in by(cells, "dataset", "activation", "depth")
    ]


def _ends(moved: Sequence[CellVerdict]) -> str:
    """The change by training at the least and the greatest width, as ranges over the cells."""
    found = sorted({cell.cell["width"] for cell in moved})
    told = [f"{extremes(_of_width(moved, width))} at width {width}" for width in found]
    return f"NC1(T)/NC1(0) is {told[0]}, {told[-1]}"


def _of_width(cells: Sequence[CellVerdict], width: int) -> list[CellVerdict]:
    return [cell for cell in cells if cell.cell["width"] == width]
