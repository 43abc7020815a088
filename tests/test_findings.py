"""Findings: every rule on both sides, cells and not repeats, verdicts that are known by
construction.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.claim_rows import repeated
from tests.study_rows import row

from nc1fast.studies.findings import rules
from nc1fast.studies.findings.compare import (
    average,
    changes,
    compare,
    count,
    counts,
    extremes,
    pooled,
    show,
    together,
)
from nc1fast.studies.findings.rules import (
    DEPENDS,
    DIFFERENT,
    EQUAL,
    FAILS,
    HOLDS,
    SAME,
    TOO_FEW,
    UNDECIDED,
    UNDEFINED,
)

KIND = ("model", "parametrization")


def cell(upper, lower, rule=rules.at_least, bound=0.0):
    first = repeated("NTK", upper, error_bound=bound)
    second = repeated("NNGP", lower, error_bound=bound)
    [found] = compare(first, second, KIND, rule)
    return found


# --- rules: exact numbers


def test_an_order_on_which_all_draws_agree_is_a_statement_about_these_data():
    assert cell([2, 2, 2], [1, 1, 1], bound=0.1).verdict == HOLDS
    assert cell([1, 1, 1], [2, 2, 2], bound=0.1).verdict == FAILS
    assert cell([1.1, 1, 1], [1, 1, 1], bound=0.1).verdict == EQUAL
    assert cell([2, 2, 2], [1, 1, 1], rules.at_most, bound=0.1).verdict == FAILS
    assert cell([1, 1, 1], [2, 2, 2], rules.at_most, bound=0.1).verdict == HOLDS
    assert cell([2], [1]).verdict == HOLDS  # one draw is enough
    some = cell([2, 1, 1], [1, 1, 1], bound=0.1)  # no draw fails
    assert (some.verdict, some.n_agree, some.n) == (HOLDS, 1, 3)
    assert cell([0.5, 1, 1], [1, 1, 1], bound=0.1).verdict == FAILS


@pytest.mark.parametrize(
    ("hold", "fail", "equal", "word"),
    [
        (2, 1, 0, TOO_FEW),
        (4, 1, 5, TOO_FEW),  # draws that are equal do not count
        (5, 1, 0, UNDECIDED),
        (8, 2, 0, UNDECIDED),  # p = .11
        (9, 1, 0, HOLDS),  # p = .021
        (1, 9, 0, FAILS),
        (8, 1, 0, HOLDS),  # p = .039
        (7, 1, 0, UNDECIDED),  # p = .070
        (10, 3, 0, UNDECIDED),  # p = .092
        (15, 5, 0, HOLDS),  # p = .041
    ],
)
def test_draws_that_contradict_each_other_take_a_sign_test(hold, fail, equal, word):
    values = [2.0] * hold + [0.5] * fail + [1.0] * equal
    found = cell(values, [1.0] * len(values))
    assert (found.verdict, found.n) == (word, hold + fail + equal)
    assert found.n_agree == {HOLDS: hold, FAILS: fail}.get(word, 0)


def test_values_that_cannot_be_compared():
    assert cell([math.nan], [1]).verdict == UNDEFINED
    assert cell([math.inf], [1]).verdict == UNDEFINED
    assert math.isnan(cell([2], [-1]).ratio)
    assert cell([2, math.nan], [1, 1]).n == 1


def test_exact_numbers_are_alike_if_every_draw_is_near_one():
    assert cell([1.0, 1.04, 0.96], [1, 1, 1], rules.alike).verdict == SAME
    assert cell([1.2, 1.06, 1.3], [1, 1, 1], rules.alike).verdict == DIFFERENT
    single = cell([1.06], [1], rules.alike)  # one draw is enough
    assert (single.verdict, single.n_agree) == (DIFFERENT, 1)
    assert cell([1, 1.2], [1, 1], rules.alike).verdict == TOO_FEW  # the draws disagree
    assert cell([1, 1.2] * 3, [1] * 6, rules.alike).verdict == UNDECIDED
    assert cell([1.001] * 7 + [1.06], [1] * 8, rules.alike).verdict == SAME
    assert cell([1, -1], [1, 1], rules.alike).verdict == UNDEFINED


# --- rules: numbers with chance in them


def test_random_numbers_are_the_same_inside_the_tolerance_and_different_beyond_it():
    spread = np.exp([0.001, -0.001] * 3)
    assert cell(1.04 * spread, [1] * 6, rules.agree).verdict == SAME
    assert cell(spread / 1.04, [1] * 6, rules.agree).verdict == SAME
    assert cell(1.06 * spread, [1] * 6, rules.agree).verdict == DIFFERENT
    assert cell(spread / 1.06, [1] * 6, rules.agree).verdict == DIFFERENT
    wide = cell([1.0, 1.3, 0.8, 1.1, 0.9, 1.0], [1] * 6, rules.agree)
    assert (wide.verdict, wide.n_agree, wide.n) == (UNDECIDED, 0, 6)
    assert cell([1, -1] * 3, [1] * 6, rules.agree).verdict == UNDEFINED


@pytest.mark.parametrize("edge", [1.05, 1 / 1.05])
def test_an_interval_that_touches_the_tolerance_is_undecided(edge):
    reach = rules.mean_interval([0.001, -0.001] * 3).high
    for shift in (-0.9, 0.0, 0.9):
        values = edge * np.exp(shift * reach) * np.exp([0.001, -0.001] * 3)
        assert cell(values, [1] * 6, rules.agree).verdict == UNDECIDED
    for shift in (-1.1, 1.1):
        values = edge * np.exp(shift * reach) * np.exp([0.001, -0.001] * 3)
        assert cell(values, [1] * 6, rules.agree).verdict in (SAME, DIFFERENT)


def test_fewer_than_six_repeats_cannot_pass_a_sign_test_and_give_no_word():
    assert 2 * 0.5 ** (rules.FEWEST - 1) > 1 - rules.CONFIDENCE > 2 * 0.5**rules.FEWEST
    for n in range(1, rules.FEWEST):
        assert cell([1.0] * n, [1] * n, rules.agree).verdict == TOO_FEW
        assert cell([9.0] * n, [1] * n, rules.agree).verdict == TOO_FEW
    assert cell([9.0] * 6, [1] * 6, rules.agree).verdict == DIFFERENT


# --- rules: claims


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([HOLDS, EQUAL, SAME], HOLDS),
        ([HOLDS, UNDEFINED], HOLDS),
        ([HOLDS, FAILS], DEPENDS),
        ([SAME, DIFFERENT], DEPENDS),
        ([FAILS, DIFFERENT], FAILS),
        ([EQUAL, FAILS], DEPENDS),
        ([HOLDS] * 99 + [FAILS], DEPENDS),  # an exact comparison knows no chance
        ([HOLDS, UNDECIDED], DEPENDS),  # the draws of a cell disagree
        ([FAILS, TOO_FEW], DEPENDS),
        ([UNDECIDED, TOO_FEW], UNDECIDED),
        ([TOO_FEW], TOO_FEW),
        ([UNDEFINED], UNDEFINED),
        ([], UNDEFINED),
    ],
)
def test_exact_claim_takes_the_verdict_of_its_cells(words, expected):
    assert rules.overall(words) == expected


@pytest.mark.parametrize(
    ("mean", "words", "expected"),
    [
        (SAME, [UNDECIDED] * 9, HOLDS),
        (SAME, [SAME, UNDECIDED], HOLDS),
        (SAME, [SAME, DIFFERENT], DEPENDS),
        (SAME, [UNDECIDED, DIFFERENT], DEPENDS),
        (DIFFERENT, [UNDECIDED], FAILS),
        (DIFFERENT, [DIFFERENT], FAILS),
        (DIFFERENT, [SAME, UNDECIDED], DEPENDS),
        (SAME, [DIFFERENT, DIFFERENT], FAILS),
        (UNDECIDED, [UNDECIDED, SAME], UNDECIDED),
        (UNDECIDED, [DIFFERENT, UNDECIDED], FAILS),
        (UNDECIDED, [DIFFERENT, SAME], DEPENDS),
        (TOO_FEW, [SAME], UNDECIDED),
    ],
)
def test_random_claim_is_judged_on_the_mean_and_on_all_cells_together(mean, words, expected):
    assert rules.together(mean, words) == expected


def scattered(ratios, scatter, repeats, seed=0):
    """A cell for each ratio, with normal logarithms."""
    rng = np.random.default_rng(seed)
    draws = np.log(ratios)[:, None] + scatter * rng.standard_normal((len(ratios), repeats))
    upper = [r for d0, logs in enumerate(draws) for r in repeated("network", np.exp(logs), d0=d0)]
    lower = [{**r, "model": "NNGP", "nc1": 1.0} for r in upper]
    return compare(upper, lower, ("model",), rules.agree)


def test_one_of_forty_intervals_that_misses_does_not_make_a_claim_fail():
    """At 95 % one cell in twenty of those that sit on the edge of the tolerance is called
    different.
    """
    cells = scattered([1.05] * 200, 0.02, 10)
    assert sum(c.verdict == DIFFERENT for c in cells) >= 2
    assert together([*cells, *scattered([1 / 1.05] * 200, 0.02, 10, seed=1)]) == HOLDS


def test_one_cell_in_forty_that_is_off_by_a_third_is_seen():
    assert together(scattered([1.0] * 39 + [4 / 3], 0.08, 10)) == DEPENDS


def test_imprecision_makes_no_claim_hold():
    cells = scattered([1.0] * 40, 3.0, 10)
    assert sum(c.verdict == UNDECIDED for c in cells) >= 36
    assert together(cells) == UNDECIDED
    assert together(scattered([1.0] * 40, 0.001, 3)) == TOO_FEW
    assert together([]) == UNDEFINED


def test_interval_is_students():
    interval = rules.mean_interval([1.0, 2.0, 3.0])  # t(2, 0.975) = 4.302653, deviation 1
    assert interval.middle == 2
    assert interval.high - 2 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert interval.low == pytest.approx(4 - interval.high)
    ratios = rules.ratio_interval([math.e, math.e**2, math.e**3])
    assert ratios.high == pytest.approx(math.exp(interval.high))
    assert math.isnan(rules.mean_interval([1.0]).low)
    assert rules.mean_interval([1.0]).middle == 1
    assert math.isnan(rules.mean_interval([]).middle)


# --- cells


def test_data_that_two_arms_share_counts_once_unless_arms_have_cells_of_their_own():
    ntk = [*repeated("NTK", [2], arm="a"), *repeated("NTK", [2], arm="b")]
    ntk += repeated("NTK", [2], arm="b", d0=3)
    nngp = [{**r, "model": "NNGP", "nc1": 1.0} for r in ntk]

    def cells(arms, some=nngp):
        return [(c.cell["arm"], c.cell["d0"], c.n) for c in compare(ntk, some, KIND, arms=arms)]

    assert cells("once") == [("a", 8, 1), ("b", 3, 1)]
    assert cells("each") == [("a", 8, 1), ("b", 8, 1), ("b", 3, 1)]
    only_a = [r for r in nngp if r["arm"] == "a"]
    assert cells("each", only_a) == [("a", 8, 1), ("b", 8, 1)]
    assert cells("within", only_a) == [("a", 8, 1)]


def test_changes_are_rows_again():
    end = repeated("network", [1.0, 3.0, -1.0], state="end", noise=0.1)
    start = repeated("network", [2.0, 2.0, 2.0], state="start", noise=0.1)
    moved = changes(end, start, ("state",), arms="within")
    assert [(r["repeat"], r["nc1"], r["state"]) for r in moved] == [(0, 0.5, ""), (1, 1.5, "")]


def test_networks_of_two_widths_are_two_cells():
    wide = [r for w in (100, 500) for r in repeated("network", [w], state="start", width=w)]
    cells = compare(
        wide,
        repeated("NNGP", [1.0]),
        ("model", "state", "width", "weight_variance", "parametrization"),
    )
    assert {c.cell["width"]: c.ratio for c in cells} == pytest.approx({100: 100, 500: 500})


def test_pooled_ratio_is_a_geometric_mean_over_cells_with_an_interval_over_common_repeats():
    values = {1: [1.0, 2.0], 2: [2.0, 4.0], 4: [4.0, 8.0]}
    upper = [r for d0, pair in values.items() for r in repeated("NTK", pair, d0=d0)]
    upper += repeated("NTK", [4.0], d0=4, N=7)  # a single repeat says nothing of the interval
    lower = [{**r, "model": "NNGP", "nc1": 1.0} for r in upper]
    interval = pooled(compare(upper, lower, KIND))
    logs = rules.mean_interval([math.log(2), math.log(4)])  # of the means of each repeat
    ends = (interval.middle, interval.low, interval.high)
    assert ends == pytest.approx([math.exp(end) for end in (logs.middle, logs.low, logs.high)])
    assert interval.n == 2
    single = pooled(compare(upper[-1:], lower, KIND))
    assert math.isnan(single.low)
    assert single.middle == pytest.approx(4)
    assert math.isnan(pooled([]).middle)


def test_cells_without_power_stay_out_of_a_mean_of_those_that_have_it():
    upper = [*repeated("NTK", [2.0] * 6), *repeated("NTK", [50.0] * 5, d0=9)]
    cells = compare(upper, [{**r, "model": "NNGP", "nc1": 1.0} for r in upper], KIND)
    assert pooled(cells).middle == pytest.approx(2)
    assert average(cells).startswith("2 in the mean of the 1 cell with 6 repeats or more, ")


@pytest.mark.parametrize(
    ("holds", "equal", "fails", "words"),
    [
        (3, 0, 0, "holds in all 3 cells"),
        (1, 0, 0, "holds in the one cell"),
        (0, 0, 2, "fails in both cells"),
        (18, 2, 0, "holds in 18 of 20 cells and is equal within the error bound in 2"),
        (1, 2, 3, "holds in 1 of 6 cells, is equal within the error bound in 2 and fails in 3"),
        (0, 2, 1, "is equal within the error bound in 2 of 3 cells and fails in 1"),
    ],
)
def test_cells_are_counted_in_words(holds, equal, fails, words):
    values = [2.0] * holds + [1.0] * equal + [0.5] * fails
    upper = [row("NTK", "erf", nc1=value, d0=i) for i, value in enumerate(values)]
    cells = compare(upper, [{**r, "model": "NNGP", "nc1": 1.0} for r in upper], KIND)
    assert count(cells) == words
    expected = {HOLDS: holds, EQUAL: equal, FAILS: fails}
    assert counts(cells) == {word: k for word, k in expected.items() if k}


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ((0.61254, 0.6012, 0.6254), "0.613 (0.601 to 0.625)"),
        ((2.05123, 2.0498, 2.0526), "2.0512 (2.0498 to 2.0526)"),  # never 2.05 (2.05 to 2.05)
        ((5.86, 4.71, 7.29), "5.9 (4.7 to 7.3)"),
        ((92.3, 65.6, 130), "92 (66 to 130)"),
        ((8.98, 4.05, 19.91), "9.0 (4.0 to 19.9)"),
        ((0.03, 0.004, 0.2), "0.0300 (0.0040 to 0.2000)"),
        ((0.9952, 0.9877, 1.0028), "0.995 (0.988 to 1.003)"),
        ((1.0, 1.0, 1.0), "1"),
        ((1.00145, 1.0014499, 1.0014501), "1.00145"),
        ((2.0, math.nan, math.nan), "2"),
        ((math.nan, math.nan, math.nan), "undefined"),
    ],
)
def test_intervals_are_shown_to_the_digits_of_their_width(ends, words):
    assert show(rules.Interval(*ends, 3)) == words


def test_a_range_over_cells_is_named_as_one():
    rows = [r for d0 in (1, 2, 4) for r in repeated("NTK", [d0], d0=d0)]
    cells = compare(rows, [{**r, "model": "NNGP", "nc1": 1.0} for r in rows], KIND)
    assert extremes(cells) == "from 1 to 4 over the cells"
    assert extremes(cells[:1]) == "1"
    assert extremes([*cells[:1], *cells[:1]]) == "1 in all cells"
    assert extremes([]) == "undefined"
    assert average(cells) == "2 in the mean, from 1 to 4 over the cells"
