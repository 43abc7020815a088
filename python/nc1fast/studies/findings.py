"""Findings: a claim, counted over the cells of the table, in words.

A cell is a data set's kind, size and dimension with an activation; its repeats are paired, and the
median of their differences decides. What stands comes first, then what differs from the released code.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nc1fast.studies.imbalance import convention_sentences
from nc1fast.studies.summary import CELL, distinct, equal_classes, grouped, median, select

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nc1fast.studies.table import Row

HOLDS, EQUAL, FAILS = "holds", "equal within the error bound", "fails"
UNDEFINED = "not comparable"  # no repeat has two finite values
RELEASED = "compat.released.erf_ntk"
_RELEASED_WHY = (
    "The released code forms a dot product where the outer product of the vector 1 + 2 k_ii with itself "
    "is needed; its ReLU NTK does not use that line."
)


@dataclass(frozen=True)
class CellVerdict:
    """A claim "upper >= lower" on one cell.

    Attributes
    ----------
    cell : dict
        The columns that the two sides share.
    verdict : str
        `HOLDS`, `EQUAL`, `FAILS` or, where there is nothing to compare, `UNDEFINED`.
    n, n_agree : int
        Repeats compared, and those whose own verdict is that of the cell.
    ratio, ratio_min, ratio_max : float
        Median and range of the paired ratios upper/lower of the repeats; NaN where one is not positive.
    """

    cell: Row
    verdict: str
    n: int
    n_agree: int
    ratio: float
    ratio_min: float
    ratio_max: float


@dataclass(frozen=True)
class Finding:
    """A claim and what the table says of it.

    Attributes
    ----------
    key : str
        Short name, an HTML anchor.
    title, claim : str
    ratio_name : str
        What the ratios of `cells` are.
    sentences : tuple of str
        Every number in them is computed from the rows.
    cells : tuple of CellVerdict
    judged : bool
        Whether the claim is one that the cells can hold or fail; if not, only their ratios matter.
    """

    key: str
    title: str
    claim: str
    ratio_name: str
    sentences: tuple[str, ...]
    cells: tuple[CellVerdict, ...]
    judged: bool = True


def findings(rows: Sequence[Row]) -> list[Finding]:
    """All findings that the rows can support, in the order in which they should be read."""
    makers = (
        _ntk_against_nngp,
        _erf_against_relu,
        _depth,
        _real_data,
        _released_erf_ntk,
        _conventions,
        _unusual,
    )
    return [finding for maker in makers if (finding := maker(rows)) is not None]


def compare(
    upper: Iterable[Row], lower: Iterable[Row], free: Sequence[str] = ()
) -> list[CellVerdict]:
    """Compare the NC1 of two sets of rows, cell by cell, repeats paired.

    Parameters
    ----------
    upper, lower : iterable of Row
        The claim is NC1(upper) >= NC1(lower).
    free : sequence of str
        Columns of `CELL` in which the two sides differ; `dtype` always may, and so may `arm`: data
        that two arms share counts once.

    Notes
    -----
    A repeat holds if the difference exceeds the sum of the two error bounds, fails if it is below
    minus that sum, and is equal otherwise. The cell takes the verdict of its median difference
    against its median bound.
    """
    columns = [name for name in CELL if name not in (*free, "dtype", "arm")]
    uppers, lowers = _by_key(upper, columns), _by_key(lower, columns)
    cells = grouped((row for key, row in uppers.items() if key in lowers), columns)
    return [
        _judge(
            {"arm": members[0]["arm"], **cell},
            [(row, lowers[_key(row, columns)]) for row in members],
        )
        for cell, members in cells
    ]


def _by_key(rows: Iterable[Row], columns: Sequence[str]) -> dict[tuple[object, ...], Row]:
    first: dict[tuple[object, ...], Row] = {}
    for row in rows:
        first.setdefault(_key(row, columns), row)
    return first


def _key(row: Row, columns: Sequence[str]) -> tuple[object, ...]:
    return (*(row[name] for name in columns), row["repeat"])


def _judge(cell: Row, pairs: Sequence[tuple[Row, Row]]) -> CellVerdict:
    finite = [(a, b) for a, b in pairs if math.isfinite(a["nc1"]) and math.isfinite(b["nc1"])]
    differences = [a["nc1"] - b["nc1"] for a, b in finite]
    bounds = [a["error_bound"] + b["error_bound"] for a, b in finite]
    ratios = [a["nc1"] / b["nc1"] if min(a["nc1"], b["nc1"]) > 0 else math.nan for a, b in finite]
    if not finite:
        return CellVerdict(cell, UNDEFINED, 0, 0, math.nan, math.nan, math.nan)
    verdict = _verdict(median(differences), median(bounds))
    each = [_verdict(d, b) for d, b in zip(differences, bounds, strict=True)]
    known = not any(map(math.isnan, ratios))
    return CellVerdict(
        cell,
        verdict,
        len(finite),
        each.count(verdict),
        median(ratios) if known else math.nan,
        min(ratios) if known else math.nan,
        max(ratios) if known else math.nan,
    )


def _verdict(difference: float, bound: float) -> str:
    if abs(difference) <= bound:
        return EQUAL
    return HOLDS if difference > 0 else FAILS


def count(cells: Sequence[CellVerdict]) -> str:
    """Count verdicts in words: "holds in 18 of 20 cells and is equal within the error bound in 2"."""
    n = len(cells)
    number = {v: sum(c.verdict == v for c in cells) for v in (HOLDS, EQUAL, FAILS, UNDEFINED)}
    words = {HOLDS: "holds in", EQUAL: "is equal within the error bound in", FAILS: "fails in"}
    words[UNDEFINED] = "cannot be compared in"
    parts = [f"{words[v]} {k}" for v, k in number.items() if k]
    whole = f"all {n} cells" if n > 1 else "the one cell"
    if len(parts) == 1:
        return parts[0].rsplit(" ", 1)[0] + f" {whole}"
    parts[0] += f" of {n} cells"
    return ", ".join(parts[:-1]) + f" and {parts[-1]}"


def _ratio_words(name: str, cells: Sequence[CellVerdict]) -> str:
    known = [c.ratio for c in cells if not math.isnan(c.ratio)]
    if not known:
        return f"the ratio {name} is not defined"
    middle = f"the median paired ratio {name} is {median(known):.3g}"
    if len(known) == 1:
        return middle
    return f"{middle}, from {min(known):.3g} to {max(known):.3g} over the cells"


def _by(cells: Sequence[CellVerdict], *columns: str) -> list[tuple[str, list[CellVerdict]]]:
    groups: dict[str, list[CellVerdict]] = {}
    for cell in cells:
        name = ", ".join(str(cell.cell[column]) for column in columns)
        groups.setdefault(name, []).append(cell)
    return list(groups.items())


def _each(name: str, cells: Sequence[CellVerdict], *columns: str) -> list[str]:
    """One sentence per group of cells."""
    return [
        f"{group}: it {count(members)}; {_ratio_words(name, members)}."
        for group, members in _by(cells, *columns)
    ]


def _repeats(cells: Sequence[CellVerdict]) -> str:
    split = sum(c.n_agree < c.n for c in cells)
    if not split:
        return "Within each cell all repeats agree."
    return f"The repeats of {split} of the {len(cells)} cells do not all agree with their cell."


def _shallow(rows: Sequence[Row]) -> list[Row]:
    """Rows outside depth curves, each arm under its first convention."""
    kept = []
    for _, members in grouped(rows, ("arm",)):
        if len(distinct(select(members, lambda r: r["kernel"] != "Linear"), "depth")) == 1:
            kept += select(members, convention=members[0]["convention"])
    return kept


def _pair(rows: Sequence[Row], upper: str, lower: str) -> list[CellVerdict]:
    free = ("kernel", "parametrization")
    return compare(select(rows, kernel=upper), select(rows, kernel=lower), free)


def _gaussian(row: Row) -> bool:
    return bool(row["source"] == "gaussian_mixture")


def _ntk_against_nngp(rows: Sequence[Row]) -> Finding | None:
    shallow = select(_shallow(rows), _gaussian)
    equal = _pair(select(shallow, equal_classes), "NTK", "NNGP")
    unequal = _pair(select(shallow, lambda row: not equal_classes(row)), "NTK", "NNGP")
    if not equal and not unequal:
        return None
    name = "NC1(NTK)/NC1(NNGP)"
    sentences = []
    if equal:
        sentences += [f"With classes of equal size it {count(equal)}."]
        sentences += _each(name, equal, "dataset", "activation")
    if unequal:
        convention = unequal[0].cell["convention"]
        sentences.append(
            f"With classes of unequal size, under the convention '{convention}', it {count(unequal)}; "
            f"{_ratio_words(name, unequal)}."
        )
    return Finding(
        "a2",
        "The NTK is not more collapsed than the NNGP",
        "NC1(NTK) ≥ NC1(NNGP) for one hidden layer and Gaussian classes, both kernels as defined.",
        name,
        (*sentences, _repeats([*equal, *unequal])),
        (*equal, *unequal),
    )


def _activations(rows: Sequence[Row]) -> list[CellVerdict]:
    rows = select(rows, lambda row: row["kernel"] != RELEASED)
    erf, relu = select(rows, activation="erf"), select(rows, activation="relu")
    return compare(relu, erf, ("activation", "weight_variance", "bias_variance"))


def _erf_against_relu(rows: Sequence[Row]) -> Finding | None:
    cells = _activations(select(_shallow(rows), _gaussian))
    if not cells:
        return None
    name = "NC1(relu)/NC1(erf)"
    return Finding(
        "a4",
        "Erf gives lower NC1 than ReLU",
        "NC1(erf) ≤ NC1(relu), same data, same kernel. Whether it holds depends on the data.",
        name,
        (
            f"Over all data it {count(cells)}.",
            *_each(name, cells, "dataset", "kernel"),
            _repeats(cells),
        ),
        tuple(cells),
    )


def _depth(rows: Sequence[Row]) -> Finding | None:
    curves = [c for c in CELL if c not in ("depth", "dtype")]
    cells, sentences = [], []
    for cell, members in grouped(select(rows, lambda r: r["kernel"] != "Linear"), curves):
        depths = sorted(distinct(members, "depth"))
        if len(depths) < 2:
            continue
        steps = [
            compare(select(members, depth=b), select(members, depth=a), ("depth",))[0]
            for a, b in itertools.pairwise(depths)
        ]
        first, last = select(members, depth=depths[0]), select(members, depth=depths[-1])
        [whole] = compare(last, first, ("depth",))
        worst = min(steps, key=lambda s: (UNDEFINED, FAILS, EQUAL, HOLDS).index(s.verdict))
        cells.append(
            CellVerdict(
                {**cell, "depth": f"{depths[0]}-{depths[-1]}"},
                worst.verdict,
                whole.n,
                min(s.n_agree for s in steps),
                whole.ratio,
                whole.ratio_min,
                whole.ratio_max,
            )
        )
        sentences.append(
            f"{cell['dataset']}, {cell['kernel']}, {cell['activation']} (weight variance "
            f"{cell['weight_variance']}): {sum(s.verdict == HOLDS for s in steps)} of {len(steps)} steps "
            f"in depth raise NC1; its median goes from {median(r['nc1'] for r in first):.3g} at depth "
            f"{depths[0]} to {median(r['nc1'] for r in last):.3g} at depth {depths[-1]}."
        )
    if not cells:
        return None
    return Finding(
        "depth",
        "Fixed kernels are less collapsed with depth",
        "NC1 grows with every step in depth.",
        "NC1(deepest)/NC1(shallowest)",
        (f"It {count(cells)} (a cell is a kernel with an activation).", *sentences),
        tuple(cells),
    )


def _real_data(rows: Sequence[Row]) -> Finding | None:
    real = select(_shallow(rows), lambda row: not _gaussian(row))
    ntk, erf = _pair(real, "NTK", "NNGP"), _activations(real)
    if not ntk and not erf:
        return None
    sentences = [
        f"NC1(NTK) ≥ NC1(NNGP), {s}" for s in _each("NTK/NNGP", ntk, "dataset", "activation")
    ]
    sentences += [f"NC1(erf) ≤ NC1(relu), {s}" for s in _each("relu/erf", erf, "dataset", "kernel")]
    return Finding(
        "real-data",
        "The same two comparisons on real data",
        "Data that is not Gaussian lies outside the claims; the comparisons are shown for orientation.",
        "NC1(NTK)/NC1(NNGP), then NC1(relu)/NC1(erf)",
        tuple(sentences),
        (*ntk, *erf),
    )


def _released_erf_ntk(rows: Sequence[Row]) -> Finding | None:
    shallow = select(_shallow(rows), activation="erf")
    cells = _pair(shallow, RELEASED, "NNGP")
    factor = _pair(shallow, "NTK", RELEASED)
    if not cells:
        return None
    name = "NC1(released erf NTK)/NC1(NNGP)"
    right = _pair(select(shallow, kernel="NTK") + select(shallow, kernel="NNGP"), "NTK", "NNGP")
    sentences = [
        f"With the erf NTK as defined, NC1(NTK) ≥ NC1(NNGP) {count(right)}.",
        f"With the erf NTK that the released code gives, the same comparison {count(cells)}.",
        *_each(name, cells, "dataset"),
        f"Over all cells, {_ratio_words('NC1(NTK)/NC1(released erf NTK)', factor)}.",
        _RELEASED_WHY,
    ]
    return Finding(
        "released-ntk",
        "The erf NTK of the released code",
        "NC1(NTK) ≥ NC1(NNGP), with the erf NTK that the released code gives.",
        name,
        tuple(sentences),
        tuple(cells),
    )


def _conventions(rows: Sequence[Row]) -> Finding | None:
    rows = select(rows, lambda row: row["kernel"] != RELEASED)
    cells = compare(
        select(rows, convention="released"), select(rows, convention="probe"), ("convention",)
    )
    if not cells:
        return None
    return Finding(
        "conventions",
        "Class weights under imbalance",
        "NC1 of the same kernel and data under the released code's kernel formula ('released') and "
        "under the definition of its network curves ('probe').",
        "NC1('released')/NC1('probe')",
        tuple(convention_sentences(rows, cells)),
        tuple(cells),
        judged=False,
    )


def _unusual(rows: Sequence[Row]) -> Finding | None:
    unusual = select(rows, lambda row: row["status"] != "ok")
    told = [f"{len(m)} rows: {status['status']}." for status, m in grouped(unusual, ("status",))]
    return Finding(
        "unusual",
        "Negative and undefined values",
        "Values without a logarithm are kept in the table and listed below, never dropped.",
        "",
        tuple(told) or (f"All {len(rows)} rows have a positive, finite NC1.",),
        (),
    )
