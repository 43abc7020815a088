"""The claims A1, A2 and A4 of the abstract of arXiv 2406.02105; A3 is in `adaptive`."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from nc1fast.studies.findings.finding import estimated, judged, line
from nc1fast.studies.findings.words import average, count, each, ranges, repeats, tally
from nc1fast.studies.library.paper.findings import pairings
from nc1fast.studies.summary import distinct, equal_classes, select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.findings.compare import CellVerdict
    from nc1fast.studies.findings.finding import Claim
    from nc1fast.studies.tidy import Row

IDENTITY = (
    "That NC1 of explicit features is NC1 of their Gram matrix, in every convention, is an identity and a "
    "test of this library; the table adds that a network of finite width starts with the NC1 of its "
    "limiting kernel."
)
NO_LABELS = "No labels enter, so that there is no control with shuffled ones."


def kernel_decides(rows: Sequence[Row]) -> Claim:
    """A1: networks at their start have the NC1 of the NNGP, up to the scatter of finite width."""
    cells = pairings.start_against_nngp(pairings.published(rows))
    sentences = []
    if cells:
        widths = distinct(select(pairings.published(rows), model="network", state="start"), "width")
        sentences = [
            f"Over all cells the ratio is {average(cells)}; NC1 {count(cells)}.",
            *each(cells, "dataset", "activation"),
            (
                f"Single networks of width {', '.join(map(str, widths))} scatter about the mean of their cell by "
                f"{_scatter(cells):.1%} (standard deviation of the logarithm)."
            ),
            IDENTITY,
        ]
    finding = estimated(
        "a1",
        "NC1 is a function of the kernel",
        "The features of networks at their start have the NC1 of the NNGP on the same data, within 5 % in the mean over all "
        "cells.",
        "NC1(network at start)/NC1(NNGP)",
        sentences,
        cells,
    )
    mixed = [c for c in pairings.released_against_probe(rows) if not equal_classes(c.cell)]
    details = ["Released code: with equal classes all its definitions agree."]
    if mixed:
        details = [
            (
                "Released code: its kernel formula and its network curves weigh unequal classes differently; NC1 of one kernel "
                f"under the first over that under the second {tally(mixed)}."
            )
        ]
    return line("A1", finding, average(cells), [*details, NO_LABELS])


def ntk_against_nngp(rows: Sequence[Row]) -> Claim:
    """A2: the NTK is not more collapsed than the NNGP."""
    published = pairings.published(rows)
    cells = pairings.ntk_against_nngp(published)
    equal = [cell for cell in cells if equal_classes(cell.cell)]
    unequal = [cell for cell in cells if not equal_classes(cell.cell)]
    sentences = []
    if equal:
        sentences += [f"With both kernels as defined and classes of equal size it {count(equal)}."]
        sentences += each(equal, "dataset", "activation")
    if unequal:
        convention = unequal[0].cell["convention"]
        sentences += [
            f"With classes of unequal size, under the convention '{convention}', it {count(unequal)}."
        ]
        sentences += each(unequal, "dataset", "activation", "sizes")
    if cells:
        sentences.append(repeats(cells))
    finding = judged(
        "a2",
        "The NTK is not more collapsed than the NNGP",
        "NC1(NTK) ≥ NC1(NNGP) for one hidden layer and the published Gaussian classes.",
        "NC1(NTK)/NC1(NNGP)",
        sentences,
        cells,
    )
    details = [
        f"Released code, erf: {tally(pairings.released_ntk_against_nngp(published))}.",
        NO_LABELS,
        "The erf NTK of the released code has a dot product where an outer product belongs.",
    ]
    return line("A2", finding, ranges(cells), details)


def erf_against_relu(rows: Sequence[Row]) -> Claim:
    """A4: erf gives lower NC1 than ReLU."""
    published = pairings.published(rows)
    cells = pairings.erf_against_relu(published)
    sentences = []
    if cells:
        sentences = [f"Over all published data it {count(cells)}."]
        sentences += each(cells, "dataset", "model")
        sentences.append(repeats(cells))
    finding = judged(
        "a4",
        "Erf gives lower NC1 than ReLU",
        "NC1(erf) ≤ NC1(relu), same data, same kernel.",
        "NC1(erf)/NC1(relu)",
        sentences,
        cells,
    )
    details = [
        f"Released code: {tally(pairings.released_erf_against_relu(published))}.",
        NO_LABELS,
        "The NNGPs are the same; the released erf NTK is below the NTK as defined.",
    ]
    return line("A4", finding, ranges(cells), details)


def _scatter(cells: Sequence[CellVerdict]) -> float:
    """Root of the mean variance of the log ratios within their cells."""
    logs = [[math.log(r) for r in c.ratios.values()] for c in cells if not math.isnan(c.ratio)]
    variances = [statistics.variance(values) for values in logs if len(values) > 1]
    return math.sqrt(statistics.fmean(variances)) if variances else math.nan
