"""Tables of a long run: how many problems of which kind, error over bound, the size of bounds, and
the worst as code.
"""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.adversary.drawing import problem
from tests.adversary.verdict import FAILURES, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    Entry = dict[str, Any]

STATUSES = ("ok", "infinite", "refused", "undecided", *FAILURES)
WORST = 20


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
    parts = [
        ("Problems by family", _counts(entries)),
        ("Refusals by reason, and failures by what failed", _reasons(entries)),
        ("Error over bound where the bound is finite", _ratios(entries)),
        ("Bound over nc1 on benign problems, nc1 > 0", _sizes(entries)),
        ("Infinite bounds: true trace_between over the largest k_ii", _infinite(entries)),
        ("Gram matrix: error over (d0 + 20) u sqrt(k_ii k_jj)", _gram(entries)),
    ]
    text = "\n\n".join(f"{title}\n{_table(rows)}" for title, rows in parts)
    return f"{text}\n\n{_worst(entries, seed)}"


def _table(rows: Sequence[Sequence[Any]]) -> str:
    cells = [[f"{v:.3g}" if isinstance(v, float) else str(v) for v in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join(
            v.rjust(w) if i else v.ljust(w)
            for i, (v, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    )
    return "\n".join(f"  {line}" for line in lines)


def _groups(entries: Sequence[Entry], key: str) -> list[tuple[str, list[Entry]]]:
    names = sorted({entry[key] for entry in entries})
    return [(name, [e for e in entries if e[key] == name]) for name in names]


def _counts(entries: Sequence[Entry]) -> list[list[Any]]:
    rows: list[list[Any]] = [["", "all", *STATUSES]]
    for name, group in [*_groups(entries, "family"), ("all", list(entries))]:
        counts = [sum(e["status"] == status for e in group) for status in STATUSES]
        rows.append([name, len(group), *counts])
    return rows


def _reasons(entries: Sequence[Entry]) -> list[list[Any]]:
    rows: list[list[Any]] = [["", "problems"]]
    found = [e for e in entries if failed(e) or e["status"] == "refused"]
    labels = [f"{e['status']}: {e['what'][:100]}" for e in found]
    rows += [[label, labels.count(label)] for label in sorted(set(labels))]
    return rows


def _ratios(entries: Sequence[Entry]) -> list[list[Any]]:
    rows: list[list[Any]] = [
        ["", "problems", "median", "99 %", "largest", "of traces", "of class sums"]
    ]
    judged = [
        e for e in entries if e["status"] in ("ok", "violation") and not math.isnan(e["ratio"])
    ]
    groups = [
        group
        for key in ("family", "dtype", "kernel", "activation")
        for group in _groups(judged, key)
    ]
    for name, group in [("all", judged), *groups]:
        ratios = np.array([e["ratio"] for e in group])
        traces = max(max(e["within_ratio"], e["between_ratio"]) for e in group)
        sums = max(e["sums_ratio"] for e in group)
        largest = [float(ratios.max()), float(traces), float(sums)]
        rows.append([name or "-", len(group), *_quantiles(ratios, 0.5, 0.99), *largest])
    return rows


def _quantiles(values: np.ndarray, *q: float) -> list[float]:
    return (
        [float(v) for v in np.quantile(values, q, method="higher")]
        if len(values)
        else [math.nan] * len(q)
    )


def _sizes(entries: Sequence[Entry]) -> list[list[Any]]:
    rows: list[list[Any]] = [["", "problems", "median", "90 %", "95 %", "99 %", "largest"]]
    benign = [e for e in entries if e["family"] == "benign" and e["truth"] > 0]
    for name, group in _groups([e for e in benign if e["truth"] < math.inf], "dtype"):
        sizes = np.array([e["bound"] / e["truth"] for e in group])
        rows.append([name, len(group), *_quantiles(sizes, 0.5, 0.9, 0.95, 0.99, 1.0)])
    return rows


def _infinite(entries: Sequence[Entry]) -> list[list[Any]]:
    rows: list[list[Any]] = [["", "share", "median", "90 %", "largest"]]
    for name, group in [*_groups(entries, "family"), *_groups(entries, "dtype")]:
        contrasts = [abs(e["contrast"]) for e in group if e["status"] == "infinite"]
        share = len(contrasts) / len(group)
        rows.append([name, share, *_quantiles(np.array(contrasts), 0.5, 0.9, 1.0)])
    return rows


def _gram(entries: Sequence[Entry]) -> list[list[Any]]:
    rows: list[list[Any]] = [["", "matrices", "median", "99 %", "largest", "above 1"]]
    looked = [e for e in entries if not math.isnan(e["gram_ratio"])]
    for name, group in _groups(looked, "family"):
        ratios = np.array([e["gram_ratio"] for e in group])
        rows.append(
            [name, len(group), *_quantiles(ratios, 0.5, 0.99, 1.0), int((ratios > 1).sum())]
        )
    return rows


def _worst(entries: Sequence[Entry], seed: int) -> str:
    """Failures of each kind as code, the largest errors first."""
    lines = []
    for status in FAILURES:
        bad = sorted((e for e in entries if e["status"] == status), key=worst, reverse=True)
        lines.append(
            f"{status}: {len(bad)}" + (f"; the worst {WORST}:" if len(bad) > WORST else "")
        )
        for entry in bad[:WORST]:
            found = Verdict(**{field.name: entry[field.name] for field in fields(Verdict)})
            lines.append(f"  {found}\n    {problem(entry['index'], seed)!r}")
    return "\n".join(lines)
