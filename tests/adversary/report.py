"""Entries of a long run, and their tables: how many problems of which kind, error over bound, the
size of bounds, and the worst as code.
"""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pandas as pd
from tests.adversary.drawing import problem
from tests.adversary.verdict import FAILURES, Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    Entry = dict[str, Any]

CHUNK = 100  # problems per task
GRAM = 4  # of so many problems one has its Gram matrix looked at
WORST = 20


def record(index: int, seed: int) -> dict[str, Any]:
    """The verdict on one problem, with what the tables sort by."""
    case = problem(index, seed)
    kernel = case.kernel_object()
    return {
        "index": index,
        "family": case.family,
        "kernel": type(case.kernel).__name__,
        "activation": str(getattr(kernel, "activation", "")),
        "depth": getattr(kernel, "depth", 0),
        "dtype": case.dtype,
        "convention": case.convention,
        **judge(case, gram=index % GRAM == 0).as_dict(),
    }


def chunk(first: int, seed: int) -> list[dict[str, Any]]:
    return [record(index, seed) for index in range(first, first + CHUNK)]


def failed(entry: Entry) -> bool:
    return entry["status"] in FAILURES


def worst(entry: Entry) -> float:
    """The largest error over bound of nc1, its traces and the class sums; infinite where there is
    none.
    """
    ratios = [entry[name] for name in ("ratio", "within_ratio", "between_ratio", "sums_ratio")]
    return max((r for r in ratios if not math.isnan(r)), default=math.inf)


def tables(entries: Sequence[Entry], seed: int) -> str:
    """The report, as text."""
    if not entries:
        return "nothing is recorded"
    table = pd.DataFrame(entries)
    status = table["status"]
    notable = table[status.isin(FAILURES) | (status == "refused")]
    judged = table[status.isin(["ok", "violation"]) & table["ratio"].notna()]
    benign = table[(table["family"] == "benign") & table["truth"].between(0, math.inf, "neither")]
    parts = {
        "Problems by family": pd.crosstab(table["family"], status, margins=True),
        "Refusals by reason, and failures by what failed": notable.value_counts(["status", "what"]),
        "Error over bound where the bound is finite": pd.concat(
            _quantiles(judged["ratio"], judged[key])
            for key in ("family", "dtype", "kernel", "activation")
        ),
        "Largest error over bound of traces and of class sums": judged.groupby("family")[
            ["within_ratio", "between_ratio", "sums_ratio"]
        ].max(),
        "Bound over nc1 on benign problems, nc1 > 0": _quantiles(
            benign["bound"] / benign["truth"], benign["dtype"]
        ),
        "Infinite bounds: true trace_between over the largest k_ii": _quantiles(
            table["contrast"].abs()[status == "infinite"], table["family"]
        ),
        "Gram matrix: error over (d0 + 20) u sqrt(k_ii k_jj)": _quantiles(
            table["gram_ratio"].dropna(), table["family"]
        ),
    }
    text = "\n\n".join(f"{title}\n{part.to_string()}" for title, part in parts.items())
    return f"{text}\n\n{_worst(entries, seed)}"


def _quantiles(values: pd.Series[Any], groups: pd.Series[Any]) -> pd.DataFrame:
    """Count, quantiles and largest of the values of each group."""
    return values.groupby(groups).describe(percentiles=[0.5, 0.9, 0.95, 0.99])


def _worst(entries: Sequence[Entry], seed: int) -> str:
    """Failures of each kind as code, the largest errors first."""
    lines = []
    for status in FAILURES:
        bad = sorted((e for e in entries if e["status"] == status), key=worst, reverse=True)
        lines.append(f"{status}: {len(bad)}, of which the worst {WORST} at most:")
        for entry in bad[:WORST]:
            found = Verdict(**{field.name: entry[field.name] for field in fields(Verdict)})
            lines.append(f"  {found}\n    {problem(entry['index'], seed)!r}")
    return "\n".join(lines)
