"""Findings that any table supports: samples against theory, and unusual values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nc1fast.studies.findings.compare import compare
from nc1fast.studies.findings.finding import Finding, estimated
from nc1fast.studies.findings.rules import DEPENDS, FAILS, HOLDS, agree
from nc1fast.studies.findings.words import average, count, each
from nc1fast.studies.summary import distinct, select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.tidy import Row

LIMITING = ("NNGP", "NTK")  # models that are kernels of infinitely wide networks


def theory(rows: Sequence[Row]) -> Finding | None:
    """NC1 of drawn data against its expectation by quadrature; None without such rows.

    The mean logarithm over the draws lies below the logarithm of their mean by about half the
    variance of the logarithm, on the grid of the paper .3 % in the mean over the cells: less than
    the tolerance, and within it the claim is judged.
    """
    drawn = select(rows, lambda row: row["model"] in LIMITING, state="")
    curve = [  # an expectation has no repeats and is compared with each of them
        {**row, "state": "", "repeat": repeat}
        for row in select(rows, state="theory")
        for repeat in distinct(drawn, "repeat")
    ]
    cells = compare(drawn, curve, (), agree)
    if not cells:
        return None
    return estimated(
        "theory",
        "The theory curve",
        "NC1 is the expected NC1 of the mixture, computed without a sample, within 5 % in the mean over all cells.",
        "NC1/expected NC1",
        [
            f"Over all cells the ratio is {average(cells)}; NC1 {count(cells)}.",
            *each(cells, "arm", "model", "activation"),
        ],
        cells,
    )


def unusual(rows: Sequence[Row]) -> Finding:
    """D-5: values that are not positive and finite, solutions that did not converge, trainings that
    diverged.
    """
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
        f"{len(odd)} of {len(rows):,} rows are unusual" if odd else "No row is unusual",
        "Every NC1 is positive and finite, every solution converged, no training diverged. Rows of which this is not "
        "true stay in the table and are listed below.",
        HOLDS if not odd else DEPENDS if len(odd) < len(rows) else FAILS,
        "",
        tuple(told) or (f"All {len(rows):,} rows are as they should be.",),
    )


def _rows(n: int) -> str:
    return f"{n} row{'s' if n != 1 else ''}"


def _whose(rows: Sequence[Row]) -> str:
    """Names of the models and data of some rows, each once."""
    names = [
        f"{row['model']} {row['activation']}".strip() + f" on {row['dataset']}" for row in rows
    ]
    return ", ".join(dict.fromkeys(names))
