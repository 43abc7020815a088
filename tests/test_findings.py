"""Findings: every rule on both sides, cells and not repeats, verdicts that are known by construction."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.claim_rows import data, on, repeated
from tests.study_rows import row

from nc1fast.studies.findings import (
    AGREE,
    DEPENDS,
    DIFFER,
    EQUAL,
    FAILS,
    HOLDS,
    UNDEFINED,
    compare,
    pooled,
    rules,
)
from nc1fast.studies.findings.compare import changes
from nc1fast.studies.findings.words import count, share, show
from nc1fast.studies.library.paper import claims, findings

KIND = ("model", "parametrization")


def cell(upper, lower, rule=rules.at_least, bound=0.0):
    first = repeated("NTK", upper, error_bound=bound)
    second = repeated("NNGP", lower, error_bound=bound)
    [found] = compare(first, second, KIND, rule)
    return found


# --- rules


def test_exact_verdict_has_three_values_and_the_median_decides():
    assert cell([2, 2, 2], [1, 1, 1], bound=0.1).verdict == HOLDS
    assert cell([1, 1, 1], [2, 2, 2], bound=0.1).verdict == FAILS
    assert cell([1.1, 1, 1], [1, 1, 1], bound=0.1).verdict == EQUAL
    assert cell([2, 2, 2], [1, 1, 1], rules.at_most, bound=0.1).verdict == FAILS
    assert cell([1, 1, 1], [2, 2, 2], rules.at_most, bound=0.1).verdict == HOLDS
    mixed = cell([2, 3, 1], [1, 1, 4], bound=0.1)
    assert (mixed.verdict, mixed.n, mixed.n_agree) == (HOLDS, 3, 2)
    assert (mixed.ratio, mixed.ratio_min, mixed.ratio_max) == (2, 0.25, 3)


def test_values_that_cannot_be_compared():
    assert cell([math.nan], [1]).verdict == UNDEFINED
    assert cell([math.inf], [1]).verdict == UNDEFINED
    assert math.isnan(cell([2], [-1]).ratio)
    assert cell([2, math.nan], [1, 1]).n == 1


def test_numbers_agree_if_the_interval_meets_the_tolerance():
    assert cell([1.0, 1.1, 0.9], [1, 1, 1], rules.agree).verdict == AGREE
    assert cell([1.06, 1.061, 1.059], [1, 1, 1], rules.agree).verdict == DIFFER  # narrow, 6 % off
    assert cell([1.04, 1.041, 1.039], [1, 1, 1], rules.agree).verdict == AGREE  # narrow, 4 % off
    assert cell([0.94, 0.941, 0.939], [1, 1, 1], rules.agree).verdict == DIFFER
    assert cell([1.2], [1], rules.agree).verdict == UNDEFINED  # one repeat has no interval
    assert cell([1, -1], [1, 1], rules.agree).verdict == UNDEFINED
    scattered = cell([1.0, 1.3, 0.8], [1, 1, 1], rules.agree)
    assert (scattered.verdict, scattered.n_agree, scattered.n) == (AGREE, 1, 3)


def test_exact_numbers_are_alike_if_their_median_ratio_is_near_one():
    assert cell([1.2, 1.04, 1.0], [1, 1, 1], rules.alike).verdict == AGREE
    assert cell([0.9, 1.06, 1.2], [1, 1, 1], rules.alike).verdict == DIFFER
    single = cell([1.06], [1], rules.alike)  # one repeat is enough
    assert (single.verdict, single.n_agree) == (DIFFER, 1)
    assert cell([1, -1], [1, 1], rules.alike).verdict == UNDEFINED


def test_expectation_is_met_within_its_own_interval():
    near, far = [1.0, 1.02, 0.97, 1.015], [1.1, 1.101, 1.099, 1.1]
    assert cell(near, [1] * 4, rules.expected).verdict == AGREE
    assert cell(far, [1] * 4, rules.expected).verdict == DIFFER
    assert cell([1.0], [1], rules.expected).verdict == UNDEFINED


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([HOLDS, EQUAL, AGREE], HOLDS),
        ([HOLDS, UNDEFINED], HOLDS),
        ([HOLDS, FAILS], DEPENDS),
        ([AGREE, DIFFER], DEPENDS),
        ([FAILS, DIFFER], FAILS),
        ([AGREE] * 9 + [DIFFER], HOLDS),  # one in ten is chance
        ([AGREE] * 8 + [DIFFER], DEPENDS),
        ([AGREE] * 18 + [DIFFER] * 3, DEPENDS),
        ([HOLDS] * 99 + [FAILS], DEPENDS),  # an exact comparison knows no chance
        ([UNDEFINED], UNDEFINED),
        ([], UNDEFINED),
    ],
)
def test_claim_takes_the_verdict_of_its_cells(verdicts, expected):
    assert rules.overall(verdicts) == expected


def test_may_differ_needs_more_cells_than_chance_explains():
    assert rules.may_differ([AGREE, AGREE, DIFFER]) == HOLDS
    assert rules.may_differ([AGREE] * 9 + [DIFFER]) == FAILS
    assert rules.may_differ([AGREE] * 9 + [DIFFER] * 2) == HOLDS
    assert rules.may_differ([AGREE, UNDEFINED]) == FAILS
    assert rules.may_differ([UNDEFINED]) == UNDEFINED


@pytest.mark.parametrize("repeats", [3, 10])
def test_chance_makes_fewer_cells_differ_than_the_rule_forgives(repeats):
    """Networks of 500 units scatter by 8 %; a true difference of a third is seen all the same."""
    rng = np.random.default_rng(0)
    scattered = np.exp(0.08 * rng.standard_normal((400, repeats)))

    def differing(ratio):
        cells = [cell(ratio * values, np.ones(repeats), rules.agree) for values in scattered]
        return sum(c.verdict == DIFFER for c in cells) / len(cells)

    assert differing(1.0) < rules.CHANCE
    assert differing(2 / 3) > 0.8


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


def test_pooled_ratio_is_a_median_over_cells_with_an_interval_over_common_repeats():
    upper = [r for d0 in (1, 2, 4) for r in repeated("NTK", [d0, 2.0 * d0], d0=d0)]
    upper += repeated("NTK", [4.0], d0=4, N=7)  # a single repeat says nothing of the interval
    lower = [{**r, "model": "NNGP", "nc1": 1.0} for r in upper]
    interval = pooled(compare(upper, lower, KIND))
    assert interval.middle == pytest.approx(math.sqrt(2 * 4))  # medians 2 and 4
    assert interval.n == 2
    assert interval.low < 2
    assert interval.high > 4
    single = pooled(compare(upper[-1:], lower, KIND))
    assert math.isnan(single.low)
    assert single.middle == 4
    assert math.isnan(pooled([]).middle)


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
    assert share(cells, [HOLDS, EQUAL]) == f"{holds + equal} of {len(values)}"


def test_intervals_are_shown_to_three_digits():
    assert show(rules.Interval(0.61254, 0.6012, 0.6254, 3)) == "0.613 (0.601 to 0.625)"
    assert show(rules.Interval(2.0, math.nan, math.nan, 1)) == "2"


# --- claims, on rows whose verdicts are known


def claim(rows, key):
    [found] = [c for c in claims(rows) if c.finding.key == key]
    return found


def finding(rows, key):
    found = [f for f in findings(rows) if f.key == key]
    return found[0] if found else None


def test_a1_networks_start_like_the_nngp():
    same = claim(data(NNGP=1.0, **{"network:start": 1.02}), "a1")
    assert same.finding.verdict == HOLDS
    assert same.held == "2 of 2"
    assert same.released == "the same"
    off = data(NNGP=1.0, **{"network:start": {1: 1.2, 8: 1.0}})
    assert claim(off, "a1").finding.verdict == DEPENDS
    assert claim(data(NNGP=1.0, **{"network:start": 1.3}), "a1").finding.verdict == FAILS


def test_a1_the_released_code_has_two_definitions_of_unequal_classes():
    unequal = {"sizes": "32:96", "arm": "imbalanced"}
    rows = []
    for convention, factor in (("papyan", 1.0), ("probe", 0.7), ("released", 1.2)):
        columns = {**unequal, "convention": convention}
        rows += repeated("NNGP", [factor] * 3, **columns)
        rows += repeated("network", [factor] * 3, state="start", **columns)
    told = claim(rows, "a1")
    assert told.finding.verdict == HOLDS
    assert told.released.startswith("kernel over network definition, unequal classes: differ in ")
    assert told.released.endswith("ratio 1.71 (1.71 to 1.71)")


def test_a_claim_that_depends_on_the_data_tells_them_apart():
    rows = data(NNGP=1.0, NTK=2.0) + on(data(NNGP=1.0, NTK={1: 3.0, 8: 0.5}), dataset="D2")
    told = claim(rows, "a2")
    assert told.finding.verdict == DEPENDS
    assert told.ratio == "D1 2 (2 to 2); D2 1.75 (1.75 to 1.75)"
    assert told.held == "D1 2 of 2; D2 1 of 2"
    whole = claim(data(NNGP=1.0, NTK=2.0), "a2")
    assert (whole.ratio, whole.held) == ("2 (2 to 2)", "2 of 2")


def test_a2_and_the_released_erf_ntk():
    stands = data(NNGP=1.0, NTK=2.0, released={1: 1.2, 8: 0.98})
    told = claim(stands, "a2")
    assert told.finding.verdict == HOLDS
    assert told.held == "2 of 2"
    assert told.released.startswith("erf: holds in 1 of 2 cells and fails in 1; ratio 1.09")
    assert finding(stands, "released-ntk").verdict == DEPENDS
    swapped = data(NNGP=1.0, NTK={1: 1.2, 8: 0.98}, released=2.0)  # the words follow the rows
    assert claim(swapped, "a2").finding.verdict == DEPENDS
    assert "It fails at d₀ = 8." in claim(swapped, "a2").finding.sentences[1]
    assert finding(swapped, "released-ntk").verdict == HOLDS
    assert claim(data(NNGP=1.0, NTK=0.5), "a2").finding.verdict == FAILS


def test_a2_looks_at_the_ntk_parametrization_and_at_depth_two():
    rows = data(NNGP=1.0, NTK=2.0, own=0.5)
    assert claim(rows, "a2").finding.verdict == HOLDS
    deep = [row(m, "erf", arm="depth", d0=3, depth=d, nc1=v) for m, d, v in DEPTHS]
    assert claim(rows + deep, "a2").held == "2 of 2"


DEPTHS = [("NNGP", 2, 1.0), ("NNGP", 3, 2.0), ("NTK", 2, 0.5), ("NTK", 3, 0.4)]


def test_a3_level_control_and_released_equations():
    rows = data(
        NNGP=1.0,
        Adaptive=0.6,
        released_adaptive=0.9,
        **{"Adaptive:shuffled": 12.0},
    )
    told = claim(rows, "a3")
    assert told.finding.verdict == HOLDS
    assert told.released.startswith("holds in both cells; ratio 0.9 ")
    assert told.control.startswith("shuffled/true ratio 20 ")
    assert finding(rows, "labels").verdict == HOLDS
    both = rows + on(data(NNGP=1.0, Adaptive=5.0), dataset="D2")
    assert claim(both, "a3").finding.verdict == DEPENDS
    assert claim(data(NNGP=1.0, Adaptive=5.0), "a3").finding.verdict == FAILS
    blind = data(NNGP=1.0, Adaptive=0.9, **{"Adaptive:shuffled": 0.8})
    assert finding(blind, "labels").verdict == FAILS


def test_a3_trend_is_judged_on_paired_ratios():
    network = {"network:start": 2.0, "network:end": {1: 2.0, 8: 1.2}}
    apart = claim(data(NNGP=1.0, Adaptive=0.6, **network), "a3-trend")
    assert apart.finding.verdict == HOLDS  # it need not follow: at d0 = 1 it does not
    assert apart.held == "differ in 1 of 2"
    assert [c.verdict for c in apart.finding.cells] == [DIFFER, AGREE]
    assert apart.finding.cells[0].ratio == pytest.approx(1 / 0.6)
    together = data(NNGP=1.0, Adaptive={1: 1.0, 8: 0.6}, **network)
    assert claim(together, "a3-trend").finding.verdict == FAILS


def test_a3_langevin_networks_meet_their_own_adaptive_kernel_and_others_that_of_their_data():
    balanced = data(d0=(8,), NNGP=1.0, Adaptive=0.6, **{"network:start": 1.0, "network:end": 1.0})
    long = [{**r, "arm": "long", "nc1": 0.6 * r["nc1"]} for r in balanced if r["state"] == "end"]
    long += [{**r, "arm": "long"} for r in balanced if r["state"] == "start"]
    noisy = [{**r, "arm": "langevin", "noise": 0.1} for r in balanced if r["model"] == "network"]
    noisy = [{**r, "nc1": 0.9 * r["nc1"]} if r["state"] == "end" else r for r in noisy]
    noisy += [
        {**r, "arm": "langevin", "noise": 0.1, "nc1": 0.81 * r["nc1"]}
        for r in balanced
        if r["model"] == "NNGP"
        for r in ({**r, "model": "AdaptiveKernel"},)
    ]
    trend = claim([*noisy, *balanced, *long], "a3-trend").finding
    assert [(c.cell["arm"], round(c.ratio, 3)) for c in trend.cells] == [
        ("langevin", 1.111),
        ("balanced", 1.667),
        ("long", 1.0),
    ]
    assert any("changes 0.5 (0.5 to 0.5) times" in sentence for sentence in trend.sentences)
    level = claim(
        [*noisy, *balanced], "a3"
    ).finding  # the level is a claim about the published noise
    assert [c.cell["arm"] for c in level.cells] == ["balanced"]


def test_a4_depends_on_the_data():
    erf, relu = {1: 0.5, 8: 2.0}, {"relu NNGP": 1.0, "relu NTK": 1.0}
    told = claim(data(NNGP=erf, NTK=erf, released={1: 0.4, 8: 0.9}, **relu), "a4")
    assert told.finding.verdict == DEPENDS
    assert told.held == "2 of 4"
    assert "It fails at d₀ = 8." in told.finding.sentences[1]
    assert told.released.startswith("holds in 3 of 4 cells and fails in 1")
    assert claim(data(NNGP=0.5, **relu), "a4").finding.verdict == HOLDS
    assert claim(data(NNGP=2.0, **relu), "a4").finding.verdict == FAILS


def test_a_claim_without_rows_is_not_comparable():
    for told in claims(data(NNGP=1.0)):
        assert told.finding.verdict == UNDEFINED
        assert told.held.endswith("0 of 0")
        assert "not in this table" in told.released
    assert [f.key for f in findings(data(NNGP=1.0))] == ["unusual"]
