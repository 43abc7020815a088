"""Findings: three verdicts, cells and not repeats, words that follow the rows."""

from __future__ import annotations

import math

import pytest

from nc1fast import studies
from nc1fast.studies.findings import EQUAL, FAILS, HOLDS, UNDEFINED, compare, count, findings
from nc1fast.studies.summary import CELL


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """One repeat of the quick study."""
    folder = tmp_path_factory.mktemp("findings")
    return studies.run(studies.load("paper", "quick"), folder, only=["repeat=0"]).rows


def row(nc1, bound=0.0, **cell):
    values = dict.fromkeys(CELL, "")
    base = {**values, "arm": "a", "source": "gaussian_mixture", "sizes": "8:8", "depth": 2, "d0": 1}
    return {**base, "repeat": 0, "nc1": nc1, "error_bound": bound, "status": "ok", **cell}


def test_verdict_has_three_values_and_the_median_decides():
    def verdict(upper, lower, bound):
        pairs = enumerate(zip(upper, lower, strict=True))
        both = [(row(a, bound, repeat=i), row(b, bound, repeat=i)) for i, (a, b) in pairs]
        [cell] = compare([a for a, _ in both], [b for _, b in both])
        return cell

    assert verdict([2, 2, 2], [1, 1, 1], 0.1).verdict == HOLDS
    assert verdict([1, 1, 1], [2, 2, 2], 0.1).verdict == FAILS
    assert verdict([1.1, 1, 1], [1, 1, 1], 0.1).verdict == EQUAL
    mixed = verdict([2, 3, 1], [1, 1, 4], 0.1)
    assert (mixed.verdict, mixed.n, mixed.n_agree) == (HOLDS, 3, 2)
    assert (mixed.ratio, mixed.ratio_min, mixed.ratio_max) == (2, 0.25, 3)
    assert verdict([math.nan], [1], 0.1).verdict == UNDEFINED
    assert verdict([math.inf], [1], 0.1).verdict == UNDEFINED
    assert math.isnan(verdict([2], [-1], 0.1).ratio)


def test_data_that_two_arms_share_counts_once():
    upper = [row(2.0), row(2.0, arm="b"), row(2.0, arm="b", d0=3)]
    lower = [row(1.0), row(1.0, arm="b"), row(1.0, arm="b", d0=3)]
    assert [(c.cell["arm"], c.n) for c in compare(upper, lower)] == [("a", 1), ("b", 1)]


@pytest.mark.parametrize(
    ("holds", "equal", "fails", "words"),
    [
        (3, 0, 0, "holds in all 3 cells"),
        (1, 0, 0, "holds in the one cell"),
        (0, 0, 2, "fails in all 2 cells"),
        (18, 2, 0, "holds in 18 of 20 cells and is equal within the error bound in 2"),
        (1, 2, 3, "holds in 1 of 6 cells, is equal within the error bound in 2 and fails in 3"),
        (0, 2, 1, "is equal within the error bound in 2 of 3 cells and fails in 1"),
    ],
)
def test_cells_are_counted_in_words(holds, equal, fails, words):
    values = [2.0] * holds + [1.0] * equal + [0.5] * fails
    upper = [row(value, d0=i) for i, value in enumerate(values)]
    assert count(compare(upper, [{**r, "nc1": 1.0} for r in upper])) == words


def test_findings_put_what_stands_first_and_are_courteous(rows):
    found = findings(rows)
    keys = [finding.key for finding in found]
    assert keys == ["a2", "a4", "depth", "real-data", "released-ntk", "conventions", "unusual"]
    text = " ".join([s for f in found for s in (f.title, f.claim, *f.sentences)]).lower()
    assert not [word for word in ("theorem", "the paper's figure", "wrong", "bug") if word in text]


def test_ntk_is_not_below_nngp_on_the_published_data_and_relu_is_equal_in_one_dimension(rows):
    [a2] = [f for f in findings(rows) if f.key == "a2"]
    verdicts = {(c.cell["activation"], c.cell["d0"] == 1): set() for c in a2.cells}
    for c in a2.cells:
        verdicts[c.cell["activation"], c.cell["d0"] == 1].add(c.verdict)
    assert verdicts == {
        ("erf", True): {HOLDS},
        ("erf", False): {HOLDS},
        ("relu", True): {EQUAL},  # NTK = 2 NNGP there
        ("relu", False): {HOLDS},
    }
    assert a2.sentences[0] == (
        "With classes of equal size it holds in 20 of 24 cells and is equal within the error bound in 4."
    )


def test_released_erf_ntk_falls_below_nngp_from_eight_features_on(rows):
    [released] = [f for f in findings(rows) if f.key == "released-ntk"]
    gaussian = [c for c in released.cells if c.cell["source"] == "gaussian_mixture"]
    assert {(c.cell["d0"] >= 8, c.verdict) for c in gaussian} == {(True, FAILS), (False, HOLDS)}


def test_imbalance_ratio_is_the_closed_form(rows):
    [conventions] = [f for f in findings(rows) if f.key == "conventions"]
    assert not conventions.judged
    for c in conventions.cells:
        n1, n2 = map(int, c.cell["sizes"].split(":"))
        assert c.ratio == pytest.approx((n1 * n1 + n2 * n2) / (2 * n1 * n2), rel=0.09)


def test_sentences_follow_the_rows(rows):
    """With the two erf NTKs exchanged the verdicts are exchanged."""
    names = {"NTK": "compat.released.erf_ntk", "compat.released.erf_ntk": "NTK"}
    erf = [r for r in rows if r["activation"] == "erf" and r["source"] == "gaussian_mixture"]
    swapped = [
        {**r, "kernel": names.get(r["kernel"], r["kernel"]), "parametrization": ""} for r in erf
    ]

    def verdicts(some, key):
        [finding] = [f for f in findings(some) if f.key == key]
        return {
            (*(c.cell[n] for n in ("dataset", "d0", "sizes")), c.verdict) for c in finding.cells
        }

    assert verdicts(erf, "a2") == verdicts(swapped, "released-ntk")
    assert verdicts(erf, "released-ntk") == verdicts(swapped, "a2")
