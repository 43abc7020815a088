"""Findings that any table supports: samples against theory, NC1 along the depth, unusual values."""

from __future__ import annotations

import itertools
import math
import re
import statistics
from typing import TYPE_CHECKING

from nc1fast.studies.findings.compare import CellVerdict, compare
from nc1fast.studies.findings.finding import Finding, judged
from nc1fast.studies.findings.rules import DEPENDS, EQUAL, FAILS, HOLDS, UNDEFINED, expected
from nc1fast.studies.findings.words import count, each
from nc1fast.studies.summary import CELL, distinct, grouped, median, select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.tidy import Row

LIMITING = ("NNGP", "NTK")  # models that are kernels of infinitely wide networks


def theory(rows: Sequence[Row]) -> Finding | None:
    """The mean NC1 over the repeats against its expectation by quadrature; None without such rows."""
    drawn = select(rows, lambda row: row["model"] in LIMITING, state="")
    curve = [  # an expectation has no repeats and is compared with each of them
        {
            **row,
            "state": "",
            "repeat": repeat,
        }
        for row in select(rows, state="theory")
        for repeat in distinct(drawn, "repeat")
    ]
    cells = compare(drawn, curve, (), expected)
    if not cells:
        return None
    known = [cell for cell in cells if not math.isnan(cell.ratio)]
    off = [abs(statistics.fmean(cell.ratios.values()) - 1) for cell in known]
    sentences = [
        f"The two {count(cells)}.",
        *each(cells, "arm", "model", "activation"),
    ]
    if off:
        sentences.append(
            f"The mean over the repeats is off by {median(off):.2%} in the median, by {max(off):.2%} at most."
        )
    return judged(
        "theory",
        "The theory curve",
        "The mean NC1 over the repeats is the expected NC1 of the mixture, computed without a sample.",
        "NC1/expected NC1",
        sentences,
        cells,
    )


def depth(rows: Sequence[Row]) -> Finding | None:
    """Whether NC1 of fixed kernels grows with their depth; None unless kernels of several depths are there."""
    curves = [name for name in CELL if name != "depth"]
    kernels = select(rows, lambda row: row["model"] in LIMITING, state="")
    cells, sentences = [], []
    for cell, members in grouped(kernels, curves):
        depths = sorted(distinct(members, "depth"))
        if len(depths) < 2:
            continue
        at = {level: select(members, depth=level) for level in depths}
        steps = [compare(at[b], at[a], ("depth",))[0] for a, b in itertools.pairwise(depths)]
        [whole] = compare(at[depths[-1]], at[depths[0]], ("depth",))
        worst = min(steps, key=lambda s: (UNDEFINED, FAILS, EQUAL, HOLDS).index(s.verdict))
        name = {**cell, "depth": f"{depths[0]}-{depths[-1]}"}
        cells.append(CellVerdict(name, worst.verdict, min(s.n_agree for s in steps), whole.ratios))
        low, high = (median(r["nc1"] for r in at[level]) for level in (depths[0], depths[-1]))
        sentences.append(
            f"{cell['dataset']}, {cell['model']}, {cell['activation']} (weight variance "
            f"{cell['weight_variance']}): {sum(s.verdict == HOLDS for s in steps)} of {len(steps)} steps "
            f"in depth raise NC1; its median goes from {low:.3g} at depth {depths[0]} to {high:.3g} at "
            f"depth {depths[-1]}."
        )
    if not cells:
        return None
    return judged(
        "depth",
        "Fixed kernels are less collapsed with depth",
        "NC1 grows with every step in depth.",
        "NC1(deepest)/NC1(shallowest)",
        (f"It {count(cells)} (a cell is a kernel with an activation).", *sentences),
        cells,
    )


def unusual(rows: Sequence[Row]) -> Finding:
    """D-5: values that are not positive and finite, solutions that did not converge, trainings that diverged."""
    odd = select(rows, lambda row: row["status"] != "ok")
    kinds: dict[str, list[Row]] = {}
    for row in odd:
        kinds.setdefault(re.sub(r"(?<!\w)[-+]?\d[\d.e+-]*", "…", row["status"]), []).append(row)
    told = [f"{_rows(len(m))} ({_whose(m)}): {kind}." for kind, m in kinds.items()]
    negative = select(rows, lambda row: row["nc1"] < 0, convention="released")
    if negative:
        told.append(
            f"Negative values under 'released' ({_rows(len(negative))}) are right: its Tr Sigma_W mixes two weights "
            "and is not a variance. The released code leaves such values out of its means."
        )
    return Finding(
        "unusual",
        "Negative and undefined values",
        "Every NC1 is positive and finite, every solution converged, no training diverged. Rows of which this is not "
        "true stay in the table and are listed below.",
        HOLDS if not odd else DEPENDS if len(odd) < len(rows) else FAILS,
        "",
        tuple(told) or (f"All {len(rows)} rows are as they should be.",),
    )


def _rows(n: int) -> str:
    return f"{n} row{'s' if n != 1 else ''}"


def _whose(rows: Sequence[Row]) -> str:
    """Names of the models and data of some rows, each once."""
    names = [
        f"{row['model']} {row['activation']}".strip() + f" on {row['dataset']}" for row in rows
    ]
    return ", ".join(dict.fromkeys(names))
