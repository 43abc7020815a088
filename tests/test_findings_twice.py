"""Every count, interval, range and verdict of the report again, by an independent implementation in
pandas.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import verdicts_by_pandas as again
from tests.study_rows import row, study

from nc1fast.studies import table
from nc1fast.studies.library.paper import claims, findings

PAPER = Path(__file__).parents[1] / "docs" / "paper"
RELEASED = "compat.released.adaptive"
mean_field = partial(again.trend, model="mean field")
matched = partial(again.trend, matched=True)


def erf_ntk_nngp(rows):
    return again.ntk_nngp(rows[rows.activation == "erf"])


# Finding: the rows it looks at, and the comparison of its cells
JUDGED: dict[str, Any] = {
    "a1": ("published", again.start_nngp),
    "a2": ("published", again.ntk_nngp),
    "a3": ("quiet", again.adaptive_nngp),
    "a4": ("published", again.erf_relu),
    "released-ntk": ("published", again.released_nngp),
    "labels": ("published", again.shuffled_true),
    "own-ntk": ("published", again.ntk_own),
    "conventions": ("all", again.conventions),
    "counter-a2": ("counter", again.ntk_nngp),
    "counter-a4": ("counter", again.erf_relu),
    "other-a2": ("elsewhere", again.ntk_nngp),
    "other-a4": ("elsewhere", again.erf_relu),
    "other-a3": ("elsewhere", again.adaptive_nngp),
    "other-a3-trend": ("elsewhere", again.trend),
    "mean-field": ("noisy", mean_field),
    "deeper": ("deeper", again.start_nngp),
    "widths": ("widths", again.start_nngp),
    "theory": ("all", again.theory),
}
# Further comparisons that its sentences, or the details of the claim, tell of
BESIDE: dict[str, list[Any]] = {
    "a1": [("all", again.conventions)],
    "a2": [("published", again.released_nngp)],
    "a3": [
        ("published", again.moved),
        ("published", again.trend),
        ("published", matched),
        ("quiet", partial(again.adaptive_nngp, model=RELEASED)),
        ("quiet", again.shuffled_true),
    ],
    "a4": [("published", partial(again.erf_relu, kernel="compat.released.erf_ntk"))],
    "released-ntk": [("published", erf_ntk_nngp), ("published", again.ntk_released)],
    "labels": [
        ("published", partial(again.shuffled_true, model=RELEASED)),
        ("published", partial(again.adaptive_nngp, model=RELEASED)),
    ],
    "own-ntk": [
        ("published", again.empirical_own),
        ("published", partial(again.moved, model="empirical NTK")),
    ],
    "mean-field": [
        ("noisy", again.moved),
        ("noisy", again.trend),
        ("noisy", partial(again.adaptive_nngp, model="mean field")),
        ("noisy", again.adaptive_nngp),
    ],
    "deeper": [
        ("beside deeper", again.moved),
        ("deeper", again.moved),
        ("deeper", again.ntk_nngp),
        ("deeper", again.own_ntk_nngp),
    ],
    "widths": [("widths", again.moved)],
}
# Columns that name the group of a sentence
GROUPS = (
    ["dataset", "activation"],
    ["dataset", "activation", "sizes"],
    ["dataset", "activation", "depth"],
    ["arm", "dataset"],
    ["arm", "dataset", "activation"],
    ["arm", "model", "activation"],
    ["dataset", "model"],
    ["dataset"],
    ["sizes"],
    ["width"],
)
VERBS = {
    "holds": "holds",
    "is equal within the error bound": "equal within the error bound",
    "fails": "fails",
    "is the same": "same",
    "is different": "different",
    "is undecided": "undecided",
    "has too few repeats": "too few",
    "cannot be compared": "not comparable",
}
NUMBER = r"(?<![\w.])(\d[\d.]*(?:e[-+]\d+)?)"
COUNT = re.compile(
    rf"\b({'|'.join(VERBS)}) in "
    r"(?:all (\d+) cells|(both) cells|the (one) cell|(\d+)( of \d+ cells)?)"
)
RANGE = re.compile(rf"from {NUMBER} to {NUMBER} over the cells")
AT_D0 = re.compile(rf"{NUMBER}(?: \({NUMBER} to {NUMBER}\))? at d₀ = (\d+)")
MEAN = re.compile(rf"{NUMBER}(?: \({NUMBER} to {NUMBER}\))? in the mean")


class Evidence:
    """The cells of all comparisons that a finding tells of, whole and in the groups of its
    sentences.
    """

    def __init__(self, sets, key):
        self.frames = []
        for rows, compare in [JUDGED[key], *BESIDE.get(key, [])]:
            rule, by, pairs = compare(sets[rows])
            cells = again.judge(pairs, rule, by)
            self.frames += [cells, *self.parts(cells)]
        self.rule, self.by, _ = JUDGED[key][1](sets[JUDGED[key][0]])
        self.cells = self.frames[0]
        self.named = defaultdict(list)
        for frame in filter(len, self.frames):
            for columns in GROUPS:
                for values, group in frame.groupby(columns) if set(columns) <= set(frame) else ():
                    self.named[", ".join(map(str, values))].append(group)

    @staticmethod
    def parts(cells):
        """Cells with equal and unequal classes, of either prior."""
        if not len(cells):
            return []
        equal = cells.sizes.map(lambda sizes: len(set(sizes.split(":"))) == 1)
        return [
            cells[equal],
            cells[~equal],
            cells[cells.arm == "matched"],
            cells[cells.arm != "matched"],
        ]

    def of(self, sentence):
        """The groups that a sentence names before its colon; all frames if it names none."""
        name = re.split(r": |, ratio", sentence)[0].removeprefix("Width ").removeprefix("Sizes ")
        name = re.split("start, |prior, ", name)[-1].replace(", depth ", ", ")
        return self.named.get(name, self.frames)


def equal(text, value):
    """Whether a number in a text is a value rounded to the digits that it shows."""
    shown = float(text)
    if "." in text and "e" not in text:
        return abs(shown - value) <= 0.5000001 * 10.0 ** -len(text.partition(".")[2])
    return abs(shown - value) <= max(0.5000001 if shown >= 10 else 0, 5e-6 * shown)


def interval_is(match, cells):
    middle, low, high = np.exp(again.pooled(cells)[:3])
    shown, a, b = match[:3]
    if not a:  # no interval, or one without a width
        return (math.isnan(low) or high - low < 2e-5) and math.isclose(
            float(shown), middle, rel_tol=6e-3
        )
    return equal(shown, middle) and equal(a, low) and equal(b, high)


def counts_in(text):
    """The counts that a text tells, one mapping for each."""
    found: list[Counter[str]] = []
    for verb, whole, both, one, some, first in COUNT.findall(text):
        n = int(whole or some or (2 if both else 1))
        if whole or both or one or first:
            found.append(Counter())
        found[-1][VERBS[verb]] += n
    return found


def check(text, evidence):
    """Every count, interval and range of a text is that of one of its groups; the number of those
    checked.
    """
    groups = [group for group in evidence.of(text) if len(group)]
    for told in counts_in(text):
        assert any(told == Counter(group.word) for group in groups), (text, told)
    for match in AT_D0.findall(text):
        at = [group[group.d0 == int(match[3])] for group in groups]
        assert any(interval_is(match, cells) for cells in at if len(cells)), (text, match)
    for match in MEAN.findall(text):
        assert any(interval_is(match, cells) for cells in groups), (text, match)
    for low, high in RANGE.findall(text):
        ratios = [np.exp(group["mean"].dropna()) for group in groups]
        assert any(
            f"{r.min():.3g}" == low and f"{r.max():.3g}" == high for r in ratios if len(r)
        ), text
    return sum(len(p.findall(text)) for p in (COUNT, AT_D0, MEAN, RANGE))


def same(cells, frame, by):
    """The cells of a finding are those of the frame: words, shares, numbers of repeats, and
    intervals.
    """
    columns = [name for name in by if all(name in cell.cell for cell in cells)]
    told = {hashable(cell.cell[name] for name in columns): cell for cell in cells}
    assert len(told) == len(cells) == len(frame)
    for _, other in frame.iterrows():
        cell = told[hashable(other[name] for name in columns)]
        assert (cell.verdict, cell.n_agree, cell.n) == (other.word, other.share, other.n)
        interval = (cell.interval.middle, cell.interval.low, cell.interval.high)
        expected = np.exp([other["mean"], other.low, other.high])
        assert interval == pytest.approx(expected, rel=1e-9, nan_ok=True)


def hashable(values):
    return tuple(None if isinstance(v, float) and math.isnan(v) else v for v in values)


def compare_reports(rows):
    """Compare all findings and claims on some rows; the keys seen, and how many numbers of the
    sentences were checked.
    """
    sets, checked, seen = again.subsets(rows), 0, {}
    for finding in findings(rows):
        if finding.key in JUDGED:
            evidence = seen[finding.key] = Evidence(sets, finding.key)
            same(finding.cells, evidence.cells, evidence.by)
            verdict = again.verdict(evidence.cells, evidence.rule)
            if finding.key == "a3" and set(evidence.cells.arm.eq("matched")) != {True, False}:
                verdict = "needs both priors"
            assert (finding.key, finding.verdict) == (finding.key, verdict)
            checked += sum(check(sentence, evidence) for sentence in finding.sentences)
    for claim in claims(rows):
        evidence = seen.get(claim.finding.key) or Evidence(sets, claim.finding.key)
        assert claim.counts == Counter(evidence.cells.word)
        checked += sum(
            check(text, evidence) for text in (*claim.number.split("; "), *claim.details)
        )
    return set(seen), checked


def compare_depths(rows):
    curves = again.courses(again.subsets(rows)["all"])
    [found] = [f for f in findings(rows) if f.key == "depth"]
    assert counted(curves.course) in found.title
    assert counted(curves.course) in found.sentences[0]
    kernels = curves.groupby(["dataset", "model", "activation", "weight_variance"], sort=False)
    assert len(found.sentences) == 1 + len(kernels)
    for (dataset, model, activation, variance), own in kernels:
        start = f"{dataset}, {model}, {activation} (weight variance {variance}): "
        [told] = [s for s in found.sentences if s.startswith(start)]
        assert counted(own.course) in told
        for d0, draws in own.groupby("d0"):
            ends = f"{draws['first'].mean():.3g} to {draws['last'].mean():.3g} at d₀ = {d0}"
            assert ends in told


def counted(course):
    """The counts of courses in words."""
    n = course.value_counts()
    if len(n) == 1:
        return f"{n.index[0]} in all {n.iloc[0]} curves"
    told = [
        f"{c} in {n[c]}" for c in ("rises", "falls", "is not monotone", "stays level") if c in n
    ]
    return f"{told[0]} of {n.sum()} curves, {', '.join(told[1:])}".replace(
        f", {told[-1]}", f" and {told[-1]}"
    )


def committed():
    """The rows of the committed table; columns that it lacks have the value of rows without a
    search.
    """
    with (PAPER / "table.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    return [
        {
            column.name: column.parse(line[column.name])
            if column.name in line
            else table.NO_SEARCH[column.name]
            for column in table.COLUMNS
        }
        for line in lines
    ]


@pytest.mark.slow
def test_the_committed_table_gives_the_same_verdicts_counts_and_intervals():
    rows = committed()
    seen, checked = compare_reports(rows)
    assert {"a1", "a2", "a3", "a4", "released-ntk", "labels", "own-ntk", "theory"} <= seen
    assert checked > 300
    compare_depths(rows)


def random_rows(seed, repeats):
    """A table of every arm with lognormal NC1, whose medians and scatter are drawn too; some models
    lack repeats.
    """
    rng = np.random.default_rng(seed)
    rows = []
    scatter: dict[tuple[object, ...], tuple[float, float]] = {}

    def add(model, activation="erf", state="", **columns):
        name = (columns["arm"], columns["dataset"], columns["d0"], model, activation, state)
        middle, spread = scatter.setdefault(
            name, (0.03 * rng.standard_normal(), rng.choice([0.002, 0.05, 0.3]))
        )
        few = repeats if rng.random() > 0.1 else rng.integers(1, repeats + 1)
        for repeat in range(few):
            nc1 = float(np.exp(middle + spread * rng.standard_normal()))
            odd = rng.random()
            nc1 = math.nan if odd < 0.002 else -nc1 if odd < 0.004 else nc1
            made = row(model, activation, state, nc1=nc1, repeat=repeat, **columns)
            rows.append({**made, "error_bound": float(rng.choice([1e-12, 0.02]))})

    for arm in ("balanced", "matched", "langevin", "deeper", "widths", "counter", "depth"):
        for dataset in ("D1", "D2", "mine")[: 1 if arm == "widths" else 3]:
            for d0 in (1, 8):
                site = {
                    "arm": arm,
                    "dataset": dataset,
                    "d0": d0,
                    "depth": 3 if arm == "deeper" else 2,
                }
                for activation in ("erf", "relu"):
                    for depth in (2, 3, 4) if arm == "depth" else (site["depth"],):
                        add("NNGP", activation, **site | {"depth": depth})
                        add("NTK", activation, **site | {"depth": depth})
                    if arm in ("balanced", "deeper"):
                        own = {
                            "parametrization": "standard",
                            "width": 500,
                            "weight_variance": "1:3.8809",
                        }
                        add("NTK", activation, **site, **own)
                        add("empirical NTK", activation, "start", **site)
                        add("empirical NTK", activation, "end", **site)
                noise = {"langevin": 0.01, "matched": 0.02}.get(arm, 1e-6)
                for width in {
                    "widths": (64, 500),
                    "balanced": (500,),
                    "langevin": (500,),
                    "deeper": (500,),
                }.get(arm, ()):
                    own = {"width": width, "noise": 0.01 if arm == "langevin" else math.nan}
                    add("network", "erf", "start", **site, **own)
                    add("network", "erf", "end", **site, **own)
                if arm in ("balanced", "matched", "langevin"):
                    add("AdaptiveKernel", **site, noise=noise)
                    add("AdaptiveKernel", "erf", "shuffled", **site, noise=noise)
                    add(RELEASED, **site, noise=noise)
                if arm in ("matched", "langevin"):
                    add("mean field", **site, noise=noise, width=500)
                if arm == "balanced":
                    add("compat.released.erf_ntk", **site)
                    rows.append(row("NNGP", "erf", "theory", **site, nc1=1.0, error_bound=math.nan))
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("repeats", [2, 6, 10])
def test_random_tables_give_the_same_verdicts_counts_and_intervals(repeats):
    rows = random_rows(repeats, repeats)
    seen, checked = compare_reports(rows)
    assert set(JUDGED) - seen <= {"conventions"}
    assert checked > 100
    compare_depths(rows)


@pytest.mark.slow
def test_a_made_up_study_gives_the_same_verdicts_counts_and_intervals():
    seen, checked = compare_reports(study())
    assert "conventions" in seen
    assert checked > 200
